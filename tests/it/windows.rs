//! Maintenance windows and the ends of freezes against simulated clusters: what waits goes ahead when its time has come, by itself.

use espalier::daemon::View;
use espalier::landscape::{Kind, Owner, Target};
use espalier::snapshot::{Changes, RepoPath, Revision};
use espalier::status::Standing;
use serde_json::Value;

use super::cli::run_in;
use super::fleet::{BRANCH, Fleet, Running, explain};

const MINI: &str = "projects/shop/shoots/mini.yaml";
const TOLD: &str = "projects/shop/shoots/mini.status.yaml";
const PLANE: &str = "/apis/apps/v1/namespaces/shoot--shop--mini/deployments/kube-apiserver";
const SCHEDULER: &str = "/apis/apps/v1/namespaces/shoot--shop--mini/deployments/kube-scheduler";
/// It opens at 20:00 UTC; the daemon's clock stands at 11:06:40.
const WINDOW: &str = "  maintenance:\n    confineSpecUpdateRollout: true\n    timeWindow:\n      begin: 220000+0200\n      end: 230000+0200\n  networking:\n";
/// Clusters are never behind the daemon, whose clock the tests set.
const LATER: &str = "2026-11-20T00:00:00Z";
const SAID: &str = "maintenance window 2026-11-18 22:00–23:00 +02:00";

fn mini() -> Owner {
    Owner::project(Kind::Shoot, "shop", "mini")
}

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

async fn live(fleet: &Fleet) -> Option<Value> {
    fleet.get(&Target::Garden, "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots/mini").await
}

/// A field of the shoot in the garden.
async fn field(fleet: &Fleet, pointer: &str) -> Value {
    live(fleet).await.expect("the shoot").pointer(pointer).cloned().unwrap_or_default()
}

async fn version(fleet: &Fleet) -> Value {
    field(fleet, "/spec/kubernetes/version").await
}

/// Waits until a field of the shoot in the garden is so.
async fn until(fleet: &Fleet, running: &mut Running, pointer: &str, wanted: &Value) {
    while field(fleet, pointer).await != *wanted {
        running.seen.changed().await.expect("the daemon goes on");
    }
}

/// A landscape of one shoot that is ready and confined to its window.
async fn confined() -> Fleet {
    let fleet = Fleet::ahead("mini", LATER).await;
    fleet.edit(MINI, "1.35.3", "1.35.1").await;
    fleet.edit(MINI, "  networking:\n", WINDOW).await;
    fleet.credentials().await;
    let ended = fleet.pass().await;
    assert_eq!(explain(&ended), "", "what is new waits for no window");
    fleet
}

