//! Many who write to one repository at once: no update is lost, and no history is rewritten.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use espalier::git::{Credentials, GitError, Location, Message, Repo};
use espalier::snapshot::{Changes, Revision};

use crate::fleet::{BRANCH, Fleet, NOW, STATUS};

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
    write_at_once(|n| n < EACH).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: cargo test --test it writers -- --ignored --nocapture"]
#[expect(clippy::disallowed_methods, reason = "this is a stopwatch")]
async fn twenty_writers_and_the_daemon_lose_nothing_for_a_minute() {
    let began = std::time::Instant::now();
    let (commits, races, status) = write_at_once(move |_| began.elapsed().as_secs() < 60).await;
    eprintln!("{commits} commits, {races} races, {status} commits of status");
}

/// Twenty write for as long as they are told to, each asked with the number of its commits so far. How many commits there were in
/// all, how often somebody began again, and how many commits of status the daemon made beside them.
async fn write_at_once(go_on: impl Fn(usize) -> bool + Clone + Send + 'static) -> (usize, usize, usize) {
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
        let go_on = go_on.clone();
        let cache = fleet.dir.path().to_owned();
        tasks.spawn(async move {
            let repo = Repo::open(location, &cache, Credentials::default()).await.expect("it opens");
            let mut made = Vec::new();
            while go_on(made.len()) {
                made.push(write(&repo, &format!("{writer}-{}", made.len()), &races).await);
            }
            made
        });
    }
    let mut made = BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        made.extend(done.expect("nobody panics"));
    }
    let head = fleet.head().await;
    let log = fleet.repo.log(&head, Some(&first), 100_000).await.expect("git works");
    assert_eq!(log.len(), made.len(), "{races:?} races");
    assert!(log.len() >= WRITERS);
    assert!(log.iter().all(|commit| commit.parents.len() == 1), "one line of commits");
    assert_eq!(log.iter().map(|commit| commit.revision.clone()).collect::<BTreeSet<_>>(), made, "no commit is lost or rewritten");
    let files = fleet.repo.read_tree(BRANCH).await.expect("git works");
    assert_eq!(files.keys().filter(|path| path.as_str().starts_with("docs/")).count(), made.len());
    running.ready_at(&head).await;
    running.stop().await;
    assert_eq!(fleet.head().await, head, "the daemon writes to its own branch only");
    let status = fleet.repo.resolve(STATUS).await.expect("git works").expect("there is status");
    let status = fleet.repo.log(&status, None, 100_000).await.expect("git works");
    assert!(status.iter().all(|commit| commit.parents.len() <= 1), "one line of status");
    (log.len(), races.load(Ordering::Relaxed), status.len())
}
