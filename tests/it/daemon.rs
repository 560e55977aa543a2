//! The whole way: commits in, simulated clusters, status commits out.

use std::sync::Arc;

use espalier::daemon::{self, View};
use espalier::landscape::Kind;
use espalier::status::Standing;
use tokio::sync::watch;

use super::fleet::{CANARY, Fleet, STATUS, explain};

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

#[tokio::test(flavor = "multi_thread")]
async fn shoots_come_up_by_turns() {
    let fleet = Fleet::local(&["api", "mini"]).await;
    fleet.credentials().await;
    let (view, mut seen) = watch::channel(Arc::<View>::default());
    let (_stop, told) = watch::channel(false);
    let mut options = fleet.options(true, view);
    options.settings.creations = 1;
    let run = tokio::spawn(daemon::run(options, told));
    let mut stood_in_line = false;
    while seen.changed().await.is_ok() {
        let view = seen.borrow_and_update().clone();
        stood_in_line |= view.owners.values().any(|row| row.note.contains("its turn"));
    }
    let ended = run.await.expect("no panic").expect("a pass works");
    assert_eq!(explain(&ended), "", "the second had its turn too");
    assert!(stood_in_line, "and it was told what it waits for");
}
