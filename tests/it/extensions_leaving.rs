//! Extensions whose seed, registration or last user goes: in order, and never from under those who use them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use espalier::helm::Helm;
use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::{COMPONENT_LABEL, OWNER_LABEL, TRACKING_ANNOTATION};
use espalier::render::context::installation;
use espalier::snapshot::{Changes, RepoPath};
use espalier::status::Standing;
use serde_json::{Value, json};

use super::extensions::{FILE, REGISTRATION, chart, conditions, files, helm, installations, resource, seed};
use super::fleet::{BRANCH, Fleet, Running, explain};

const PATIENCE: Duration = Duration::from_mins(3);
const SEED: &str = "seeds/aws-eu1.yaml";
const MINI: &str = "projects/shop/shoots/mini.yaml";
const AWS: &str = "extensions/aws.yaml";
const PROVIDER: &str = "provider-aws";
const EXTENSIONS: &str = "/apis/extensions.gardener.cloud/v1alpha1";

fn eu() -> Owner {
    Owner::cluster(Kind::Seed, "aws-eu1")
}

fn mini() -> Owner {
    Owner::project(Kind::Shoot, "shop", "mini")
}

fn registration() -> Owner {
    Owner::cluster(Kind::ControllerRegistration, REGISTRATION)
}

/// The same with one shoot alone, and with the provider, which the seeds need for themselves, of a chart too.
fn with_provider(chart: &str) -> BTreeMap<RepoPath, Vec<u8>> {
    let mut files = files(chart);
    files.retain(|path, _| !path.as_str().contains("/shoots/") || path.as_str() == MINI);
    let text = String::from_utf8(files[&RepoPath::from(AWS)].clone()).expect("text");
    let text = text.replacen("spec:\n", &format!("spec:\n  deployment: {{deploymentRefs: [{{name: {PROVIDER}}}]}}\n"), 1);
    let deployment = format!(
        "apiVersion: core.gardener.cloud/v1\nkind: ControllerDeployment\nmetadata: {{name: {PROVIDER}}}\nhelm: {{rawChart: {chart}}}\n"
    );
    files.insert(AWS.into(), format!("{deployment}---\n{text}").into_bytes());
    files
}

/// A file with the confirmation that its object may go.
async fn confirmed(fleet: &Fleet, path: &str, name: &str) -> (RepoPath, Option<String>) {
    let text = fleet.repo.read_tree(BRANCH).await.expect("git works").remove(path).expect("the file is there");
    let named = format!("  name: {name}\n");
    assert!(text.contains(&named), "{text}");
    let with = format!("{named}  annotations:\n    confirmation.gardener.cloud/deletion: \"true\"\n");
    (path.into(), Some(text.replacen(&named, &with, 1)))
}

fn is_going(object: Option<&Value>) -> bool {
    object.is_some_and(|object| object["metadata"]["deletionTimestamp"].is_string())
}

/// What of a seed is left that it does not leave behind on purpose, and whether it is going: by component and name.
async fn of_seed(fleet: &Fleet) -> BTreeMap<String, bool> {
    const RETAINED: [&str; 4] = ["crds", "namespaces", "cluster-identity", "cluster-autoscaler"];
    let label = |object: &Value, key: &str| object["metadata"]["labels"][key].as_str().unwrap_or_default().to_owned();
    let all = fleet.dump().await.into_iter().filter(|(_, object)| {
        label(object, OWNER_LABEL) == eu().label() && object["metadata"]["annotations"][TRACKING_ANNOTATION].is_string()
    });
    let left = all.filter(|(_, object)| !RETAINED.contains(&label(object, COMPONENT_LABEL).as_str()));
    left.map(|(name, object)| (name, is_going(Some(&object)))).collect()
}

