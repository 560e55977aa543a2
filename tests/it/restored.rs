//! A garden that lost all it had while its seeds went on: shoots keep their seeds, their names and their backups, and what runs goes
//! on running. Where that cannot be told, nothing happens, and somebody is told what to do.

use std::collections::{BTreeMap, BTreeSet};

use espalier::daemon::View;
use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::{OWNER_LABEL, TRACKING_ANNOTATION};
use espalier::sim::{Request, Rule};
use espalier::status::Standing;
use serde_json::{Value, json};

use super::fleet::{Fleet, explain, forget_server};
use super::second_pass::{everything, plain};

const SHOOT: &str = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots/mini";
const NAMESPACE: &str = "/api/v1/namespaces/shoot--shop--mini";
const BUCKETS: &str = "/apis/extensions.gardener.cloud/v1alpha1/backupbuckets";

fn seed(name: &str) -> Target {
    Target::Seed(name.into())
}

/// A landscape that is ready, on a seed that takes no new shoots any more.
async fn ready() -> Fleet {
    let fleet = Fleet::local(&["mini", "api", "winter"]).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    fleet.edit("seeds/aws-eu1.yaml", "visible: true", "visible: false").await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    fleet
}

/// What is in seeds.
async fn in_seeds(fleet: &Fleet) -> BTreeMap<String, Value> {
    everything(fleet).await.into_iter().filter(|(name, _)| !name.starts_with("garden ")).collect()
}

/// How often we deleted something in a seed.
fn deletes(fleet: &Fleet) -> u64 {
    let seeds = fleet.sims.iter().filter(|(target, _)| **target != Target::Garden);
    let ours = |(request, n): (&Request, &u64)| {
        if request.user == "espalier" && request.verb.starts_with("delete") { *n } else { 0 }
    };
    seeds.map(|(_, sim)| sim.counters().requests.iter().map(ours).sum::<u64>()).sum()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Everything that a shoot is known by: seed, `status`' identity, and what was decided for it.
fn known_by(shoot: &Value) -> Vec<Value> {
    ["/spec/seedName", "/spec/networking", "/spec/dns", "/status/technicalID", "/status/uid", "/status/clusterIdentity"]
        .map(|pointer| shoot.pointer(pointer).cloned().unwrap_or_default())
        .into()
}

/// The garden's objects of a kind, by name.
fn of_kind<'a>(all: &'a BTreeMap<String, Value>, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    let prefix = format!("garden {kind} ");
    all.iter().filter(|(name, _)| name.starts_with(&prefix)).map(|(name, object)| (&name[prefix.len()..], object)).collect()
}

