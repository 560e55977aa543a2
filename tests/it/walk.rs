//! What commits, people and accidents do to running clusters: one test per promise.

use std::collections::{BTreeMap, BTreeSet};

use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::{ACCEPTED_REVISION_ANNOTATION, DIGEST_ANNOTATION, OWNER_LABEL, ObjectKey, TRACKING_ANNOTATION};
use espalier::sim::Rule;
use espalier::snapshot::{Changes, RepoPath};
use espalier::status::Standing;
use serde_json::{Value, json};

use super::fleet::{BRANCH, CANARY, Dump, Fleet, STATUS, explain};

const MINI: &str = "projects/shop/shoots/mini.yaml";
const PLANE: &str = "/apis/apps/v1/namespaces/shoot--shop--mini/deployments/kube-apiserver";

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

fn mini() -> Owner {
    Owner::project(Kind::Shoot, "shop", "mini")
}

fn image(deployment: &Value) -> String {
    deployment.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str).expect("an image").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_patch_version_touches_its_shoot_only() {
    let fleet = Fleet::local(&["mini", "api"]).await;
    fleet.edit(MINI, "1.35.3", "1.35.1").await;
    fleet.credentials().await;
    let all = fleet.pass().await.view.owners.len();
    let mut running = fleet.start().await;
    running.until("all were looked at", |v| v.owners.len() == all).await;
    running.ready_at(&fleet.head().await).await;
    let before = image(&fleet.get(&seed(), PLANE).await.expect("it runs"));
    assert!(before.ends_with("v1.35.1"), "{before}");

    let commit = fleet.edit(MINI, "1.35.1", "1.35.3").await;
    running.until("written", |v| v.revision.as_ref() == Some(&commit) && !v.counts.written_since_head.is_empty()).await;
    running.ready_at(&commit).await;
    running.reported(&fleet, "the new version", |t| t["STATUS.md"].contains(&commit.0)).await;
    let ended = running.stop().await;
    assert_eq!(ended.view.counts.evaluated_since_head, BTreeSet::from([mini()]));
    assert_eq!(ended.view.counts.written_since_head, BTreeSet::from([mini()]));
    let after = image(&fleet.get(&seed(), PLANE).await.expect("it runs"));
    assert!(after.ends_with("v1.35.3"), "{after}");
    let tip = fleet.status_tip().await.expect("a status branch");
    let commits = fleet.repo.log(&tip, None, 1).await.expect("git works");
    assert_eq!(commits[0].trailer("Reconciled"), Some(commit.to_string().as_str()));
}

/// What we wrote, without the marks of the commit and of the moment.
fn ours(dump: Dump) -> Dump {
    dump.into_iter()
        .filter(|(_, value)| value["metadata"]["annotations"].get(TRACKING_ANNOTATION).is_some())
        .map(|(key, mut value)| {
            let annotations = value["metadata"]["annotations"].as_object_mut().expect("annotations");
            // The digest of what is accepted is of the commit, too, that it is accepted from.
            if annotations.remove(ACCEPTED_REVISION_ANNOTATION).is_some() {
                annotations.remove(DIGEST_ANNOTATION);
            }
            annotations.remove("gardener.cloud/timestamp");
            value.as_object_mut().expect("an object").remove("status");
            (key, value)
        })
        .collect()
}

fn differences(a: &Dump, b: &Dump) -> Vec<String> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    keys.into_iter()
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| format!("{key}\n  {}\n  {}\n", text(a.get(key)), text(b.get(key))))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_brings_the_same_objects_back() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let before = ours(fleet.dump().await);
    let old = fleet.repo.read_tree(BRANCH).await.expect("git works").remove(MINI).expect("there");

    let new = old.replace("        maximum: 1\n", "        maximum: 4\n")
        + "      - name: two\n        minimum: 1\n        maximum: 1\n        machine:\n          type: m6i.large\n        \
           volume:\n          type: gp3\n          size: 25Gi\n        zones: [eu-west-1c]\n";
    let change = fleet.commit(Changes::from([(MINI.into(), Some(new))])).await;
    running.until("written", |v| v.revision.as_ref() == Some(&change) && !v.counts.written_since_head.is_empty()).await;
    running.ready_at(&change).await;
    let between = ours(fleet.dump().await);
    assert!(differences(&before, &between).len() > 2, "the change has consequences: {:?}", differences(&before, &between));

    let revert = fleet.commit(Changes::from([(MINI.into(), Some(old))])).await;
    running.until("written", |v| v.revision.as_ref() == Some(&revert) && !v.counts.written_since_head.is_empty()).await;
    running.ready_at(&revert).await;
    let differences = differences(&before, &ours(fleet.dump().await));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    running.stop().await;
}

