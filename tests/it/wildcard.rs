//! The certificate that operators keep in a seed for every name below its ingress domain: who shows it, what is said of a wrong one, and
//! that everything goes back to certificates of its own where it is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::landscape::Target;
use espalier::snapshot::RepoPath;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use super::fleet::{Fleet, STATUS, explain};
use super::second_pass::everything;

const PATIENCE: Duration = Duration::from_mins(1);
const DOMAIN: &str = "ingress.aws-eu1.local.example.org";
const HOST: &str = "api-shop--mini.ingress.aws-eu1.local.example.org";
const SECRETS: &str = "/api/v1/namespaces/garden/secrets";
const KEPT: &str = "/api/v1/namespaces/garden/secrets/trusted";
const COPY: &str = "/api/v1/namespaces/shoot--shop--mini/secrets/trusted";
const PLANE: &str = "/apis/apps/v1/namespaces/shoot--shop--mini/deployments/kube-apiserver";
const ISTIO: &str = "/apis/networking.istio.io/v1/namespaces";
const SEED_FILE: &str = "seeds/aws-eu1.status.yaml";
const SHOOT_FILE: &str = "projects/shop/shoots/mini.status.yaml";

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

/// A certificate for a name with its key, valid to the end of a day of December.
fn pair(name: &str, day: u8) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.not_before = date_time_ymd(2026, 11, 1);
    params.not_after = date_time_ymd(2026, 12, day);
    let key = KeyPair::generate().expect("a key");
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

fn trusted(day: u8) -> (String, String) {
    pair(&format!("*.{DOMAIN}"), day)
}

fn secret(name: &str, (certificate, key): &(String, String)) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"gardener.cloud/role": "controlplane-cert"}},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": STANDARD.encode(certificate), "tls.key": STANDARD.encode(key)},
    })
}

/// The flag, the volume and the mount of an API server for it.
fn served(plane: &Value) -> [Option<String>; 3] {
    let spec = &plane["spec"]["template"]["spec"];
    let server = &spec["containers"][0];
    let of = |list: &Value| list.as_array().into_iter().flatten().find(|one| one["name"] == "tls-sni-0").cloned();
    let mut flags = server["args"].as_array().expect("flags").iter().filter_map(Value::as_str);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    [
        flags.find_map(|flag| flag.strip_prefix("--tls-sni-cert-key=")).map(str::to_owned),
        of(&spec["volumes"]).and_then(|volume| text(&volume["secret"]["secretName"])),
        of(&server["volumeMounts"]).and_then(|mount| text(&mount["mountPath"])),
    ]
}

async fn is_served(fleet: &Fleet) -> bool {
    served(&fleet.get(&seed(), PLANE).await.expect("it runs")) != [None, None, None]
}

/// The certificates that the gateway shows, by the door's namespace and name.
async fn shown(fleet: &Fleet) -> BTreeMap<String, String> {
    let mut shown = BTreeMap::new();
    for namespace in ["garden", "shoot--shop--mini"] {
        let gateways = fleet.get(&seed(), &format!("{ISTIO}/{namespace}/gateways")).await.expect("a list");
        for gateway in gateways["items"].as_array().expect("items") {
            if let Some(name) = gateway["spec"]["servers"][0]["tls"]["credentialName"].as_str() {
                let path = format!("/api/v1/namespaces/istio-ingress/secrets/{name}");
                // Between the two looks the door may have been given another.
                let secret = fleet.get(&seed(), &path).await.unwrap_or_default();
                let text = STANDARD.decode(secret["data"]["tls.crt"].as_str().unwrap_or_default()).expect("base64");
                let door = format!("{namespace}/{}", gateway["metadata"]["name"].as_str().expect("a name"));
                shown.insert(door, String::from_utf8(text).expect("PEM"));
            }
        }
    }
    shown
}

