//! Many who write to one repository at once: no update is lost, and no history is rewritten.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use espalier::git::{Credentials, GitError, Location, Message, Repo};
use espalier::snapshot::{Changes, Revision};

use crate::fleet::{BRANCH, Fleet, NOW};

const WRITERS: usize = 20;
const EACH: usize = 5;

/// Adds a file, as somebody who begins again after a lost race.
async fn write(repo: &Repo, name: &str, races: &AtomicUsize) -> Revision {
    loop {
        let head = repo.resolve(BRANCH).await.expect("git works").expect("the branch is there");
        let changes = Changes::from([(format!("docs/{name}.md").into(), Some(format!("{name}\n")))]);
        let message = Message { subject: format!("Note {name}"), ..Message::default() };
        match repo.commit(BRANCH, Some(&head), changes, message, NOW).await {
            Ok(revision) => return revision,
            Err(GitError::Raced { .. }) => drop(races.fetch_add(1, Ordering::Relaxed)),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_writers_and_the_daemon_lose_nothing() {
    let fleet = Fleet::local(&["mini"]).await;
    fleet.credentials().await;
    let first = fleet.head().await;
    let mut running = fleet.start().await;
    let races = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        // Everybody has a handle and a thread of their own, as twenty processes would.
        let location: Location = fleet.repo.location().clone();
        let races = races.clone();
        let cache = fleet.dir.path().to_owned();
        tasks.spawn(async move {
            let repo = Repo::open(location, &cache, Credentials::default()).await.expect("it opens");
            let mut made = Vec::new();
            for n in 0..EACH {
                made.push(write(&repo, &format!("{writer}-{n}"), &races).await);
            }
            made
        });
    }
    let mut made = BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        made.extend(done.expect("nobody panics"));
    }
    let head = fleet.head().await;
    let log = fleet.repo.log(&head, Some(&first), 1_000).await.expect("git works");
    assert_eq!(log.len(), WRITERS * EACH, "{races:?} races");
    assert!(log.iter().all(|commit| commit.parents.len() == 1), "one line of commits");
    assert_eq!(log.iter().map(|commit| commit.revision.clone()).collect::<BTreeSet<_>>(), made, "no commit is lost or rewritten");
    let files = fleet.repo.read_tree(BRANCH).await.expect("git works");
    assert_eq!(files.keys().filter(|path| path.as_str().starts_with("docs/")).count(), WRITERS * EACH);
    running.ready_at(&head).await;
    running.stop().await;
    assert_eq!(fleet.head().await, head, "the daemon writes to its own branch only");
}