/// A landscape in which the seed and its only shoot are confirmed to go, with a daemon that installs extensions.
async fn confirmed_to_go(program: &Helm, chart: &str) -> (Fleet, Running) {
    let fleet = Fleet::of(with_provider(chart)).await;
    fleet.credentials().await;
    let mut running = fleet.start_as(|options| options.helm = Some(program.clone()));
    running.ready_at(&fleet.head().await).await;
    let both = [confirmed(&fleet, SEED, "aws-eu1").await, confirmed(&fleet, MINI, "mini").await];
    let commit = fleet.commit(Changes::from(both)).await;
    running
        .until("taken up", |v| {
            v.revision.as_ref() == Some(&commit) && v.counts.written_since_head.is_superset(&BTreeSet::from([eu(), mini()]))
        })
        .await;
    running.ready_at(&commit).await;
    (fleet, running)
}

/// Puts a bastion of ours into a namespace of a seed that is nobody's, and one that is not for any of our extensions; gives the path
/// of the first.
async fn bastion(fleet: &Fleet) -> String {
    let people = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "people"}});
    fleet.by_hand(&seed(), "POST", "/api/v1/namespaces", &people).await;
    let bastions = format!("{EXTENSIONS}/namespaces/people/bastions");
    for (name, of_type) in [("way-in", "aws"), ("another", "gcp")] {
        let bastion = json!({"apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Bastion", "metadata": {"name": name},
            "spec": {"type": of_type, "userData": "", "ingress": []}});
        fleet.by_hand(&seed(), "POST", &bastions, &bastion).await;
    }
    format!("{bastions}/way-in")
}

