//! Kubeconfigs for people: what they open, for how long, and that nothing of them is seen elsewhere.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::landscape::{Kind, Owner, Target};
use espalier::sim::{Sim, serve};
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use x509_parser::pem::parse_x509_pem;

use super::cli::{Ran, run_in};
use super::fleet::{Fleet, explain};

/// The time that `run_in` gives, and an hour later.
const NOW: &str = "2026-11-21T09:00:00Z";
const LATER: &str = "2026-11-21T10:00:00Z";

fn at(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().expect("a time").as_second()
}

fn decoded(object: &Value, pointer: &str) -> Vec<u8> {
    STANDARD.decode(object.pointer(pointer).and_then(Value::as_str).expect("base64")).expect("base64")
}

/// Certificate and key of the only user of a kubeconfig.
fn credentials(config: &Kubeconfig) -> (Vec<u8>, String, String) {
    let [user] = config.auth_infos.as_slice() else { panic!("one user") };
    let value = serde_json::to_value(user.auth_info.as_ref().expect("credentials")).expect("JSON");
    let key = value["client-key-data"].as_str().expect("a key").to_owned();
    let pem = String::from_utf8(STANDARD.decode(&key).expect("base64")).expect("PEM");
    (decoded(&value, "/client-certificate-data"), pem, key)
}

/// Subject, seconds of validity from now on, and whether an authority signed it.
fn judged(certificate: &[u8], authority: &[u8]) -> (String, i64, bool) {
    let (_, pem) = parse_x509_pem(certificate).expect("PEM");
    let certificate = pem.parse_x509().expect("a certificate");
    let (_, pem) = parse_x509_pem(authority).expect("PEM");
    let authority = pem.parse_x509().expect("a certificate");
    assert!(certificate.validity().not_before.timestamp() <= at(NOW));
    let usage = certificate.extended_key_usage().expect("parses").expect("is there").value;
    assert!(usage.client_auth && !usage.server_auth && !certificate.is_ca());
    let until = certificate.validity().not_after.timestamp() - at(NOW);
    (certificate.subject().to_string(), until, certificate.verify_signature(Some(authority.public_key())).is_ok())
}