/// What the seed's status says, whatever its lines.
fn told(tree: &BTreeMap<RepoPath, String>) -> String {
    tree[&RepoPath::from(SEED_FILE)].split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn all_show(fleet: &Fleet, certificate: &str) -> bool {
    shown(fleet).await.values().all(|shown| shown == certificate)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_below_a_seeds_domain_shows_its_certificate_and_follows_it() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    assert!(!is_served(&fleet).await);
    let own = shown(&fleet).await;
    let doors: Vec<&str> = own.keys().map(String::as_str).collect();
    let of_seed = ["garden/plutono", "garden/prometheus-aggregate"];
    assert_eq!(doors, [&of_seed[..], &["shoot--shop--mini/plutono", "shoot--shop--mini/prometheus"]].concat());
    let addresses = |text: &str| text.matches("wildcard-tls-seed-bound").count();
    let before = fleet.get(&seed(), PLANE).await.expect("it runs")["metadata"]["generation"].clone();

    // It comes.
    let first = trusted(30);
    fleet.by_hand(&seed(), "POST", SECRETS, &secret("trusted", &first)).await;
    running.comes_true("it is used", PATIENCE, async || is_served(&fleet).await && all_show(&fleet, &first.0).await).await;
    let file = "/srv/kubernetes/tls-sni/0";
    let wanted = [format!("{file}/tls.crt,{file}/tls.key:{HOST}"), "trusted".to_owned(), file.to_owned()].map(Some);
    let plane = fleet.get(&seed(), PLANE).await.expect("it runs");
    assert_eq!(served(&plane), wanted);
    let copy = fleet.get(&seed(), COPY).await.expect("what is mounted is there");
    assert_eq!((&copy["type"], &copy["data"]["tls.key"]), (&json!("kubernetes.io/tls"), &json!(STANDARD.encode(&first.1))));
    let tree = running.reported(&fleet, "its address", |tree| addresses(&tree[&RepoPath::from(SHOOT_FILE)]) == 1).await;
    assert!(tree[&RepoPath::from(SHOOT_FILE)].contains(&format!("https://{HOST}")));
    // Its name is that of the gateway for everybody, wherever the other names of the shoot are led to.
    let of = async |kind: &str, name: &str| fleet.get(&seed(), &format!("{ISTIO}/shoot--shop--mini/{kind}/{name}")).await;
    running.comes_true("a way to it", PATIENCE, async || of("virtualservices", "kube-apiserver-wildcard").await.is_some()).await;
    running.ready_at(&fleet.head().await).await;
    let door = of("gateways", "kube-apiserver-wildcard").await.expect("a door of its own");
    assert_eq!(door["spec"]["servers"][0]["hosts"], json!([HOST]));
    assert_eq!(door["spec"]["selector"]["istio"], "ingressgateway");
    let way = of("virtualservices", "kube-apiserver-wildcard").await.expect("a way of its own");
    let door = of("gateways", "kube-apiserver").await.expect("a door");
    let zone = door["spec"]["selector"]["istio"].as_str().and_then(|label| label.strip_prefix("ingressgateway--zone--"));
    let zonal = format!("istio-ingress--{}", zone.expect("a gateway of its zone"));
    let both = json!(["istio-ingress", zonal]);
    assert_eq!((&way["spec"]["exportTo"], &way["spec"]["tls"][0]["match"][0]["sniHosts"]), (&both, &json!([HOST])));
    assert_eq!(of("destinationrules", "kube-apiserver").await.expect("a rule")["spec"]["exportTo"], both);
    let service = fleet.get(&seed(), "/api/v1/namespaces/shoot--shop--mini/services/kube-apiserver").await.expect("it is there");
    let exported = &service["metadata"]["annotations"]["networking.istio.io/exportTo"];
    assert_eq!(*exported, format!("istio-ingress,{zonal}"));

    // It is renewed: what shows it follows, and no API server rolls, since it reads its files again.
    let generation = |plane: &Value| plane["metadata"]["generation"].clone();
    let rolled = generation(&fleet.get(&seed(), PLANE).await.expect("it runs"));
    assert_ne!(rolled, before);
    let second = trusted(31);
    fleet.by_hand(&seed(), "PATCH", KEPT, &secret("trusted", &second)).await;
    let follows = async || {
        let copy = fleet.get(&seed(), COPY).await.expect("it is there");
        copy["data"]["tls.crt"] == STANDARD.encode(&second.0) && all_show(&fleet, &second.0).await
    };
    running.comes_true("what is new is shown", PATIENCE, follows).await;
    assert_eq!(generation(&fleet.get(&seed(), PLANE).await.expect("it runs")), rolled);

    // It goes, and with it all that came for it.
    fleet.by_hand(&seed(), "DELETE", KEPT, &Value::Null).await;
    running
        .comes_true("it is gone", PATIENCE, async || {
            !is_served(&fleet).await && fleet.get(&seed(), COPY).await.is_none() && shown(&fleet).await == own
        })
        .await;
    running.ready_at(&fleet.head().await).await;
    let left = async || of("gateways", "kube-apiserver-wildcard").await.is_some();
    running.comes_true("its door is gone", PATIENCE, async || !left().await).await;
    running.reported(&fleet, "no address", |tree| addresses(&tree[&RepoPath::from(SHOOT_FILE)]) == 0).await;
    running.stop().await;
    // Its name ends what is called after it.
    let says = |text: &str| text.contains("trusted\"") || text.contains(HOST);
    let left = everything(&fleet).await.into_iter().filter(|(_, object)| says(&object.to_string()));
    assert_eq!(left.map(|(name, _)| name).collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_is_told_about_and_used_by_nobody() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let good = trusted(30);
    let other = pair(&format!("*.{DOMAIN}"), 30);
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    fleet.by_hand(&seed(), "POST", SECRETS, &secret("trusted", &good)).await;
    running.comes_true("it is used", PATIENCE, async || is_served(&fleet).await).await;
    let elsewhere = pair("*.example.net", 30);
    let wrong = [
        (("no certificate".to_owned(), good.1.clone()), "tls.crt has no certificate in PEM"),
        ((good.0.clone(), String::new()), "it has no tls.key"),
        ((good.0.clone(), other.1.clone()), "tls.key is not the key of the first certificate in tls.crt"),
        (elsewhere, "it is for *.example.net, and not for *.ingress.aws-eu1.local.example.org"),
        (trusted(1), "it expired at 2026-12-01T00:00:00Z"),
    ];
    fleet.set_clock("2026-12-02T00:00:00Z", false);
    for (pair, why) in &wrong {
        fleet.by_hand(&seed(), "PATCH", KEPT, &secret("trusted", pair)).await;
        running.comes_true(why, PATIENCE, async || !is_served(&fleet).await && !all_show(&fleet, &pair.0).await).await;
        let said = format!("Secret garden/trusted is not used for gardener.cloud/role=controlplane-cert: {why}");
        let is_told = |tree: &BTreeMap<RepoPath, String>| {
            let text = told(tree);
            text.contains(&said) && text.contains("code: SEED-WILDCARD-CERTIFICATE") && text.contains("standing: ready")
        };
        for text in running.reported(&fleet, why, is_told).await.values() {
            assert!(!text.contains("PRIVATE"), "{text}");
        }
        let conditions = async || {
            let path = "/apis/core.gardener.cloud/v1beta1/seeds/aws-eu1";
            let object = fleet.get(&Target::Garden, path).await.expect("it is there");
            let of = |kind: &str| {
                let all = object["status"]["conditions"].as_array().expect("conditions").iter();
                all.filter(|c| c["type"] == kind).find_map(|c| c["status"].as_str()).map(str::to_owned)
            };
            [of("SeedSystemComponentsHealthy"), of("GardenletReady")]
        };
        let wanted = ["False", "True"].map(|status| Some(status.to_owned()));
        running.comes_true("conditions that tell", PATIENCE, async || conditions().await == wanted).await;
        running.ready_at(&fleet.head().await).await;

        // What is right again is used again.
        fleet.by_hand(&seed(), "PATCH", KEPT, &secret("trusted", &good)).await;
        running.comes_true("it is right", PATIENCE, async || is_served(&fleet).await && all_show(&fleet, &good.0).await).await;
        running.reported(&fleet, "nothing", |tree| !tree[&RepoPath::from(SEED_FILE)].contains("SEED-WILDCARD")).await;
    }

    // Of two, the one that is valid longest is used.
    let longer = trusted(31);
    fleet.by_hand(&seed(), "POST", SECRETS, &secret("another", &longer)).await;
    running.comes_true("the other", PATIENCE, async || all_show(&fleet, &longer.0).await).await;
    let said = "garden/another is used, which is valid longest, and trusted is not";
    running.reported(&fleet, said, |tree| told(tree).contains(said)).await;
    // Without its label it is nobody's business.
    let unmarked = json!({"metadata": {"labels": {"gardener.cloud/role": null}}});
    fleet.by_hand(&seed(), "PATCH", &format!("{SECRETS}/another"), &unmarked).await;
    running.comes_true("the first", PATIENCE, async || all_show(&fleet, &good.0).await).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_takes_a_certificate_out_of_use() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "");
    let pair = trusted(1);
    fleet.by_hand(&seed(), "POST", SECRETS, &secret("trusted", &pair)).await;
    // Nobody touches anything: the passes look at the time alone.
    for (time, used, why) in [
        ("2026-11-22T00:00:00Z", true, ""),
        ("2026-11-26T00:00:00Z", true, "expires at 2026-12-01T00:00:00Z"),
        ("2026-12-01T00:00:01Z", false, "it expired at 2026-12-01T00:00:00Z"),
    ] {
        fleet.set_clock(time, false);
        let ended = fleet.pass().await;
        assert_eq!(explain(&ended), "", "everything is ready at {time}");
        assert_eq!(is_served(&fleet).await, used, "{time}");
        let text = told(&fleet.repo.read_tree(STATUS).await.expect("git works"));
        assert_eq!(text.contains("SEED-WILDCARD-CERTIFICATE"), !why.is_empty(), "{text}");
        assert!(text.contains(why), "{text}");
    }
}