/// The path of the seed's bucket.
async fn bucket(fleet: &Fleet) -> String {
    let buckets = fleet.get(&seed(), &format!("{EXTENSIONS}/backupbuckets")).await.expect("the kind is there");
    format!("{EXTENSIONS}/backupbuckets/{}", buckets["items"][0]["metadata"]["name"].as_str().expect("a bucket"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_goes_after_its_shoots_and_its_extensions_after_what_they_act_upon() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = helm(dir.path());
    let (fleet, mut running) = confirmed_to_go(&program, &chart(dir.path(), 1)).await;
    let names = [REGISTRATION, PROVIDER].map(|name| installation::name(name, "aws-eu1"));
    let infrastructure = format!("{EXTENSIONS}/namespaces/shoot--shop--mini/infrastructures/mini");
    let (bucket, bastion) = (bucket(&fleet).await, bastion(&fleet).await);
    fleet.stick(&seed(), &infrastructure, true).await;
    fleet.stick(&seed(), &bucket, true).await;
    let before = of_seed(&fleet).await;
    assert!(before.len() > 20 && before.values().all(|going| !going), "{before:?}");

    // The shoot is not gone yet: nothing of the seed goes.
    fleet.commit(Changes::from([(SEED.into(), None), (MINI.into(), None)])).await;
    running.comes_true("the shoot goes", PATIENCE, async || is_going(fleet.get(&seed(), &infrastructure).await.as_ref())).await;
    let waits = "Shoot shop/mini";
    running
        .until("the seed waits", |v| v.owners[&eu()].note.contains("is still used") && v.owners[&eu()].note.contains(waits))
        .await;
    assert_eq!(of_seed(&fleet).await, before);

    // Others have something there that an extension is to clean up: the same.
    fleet.stick(&seed(), &infrastructure, false).await;
    running.until("the seed waits", |v| v.owners[&eu()].note.ends_with("is still used: Bastion/people/way-in")).await;
    assert_eq!(of_seed(&fleet).await, before);

    // Its bucket is not gone yet: no extension goes.
    fleet.by_hand(&seed(), "DELETE", &bastion, &Value::Null).await;
    running.comes_true("the bucket goes", PATIENCE, async || is_going(fleet.get(&seed(), &bucket).await.as_ref())).await;
    assert_eq!(fleet.get(&seed(), "/api/v1/namespaces/shoot--shop--mini").await, None);
    running
        .comes_true("all else goes", PATIENCE, async || !of_seed(&fleet).await.keys().any(|name| name.contains("DNSRecord")))
        .await;
    for name in &names {
        assert!(!is_going(Some(&resource(&fleet, name).await.expect("it is there"))), "{name}");
    }

    fleet.stick(&seed(), &bucket, false).await;
    running.until("gone", |v| !v.owners.contains_key(&eu())).await;
    running.reported(&fleet, "that it is gone", |tree| !tree.contains_key(&RepoPath::from("seeds/aws-eu1.status.yaml"))).await;
    running.ready_at(&fleet.head().await).await;
    running.stop().await;
    assert_eq!(of_seed(&fleet).await, BTreeMap::new());
    for name in &names {
        assert_eq!(resource(&fleet, name).await, None);
        assert_eq!(fleet.get(&seed(), &format!("/api/v1/namespaces/extension-{name}")).await, None);
    }
    let left: Vec<Value> = installations(&fleet).await.iter().map(|i| i["spec"]["seedRef"]["name"].clone()).collect();
    assert_eq!(left, ["aws-us1"]);
    assert_eq!(fleet.get(&Target::Garden, "/apis/core.gardener.cloud/v1beta1/seeds/aws-eu1").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_goes_is_known_to_whoever_is_started_meanwhile() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = helm(dir.path());
    let (fleet, mut running) = confirmed_to_go(&program, &chart(dir.path(), 1)).await;
    let bucket = bucket(&fleet).await;
    fleet.stick(&seed(), &bucket, true).await;
    fleet.commit(Changes::from([(SEED.into(), None), (MINI.into(), None)])).await;
    running.comes_true("the bucket goes", PATIENCE, async || is_going(fleet.get(&seed(), &bucket).await.as_ref())).await;
    running.stop().await;
    assert!(!of_seed(&fleet).await.is_empty());

    // The landscape of the new one has no such seed.
    fleet.stick(&seed(), &bucket, false).await;
    let ended = fleet.pass_with(|options| options.helm = Some(program.clone())).await;
    assert_eq!(explain(&ended), "");
    assert!(!ended.view.owners.contains_key(&eu()));
    assert_eq!(of_seed(&fleet).await, BTreeMap::new());
}

/// The file of network plugins without what is ours.
fn without_ours(text: &str) -> String {
    let kept: Vec<&str> = text.split("---\n").filter(|document| !document.contains(REGISTRATION)).collect();
    kept.join("---\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_is_removed_while_it_is_used_stays_and_says_for_whom() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = helm(dir.path());
    let fleet = Fleet::of(files(&chart(dir.path(), 1))).await;
    fleet.credentials().await;
    let pass = async || fleet.pass_with(|options| options.helm = Some(program.clone())).await;
    assert_eq!(explain(&pass().await), "");
    let name = installation::name(REGISTRATION, "aws-eu1");
    let before = resource(&fleet, &name).await.expect("it is there");
    let text = fleet.repo.read_tree(BRANCH).await.expect("git works").remove(FILE).expect("the file is there");

    fleet.commit(Changes::from([(FILE.into(), Some(without_ours(&text)))])).await;
    let ended = pass().await;
    let deployment = Owner::cluster(Kind::ControllerDeployment, REGISTRATION);
    for owner in [registration(), deployment.clone()] {
        let row = &ended.view.owners[&owner];
        assert_eq!(row.standing, Standing::Failed, "{}", row.note);
        assert!(row.note.contains("is still used: seed aws-eu1: Network/calico for shop/mini"), "{}", row.note);
    }
    for owner in [mini(), eu()] {
        assert_eq!(ended.view.owners[&owner].standing, Standing::Ready, "{}", explain(&ended));
    }
    assert_eq!(resource(&fleet, &name).await.expect("it is there")["spec"], before["spec"], "nothing is torn out");
    assert!(conditions(&installations(&fleet).await[0]).contains(&"Required=True ExtensionObjectsExist".to_owned()));

    // It goes with its last user.
    let commit = confirmed(&fleet, MINI, "mini").await;
    fleet.commit(Changes::from([commit])).await;
    pass().await;
    fleet.commit(Changes::from([(MINI.into(), None)])).await;
    let ended = pass().await;
    assert_eq!(explain(&ended), "");
    for owner in [mini(), registration(), deployment] {
        assert!(!ended.view.owners.contains_key(&owner), "{owner}");
    }
    assert_eq!((resource(&fleet, &name).await, installations(&fleet).await), (None, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_stays_for_as_long_as_its_registration() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = helm(dir.path());
    let fleet = Fleet::of(files(&chart(dir.path(), 1))).await;
    fleet.credentials().await;
    let pass = async || fleet.pass_with(|options| options.helm = Some(program.clone())).await;
    assert_eq!(explain(&pass().await), "");
    let text = fleet.repo.read_tree(BRANCH).await.expect("git works").remove(FILE).expect("the file is there");
    let (_, others) = text.split_once("---\n").expect("the deployment is first");
    fleet.commit(Changes::from([(FILE.into(), Some(others.to_owned()))])).await;
    let ended = pass().await;
    let row = &ended.view.owners[&Owner::cluster(Kind::ControllerDeployment, REGISTRATION)];
    assert_eq!(row.standing, Standing::Held);
    assert!(row.note.contains(&format!("used by `{}`", registration())), "{}", row.note);
    assert_eq!(ended.view.owners[&mini()].standing, Standing::Ready, "{}", explain(&ended));
    assert!(resource(&fleet, &installation::name(REGISTRATION, "aws-eu1")).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_stays_for_as_long_as_others_have_something_for_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = helm(dir.path());
    // The provider's bastions are for an extension of their own, which nothing else is asked of.
    let mut files = files(&chart(dir.path(), 1));
    let aws = String::from_utf8(files[&RepoPath::from(AWS)].clone()).expect("text");
    files.insert(AWS.into(), aws.replace("    - {kind: Bastion, type: aws}\n", "").into_bytes());
    let ours = String::from_utf8(files[&RepoPath::from(FILE)].clone()).expect("text");
    let ours = ours.replace("{kind: Network, type: calico}", "{kind: Network, type: calico}, {kind: Bastion, type: aws}");
    files.insert(FILE.into(), ours.into_bytes());
    let fleet = Fleet::of(files).await;
    fleet.credentials().await;
    let mut running = fleet.start_as(|options| options.helm = Some(program.clone()));
    running.ready_at(&fleet.head().await).await;
    let name = installation::name(REGISTRATION, "aws-eu1");
    let bastion = bastion(&fleet).await;

    let change = confirmed(&fleet, MINI, "mini").await;
    let commit = fleet.commit(Changes::from([change])).await;
    running.until("taken up", |v| v.revision.as_ref() == Some(&commit) && v.counts.written_since_head.contains(&mini())).await;
    running.ready_at(&commit).await;
    let commit = fleet.commit(Changes::from([(MINI.into(), None)])).await;
    running.until("gone", |v| v.revision.as_ref() == Some(&commit) && !v.owners.contains_key(&mini())).await;
    running.ready_at(&commit).await;
    let required = "Required=True ExtensionObjectsExist".to_owned();
    running
        .comes_true("it is said", PATIENCE, async || {
            let all = installations(&fleet).await;
            let condition =
                all[0]["status"]["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == "Required"));
            conditions(&all[0]).contains(&required)
                && condition.is_some_and(|c| c["message"].as_str().is_some_and(|text| text.contains("Bastion/people/way-in")))
        })
        .await;
    assert!(!is_going(Some(&resource(&fleet, &name).await.expect("it is there"))));

    fleet.by_hand(&seed(), "DELETE", &bastion, &Value::Null).await;
    running.comes_true("it goes", PATIENCE, async || installations(&fleet).await.is_empty()).await;
    assert_eq!(resource(&fleet, &name).await, None);
    running.stop().await;
}