fn two_lines(ran: &Ran) {
    assert_eq!(ran.err.lines().count(), 2, "an error and the next command: {}", ran.err);
    assert!(ran.err.starts_with("error: ") && ran.err.contains("\nhint: "), "{}", ran.err);
    assert_eq!(ran.out, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shoot_is_opened_for_a_while_and_nothing_is_seen_of_the_keys() {
    let mut fleet = Fleet::local(&["mini", "winter"]).await;
    fleet.open_clusters(true).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "");
    // Its seed gets a certificate that everybody trusts, and it an address that shows it.
    let trusted = rcgen::generate_simple_self_signed(["*.ingress.aws-eu1.local.example.org".to_owned()]).expect("a certificate");
    let trusted = json!({
        "metadata": {"name": "trusted", "labels": {"gardener.cloud/role": "controlplane-cert"}},
        "stringData": {"tls.crt": trusted.cert.pem(), "tls.key": trusted.signing_key.serialize_pem()},
    });
    fleet.by_hand(&Target::Seed("aws-eu1".into()), "POST", "/api/v1/namespaces/garden/secrets", &trusted).await;
    assert_eq!(explain(&fleet.pass().await), "");
    let dir = fleet.dir.path().to_owned();
    let path = |name: &str| format!("/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/{name}");
    let shoot = fleet.get(&Target::Garden, &path("shoots/mini")).await.expect("a shoot");
    let secret = path("internalsecrets/mini.ca-client");
    let authority = fleet.get(&Target::Garden, &secret).await.expect("an authority");
    let (signer, signer_key) = (decoded(&authority, "/data/ca.crt"), decoded(&authority, "/data/ca.key"));
    let signer_key = String::from_utf8(signer_key).expect("PEM");
    let map = "/api/v1/namespaces/garden-shop/configmaps/mini.ca-cluster";
    let trust = fleet.get(&Target::Garden, map).await.expect("a bundle")["data"]["ca.crt"].clone();

    // Over TLS, as with a garden that is somewhere else.
    let sims: BTreeMap<String, Sim> = fleet.sims.iter().map(|(target, sim)| (target.to_string(), sim.clone())).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let serving = serve(sims, listener, None).await.expect("it is served");
    std::fs::write(dir.join("garden.kubeconfig"), &serving.kubeconfig).expect("a file");
    let issue = |more: &[&str]| {
        let mut args = vec!["kubeconfig", "--repo", "repo", "-L", "local", "--kubeconfig", "garden.kubeconfig"];
        args.extend(more);
        tokio::task::block_in_place(|| run_in(&dir, &[("ESPALIER_LOG", "trace")], "", &args))
    };
    let ran = issue(&["shop/mini"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let config = Kubeconfig::from_yaml(&ran.out).expect("a kubeconfig");
    let (certificate, pem, key) = credentials(&config);
    assert_eq!(
        judged(&certificate, &signer),
        ("CN=kubectl, O=gardener.cloud:system:viewers".to_owned(), at(LATER) - at(NOW), true)
    );
    assert!(!judged(&certificate, trust.as_str().expect("PEM").as_bytes()).2, "another authority signs API servers");
    let public = rcgen::KeyPair::from_pem(&pem).expect("a key").public_key_pem();
    let (_, public) = parse_x509_pem(public.as_bytes()).expect("PEM");
    let (_, parsed) = parse_x509_pem(&certificate).expect("PEM");
    assert_eq!(parsed.parse_x509().expect("a certificate").public_key().raw, public.contents, "the key fits");
    assert_eq!(config.current_context.as_deref(), Some("garden-shop--mini-external"));
    let value = serde_json::to_value(&config).expect("JSON");
    let advertised = shoot["status"]["advertisedAddresses"].as_array().expect("addresses");
    for address in advertised {
        let name = format!("garden-shop--mini-{}", address["name"].as_str().expect("a name"));
        let cluster = value["clusters"].as_array().expect("clusters").iter().find(|c| c["name"] == name.as_str());
        let cluster = &cluster.expect("each address")["cluster"];
        assert_eq!(cluster["server"], address["url"]);
        if address["name"] == "wildcard-tls-seed-bound" {
            assert_eq!(cluster.get("certificate-authority-data"), None, "no authority of the shoot signed that");
        } else {
            assert_eq!(decoded(cluster, "/certificate-authority-data"), trust.as_str().expect("PEM").as_bytes());
        }
    }
    assert_eq!((advertised.len(), config.contexts.len()), (3, 3));

    let line = |pem: &str| pem.lines().nth(1).expect("a line of the key").to_owned();
    let never = [line(&signer_key), STANDARD.encode(&signer_key), authority["data"]["ca.key"].as_str().expect("text").to_owned()];
    for secret in [line(&pem), key].iter().chain(&never) {
        assert!(!ran.err.contains(secret.as_str()), "a log shows a key");
    }
    assert!(never.iter().all(|secret| !ran.out.contains(secret.as_str())), "the authority's key stays where it is");
    assert!(ran.err.contains("viewer kubeconfig for `kubectl`, valid until 2026-11-21T10:00:00Z"), "{}", ran.err);

    // To a file that was open to all before.
    std::fs::write(dir.join("mini.yaml"), "").expect("a file");
    let ran = issue(&["shop/mini", "--admin", "--expiration", "30m", "--out", "mini.yaml"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let mode = std::fs::metadata(dir.join("mini.yaml")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let config = Kubeconfig::from_yaml(&std::fs::read_to_string(dir.join("mini.yaml")).expect("a file")).expect("a kubeconfig");
    let (certificate, pem, key) = credentials(&config);
    assert_eq!(judged(&certificate, &signer), ("CN=kubectl, O=gardener.cloud:system:admins".to_owned(), 1800, true));
    assert!(!ran.err.contains(&line(&pem)) && !ran.err.contains(&key), "a log shows a key");
    serving.stop().await;

    // From their files, once nobody has them open.
    for sim in std::mem::take(&mut fleet.sims).into_values() {
        sim.close().await;
    }
    let state = |more: &[&str]| {
        let mut args = vec!["kubeconfig", "--state-dir", "."];
        args.extend(more);
        tokio::task::block_in_place(|| run_in(&dir, &[], "", &args))
    };
    let ran = state(&["shop/mini", "-o", "json", "-q"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let config: Kubeconfig = serde_json::from_str(&ran.out).expect("JSON");
    let (certificate, ..) = credentials(&config);
    assert_eq!(judged(&certificate, &signer).0, "CN=espalier, O=gardener.cloud:system:viewers".to_owned());

    for (args, code, why, next) in [
        (&["shop/mimi"][..], 2, "there is no shoot shop/mimi in the garden", "`espalier kubeconfig shop/mini`"),
        (&["nobody/mini"], 2, "there is no shoot nobody/mini in the garden", "`espalier get shoots`"),
        (&["lab/winter"], 2, "lab/winter is hibernated", "espalier wait lab/winter"),
        (&["shop/mini", "--expiration", "9m59s"], 64, "cannot be valid for 9m 59s", "--expiration 1h"),
        (&["shop/mini", "--expiration", "24h1s"], 64, "cannot be valid for 24h 1s", "--expiration 1h"),
    ] {
        let ran = state(args);
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        two_lines(&ran);
        assert!(ran.err.contains(why) && ran.err.contains(next), "{args:?}: {}", ran.err);
    }
    assert_eq!(state(&["mini"]).code, 64, "a project is needed");
    assert_eq!(state(&["shop/mini", "--expiration", "soon"]).code, 64);
    let nowhere = tokio::task::block_in_place(|| run_in(&dir, &[], "", &["kubeconfig", "shop/mini", "--state-dir", "nowhere"]));
    assert!(nowhere.code == 2 && nowhere.err.contains("no simulated garden in nowhere"), "{}", nowhere.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_is_not_there_yet_opens_to_nobody() {
    let mut fleet = Fleet::local(&["mini"]).await;
    fleet.open_clusters(true).await;
    // Without anybody's credentials, no seed gets ready, and a shoot does not come far.
    let mut running = fleet.start().await;
    let mini = Owner::project(Kind::Shoot, "shop", "mini");
    running.until("it waits", |v| v.owners.get(&mini).is_some_and(|row| row.note.starts_with("not scheduled"))).await;
    running.stop().await;
    for sim in std::mem::take(&mut fleet.sims).into_values() {
        sim.close().await;
    }
    let args = ["kubeconfig", "shop/mini", "--state-dir", "."];
    let ran = tokio::task::block_in_place(|| run_in(fleet.dir.path(), &[], "", &args));
    assert_eq!(ran.code, 2, "{}", ran.err);
    two_lines(&ran);
    assert!(ran.err.contains("the control plane of shop/mini is not ready yet"), "{}", ran.err);
    assert!(ran.err.contains("`espalier wait shop/mini`"), "{}", ran.err);
}