/// How often a Deployment was rolled.
fn rolled(object: &Value) -> &Value {
    &object["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
}

/// What of what was in seeds is not as it was: gone, another object under its name, with other content, or rolled.
fn moved(before: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) -> Vec<String> {
    let mut out = Vec::new();
    for name in before.keys().chain(now.keys().filter(|name| !before.contains_key(*name))) {
        let what = match (before.get(name), now.get(name)) {
            (Some(_), None) => "is gone",
            (None, _) => "is new",
            (Some(old), Some(new)) if old["metadata"]["uid"] != new["metadata"]["uid"] => "is another one",
            (Some(old), Some(new)) if plain(old) != plain(new) => "has other content",
            (Some(old), Some(new)) if rolled(old) != rolled(new) => "has rolled",
            // A Deployment has one for other annotations, too: the key of digests is a new one. Its ReplicaSets are among the others.
            (Some(old), Some(new))
                if old["metadata"]["generation"] != new["metadata"]["generation"] && old["kind"] != "Deployment" =>
            {
                "has another generation"
            }
            _ => continue,
        };
        out.push(format!("{name} {what}"));
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "figures")]
async fn a_garden_that_lost_everything_finds_its_shoots_where_they_are() {
    let mut fleet = ready().await;
    let before = everything(&fleet).await;
    let standing = in_seeds(&fleet).await;
    let deleted = deletes(&fleet);

    fleet.lose_garden();
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");

    let after = everything(&fleet).await;
    for kind in ["Shoot", "BackupEntry", "BackupBucket", "Seed"] {
        let (old, new) = (of_kind(&before, kind), of_kind(&after, kind));
        assert_eq!(old.keys().collect::<Vec<_>>(), new.keys().collect::<Vec<_>>(), "the garden's {kind}");
        assert!(old.len() > 1, "{kind}: {:?}", old.keys());
        assert!(
            old.iter().all(|(name, object)| object["metadata"]["uid"] != new[name]["metadata"]["uid"]),
            "they are new objects"
        );
    }
    for (name, shoot) in of_kind(&before, "Shoot") {
        assert_eq!(known_by(shoot), known_by(&after[&format!("garden Shoot {name}")]), "{name}");
    }
    // Whoever is owned refers to an object that there is: a garden collects the others.
    let uids: BTreeSet<&str> = after.values().map(|object| text(object, "/metadata/uid")).collect();
    for (name, object) in after.iter().filter(|(name, _)| name.starts_with("garden ")) {
        for owner in object["metadata"]["ownerReferences"].as_array().into_iter().flatten() {
            assert!(uids.contains(text(owner, "/uid")), "{name} is owned by {owner}, which is not there");
        }
    }
    let now = in_seeds(&fleet).await;
    let moved = moved(&standing, &now);
    assert!(moved.is_empty(), "{} of {} objects in seeds moved:\n{}", moved.len(), standing.len(), moved.join("\n"));
    assert_eq!(deletes(&fleet), deleted, "nothing is deleted in seeds");
    println!(
        "{} shoots found again; {} objects in seeds as they were, 0 deleted, 0 rolled",
        of_kind(&after, "Shoot").len(),
        standing.len()
    );

    let writes = fleet.writes();
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(fleet.writes() - writes, 0, "and that is all");
}

/// An object of one cluster as somebody would put it into another one.
fn copied(object: &Value) -> Value {
    let mut copy = object.clone();
    forget_server(&mut copy);
    copy.as_object_mut().expect("an object").remove("status");
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shoot_that_stands_in_two_seeds_is_held_until_somebody_says_where_it_is() {
    let mut fleet = ready().await;
    let mini = Owner::project(Kind::Shoot, "shop", "mini");
    let shoot = fleet.get(&Target::Garden, SHOOT).await.expect("the shoot");
    fleet.lose_garden();
    fleet.credentials().await;
    let namespace = fleet.get(&seed("aws-eu1"), NAMESPACE).await.expect("it stands there");
    fleet.by_hand(&seed("aws-us1"), "POST", "/api/v1/namespaces", &copied(&namespace)).await;
    let of_mini = |all: BTreeMap<String, Value>| -> BTreeMap<String, (String, String)> {
        let ours = all.into_iter().filter(|(_, object)| object["metadata"]["labels"][OWNER_LABEL] == mini.label().as_str());
        ours.map(|(name, o)| (name, (text(&o, "/metadata/uid").to_owned(), text(&o, "/metadata/resourceVersion").to_owned())))
            .collect()
    };
    let before = of_mini(in_seeds(&fleet).await);
    assert!(before.len() > 50, "{}", before.len());

    let mut running = fleet.start().await;
    let wanted = "namespace shoot--shop--mini stands in the seeds aws-eu1 and aws-us1, and the garden does not say which of them has the \
                  shoot's control plane: find out where its etcd and its DNS records are in use, and remove the namespace from the other; \
                  until then nothing of it is changed or deleted";
    let others = |v: &View| v.owners.iter().all(|(owner, row)| *owner == mini || row.standing == Standing::Ready);
    let held = |v: &View| v.owners.get(&mini).is_some_and(|row| row.note.contains(wanted));
    running.until("held, and all others ready", |v| held(v) && others(v)).await;
    running.stop().await;
    let held = fleet.get(&Target::Garden, SHOOT).await.expect("the shoot");
    assert_eq!((text(&held, "/spec/seedName"), text(&held, "/status/uid")), ("", ""), "nothing is decided");
    assert_eq!(of_mini(in_seeds(&fleet).await), before, "nobody touched anything of it");

    fleet.by_hand(&seed("aws-us1"), "DELETE", NAMESPACE, &Value::Null).await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let found = fleet.get(&Target::Garden, SHOOT).await.expect("the shoot");
    assert_eq!(known_by(&found), known_by(&shoot));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shoot_is_not_placed_while_a_seed_is_unseen_that_may_have_it() {
    let mut fleet = ready().await;
    let mini = Owner::project(Kind::Shoot, "shop", "mini");
    let shoot = fleet.get(&Target::Garden, SHOOT).await.expect("the shoot");
    let before = in_seeds(&fleet).await;
    fleet.lose_garden();
    fleet.credentials().await;
    fleet.sims[&seed("aws-eu1")].faults().add(Rule::short_lists(None, 1, 500));
    let mut running = fleet.start().await;
    let wanted = "this garden has not seen that seed yet, and namespace shoot--shop--mini of the shoot's control plane may stand there: make \
                  the seed reachable, or name another one in spec.seedName if the shoot is new";
    running.until("held", |v| v.owners.get(&mini).is_some_and(|row| row.note.contains(wanted))).await;
    running.stop().await;
    let held = fleet.get(&Target::Garden, SHOOT).await.expect("the shoot");
    assert_eq!((text(&held, "/spec/seedName"), text(&held, "/status/uid")), ("", ""), "nothing is decided");

    fleet.sims[&seed("aws-eu1")].faults().clear();
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let found = fleet.get(&Target::Garden, SHOOT).await.expect("the shoot");
    assert_eq!(known_by(&found), known_by(&shoot));
    let moved = moved(&before, &in_seeds(&fleet).await);
    assert!(moved.is_empty(), "{} objects in seeds moved:\n{}", moved.len(), moved.join("\n"));

    // Once it was seen, a seed that cannot be reached keeps nobody else from being placed.
    fleet.sims[&seed("aws-eu1")].faults().add(Rule::short_lists(None, 1, 500));
    let farm_yaml =
        espalier::library::example("local").into_iter().find(|(path, _)| path.as_str().ends_with("/farm.yaml")).expect("a shoot");
    let commit = fleet.commit([(farm_yaml.0, Some(farm_yaml.1.to_string()))].into()).await;
    let farm = Owner::project(Kind::Shoot, "lab", "farm");
    let mut running = fleet.start().await;
    let placed = |v: &View| v.revision.as_ref() == Some(&commit) && v.owners.get(&farm).is_some_and(|row| row.seed == "aws-us1");
    running.until("placed", placed).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_with_two_buckets_is_held_until_somebody_says_where_backups_are() {
    let mut fleet = ready().await;
    let target = seed("aws-eu1");
    let all = fleet.get(&target, BUCKETS).await.expect("buckets");
    let bucket = &all["items"][0];
    let name = text(bucket, "/metadata/name");
    fleet.lose_garden();
    fleet.credentials().await;
    let mut other = copied(bucket);
    other["metadata"]["name"] = json!("another");
    let tracking = other["metadata"]["annotations"][TRACKING_ANNOTATION].as_str().expect("ours").replace(name, "another");
    other["metadata"]["annotations"][TRACKING_ANNOTATION] = json!(tracking);
    other["metadata"]["finalizers"] = json!([]);
    other["apiVersion"] = json!("extensions.gardener.cloud/v1alpha1");
    other["kind"] = json!("BackupBucket");
    fleet.by_hand(&target, "POST", BUCKETS, &other).await;
    let deleted = deletes(&fleet);

    let mut names = ["another", name];
    names.sort_unstable();
    let wanted = format!(
        "seed-aws-eu1 has the BackupBuckets {} and {}, and the garden does not say which of them has the backups: look where the \
         BackupEntries are, and remove the other; until then nothing of it is changed or deleted",
        names[0], names[1]
    );
    let eu1 = Owner::cluster(Kind::Seed, "aws-eu1");
    let mut running = fleet.start().await;
    running.until("held", |v| v.owners.get(&eu1).is_some_and(|row| row.note.contains(&wanted))).await;
    running.stop().await;
    assert_eq!(deletes(&fleet), deleted);
    let there = fleet.get(&target, BUCKETS).await.expect("buckets");
    assert_eq!(there["items"].as_array().map(Vec::len), Some(2), "both are there");
}
