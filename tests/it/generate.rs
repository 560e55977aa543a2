//! Secrets that are made: parsed again, and their chains verified.

use std::collections::BTreeMap;

use espalier::apply::generate::{Made, MakeError, data_checksum, make};
use espalier::secrets::{Body, Recipe, Wanted};
use jiff::Timestamp;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{GeneralName, X509Certificate};

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).expect("in range")
}

fn wanted(config: &str, recipe: Recipe) -> Wanted {
    Wanted { config: config.into(), recipe, keep_old: false, persist: false }
}

fn made(config: &str, recipe: Recipe, reads: &[(&str, &Body)]) -> Result<Made, MakeError> {
    let reads: BTreeMap<String, &Body> = reads.iter().map(|(name, body)| ((*name).to_owned(), *body)).collect();
    make(&format!("{config}-0a1b2c3d"), &wanted(config, recipe), &reads, now())
}

fn text<'a>(made: &'a Made, key: &str) -> &'a str {
    std::str::from_utf8(&made.body[key]).expect("UTF-8")
}

fn with<T>(pem: &[u8], check: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let (_, pem) = parse_x509_pem(pem).expect("PEM");
    check(&pem.parse_x509().expect("a certificate"))
}

fn authority() -> Made {
    made("ca", Recipe::Authority { common_name: "ca".into() }, &[]).map_err(|e| e.to_string()).expect("made")
}

fn server() -> Recipe {
    Recipe::Certificate {
        authority: "ca".into(),
        common_name: "kube-apiserver".into(),
        organizations: vec!["o".into()],
        dns_names: vec!["kube-apiserver".into(), "*.example.org".into()],
        ip_addresses: vec!["100.64.0.1".into(), "2001:db8::1".into()],
        server: true,
        client: false,
    }
}

#[test]
fn an_authority_lasts_ten_years_and_signs() {
    let ca = authority();
    assert_eq!(ca.body.keys().collect::<Vec<_>>(), ["ca.crt", "ca.key"]);
    assert_eq!(ca.valid_until.expect("ends").to_string(), "2036-09-21T14:13:20Z");
    with(&ca.body["ca.crt"], |certificate| {
        assert!(certificate.is_ca());
        assert_eq!(certificate.subject().to_string(), "CN=ca-0a1b2c3d", "two generations differ by name");
        let usage = certificate.key_usage().expect("parses").expect("is there").value;
        assert!(usage.key_cert_sign() && usage.crl_sign() && usage.digital_signature() && usage.key_encipherment());
        certificate.verify_signature(None).expect("signed by itself");
        assert!(certificate.validity().not_before.timestamp() < now().as_second());
    });
}

#[test]
fn a_leaf_is_signed_by_its_authority_and_says_what_was_asked() {
    let ca = authority();
    let leaf = made("kube-apiserver", server(), &[("ca", &ca.body)]).map_err(|e| e.to_string()).expect("made");
    assert_eq!(leaf.body.keys().collect::<Vec<_>>(), ["tls.crt", "tls.key"]);
    assert!(leaf.body["tls.crt"].ends_with(&ca.body["ca.crt"]), "the API server serves its authority as well");
    assert_eq!(leaf.authority_checksum, Some(data_checksum(&ca.body)[..63].to_owned()));
    with(&ca.body["ca.crt"], |issuer| {
        with(&leaf.body["tls.crt"], |certificate| {
            certificate.verify_signature(Some(issuer.public_key())).expect("signed by its authority");
            assert_eq!(certificate.issuer(), issuer.subject());
            assert!(!certificate.is_ca());
            let usage = certificate.extended_key_usage().expect("parses").expect("is there").value;
            assert!(usage.server_auth && !usage.client_auth);
            let names = &certificate.subject_alternative_name().expect("parses").expect("is there").value.general_names;
            let dns = names.iter().filter(|n| matches!(n, GeneralName::DNSName(_))).count();
            let addresses = names.iter().filter(|n| matches!(n, GeneralName::IPAddress(_))).count();
            assert_eq!((dns, addresses), (2, 2));
        });
    });
    let stranger = authority();
    with(&stranger.body["ca.crt"], |issuer| {
        with(&leaf.body["tls.crt"], |c| assert!(c.verify_signature(Some(issuer.public_key())).is_err()));
    });
}

#[test]
fn nothing_is_made_from_what_was_not_read() {
    assert!(matches!(made("kube-apiserver", server(), &[]), Err(MakeError::NotGiven(config)) if config == "ca"));
    let empty = Body::new();
    assert!(matches!(made("kube-apiserver", server(), &[("ca", &empty)]), Err(MakeError::Lacks { .. })));
}

#[test]
fn a_password_is_the_one_whose_hash_the_gateway_reads() {
    let users = |()| made("observability-ingress-users", Recipe::BasicAuth { user: "admin".into() }, &[]).expect("made");
    let [one, other] = [(), ()].map(users);
    assert_eq!((text(&one, "username"), text(&one, "password").len()), ("admin", 32));
    let (user, hash) = text(&one, "auth").split_once(':').expect("a user and a hash");
    assert_eq!(user, "admin");
    assert!(bcrypt::verify(text(&one, "password"), hash).expect("a hash"));
    assert!(!bcrypt::verify(text(&other, "password"), hash).expect("a hash"));
}

