//! Operations and freezes against simulated clusters: what is asked for is done once, whatever happens; what is frozen waits.

use std::collections::BTreeMap;

use espalier::daemon::View;
use espalier::landscape::{Kind, Owner, Target};
use espalier::sim::{ALWAYS, Matching, Rule};
use espalier::snapshot::{Changes, RepoPath, Revision};
use espalier::status::Standing;
use serde_json::Value;

use super::fleet::{Fleet, Running, STATUS, explain};

const MINI: &str = "projects/shop/shoots/mini.yaml";
const ASKED: &str = "operations/again.yaml";
const TOLD: &str = "operations/again.status.yaml";
const LANDSCAPE: &str = "/apis/espalier.dev/v1alpha1/landscapes/local";
const OPERATION: &str = "/apis/espalier.dev/v1alpha1/operations/again";

fn mini() -> Owner {
    Owner::project(Kind::Shoot, "shop", "mini")
}

fn operation(id: &str, request: &str, more: &str) -> String {
    format!(
        "apiVersion: espalier.dev/v1alpha1\nkind: Operation\nmetadata:\n  name: again\nspec:\n  id: {id}\n  request: {request}\n  selector:\n    shoots: [shop/mini]\n{more}"
    )
}

async fn ask(fleet: &Fleet, text: String) -> Revision {
    fleet.commit(Changes::from([(RepoPath::from(ASKED), Some(text))])).await
}

