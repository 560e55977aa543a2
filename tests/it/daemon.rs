//! The whole way: commits in, simulated clusters, status commits out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use espalier::cluster::{KindRef, Kinds};
use espalier::daemon::View;
use espalier::daemon::state::{Event, Head, Settings, State};
use espalier::finding::Findings;
use espalier::landscape::{Kind, Target};
use espalier::library::Library;
use espalier::status::Standing;

use super::fleet::{CANARY, Fleet, STATUS, explain, now};

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_becomes_clusters_and_a_status_commit() {
    let fleet = Fleet::local(&[]).await;
    fleet.credentials().await;
    let ended = fleet.pass().await;
    assert_eq!(explain(&ended), "", "everything is ready");
    let shoots = ended.view.standings(Kind::Shoot);
    assert!(shoots[&Standing::Ready] >= 6, "{shoots:?}");

    // The status branch: a file per object, the page, trailers that name the commit.
    let tree = fleet.repo.read_tree(STATUS).await.expect("git works");
    assert!(tree.contains_key("STATUS.md"));
    for owner in ended.view.owners.keys() {
        let name = format!("{}.status.yaml", owner.name);
        let found =
            tree.keys().any(|p| p.as_str().ends_with(&name)) || tree.values().any(|t| t.contains(&format!("for: {owner}")));
        assert!(found, "{owner} has no status file among {:?}", tree.keys());
    }
    let tip = fleet.status_tip().await.expect("there is a status branch");
    let commits = fleet.repo.log(&tip, None, 1).await.expect("git works");
    let head = fleet.head().await;
    let trailer = |key: &str| commits[0].trailers.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    assert_eq!(trailer("Reconciled"), Some(head.to_string()));
    assert_eq!(trailer("Landscape").as_deref(), Some("local"));

    // No secret value anywhere a person looks.
    for (path, text) in &tree {
        assert!(!text.contains(CANARY), "{path} shows a secret");
    }

    // Nothing changed: nothing is written, nothing is committed.
    let before = fleet.writes();
    let again = fleet.pass().await;
    assert_eq!(explain(&again), "");
    let lease_only = fleet.writes() - before;
    assert!(lease_only <= 3, "{lease_only} writes in a pass in which nothing changed");
    assert_eq!(fleet.status_tip().await, Some(tip), "no status commit");
}

const MINI: &str = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots/mini";

fn shoots(view: &View) -> impl Iterator<Item = &str> {
    view.owners.iter().filter(|(owner, _)| owner.kind == Kind::Shoot).map(|(_, row)| row.note.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn shoots_come_up_by_turns() {
    let fleet = Fleet::local(&["api", "mini"]).await;
    fleet.credentials().await;
    let mut running = fleet.start_with(|settings| settings.creations = 0);
    running.until("in line", |view| shoots(view).count() == 2 && shoots(view).all(|note| note.contains("its turn"))).await;
    running.stop().await;
    assert_eq!(fleet.get(&Target::Garden, MINI).await, None, "nothing was begun");

    let mut running = fleet.start_with(|settings| settings.creations = 1);
    running.ready_at(&fleet.head().await).await;
    running.stop().await;
}

/// Whoever waits for a cluster to be listed, for the lease or for an answer is told when that comes; a moment that is past would only
/// make the shell step in circles.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_does_not_step_in_circles() {
    let fleet = Fleet::local(&["mini"]).await;
    let head = Head {
        revision: fleet.head().await,
        landscape: Arc::new(fleet.landscape().await),
        findings: Findings::default(),
        library: Arc::new(Library::compile(&BTreeMap::new()).0),
        reverts: None,
    };
    let kinds = Kinds::from([(Target::Garden, BTreeSet::from([KindRef::new("v1", "Namespace")]))]);
    let mut state = State::new(Settings::default());
    let events = [Event::StatusTree(None, BTreeMap::new()), Event::Expect(kinds), Event::Head(Box::new(head)), Event::Tick];
    for (at, event) in (0..).step_by(10_000).zip(events) {
        state.step(event, now(), at);
        assert!(state.wake_at().is_none_or(|next| next > at), "{:?} at {at}", state.wake_at());
    }
    // With the lease it is still the garden that is waited for.
    for (at, event) in [(50_000, Event::Lease(true)), (60_000, Event::Tick)] {
        state.step(event, now(), at);
        assert!(state.wake_at().is_none_or(|next| next > at), "{:?} at {at}", state.wake_at());
    }
}