#[test]
fn bundles_hold_the_current_generation_first() {
    let (new, old) = (authority(), authority());
    let bundle = made("ca-bundle", Recipe::Bundle { of: "ca".into() }, &[("ca", &new.body), ("ca.old", &old.body)]);
    let bundle = bundle.map_err(|e| e.to_string()).expect("made");
    let expected = [new.body["ca.crt"].as_slice(), old.body["ca.crt"].as_slice()].concat();
    assert_eq!(bundle.body["bundle.crt"].as_slice(), expected);

    let key = made("service-account-key", Recipe::SigningKey, &[]).map_err(|e| e.to_string()).expect("made");
    assert!(text(&key, "id_rsa").starts_with("-----BEGIN PRIVATE KEY-----"));
    let public = made("b", Recipe::Bundle { of: "service-account-key".into() }, &[("service-account-key", &key.body)]);
    let public = public.map_err(|e| e.to_string()).expect("made");
    assert!(text(&public, "bundle.key").starts_with("-----BEGIN PUBLIC KEY-----"), "private halves stay where they are");
}

#[test]
fn encryption_at_rest_writes_with_the_current_key_and_reads_with_the_old() {
    let name = "kube-apiserver-etcd-encryption-key";
    let key = || made(name, Recipe::EncryptionKey, &[]).map_err(|e| e.to_string()).expect("made");
    let (new, old) = (key(), key());
    assert_eq!(new.body["secret"].len(), 32);
    assert_ne!(new.body["secret"], old.body["secret"]);
    let recipe = Recipe::EncryptionConfiguration { resources: vec!["configmaps".into()] };
    let config = made("c", recipe, &[(name, &new.body), (&format!("{name}.old"), &old.body)]).map_err(|e| e.to_string());
    let config = config.expect("made");
    let value: serde_json::Value = serde_yaml::from_str(text(&config, "encryption-configuration.yaml")).expect("YAML");
    assert_eq!(value["resources"][0]["resources"], serde_json::json!(["configmaps", "secrets"]));
    let keys = value["resources"][0]["providers"][0]["aescbc"]["keys"].as_array().expect("keys");
    let secrets: Vec<Vec<u8>> = keys
        .iter()
        .map(|k| {
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, k["secret"].as_str().expect("text"))
                .expect("base64")
        })
        .collect();
    assert_eq!(secrets, [new.body["secret"].to_vec(), old.body["secret"].to_vec()]);
    assert_eq!(value["resources"][0]["providers"][1], serde_json::json!({ "identity": {} }));
}

#[test]
fn kubeconfigs_tokens_and_keys_have_their_forms() {
    let ca = authority();
    let generic =
        Recipe::Kubeconfig { name: "shoot--p--s".into(), server: "https://kube-apiserver".into(), authority: "ca".into() };
    let generic = made("generic-token-kubeconfig", generic, &[("ca", &ca.body)]).map_err(|e| e.to_string()).expect("made");
    let parsed = kube::config::Kubeconfig::from_yaml(text(&generic, "kubeconfig")).expect("a kubeconfig");
    assert_eq!(parsed.current_context.as_deref(), Some("shoot--p--s"));

    let client = Recipe::ClientKubeconfig {
        name: "x".into(),
        server: "https://kube-apiserver".into(),
        server_authority: "ca".into(),
        authority: "ca".into(),
        common_name: "me".into(),
        organizations: vec!["system:masters".into()],
    };
    let client = made("grm", client, &[("ca", &ca.body)]).map_err(|e| e.to_string()).expect("made");
    assert_eq!(client.body.keys().collect::<Vec<_>>(), ["grm.crt", "grm.key", "kubeconfig"]);
    with(&client.body["grm.crt"], |c| {
        assert!(c.extended_key_usage().expect("parses").expect("is there").value.client_auth);
        assert_eq!(c.subject().to_string(), "CN=me, O=system:masters");
    });

    let token = made("t", Recipe::StaticToken, &[]).map_err(|e| e.to_string()).expect("made");
    let line = text(&token, "static_tokens.csv").trim_end().to_owned();
    let (token, rest) = line.split_once(',').expect("fields");
    assert_eq!((token.len(), rest), (128, "health-check,health-check,"));
    assert!(token.bytes().all(|b| b.is_ascii_alphanumeric()));

    let ssh = made("ssh-keypair", Recipe::SshKeyPair, &[]).map_err(|e| e.to_string()).expect("made");
    let private = ssh_key::PrivateKey::from_openssh(text(&ssh, "id_rsa")).expect("a private key");
    let public = ssh_key::PublicKey::from_openssh(text(&ssh, "id_rsa.pub").trim_end()).expect("a public key");
    assert_eq!(private.public_key().key_data(), public.key_data());

    let vpn = made("v", Recipe::VpnAuth, &[]).map_err(|e| e.to_string()).expect("made");
    let lines: Vec<&str> = text(&vpn, "vpn.tlsauth").lines().collect();
    assert_eq!((lines.len(), lines[1].len()), (18, 32));
    assert_eq!(made("k", Recipe::RandomKey, &[]).map_err(|e| e.to_string()).expect("made").body["key"].len(), 32);
}