/// What the garden remembers as taken.
async fn taken(fleet: &Fleet) -> Vec<String> {
    let landscape = fleet.get(&Target::Garden, LANDSCAPE).await.expect("a Landscape");
    let ids = landscape.pointer("/status/operationsDone").and_then(Value::as_array).cloned().unwrap_or_default();
    ids.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

async fn told(fleet: &Fleet) -> String {
    fleet.repo.read_tree(STATUS).await.expect("git works").remove(TOLD).unwrap_or_default()
}

fn looked(view: &View) -> bool {
    view.counts.evaluated_since_head.contains(&mini())
}

/// A landscape of one shoot that is ready.
async fn ready() -> Fleet {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let ended = fleet.pass().await;
    assert_eq!(explain(&ended), "");
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_done_once_and_another_id_again() {
    let fleet = ready().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let commit = ask(&fleet, operation("one", "reconcile", "")).await;
    let tree = running.reported(&fleet, "what came of it", |t| t.get(TOLD).is_some_and(|text| text.contains("Succeeded"))).await;
    let text = &tree[TOLD];
    for line in ["id: one", "message: \"looked at again: 1 ready\"", "- shop/mini", "request: reconcile", "time: \"2026-"] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(tree["STATUS.md"].contains("| again | looked at again: 1 ready |"), "{}", tree["STATUS.md"]);
    let view = running.ready_at(&commit).await;
    assert!(looked(&view), "{:?}", view.counts.evaluated_since_head);
    assert_eq!(taken(&fleet).await, ["one"]);
    running.stop().await;

    // Neither a restart nor another content of the same id does it again.
    let before = fleet.writes();
    let ended = fleet.pass().await;
    assert_eq!(explain(&ended), "");
    assert!(fleet.writes() - before <= 3, "a pass in which nothing changed writes nothing");
    let mut running = fleet.start().await;
    running.until("all were looked at", |v| v.owners.len() == ended.view.owners.len()).await;
    running.ready_at(&commit).await;
    let commit = ask(&fleet, operation("one", "reconcile", "  args: {why: again}\n")).await;
    running.ready_at(&commit).await;
    assert_eq!((taken(&fleet).await, told(&fleet).await.contains("id: one")), (vec!["one".to_owned()], true));

    // A new id is a new operation.
    let commit = ask(&fleet, operation("two", "reconcile", "")).await;
    running.reported(&fleet, "the second", |t| t[TOLD].contains("id: two") && t[TOLD].contains("Succeeded")).await;
    let view = running.ready_at(&commit).await;
    assert!(looked(&view));
    assert_eq!(taken(&fleet).await, ["one", "two"]);

    // The file may go; its id stays taken.
    let commit = fleet.commit(Changes::from([(RepoPath::from(ASKED), None)])).await;
    running.until("gone", |v| v.revision.as_ref() == Some(&commit) && !v.owners.keys().any(|o| o.kind == Kind::Operation)).await;
    assert_eq!(fleet.get(&Target::Garden, OPERATION).await, None);
    let commit = ask(&fleet, operation("two", "reconcile", "")).await;
    running.reported(&fleet, "that it was taken", |t| t.get(TOLD).is_some_and(|text| text.contains("state: Unknown"))).await;
    assert!(!running.seen.borrow().counts.evaluated_since_head.contains(&mini()) && taken(&fleet).await == ["one", "two"]);
    assert_eq!(running.seen.borrow().revision.as_ref(), Some(&commit));
    running.stop().await;
}

fn patches(kind: &str) -> Rule {
    let of = Matching { verb: Some("patch".into()), kind: Some(kind.into()), ..Matching::default() };
    Rule::refuse(of, 500, ALWAYS)
}

/// Killed between any two of its requests, an operation is done at most once.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_was_cut_short_is_not_done_again() {
    let fleet = ready().await;
    let garden = &fleet.sims[&Target::Garden];
    // Before its id was written down: nothing was done, and the next one does it.
    garden.faults().add(patches("Landscape"));
    let commit = ask(&fleet, operation("one", "reconcile", "")).await;
    let mut running = fleet.start().await;
    let failing = |v: &View| v.owners.iter().any(|(o, row)| o.kind == Kind::Operation && row.standing == Standing::Failed);
    running.until("not taken", |v| v.revision.as_ref() == Some(&commit) && failing(v)).await;
    running.stop().await;
    assert!(taken(&fleet).await.is_empty() && !told(&fleet).await.contains("Succeeded"));
    garden.faults().clear();

    // After its id was written down, and before anybody said what came of it.
    garden.faults().add(patches("Operation"));
    let mut running = fleet.start().await;
    running
        .until("done", |v| {
            v.revision.as_ref() == Some(&commit) && v.requests.iter().any(|((_, verb), n)| *verb == "patch" && *n > 1)
        })
        .await;
    while taken(&fleet).await.is_empty() {
        running.seen.changed().await.expect("the daemon goes on");
    }
    running.stop().await;
    let state = fleet.get(&Target::Garden, OPERATION).await.expect("it is there").pointer("/status/state").cloned();
    let open = state.as_ref().is_none_or(|state| state == "Pending" || state == "Processing");
    assert!(open, "somebody said what came of it: {state:?}");
    garden.faults().clear();

    let ended = fleet.pass().await;
    assert_eq!(taken(&fleet).await, ["one"]);
    let row = &ended.view.owners[&Owner::cluster(Kind::Operation, "again")];
    assert_eq!((row.standing, row.note.contains("what came of it is not known")), (Standing::Failed, true), "{row:?}");
    assert!(told(&fleet).await.contains("state: Unknown"), "{}", told(&fleet).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_retried_at_once() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let refused = Matching { kind: Some("Infrastructure".into()), verb: Some("apply".into()), ..Matching::default() };
    let seed = &fleet.sims[&Target::Seed("aws-eu1".into())];
    seed.faults().add(Rule::refuse(refused, 422, ALWAYS));
    let mut running = fleet.start().await;
    let failed = |v: &View| v.owners.get(&mini()).is_some_and(|row| row.standing == Standing::Failed);
    running.until("failed", failed).await;
    ask(&fleet, operation("one", "retry", "")).await;
    let tree = running.reported(&fleet, "the retry", |t| t.get(TOLD).is_some_and(|text| text.contains("Succeeded"))).await;
    assert!(tree[TOLD].contains("- shop/mini") && tree[TOLD].contains("looked at again: 1 "), "{}", tree[TOLD]);
    seed.faults().clear();
    let commit = ask(&fleet, operation("two", "reconcile", "")).await;
    running.reported(&fleet, "the second", |t| t[TOLD].contains("id: two") && t[TOLD].contains("Succeeded")).await;
    running.ready_at(&commit).await;
    // Now that nothing fails, there is nothing to retry.
    ask(&fleet, operation("three", "retry", "")).await;
    running.reported(&fleet, "the third", |t| t[TOLD].contains("nothing had failed")).await;
    // What cannot be done is said, once, and not done when it can.
    let commit = ask(&fleet, operation("four", "rotate", "")).await;
    let failed = |text: &str| text.contains("state: Failed") && text.contains("standing: failed");
    running.reported(&fleet, "that it is not supported", |t| t[TOLD].contains("not supported yet") && failed(&t[TOLD])).await;
    running.until("said", |v| v.revision.as_ref() == Some(&commit)).await;
    assert_eq!(taken(&fleet).await, ["one", "two", "three", "four"]);
    running.stop().await;
}

const FREEZE: &str =
    "  guards:\n    freeze:\n      - reason: holidays\n        until: \"2027-01-02T06:00:00Z\"\n        projects: [shop]\n";

async fn version(fleet: &Fleet) -> Value {
    let shoot = fleet.get(&Target::Garden, "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots/mini").await;
    shoot.expect("the shoot").pointer("/spec/kubernetes/version").cloned().expect("a version")
}

async fn until_accepted(fleet: &Fleet, running: &mut Running, commit: &Revision) {
    running.ready_at(commit).await;
    let accepted = |landscape: &Value| {
        landscape.pointer("/metadata/annotations").is_some_and(|annotations| annotations.to_string().contains(&commit.0))
    };
    while !accepted(&fleet.get(&Target::Garden, LANDSCAPE).await.expect("a Landscape")) {
        running.seen.changed().await.expect("the daemon goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_frozen_waits_and_is_repaired() {
    let fleet = Fleet::local(&["mini", "api"]).await;
    fleet.edit(MINI, "1.35.3", "1.35.1").await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let commit = fleet.edit("landscape.yaml", "  guards:\n", FREEZE).await;
    until_accepted(&fleet, &mut running, &commit).await;

    // The shop's intent waits, and says until when; the lab's does not.
    let commit = fleet.edit(MINI, "1.35.1", "1.35.3").await;
    let held = |v: &View| v.owners.get(&mini()).is_some_and(|row| row.standing == Standing::Held);
    let view = running.until("held", |v| v.revision.as_ref() == Some(&commit) && held(v)).await;
    assert!(
        view.owners[&mini()].note.contains("frozen until 2027-01-02T06:00:00Z (shop): holidays"),
        "{:?}",
        view.owners[&mini()]
    );
    let said = |tree: &BTreeMap<RepoPath, String>| {
        tree["STATUS.md"].contains("> frozen until 2027-01-02")
            && tree["projects/shop/shoots/mini.status.yaml"].contains("code: FREEZE")
    };
    running.reported(&fleet, "the freeze", said).await;
    assert_eq!(version(&fleet).await, "1.35.1");

    // Whatever becomes of landscape.yaml, what was accepted of it guards.
    let whole = fleet.repo.read_tree(super::fleet::BRANCH).await.expect("git works").remove("landscape.yaml").expect("there");
    let other = whole.replacen("  name: local\n", "  name: other\n", 1);
    let root = Owner::cluster(Kind::Landscape, "local");
    for (what, text) in [("broken", "a: [\n".into()), ("renamed", other)] {
        let commit = fleet.commit(Changes::from([("landscape.yaml".into(), Some(text))])).await;
        let seen = |v: &View| v.revision.as_ref() == Some(&commit) && v.owners[&root].standing == Standing::Held;
        let view = running.until(what, seen).await;
        assert!(view.owners[&root].note.contains("its settings stay"), "{what}: {:?}", view.owners[&root]);
        let note = &view.owners[&mini()].note;
        assert!(note.contains("frozen until 2027-01-02T06:00:00Z (shop): holidays"), "{what}: {note}");
        assert_eq!(version(&fleet).await, "1.35.1", "{what}");
    }
    fleet.commit(Changes::from([("landscape.yaml".into(), Some(whole))])).await;
    let api = "projects/lab/shoots/api.yaml";
    let lab = fleet.repo.read_tree(super::fleet::BRANCH).await.expect("git works").remove(api).expect("there");
    let commit = fleet
        .commit(Changes::from([(api.into(), Some(lab.replacen("metadata:\n", "metadata:\n  labels: {moved: \"on\"}\n", 1)))]))
        .await;
    running
        .until("the lab goes on", |v| {
            v.revision.as_ref() == Some(&commit) && v.counts.written_since_head.iter().any(|o| o.project == "lab")
        })
        .await;

    // Repair goes on.
    let plane = "/apis/apps/v1/namespaces/shoot--shop--mini/deployments/kube-apiserver";
    let seed = Target::Seed("aws-eu1".into());
    fleet.by_hand(&seed, "DELETE", plane, &Value::Null).await;
    while fleet.get(&seed, plane).await.is_none() {
        running.seen.changed().await.expect("the daemon goes on");
    }

    // Once the end of the freeze is accepted, what waited is taken up by itself.
    let commit = fleet.edit("landscape.yaml", FREEZE, "  guards:\n").await;
    running.until("taken up", |v| v.revision.as_ref() == Some(&commit) && v.counts.written_since_head.contains(&mini())).await;
    // Repair may have written it before as well.
    while version(&fleet).await != "1.35.3" {
        running.seen.changed().await.expect("the daemon goes on");
    }
    running.ready_at(&commit).await;
    running.stop().await;
}