fn waits(view: &View, commit: &Revision) -> bool {
    let told =
        |row: &espalier::daemon::view::Row| row.standing == Standing::Progressing && row.note == format!("Waiting for {SAID}");
    view.revision.as_ref() == Some(commit) && view.owners.get(&mini()).is_some_and(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_change_waits_and_goes_ahead_when_its_window_opens() {
    let fleet = confined().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let commit = fleet.edit(MINI, "1.35.1", "1.35.3").await;
    running.until("waiting", |view| waits(view, &commit)).await;
    let said = [
        format!("waits:\n  for: \"{SAID}\"\n  until: \"2026-11-18T22:00:00+02:00\"\n"),
        format!("manifest: \"waiting: {SAID}\""),
        "standing: progressing".to_owned(),
        "state: Succeeded".to_owned(),
    ];
    let reported =
        running.reported(&fleet, "that it waits", |tree| tree.get(TOLD).is_some_and(|text| text.contains("waits:"))).await;
    for line in said {
        assert!(reported[TOLD].contains(&line), "{line} is missing in\n{}", reported[TOLD]);
    }
    assert_eq!(version(&fleet).await, "1.35.1");

    // It runs on as it was rolled out last, and is repaired.
    fleet.by_hand(&seed(), "DELETE", PLANE, &Value::Null).await;
    let plane = loop {
        match fleet.get(&seed(), PLANE).await {
            Some(plane) => break plane.to_string(),
            None => running.seen.changed().await.expect("the daemon goes on"),
        }
    };
    assert!(plane.contains("1.35.1") && !plane.contains("1.35.3"), "{plane}");

    // What is no part of the spec is taken up at once; and the clock is set to just before the window.
    fleet.set_clock("2026-11-18T19:59:59Z", true);
    fleet.edit(MINI, "  name: mini\n", "  name: mini\n  labels: {team: shop}\n").await;
    until(&fleet, &mut running, "/metadata/labels/team", &"shop".into()).await;
    // Nothing happens any more but that time passes.
    until(&fleet, &mut running, "/spec/kubernetes/version", &"1.35.3".into()).await;
    running.ready_at(&fleet.head().await).await;
    let reported = running.reported(&fleet, "that it is ready", |tree| tree[TOLD].contains("standing: ready")).await;
    assert!(!reported[TOLD].contains("waits:"), "{}", reported[TOLD]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_ends_while_something_waits_and_the_next_rolls_it_out() {
    let fleet = confined().await;
    let good = fleet.head().await;
    let before = fleet.get(&seed(), PLANE).await;
    let commit = fleet.edit(MINI, "1.35.1", "1.35.3").await;
    let ended = fleet.pass().await;
    assert!(waits(&ended.view, &commit), "{}", explain(&ended));
    let writes = fleet.writes();
    let ended = fleet.pass().await;
    assert!(waits(&ended.view, &commit) && fleet.writes() - writes <= 3, "waiting writes nothing");
    assert_eq!((version(&fleet).await, fleet.get(&seed(), PLANE).await), ("1.35.1".into(), before));

    // Who asks is told, for how long, and that the time is over.
    let ask = |args: &[&str]| {
        let repository = fleet.dir.path().join("repo");
        run_in(&repository, &[("ESPALIER_NOW", "2026-11-18T11:06:40Z")], "", args)
    };
    let ran = ask(&["status", "--repo", ".", "--landscape", "local"]);
    let line = format!("Shoot shop/mini   {SAID}, in 8 h 54 min");
    assert!(ran.out.contains("WAITING\n") && ran.out.contains(&line), "{}{}", ran.out, ran.err);
    let ran = ask(&["wait", "--repo", ".", "--landscape", "local", "--commit", "landscape/local", "--timeout", "0s"]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains(&format!("waiting on Shoot shop/mini: {SAID}, in 8 h 54 min")), "{}{}", ran.out, ran.err);

    // In the last quarter of an hour nothing is begun any more.
    fleet.set_clock("2026-11-18T20:50:00Z", false);
    let ended = fleet.pass().await;
    assert!(ended.view.owners[&mini()].note.contains("2026-11-19 22:00"), "{}", explain(&ended));
    fleet.set_clock("2026-11-19T20:10:00Z", false);
    assert_eq!(explain(&fleet.pass().await), "");
    assert_eq!(version(&fleet).await, "1.35.3");
    assert_ne!(fleet.head().await, good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_cancels_the_wait() {
    let fleet = confined().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let bad = fleet.edit(MINI, "1.35.1", "1.35.3").await;
    running.until("waiting", |view| waits(view, &bad)).await;
    let back = fleet.edit(MINI, "1.35.3", "1.35.1").await;
    let view = running.until("taken back", |view| view.revision.as_ref() == Some(&back) && view.counts.reverts == 1).await;
    assert_eq!(view.counts.waits_cancelled, 1);
    let view = running.ready_at(&back).await;
    assert!(!view.counts.written_since_head.contains(&mini()), "nothing was done, so nothing is undone");
    running.stop().await;
    // Nor does anything of it come when the window opens.
    fleet.set_clock("2026-11-18T20:10:00Z", false);
    assert_eq!(explain(&fleet.pass().await), "");
    assert_eq!(version(&fleet).await, "1.35.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn sleeping_waking_operations_and_deletions_wait_for_nothing() {
    let fleet = confined().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;

    // Whoever asks for a reconcile gets it.
    let commit = fleet.edit(MINI, "1.35.1", "1.35.3").await;
    running.until("waiting", |view| waits(view, &commit)).await;
    let operation = "apiVersion: espalier.dev/v1alpha1\nkind: Operation\nmetadata:\n  name: again\nspec:\n  request: reconcile\n  selector:\n    shoots: [shop/mini]\n";
    let commit = fleet.commit(Changes::from([(RepoPath::from("operations/again.yaml"), Some(operation.to_owned()))])).await;
    until(&fleet, &mut running, "/spec/kubernetes/version", &"1.35.3".into()).await;
    running.ready_at(&commit).await;

    // That was for once: the next change waits again, until the cluster is sent to sleep, which takes it along.
    let commit = fleet.edit(MINI, "maximum: 1", "maximum: 2").await;
    running.until("waiting again", |view| waits(view, &commit)).await;
    fleet.edit(MINI, "  maintenance:\n", "  hibernation: {enabled: true}\n  maintenance:\n").await;
    until(&fleet, &mut running, "/spec/hibernation/enabled", &true.into()).await;
    assert_eq!(field(&fleet, "/spec/provider/workers/0/maximum").await, 2);
    fleet.edit(MINI, "hibernation: {enabled: true}", "hibernation: {enabled: false}").await;
    until(&fleet, &mut running, "/spec/hibernation/enabled", &false.into()).await;
    running.ready_at(&fleet.head().await).await;

    // A deletion is confirmed and done, whatever waits.
    let commit = fleet.edit(MINI, "maximum: 2", "maximum: 3").await;
    running.until("waiting once more", |view| waits(view, &commit)).await;
    fleet.edit(MINI, "  name: mini\n", "  name: mini\n  annotations: {confirmation.gardener.cloud/deletion: \"true\"}\n").await;
    until(&fleet, &mut running, "/metadata/annotations/confirmation.gardener.cloud~1deletion", &"true".into()).await;
    assert_eq!(field(&fleet, "/spec/provider/workers/0/maximum").await, 2, "its spec waits on");
    fleet.commit(Changes::from([(RepoPath::from(MINI), None)])).await;
    running.until("gone", |view| !view.owners.contains_key(&mini())).await;
    assert_eq!(live(&fleet).await, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_wrote_waits_where_the_landscape_says_so() {
    let fleet = Fleet::ahead("mini", LATER).await;
    fleet.edit(MINI, "  networking:\n", &WINDOW.replace("    confineSpecUpdateRollout: true\n", "")).await;
    fleet.edit("landscape.yaml", "  guards:\n", "  rollout: {maintenanceWindow: true}\n  guards:\n").await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "");
    let before = fleet.get(&seed(), SCHEDULER).await.expect("it is there");

    let image = "registry.example.org/kube-scheduler:v1.35.9";
    let commit =
        fleet.edit("landscape.yaml", "  guards:\n", &format!("  images:\n    kube-scheduler: {image}\n  guards:\n")).await;
    let ended = fleet.pass().await;
    assert!(waits(&ended.view, &commit), "{}", explain(&ended));
    assert_eq!(fleet.get(&seed(), SCHEDULER).await, Some(before));
    // What is missing is made, also while something waits: the change is not in what it has.
    fleet.by_hand(&seed(), "DELETE", PLANE, &Value::Null).await;
    let ended = fleet.pass().await;
    assert!(waits(&ended.view, &commit) && fleet.get(&seed(), PLANE).await.is_some(), "{}", explain(&ended));
    fleet.set_clock("2026-11-18T20:10:00Z", false);
    assert_eq!(explain(&fleet.pass().await), "");
    let scheduler = fleet.get(&seed(), SCHEDULER).await.expect("it is there").to_string();
    assert!(scheduler.contains(image), "{scheduler}");

    // A change of its own is not confined, and takes along what waits.
    fleet.set_clock("2026-11-19T11:00:00Z", false);
    fleet.edit("landscape.yaml", "v1.35.9", "v1.35.10").await;
    let ended = fleet.pass().await;
    assert!(ended.view.owners[&mini()].note.contains("2026-11-19 22:00"), "{}", explain(&ended));
    fleet.edit(MINI, "maximum: 1", "maximum: 2").await;
    assert_eq!(explain(&fleet.pass().await), "");
    assert_eq!(field(&fleet, "/spec/provider/workers/0/maximum").await, 2);
    let scheduler = fleet.get(&seed(), SCHEDULER).await.expect("it is there").to_string();
    assert!(scheduler.contains("v1.35.10"), "{scheduler}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_freeze_kept_back_is_taken_up_when_it_ends() {
    let fleet = Fleet::ahead("mini", LATER).await;
    fleet.edit(MINI, "1.35.3", "1.35.1").await;
    let freeze = "  guards:\n    freeze:\n      - reason: lunch\n        until: \"2026-11-18T12:00:00Z\"\n";
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "");
    fleet.edit("landscape.yaml", "  guards:\n", freeze).await;
    assert_eq!(explain(&fleet.pass().await), "");
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    let held = |view: &View, commit: &Revision| {
        view.revision.as_ref() == Some(commit) && view.owners.get(&mini()).is_some_and(|row| row.standing == Standing::Held)
    };
    let commit = fleet.edit(MINI, "1.35.1", "1.35.3").await;
    running.until("held", |view| held(view, &commit)).await;
    fleet.set_clock("2026-11-18T11:59:59Z", true);
    let project = "projects/shop/project.yaml";
    let text = fleet.repo.read_tree(BRANCH).await.expect("git works").remove(project).expect("there");
    let commit = fleet.commit(Changes::from([(project.into(), Some(format!("{text}# the clock was set\n")))])).await;
    // Nothing more is told to the daemon.
    until(&fleet, &mut running, "/spec/kubernetes/version", &"1.35.3".into()).await;
    running.ready_at(&commit).await;
    running.stop().await;
}
