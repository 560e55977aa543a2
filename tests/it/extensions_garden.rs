//! Extensions whose deployment asks for it are given a way to the garden: an account, a token that is renewed, a kubeconfig, and all of
//! it goes when nobody asks any more.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use espalier::landscape::{Kind, Owner, Target};
use espalier::snapshot::Changes;
use serde_json::{Value, json};

use super::extensions::{FILE, REGISTRATION, chart, files, helm, installations, manifests, networking, seed};
use super::fleet::{Fleet, STATUS, explain};

const RENEW: &str = "serviceaccount.resources.gardener.cloud/token-renew-timestamp";
const ADDRESS: &str = "\n  gardenClientConnection: {gardenClusterAddress: \"https://api.garden.example.org\"}";

fn asking(chart: &str) -> String {
    let text = String::from_utf8(networking(chart)).expect("text");
    text.replacen("kind: ControllerDeployment\n", "kind: ControllerDeployment\ninjectGardenKubeconfig: true\n", 1)
}

fn decoded(secret: &Value, key: &str) -> String {
    let data = secret["data"][key].as_str().expect("data");
    String::from_utf8(STANDARD.decode(data).expect("base64")).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_to_the_garden_comes_is_renewed_and_goes() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = helm(dir.path());
    let packed = chart(dir.path(), 1);
    let mut files = files(&packed);
    files.insert(FILE.into(), asking(&packed).into_bytes());
    let fleet = Fleet::of(files).await;
    fleet.credentials().await;
    let pass = async || fleet.pass_with(|options| options.helm = Some(program.clone())).await;

    // Where nobody says where the garden is, that is told, and the extension comes without.
    let ended = pass().await;
    let eu = Owner::cluster(Kind::Seed, "aws-eu1");
    assert_eq!(explain(&ended), "");
    let told = fleet.repo.read_tree(STATUS).await.expect("git works")["seeds/aws-eu1.status.yaml"].clone();
    assert!(told.contains("EXTENSION-LEFT-OUT") && told.contains("gardenClusterAddress"), "{told}");
    let installation = installations(&fleet).await[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    assert!(!manifests(&fleet, &installation).await.contains("GARDEN_KUBECONFIG"));

    fleet.edit("landscape.yaml", "\n  clusters: sim", &format!("{ADDRESS}\n  clusters: sim")).await;
    let ended = pass().await;
    assert_eq!(explain(&ended), "");
    assert!(ended.view.owners.contains_key(&eu));
    let account = format!("/api/v1/namespaces/seed-aws-eu1/serviceaccounts/extension-{installation}");
    let found = fleet.get(&Target::Garden, &account).await.expect("the account");
    assert_eq!(found["metadata"]["labels"]["controllerregistration.core.gardener.cloud/name"], REGISTRATION);
    let secrets = format!("/api/v1/namespaces/extension-{installation}/secrets");
    let access = async || fleet.get(&seed(), &format!("{secrets}/garden-access-extension")).await.expect("the Secret");
    let first = access().await;
    let token = decoded(&first, "token");
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(claims["sub"], format!("system:serviceaccount:seed-aws-eu1:extension-{installation}"));

    let text = manifests(&fleet, &installation).await;
    let kubeconfig =
        text.lines().find_map(|line| Some(line[line.find("generic-garden-kubeconfig-")?..].to_owned())).expect("its name");
    for part in
        ["GARDEN_KUBECONFIG", "garden-access-extension", "/var/run/secrets/gardener.cloud/garden/generic-kubeconfig/kubeconfig"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let found = fleet.get(&seed(), &format!("{secrets}/{kubeconfig}")).await.expect("the kubeconfig");
    assert_eq!(found["immutable"], true);
    let found = decoded(&found, "kubeconfig");
    assert!(found.contains("server: https://api.garden.example.org"), "{found}");
    assert!(found.contains("tokenFile: /var/run/secrets/gardener.cloud/garden/generic-kubeconfig/token"), "{found}");
    let told = fleet.repo.read_tree(STATUS).await.expect("git works");
    assert!(!told.values().any(|text| text.contains(&token) || text.contains("EXTENSION-LEFT-OUT")));

    // While it is fresh nothing is written; when it grows old, it is renewed.
    assert_eq!(pass().await.counts.steps, 0);
    assert_eq!(access().await, first);
    let due = first["metadata"]["annotations"][RENEW].as_str().expect("a time").to_owned();
    fleet.set_clock(&due, false);
    assert_eq!(explain(&pass().await), "");
    let second = access().await;
    assert_ne!(second["metadata"]["annotations"][RENEW].as_str(), Some(due.as_str()));
    assert_ne!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);

    // Whoever takes a token away is given another.
    fleet
        .by_hand(
            &seed(),
            "PATCH",
            &format!("{secrets}/garden-access-extension"),
            &json!({"metadata": {"annotations": {RENEW: null}}, "data": null}),
        )
        .await;
    assert_eq!(explain(&pass().await), "");
    assert!(access().await["data"]["token"].is_string());

    // Nobody asks any more.
    let plain = String::from_utf8(networking(&packed)).expect("text");
    fleet.commit(Changes::from([(FILE.into(), Some(plain))])).await;
    assert_eq!(explain(&pass().await), "");
    for (target, path) in [
        (Target::Garden, account),
        (Target::Garden, "/api/v1/namespaces/seed-aws-eu1".to_owned()),
        (seed(), format!("{secrets}/garden-access-extension")),
        (seed(), format!("{secrets}/{kubeconfig}")),
    ] {
        assert_eq!(fleet.get(&target, &path).await, None, "{path}");
    }
    assert!(!manifests(&fleet, &installation).await.contains("GARDEN_KUBECONFIG"));
}
