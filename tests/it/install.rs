//! The roles that are printed for clusters: enough for everything that espalier does, and no more.

use std::collections::{BTreeMap, BTreeSet};

use espalier::landscape::{Kind, Owner, Target};
use espalier::snapshot::{Changes, RepoPath};
use serde_json::Value;

use super::cli::run;
use super::fleet::{BRANCH, Fleet};

/// What the roles of a sort of cluster allow: resource to verbs.
type Allowed = BTreeMap<String, BTreeSet<String>>;

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn printed(cluster: &str) -> Vec<Value> {
    let dir = tempfile::tempdir().expect("a folder");
    let ran = run(dir.path(), &["install", "--print", "--in", cluster, "-L", "local"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.contains("{{"), "{}", ran.out);
    let parsed = espalier::document::parse(&"install.yaml".into(), ran.out.as_bytes(), &espalier::document::Budget::default());
    assert!(parsed.findings.is_empty(), "{:?}", parsed.findings);
    parsed.documents.iter().map(|document| document.value().clone()).collect()
}

/// The rules of all roles, each of them bound to the service account.
fn allowed(manifests: &[Value]) -> Allowed {
    let bound: BTreeSet<&str> = manifests.iter().filter_map(|m| m.pointer("/roleRef/name")?.as_str()).collect();
    let mut out = Allowed::new();
    for manifest in manifests.iter().filter(|m| m["rules"].is_array()) {
        assert!(bound.contains(manifest["metadata"]["name"].as_str().expect("a name")), "{manifest} is not bound");
        for rule in manifest["rules"].as_array().expect("rules") {
            for list in ["apiGroups", "resources", "verbs"] {
                assert!(!texts(&rule[list]).is_empty() && texts(&rule[list]).iter().all(|t| !t.contains('*')), "{rule}");
            }
            assert!(rule.get("nonResourceURLs").is_none(), "{rule}");
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    let (plural, sub) = resource.split_once('/').map_or((resource, String::new()), |(p, s)| (p, format!("/{s}")));
                    let name = if group.is_empty() { format!("{plural}{sub}") } else { format!("{plural}.{group}{sub}") };
                    out.entry(name).or_default().extend(texts(&rule["verbs"]).into_iter().map(str::to_owned));
                }
            }
        }
    }
    out
}

#[test]
fn what_is_printed_says_for_which_cluster_and_landscape() {
    let dir = tempfile::tempdir().expect("a folder");
    for args in [&["install"][..], &["install", "--in", "seed"], &["install", "--print"]] {
        let ran = run(dir.path(), args);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{args:?}: {}", ran.err);
    }
    let garden = printed("garden");
    let lease = garden.iter().find(|m| m["kind"] == "Role" && m["metadata"]["namespace"] == "kube-system").expect("a role");
    let mut others = lease["rules"].as_array().expect("rules").iter().filter(|r| texts(&r["verbs"]) != ["create"]).peekable();
    assert!(others.peek().is_some() && others.all(|r| texts(&r["resourceNames"]) == ["espalier-local"]), "{lease}");
    let both = run(dir.path(), &["install", "--print", "-L", "local"]);
    assert!(both.code == 0 && both.out.contains("name: espalier:garden") && both.out.contains("name: espalier:seed"));
}

const API: &str = "projects/lab/shoots/api.yaml";
const CONFIRMED: &str = "  name: api\n  annotations:\n    confirmation.gardener.cloud/deletion: \"true\"\n";

/// A landscape comes up, changes, is meddled with, and loses a shoot: whatever is asked of its clusters on the way is allowed.
#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_asked_of_clusters_is_allowed_and_nothing_is_allowed_in_vain() {
    let fleet = Fleet::local(&["api", "mini", "winter"]).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let seed = Target::Seed("aws-eu1".into());
    let steps = running.seen.borrow().counts.steps;
    let service = "/api/v1/namespaces/shoot--shop--mini/services/kube-apiserver";
    fleet.by_hand(&seed, "DELETE", service, &Value::Null).await;
    running.until("created again", |v| v.counts.steps > steps).await;
    let api = Owner::project(Kind::Shoot, "lab", "api");
    let commit = fleet.edit(API, "  name: api\n", CONFIRMED).await;
    running.until("written", |v| v.revision.as_ref() == Some(&commit) && v.counts.written_since_head.contains(&api)).await;
    running.ready_at(&commit).await;
    assert!(fleet.repo.read_tree(BRANCH).await.expect("git works").contains_key(API));
    let commit = fleet.commit(Changes::from([(RepoPath::from(API), None)])).await;
    running.until("gone", |v| v.revision.as_ref() == Some(&commit) && !v.owners.contains_key(&api)).await;
    running.ready_at(&commit).await;
    running.stop().await;

    let roles = BTreeMap::from([(true, allowed(&printed("garden"))), (false, allowed(&printed("seed")))]);
    let mut missing = BTreeSet::new();
    for kind in Kind::ALL {
        let resource = format!("{}.{}/status", kind.plural(), kind.group());
        assert!(roles[&true].contains_key(&resource), "{resource} is written for every kind of a landscape");
    }
    let mut watched: BTreeMap<bool, BTreeSet<String>> = BTreeMap::new();
    let mut asked = 0;
    for (target, sim) in &fleet.sims {
        let garden = *target == Target::Garden;
        for request in sim.counters().requests.keys().filter(|r| r.user == "espalier") {
            asked += 1;
            let verbs: &[&str] = match request.verb {
                // An apply may create.
                "apply" if !request.resource.contains('/') => &["patch", "create"],
                "apply" => &["patch"],
                verb => &[verb],
            };
            let may = roles[&garden].get(&request.resource);
            for verb in verbs.iter().filter(|verb| may.is_none_or(|may| !may.contains(**verb))) {
                missing.insert(format!("{}: {verb} {}", if garden { "garden" } else { "seed" }, request.resource));
            }
            if matches!(request.verb, "list" | "watch") {
                watched.entry(garden).or_default().insert(request.resource.clone());
            }
        }
    }
    assert!(asked > 100, "{asked} sorts of requests");
    assert!(missing.is_empty(), "not allowed: {missing:#?}");
    for (garden, allowed) in &roles {
        let idle: Vec<&String> = allowed
            .iter()
            .filter(|(r, verbs)| verbs.contains("watch") && !watched[garden].contains(*r))
            .map(|(r, _)| r)
            .collect();
        assert!(idle.is_empty(), "nothing is ever asked of these (garden: {garden}): {idle:?}");
        for (resource, verbs) in allowed {
            let of_part = if resource == "serviceaccounts/token" { "create" } else { "patch" };
            assert!(!resource.contains('/') || verbs.iter().eq([of_part]), "{resource}: {verbs:?}");
            let known = ["get", "list", "watch", "create", "patch", "delete"];
            let more: Vec<&String> = verbs.iter().filter(|verb| !known.contains(&verb.as_str())).collect();
            assert!(more.is_empty() || resource.ends_with("roles.rbac.authorization.k8s.io"), "{resource}: {more:?}");
        }
    }
}