const OWN_FILES: &str = "version: 1.35.3
    kubeAPIServer:
      auditConfig:
        auditPolicy:
          configMapRef: {name: audit-policy}";

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_policy_is_waited_for_by_name_and_followed_when_it_changes() {
    let fleet = Fleet::local(&["mini"]).await;
    let commit = fleet.edit(MINI, "version: 1.35.3", OWN_FILES).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    let missing = "ConfigMap garden-shop/audit-policy in the garden, which does not exist";
    running.until("it waits", |v| v.owners.get(&mini()).is_some_and(|row| row.note.contains(missing))).await;

    let policy = |level: &str| format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n# Everything.\n- level: {level}\n");
    let body = |level: &str| json!({"metadata": {"name": "audit-policy"}, "data": {"policy": policy(level)}});
    let path = "/api/v1/namespaces/garden-shop/configmaps";
    fleet.by_hand(&Target::Garden, "POST", path, &body("Metadata")).await;
    running.ready_at(&commit).await;
    let followed = async |level: &str| {
        let plane = fleet.get(&seed(), PLANE).await.expect("it runs");
        let volumes = plane.pointer("/spec/template/spec/volumes").and_then(Value::as_array).expect("volumes");
        let volume = volumes.iter().find(|v| v["name"] == "audit-policy-config").expect("the policy is mounted");
        let path =
            format!("/api/v1/namespaces/shoot--shop--mini/configmaps/{}", volume["configMap"]["name"].as_str().expect("a name"));
        let map = fleet.get(&seed(), &path).await.expect("it is there");
        map["data"]["audit-policy.yaml"].as_str().expect("a policy").contains(&format!("level: {level}"))
    };
    assert!(followed("Metadata").await);

    fleet.by_hand(&Target::Garden, "PATCH", &format!("{path}/audit-policy"), &body("Request")).await;
    let rolled = tokio::time::timeout(std::time::Duration::from_mins(2), async {
        loop {
            running.seen.borrow_and_update();
            if followed("Request").await {
                return;
            }
            running.seen.changed().await.expect("the daemon goes on");
        }
    });
    assert!(rolled.await.is_ok(), "the new policy is used");

    // What cannot be used holds the component, says where the trouble is, and changes nothing.
    let wrong = json!({"data": {"policy": "apiVersion: v1\nkind: Policy\n"}});
    fleet.by_hand(&Target::Garden, "PATCH", &format!("{path}/audit-policy"), &wrong).await;
    let said = "key policy of ConfigMap garden-shop/audit-policy in the garden is not of kind Policy";
    let file = "projects/shop/shoots/mini.status.yaml";
    running.reported(&fleet, "what is wrong", |t| t.get(file).is_some_and(|text| text.contains(said))).await;
    assert!(followed("Request").await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_operators_of_a_seed_keep_for_shoots_reach_those_that_are_meant() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let copies = "/api/v1/namespaces/shoot--shop--mini/secrets/static-manifests-";
    let resource = "/apis/resources.gardener.cloud/v1alpha1/namespaces/shoot--shop--mini/managedresources/static-manifests-propagated-from-seed";
    assert!(fleet.get(&seed(), resource).await.is_none(), "there is nothing to give");

    let secrets = "/api/v1/namespaces/garden/secrets";
    let secret = |name: &str, selector: &str| {
        json!({
            "metadata": {
                "name": name, "labels": {"gardener.cloud/purpose": "shoot-static-manifest"},
                "annotations": {"static-manifests.shoot.gardener.cloud/selector": selector},
            },
            "stringData": {"objects.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: news, namespace: kube-system}\n"},
        })
    };
    let others = secret("others", r#"{"matchLabels": {"for": "others"}}"#);
    fleet.by_hand(&seed(), "POST", secrets, &others).await;
    let all = secret("all", r#"{"matchExpressions": [{"key": "for", "operator": "DoesNotExist"}]}"#);
    fleet.by_hand(&seed(), "POST", secrets, &all).await;
    let mut until = async |there: bool| {
        let seen = tokio::time::timeout(std::time::Duration::from_mins(1), async {
            loop {
                running.seen.borrow_and_update();
                if fleet.get(&seed(), resource).await.is_some() == there {
                    return;
                }
                running.seen.changed().await.expect("the daemon goes on");
            }
        });
        assert!(seen.await.is_ok(), "there: {there}");
    };
    until(true).await;
    let given = fleet.get(&seed(), resource).await.expect("it is there");
    assert_eq!(given["spec"]["secretRefs"], json!([{"name": "static-manifests-all"}]));
    let source = fleet.get(&seed(), &format!("{secrets}/all")).await.expect("it is there");
    let copy = fleet.get(&seed(), &format!("{copies}all")).await.expect("it is there");
    assert_eq!(copy["data"], source["data"]);
    assert!(fleet.get(&seed(), &format!("{copies}others")).await.is_none());

    fleet.by_hand(&seed(), "DELETE", &format!("{secrets}/all"), &Value::Null).await;
    until(false).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garden_that_was_not_listed_to_its_end_is_left_alone() {
    let fleet = Fleet::local(&["api"]).await;
    let garden = &fleet.sims[&Target::Garden];
    garden.faults().add(Rule::short_lists(None, 1, 500));
    let mut running = fleet.start().await;
    let view = running.until("said", |v| v.incomplete.contains_key(&Target::Garden) && !v.owners.is_empty()).await;
    assert!(!view.incomplete[&Target::Garden].is_empty(), "it says why");
    running.stop().await;
    assert_eq!(fleet.writes(), 0, "nothing is done in the dark");

    // With the whole list, the same commit goes ahead.
    garden.faults().clear();
    fleet.credentials().await;
    let ended = fleet.pass().await;
    assert_eq!(explain(&ended), "");

    // Cut short again: a confirmed deletion waits.
    fleet.edit(API, "  name: api\n", CONFIRMED).await;
    fleet.pass().await;
    garden.faults().add(Rule::short_lists(Some("Shoot"), 0, 500));
    let commit = fleet.commit(Changes::from([(RepoPath::from(API), None)])).await;
    let before = fleet.writes();
    let mut running = fleet.start().await;
    running
        .until("said", |v| {
            v.revision.as_ref() == Some(&commit) && v.incomplete.contains_key(&Target::Garden) && !v.owners.is_empty()
        })
        .await;
    running.stop().await;
    assert_eq!(fleet.writes(), before, "nothing is deleted in the dark");
    assert!(fleet.get(&seed(), "/api/v1/namespaces/shoot--lab--api").await.is_some());
}

const API: &str = "projects/lab/shoots/api.yaml";
const CONFIRMED: &str = "  name: api\n  annotations:\n    confirmation.gardener.cloud/deletion: \"true\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_shoot_that_leaves_git_goes_with_all_that_is_its() {
    let fleet = Fleet::local(&["api", "mini"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let api = Owner::project(Kind::Shoot, "lab", "api");

    // Gone from Git alone is not gone.
    let text = fleet.repo.read_tree(BRANCH).await.expect("git works").remove(API).expect("there");
    let commit = fleet.commit(Changes::from([(RepoPath::from(API), None)])).await;
    running.reported(&fleet, "the missing file", |t| t["STATUS.md"].contains(&commit.0)).await;
    assert!(fleet.get(&seed(), "/api/v1/namespaces/shoot--lab--api").await.is_some());

    let back = fleet.commit(Changes::from([(API.into(), Some(text.replacen("  name: api\n", CONFIRMED, 1)))])).await;
    running.until("written", |v| v.revision.as_ref() == Some(&back) && v.counts.written_since_head.contains(&api)).await;
    running.ready_at(&back).await;
    let commit = fleet.commit(Changes::from([(RepoPath::from(API), None)])).await;
    running.until("gone", |v| v.revision.as_ref() == Some(&commit) && !v.owners.contains_key(&api)).await;
    running.ready_at(&commit).await;
    running.reported(&fleet, "that it is gone", |t| !t.keys().any(|path| path.as_str().contains("api.status"))).await;
    running.stop().await;
    assert!(fleet.get(&seed(), "/api/v1/namespaces/shoot--lab--api").await.is_none());
    let left = fleet.dump().await;
    let left: Vec<&String> =
        left.iter().filter(|(_, o)| o["metadata"]["labels"][OWNER_LABEL] == api.label()).map(|(k, _)| k).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_by_hand_is_restored() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let before = ours(fleet.dump().await);
    let labels = |key: &str| before[key]["metadata"].clone();

    // Somebody's copy with all our labels, and the annotation of what it was copied from.
    let copied = before.keys().find(|k| k.contains("ConfigMap shoot--shop--mini/")).expect("a ConfigMap of ours");
    let copy = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "copy", "namespace": "shoot--shop--mini",
        "labels": labels(copied)["labels"], "annotations": labels(copied)["annotations"],
    }});
    fleet.by_hand(&seed(), "POST", "/api/v1/namespaces/shoot--shop--mini/configmaps", &copy).await;

    let steps = running.seen.borrow().counts.steps;
    let patch = json!({"spec": {"template": {"spec": {"priorityClassName": "mine"}}, "paused": true, "minReadySeconds": 7}});
    fleet.by_hand(&seed(), "PATCH", PLANE, &patch).await;
    let view = running.until("restored", |v| v.counts.steps > steps).await;
    running.ready_at(&fleet.head().await).await;
    let steps = view.counts.steps;

    let service = "/api/v1/namespaces/shoot--shop--mini/services/kube-apiserver";
    let old = fleet.get(&seed(), service).await.expect("a Service");
    fleet.by_hand(&seed(), "DELETE", service, &Value::Null).await;
    running.until("created again", |v| v.counts.steps > steps).await;
    running.ready_at(&fleet.head().await).await;
    let new = fleet.get(&seed(), service).await.expect("a Service again");
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);

    let mut after = ours(fleet.dump().await);
    let kept = after.remove("seed-aws-eu1 ConfigMap shoot--shop--mini/copy").or_else(|| {
        let key = after.keys().find(|k| k.ends_with("ConfigMap shoot--shop--mini/copy")).cloned();
        key.and_then(|key| after.remove(&key))
    });
    assert!(kept.is_some(), "labels do not prove ownership");
    // What we do not write stays as people set it: `paused` and `minReadySeconds` are nobody's drift.
    let plane = before.keys().find(|k| k.ends_with("Deployment shoot--shop--mini/kube-apiserver")).expect("there").clone();
    let class = |dump: &Dump| dump[&plane].pointer("/spec/template/spec/priorityClassName").cloned();
    assert_eq!(class(&after), class(&before));
    assert!(class(&after).is_some(), "we do set a priority class");
    // The Service got another address, which the proxy inside the shoot listens on: its packed manifests are named by content.
    let packed = "Secret shoot--shop--mini/managedresource-shoot-core-apiserver-proxy-";
    let named = |dump: &Dump| -> BTreeSet<String> {
        dump.keys().map(|key| key.find(packed).map_or_else(|| key.clone(), |at| key[..at + packed.len()].to_owned())).collect()
    };
    assert_eq!(named(&after), named(&before), "the same objects");

    // Slices carry our labels as their Services do; they are their controller's.
    let slices =
        fleet.get(&seed(), "/apis/discovery.k8s.io/v1/namespaces/shoot--shop--mini/endpointslices").await.expect("a list");
    let ours = |slice: &&Value| slice.pointer("/metadata/labels").is_some_and(|l| l.get(OWNER_LABEL).is_some());
    assert!(slices["items"].as_array().expect("items").iter().filter(ours).count() > 0, "{slices}");
    let deleted = fleet.sims[&seed()].counters().requests;
    let touched: Vec<_> =
        deleted.keys().filter(|r| r.user == "espalier" && r.is_write() && r.resource.starts_with("endpointslices")).collect();
    assert!(touched.is_empty(), "{touched:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_object_in_the_way_is_held_and_not_overwritten() {
    let fleet = Fleet::local(&["api"]).await;
    fleet.credentials().await;
    let path = "/api/v1/namespaces/shoot--lab--api";
    let theirs =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shoot--lab--api", "labels": {"mine": "yes"}}});
    let made = fleet.by_hand(&seed(), "POST", "/api/v1/namespaces", &theirs).await;
    let mut running = fleet.start().await;
    let api = Owner::project(Kind::Shoot, "lab", "api");
    let view = running.until("held", |v| v.owners.get(&api).is_some_and(|row| row.standing == Standing::Failed)).await;
    assert!(view.owners[&api].note.contains("is not ours"), "{}", view.owners[&api].note);
    let now = fleet.get(&seed(), path).await.expect("still there");
    assert_eq!(now["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"], "untouched: {now}");
    fleet.by_hand(&seed(), "DELETE", path, &Value::Null).await;
    running.ready_at(&fleet.head().await).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_vanishes_or_is_rewritten_changes_nothing() {
    let fleet = Fleet::local(&["api"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    let head = fleet.head().await;
    running.ready_at(&head).await;
    let raw = git2::Repository::open(fleet.dir.path().join("repo")).expect("it opens");
    let oid = git2::Oid::from_str(&head.to_string()).expect("an id");
    let before = ours(fleet.dump().await);

    raw.find_reference(BRANCH).expect("there").delete().expect("deleted");
    let view = running.until("told", |v| v.git_trouble.is_some()).await;
    assert_eq!(view.revision.as_ref(), Some(&head), "the last state is kept");
    running.reported(&fleet, "the missing branch", |t| t["STATUS.md"].contains("there is no branch")).await;
    raw.reference(BRANCH, oid, false, "back").expect("written");
    running.until("recovered", |v| v.git_trouble.is_none()).await;

    // Another history with nothing in it: everything would be gone.
    let who = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).expect("valid");
    let empty = raw.treebuilder(None).expect("a tree").write().expect("written");
    let other = raw.commit(None, &who, &who, "other", &raw.find_tree(empty).expect("there"), &[]).expect("a commit");
    raw.reference(BRANCH, other, true, "rewritten").expect("written");
    let view = running.until("told", |v| v.git_trouble.as_ref().is_some_and(|t| t.contains("rewritten"))).await;
    assert_eq!(view.revision.as_ref(), Some(&head), "the last state is kept");
    running.reported(&fleet, "the rewritten branch", |t| t["STATUS.md"].contains("was rewritten")).await;
    raw.reference(BRANCH, oid, true, "back").expect("written");
    running.until("recovered", |v| v.git_trouble.is_none()).await;
    running.reported(&fleet, "that all is well", |t| !t["STATUS.md"].contains("rewritten")).await;
    assert!(differences(&before, &ours(fleet.dump().await)).is_empty());

    let next = fleet.edit(API, "eventTTL: 2h", "eventTTL: 3h").await;
    running.until("written", |v| v.revision.as_ref() == Some(&next) && !v.counts.written_since_head.is_empty()).await;
    running.ready_at(&next).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_in_secrets() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let ended = fleet.pass().await;
    assert_eq!(explain(&ended), "");
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    texts.insert("metrics".into(), espalier::web::text(&ended.view));
    texts.insert("view".into(), format!("{ended:?}"));
    let tree = fleet.repo.read_tree(STATUS).await.expect("git works");
    texts.extend(tree.into_iter().map(|(path, text)| (path.to_string(), text)));
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for (name, object) in fleet.dump().await {
        let key = ObjectKey::of(&object).expect("an object");
        if !matches!(key.kind.as_str(), "Secret" | "InternalSecret") {
            texts.insert(name, object.to_string());
            continue;
        }
        let keys = ["key", "tls.key", "ca.key", "token", "password", "id_rsa", "encryption-configuration.yaml"];
        for (key, value) in object["data"].as_object().into_iter().flatten() {
            if keys.contains(&key.as_str()) || key.rsplit('.').next() == Some("key") {
                values.insert(format!("{name} {key}"), value.as_str().expect("text").to_owned());
            }
        }
    }
    assert!(values.len() > 10, "there are secrets: {:?}", values.keys());
    for (name, text) in &texts {
        assert!(!text.contains(CANARY) && !text.contains("PRIVATE KEY"), "{name} shows a secret");
        for (secret, value) in &values {
            assert!(value.len() < 16 || !text.contains(value.as_str()), "{name} shows {secret}");
        }
    }
}

/// What the status branch says about an object of a shoot's file.
fn status<'a>(tree: &'a BTreeMap<RepoPath, String>, path: &str) -> &'a str {
    tree.get(path).map_or("", String::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_mistakes_hold_three_shoots_and_nobody_else() {
    let fleet = Fleet::local(&["mini", "api", "dual", "winter"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let plane = "/apis/apps/v1/namespaces/shoot--lab--api/deployments/kube-apiserver";
    let before = fleet.get(&seed(), plane).await.expect("it runs");

    let files = fleet.repo.read_tree(BRANCH).await.expect("git works");
    let edited = |path: &str, from: &str, to: &str| {
        let text = &files[&RepoPath::from(path)];
        assert!(text.contains(from), "{path} does not contain {from:?}");
        (RepoPath::from(path), Some(text.replacen(from, to, 1)))
    };
    let (api, dual) = ("projects/lab/shoots/api.yaml", "projects/lab/shoots/dual.yaml");
    let commit = fleet
        .commit(Changes::from([
            edited(dual, "    version: 1.35.3\n", "    version: [1.35.3\n"),
            edited(MINI, "nodes: 10.182.0.0/16", "nodes: 100.64.0.0/16"),
            edited(api, "version: 1.34.6", "version: 1.34.2"),
            edited("projects/lab/shoots/winter.yaml", "        maximum: 2\n", "        maximum: 3\n"),
        ]))
        .await;
    let winter = Owner::project(Kind::Shoot, "lab", "winter");
    // As long as nobody has looked at it with the new commit, it is as ready as it was with the old one.
    running
        .until("written", |v| {
            v.revision.as_ref() == Some(&commit)
                && v.counts.written_since_head.contains(&winter)
                && v.owners[&winter].standing == Standing::Ready
        })
        .await;
    let tree = running
        .reported(&fleet, "the mistakes", |t| {
            t["STATUS.md"].contains(&commit.0)
                && ["mini", "api", "dual"].iter().all(|s| t["STATUS.md"].contains(&format!("/{s} | held")))
                && t["STATUS.md"].contains("/winter | ready")
        })
        .await;
    let line = |path: &str, needle: &str, shift: usize| {
        let at = files[&RepoPath::from(path)].lines().position(|l| l.contains(needle)).expect("there") + 1 + shift;
        format!("{path}:{at}:")
    };
    for (path, file, code, at) in [
        ("projects/shop/shoots/mini.status.yaml", MINI, "SHOOT-NET-OVERLAP", line(MINI, "nodes: 10.182", 0)),
        ("projects/lab/shoots/api.status.yaml", api, "SHOOT-VERSION-DOWNGRADE", line(api, "version: 1.34.6", 0)),
        ("projects/lab/shoots/dual.status.yaml", dual, "standing: held", dual.to_owned()),
    ] {
        let text = status(&tree, path);
        assert!(text.contains(code) && text.contains(&at), "{file}: {code} at {at} is not in\n{text}");
    }
    let view = running.seen.borrow().clone();
    assert_eq!(view.counts.written_since_head, BTreeSet::from([winter]));
    assert_eq!(fleet.get(&seed(), plane).await.expect("it runs")["spec"], before["spec"], "a held shoot stays as it was");

    // An unrelated change of a held shoot does not let its mistake through.
    let again = fleet.edit(MINI, "size: 25Gi", "size: 30Gi").await;
    let tree = running.reported(&fleet, "the same mistake", |t| t["STATUS.md"].contains(&again.0)).await;
    assert!(status(&tree, "projects/shop/shoots/mini.status.yaml").contains("SHOOT-NET-OVERLAP"));
    assert_eq!(running.seen.borrow().counts.written_since_head, BTreeSet::new());

    // Mended, everything that waited goes ahead.
    let mended = fleet
        .commit(Changes::from([
            (dual.into(), files.get(&RepoPath::from(dual)).cloned()),
            (api.into(), files.get(&RepoPath::from(api)).cloned()),
            (MINI.into(), Some(files[&RepoPath::from(MINI)].replace("size: 25Gi", "size: 30Gi"))),
        ]))
        .await;
    running.until("written", |v| v.revision.as_ref() == Some(&mended) && v.counts.written_since_head.contains(&mini())).await;
    let view = running.ready_at(&mended).await;
    assert_eq!(view.findings[0], 0);
    running.stop().await;
}
