//! The edge to Git, on temporary repositories.

use std::collections::BTreeMap;
use std::path::Path;

use espalier::git::{self, Credentials, GitError, Location, Message, Repo};
use espalier::plan::ErrorClass;
use espalier::snapshot::{Changes, EntryKind, RepoPath, Revision};

const NOW: i64 = 1_790_000_000;
const MAIN: &str = "refs/heads/main";

fn message(subject: &str) -> Message {
    Message { subject: subject.to_owned(), ..Message::default() }
}

fn changes(files: &[(&str, Option<&str>)]) -> Changes {
    files.iter().map(|(path, text)| (RepoPath::from(*path), text.map(str::to_owned))).collect()
}

fn bare(folder: &Path) {
    git2::Repository::init_bare(folder).expect("a bare repository");
}

async fn open(location: &Location, cache: &Path) -> Repo {
    Repo::open(location.clone(), cache, Credentials::default()).await.expect("opens")
}

async fn local(folder: &Path) -> Repo {
    bare(folder);
    open(&Location::Path(folder.to_owned()), folder).await
}

#[tokio::test]
async fn commits_and_snapshots_without_a_work_tree() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = local(dir.path()).await;
    assert_eq!(repo.resolve(MAIN).await.expect("resolves"), None);

    let first = changes(&[("landscape.yaml", Some("a: 1\n")), ("seeds/x.yaml", Some("b: 2\n"))]);
    let one = repo.commit(MAIN, None, first, message("One"), NOW).await.expect("commits");
    let second =
        changes(&[("seeds/x.yaml", None), ("seeds/never-there.yaml", None), ("projects/p/project.yaml", Some("c: 3\n"))]);
    let two = repo.commit(MAIN, Some(&one), second, message("Two"), NOW + 5).await.expect("commits");
    assert_eq!(repo.resolve(MAIN).await.expect("resolves"), Some(two.clone()));

    let snapshot = repo.snapshot(&two, "").await.expect("reads");
    let paths: Vec<&str> = snapshot.files.keys().map(RepoPath::as_str).collect();
    assert_eq!(paths, ["landscape.yaml", "projects/p/project.yaml"]);
    assert_eq!((snapshot.committed, snapshot.subject.as_str()), (NOW + 5, "Two"));

    let below = repo.snapshot(&two, "projects/p").await.expect("reads");
    assert_eq!(below.files.keys().map(RepoPath::as_str).collect::<Vec<_>>(), ["project.yaml"]);
    assert!(matches!(repo.snapshot(&two, "seeds").await, Err(GitError::RootMissing { .. })), "an emptied folder is gone");

    assert!(repo.is_ancestor(&one, &two).await.expect("walks"));
    assert!(!repo.is_ancestor(&two, &one).await.expect("walks"));
    let changed = repo.changed_paths(Some(&one), &two, "").await.expect("compares");
    assert_eq!(changed.iter().map(RepoPath::as_str).collect::<Vec<_>>(), ["projects/p/project.yaml", "seeds/x.yaml"]);
}

#[tokio::test]
async fn unchanged_blobs_are_not_read_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = local(dir.path()).await;
    let first = changes(&[("a.yaml", Some("a\n")), ("b.yaml", Some("b\n"))]);
    let one = repo.commit(MAIN, None, first, message("One"), NOW).await.expect("commits");
    let two = repo.commit(MAIN, Some(&one), changes(&[("b.yaml", Some("c\n"))]), message("Two"), NOW).await.expect("commits");
    let before = repo.snapshot(&one, "").await.expect("reads");
    let after = repo.snapshot(&two, "").await.expect("reads");
    let bytes = |s: &espalier::snapshot::Snapshot, p: &str| s.files[p].bytes.clone();
    assert!(std::sync::Arc::ptr_eq(&bytes(&before, "a.yaml"), &bytes(&after, "a.yaml")));
    assert_eq!(&*bytes(&after, "b.yaml"), b"c\n");
}

#[tokio::test]
async fn a_raced_commit_is_told_so_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = local(dir.path()).await;
    let one = repo.commit(MAIN, None, changes(&[("a", Some("1"))]), message("One"), NOW).await.expect("commits");
    let two = repo.commit(MAIN, Some(&one), changes(&[("a", Some("2"))]), message("Two"), NOW).await.expect("commits");
    for expected in [Some(&one), None] {
        let late = repo.commit(MAIN, expected, changes(&[("a", Some("3"))]), message("Late"), NOW).await;
        let error = late.expect_err("somebody was faster");
        assert!(matches!(error, GitError::Raced { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Conflict);
    }
    assert_eq!(repo.resolve(MAIN).await.expect("resolves"), Some(two));
}

#[tokio::test]
async fn a_status_branch_is_an_orphan_with_trailers() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = local(dir.path()).await;
    let main = repo.commit(MAIN, None, changes(&[("a", Some("1"))]), message("One"), NOW).await.expect("commits");
    let status = git::status_reference("local");
    let text = Message {
        subject: "Status of one commit\nReconciled: forged".to_owned(),
        body: "Two shoots are ready.".to_owned(),
        trailers: vec![("Reconciled".to_owned(), main.0.clone()), ("Landscape".to_owned(), "local\nResult: forged".to_owned())],
        author: None,
    };
    let tip = repo.commit(&status, None, changes(&[("STATUS.md", Some("fine\n"))]), text, NOW).await.expect("commits");
    let log = repo.log(&tip, None, 10).await.expect("walks");
    assert_eq!(log.len(), 1, "it shares no history with the landscape");
    assert_eq!(log[0].subject, "Status of one commit Reconciled: forged");
    assert_eq!(log[0].body, "Two shoots are ready.");
    assert_eq!(log[0].trailer("Reconciled"), Some(main.0.as_str()));
    assert_eq!(log[0].trailer("Result"), None);
    assert!(log[0].is_own());
    assert!(!repo.log(&main, None, 1).await.expect("walks")[0].is_own());
    assert_eq!(repo.read_tree(&status).await.expect("reads").get("STATUS.md").map(String::as_str), Some("fine\n"));
    assert!(repo.read_tree("refs/heads/none").await.expect("reads").is_empty());
    let same = repo.commit(&status, Some(&tip), changes(&[("STATUS.md", Some("fine\n"))]), message("Again"), NOW).await;
    assert_eq!(same.expect("nothing to do"), tip, "an unchanged tree makes no commit");
}

#[tokio::test]
async fn links_submodules_and_odd_paths_are_reported_not_followed() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = local(dir.path()).await;
    let raw = git2::Repository::open(dir.path()).expect("opens");
    let blob = raw.blob(b"/etc/passwd").expect("writes");
    let mut tree = raw.treebuilder(None).expect("builds");
    tree.insert("link.yaml", blob, 0o120_000).expect("inserts");
    tree.insert("module", git2::Oid::from_str(&"1".repeat(40)).expect("an id"), 0o160_000).expect("inserts");
    tree.insert("file.yaml", blob, 0o100_755).expect("inserts");
    let tree = raw.find_tree(tree.write().expect("writes")).expect("reads");
    let who = git2::Signature::new("a", "a@b", &git2::Time::new(NOW, 0)).expect("valid");
    raw.commit(Some(MAIN), &who, &who, "Odd", &tree, &[]).expect("commits");
    let tip = repo.resolve(MAIN).await.expect("resolves").expect("exists");
    let snapshot = repo.snapshot(&tip, "").await.expect("reads");
    let kinds: Vec<EntryKind> = snapshot.files.values().map(|blob| blob.kind).collect();
    assert_eq!(kinds, [EntryKind::File, EntryKind::Symlink, EntryKind::Submodule]);
    assert!(snapshot.files["link.yaml"].bytes.is_empty());
    for path in ["../up", "a//b", ".git/hooks/x", "a/.GIT/config", ""] {
        let refused = repo.commit(MAIN, Some(&tip), changes(&[(path, Some("x"))]), message("Bad"), NOW).await;
        assert!(matches!(refused, Err(GitError::Path(_))), "{path:?}");
    }
}

/// A remote and two mirrors of it.
async fn remote(dir: &Path) -> (Repo, Repo) {
    let origin = dir.join("origin.git");
    bare(&origin);
    let location: Location = format!("file://{}", origin.display()).parse().expect("a location");
    (open(&location, &dir.join("cache-1")).await, open(&location, &dir.join("cache-2")).await)
}

#[tokio::test]
async fn a_remote_is_mirrored_and_moved_by_compare_and_swap() {
    let dir = tempfile::tempdir().expect("a folder");
    let (a, b) = remote(dir.path()).await;
    assert!(!a.fetch().await.expect("fetches an empty repository"));
    let one = a.commit(MAIN, None, changes(&[("a", Some("1"))]), message("One"), NOW).await.expect("pushes");
    assert_eq!(b.resolve(MAIN).await.expect("resolves"), None);
    assert!(b.fetch().await.expect("fetches"));
    assert!(!b.fetch().await.expect("fetches"), "nothing moved since");
    assert_eq!(b.resolve(MAIN).await.expect("resolves"), Some(one.clone()));

    let two = b.commit(MAIN, Some(&one), changes(&[("a", Some("2"))]), message("Two"), NOW).await.expect("pushes");
    for expected in [Some(&one), None] {
        let late = a.commit(MAIN, expected, changes(&[("a", Some("3"))]), message("Late"), NOW).await;
        assert!(matches!(late, Err(GitError::Raced { .. })), "{late:?}");
    }
    assert_eq!(a.resolve(MAIN).await.expect("resolves"), Some(one), "a refused push leaves the mirror alone");
    a.fetch().await.expect("fetches");
    assert_eq!(a.resolve(MAIN).await.expect("resolves"), Some(two));
}

#[tokio::test]
async fn rewritten_history_and_a_branch_that_is_gone_are_visible() {
    let dir = tempfile::tempdir().expect("a folder");
    let (a, b) = remote(dir.path()).await;
    let one = a.commit(MAIN, None, changes(&[("a", Some("1"))]), message("One"), NOW).await.expect("pushes");
    b.fetch().await.expect("fetches");
    let raw = git2::Repository::open_bare(dir.path().join("origin.git")).expect("opens");
    let other = {
        let tree = raw.find_commit(git2::Oid::from_str(&one.0).expect("an id")).and_then(|c| c.tree()).expect("reads");
        let who = git2::Signature::new("a", "a@b", &git2::Time::new(NOW, 0)).expect("valid");
        let id = raw.commit(None, &who, &who, "Rewritten", &tree, &[]).expect("commits");
        raw.reference(MAIN, id, true, "force-pushed").expect("moves");
        Revision(id.to_string())
    };
    assert!(b.fetch().await.expect("fetches"));
    assert_eq!(b.resolve(MAIN).await.expect("resolves"), Some(other.clone()));
    assert!(!b.is_ancestor(&one, &other).await.expect("walks"));
    assert!(b.snapshot(&one, "").await.is_ok(), "the last state can still be read");

    raw.find_reference(MAIN).and_then(|mut r| r.delete()).expect("deletes");
    assert!(b.fetch().await.expect("fetches"));
    assert_eq!(b.resolve(MAIN).await.expect("resolves"), None);
    assert!(!b.is_ancestor(&Revision("2".repeat(40)), &other).await.expect("an unknown commit is nobody's ancestor"));
}

#[tokio::test]
async fn a_remote_that_is_down_is_transient_and_keeps_the_mirror() {
    let dir = tempfile::tempdir().expect("a folder");
    let (a, _) = remote(dir.path()).await;
    let one = a.commit(MAIN, None, changes(&[("a", Some("1"))]), message("One"), NOW).await.expect("pushes");
    std::fs::rename(dir.path().join("origin.git"), dir.path().join("away")).expect("moves");
    let error = a.fetch().await.expect_err("the remote is gone");
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert_eq!(a.resolve(MAIN).await.expect("resolves"), Some(one));
}

#[tokio::test]
async fn a_new_repository_has_its_files_beside_it_and_its_branch_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("repo");
    let files: BTreeMap<RepoPath, Vec<u8>> = [(RepoPath::from("seeds/a.yaml"), b"a: 1\n".to_vec())].into();
    let tip = git::create(&path, "landscape/local", files.clone(), message("Begin"), NOW).await.expect("creates");
    assert_eq!(std::fs::read_to_string(path.join("seeds/a.yaml")).expect("reads"), "a: 1\n");
    assert!(git::create(&path, "landscape/local", files, message("Begin"), NOW).await.is_err(), "never over an existing one");
    let repo = open(&Location::Path(path), dir.path()).await;
    let reference = "refs/heads/landscape/local";
    assert_eq!(repo.resolve(reference).await.expect("resolves"), Some(tip.clone()));
    let refused = repo.commit(reference, Some(&tip), changes(&[("x", Some("y"))]), message("Edit"), NOW).await;
    assert!(matches!(refused, Err(GitError::CheckedOut { .. })));
    let status = git::status_reference("local");
    repo.commit(&status, None, changes(&[("x", Some("y"))]), message("Status"), NOW).await.expect("another branch may move");
}

#[tokio::test]
async fn a_watch_signals_moved_references() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = local(dir.path()).await;
    let mut watch = repo.watch().await.expect("watches").expect("a local repository can be watched");
    repo.commit(MAIN, None, changes(&[("a", Some("1"))]), message("One"), NOW).await.expect("commits");
    watch.changed().await;
}

#[test]
fn locations_are_safe_or_refused() {
    for good in [
        "https://example.org/a.git",
        "ssh://git@example.org:22/a",
        "git@example.org:a/b.git",
        "file:///a",
        "http://127.0.0.1:8080/a",
    ] {
        assert!(good.parse::<Location>().expect(good).is_remote(), "{good}");
    }
    for path in ["/a/b", "../b", "./a:b", "."] {
        assert!(!path.parse::<Location>().expect(path).is_remote(), "{path}");
    }
    for bad in ["http://example.org/a", "git://example.org/a", "https://user:secret@example.org/a", "ftp://x/y", "https:///a"] {
        let error = bad.parse::<Location>().expect_err(bad);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn the_lock_that_a_killed_process_left_on_our_branch_is_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = local(dir.path()).await;
    let (ours, theirs) = (git::status_reference("local"), "refs/heads/elsewhere".to_owned());
    let lock = |reference: &str, age: u64| {
        let path = dir.path().join(format!("{reference}.lock"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let file = std::fs::File::create(&path).expect("written");
        let then = file.metadata().and_then(|m| m.modified()).expect("a time") - std::time::Duration::from_secs(age);
        file.set_modified(then).expect("set");
    };
    let files = || changes(&[("a", Some("1"))]);
    lock(&ours, 0);
    repo.commit(&ours, None, files(), message("Report"), NOW).await.expect_err("somebody is at it");
    lock(&ours, 60);
    repo.commit(&ours, None, files(), message("Report"), NOW).await.expect("nobody is");
    lock(&theirs, 60);
    repo.commit(&theirs, None, files(), message("Report"), NOW).await.expect_err("not ours to remove");
}

/// Runs the real program in a work tree; gives what it printed.
fn git(dir: &Path, args: &[&str]) -> (bool, String) {
    let output = std::process::Command::new("git")
        .args(["-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "core.autocrlf=false"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .current_dir(dir)
        .output()
        .expect("git can be started");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A work tree of the real program with one commit after another, each with these files.
fn history(dir: &Path, commits: &[&[(&str, Option<&str>)]]) -> Vec<Revision> {
    git(dir, &["init", "-q", "-b", "main"]);
    let commit = |(number, files): (usize, &&[(&str, Option<&str>)])| {
        for (path, text) in *files {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            match text {
                Some(text) => std::fs::write(path, text).expect("a file"),
                None => std::fs::remove_file(path).expect("a file"),
            }
        }
        git(dir, &["add", "-A"]);
        assert!(git(dir, &["commit", "-q", "-m", &format!("Change {number} of \"many\"")]).0);
        Revision(git(dir, &["rev-parse", "HEAD"]).1)
    };
    commits.iter().enumerate().map(commit).collect()
}

fn lines(changes: &[(usize, &str)]) -> String {
    let mut lines: Vec<String> = (0..20).map(|n| format!("line {n}")).collect();
    for (at, text) in changes {
        lines[*at] = (*text).to_owned();
    }
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn a_revert_is_the_one_that_git_makes() {
    let dir = tempfile::tempdir().expect("a folder");
    let (one, two, three) = (lines(&[]), lines(&[(2, "bad")]), lines(&[(2, "bad"), (15, "good")]));
    let commits = history(
        dir.path(),
        &[
            &[("a.yaml", Some(&one)), ("gone.yaml", Some("was\n")), ("old/name.yaml", Some(&one))],
            &[("a.yaml", Some(&two)), ("gone.yaml", None), ("new.yaml", Some("x\n")), ("old/name.yaml", Some(&two))],
            &[("a.yaml", Some(&three)), ("old/name.yaml", None), ("new/name.yaml", Some(&three))],
        ],
    );
    let repo = open(&Location::Path(dir.path().to_owned()), dir.path()).await;
    let tip = commits.last().expect("there is one");
    for bad in &commits[1..] {
        let log = repo.log(bad, None, 1).await.expect("walks");
        let made = repo.revert(bad, tip, git::revert_message(&log[0], Vec::new()), NOW).await.expect("reverts");
        let git::Reverted::Made(made) = made else { panic!("{made:?}") };
        assert_eq!(repo.resolve(MAIN).await.expect("resolves").as_ref(), Some(tip), "no reference moved");
        assert!(git(dir.path(), &["revert", "--no-edit", &bad.0]).0);
        let shown = |what: &str| git(dir.path(), &["rev-parse", what]).1;
        assert_eq!(shown("HEAD^{tree}"), shown(&format!("{made}^{{tree}}")), "the same tree as git's");
        let text = |what: &str| git(dir.path(), &["log", "-1", "--format=%B", what]).1;
        assert_eq!(text("HEAD"), text(&made.0));
        assert_eq!(shown(&format!("{made}^")), tip.0);
        git(dir.path(), &["reset", "-q", "--hard", &tip.0]);
    }
}

#[tokio::test]
async fn a_merge_is_taken_back_against_its_first_parent() {
    let dir = tempfile::tempdir().expect("a folder");
    let begin = history(dir.path(), &[&[("a.yaml", Some("1\n"))]]);
    git(dir.path(), &["switch", "-q", "-c", "side"]);
    history(dir.path(), &[&[("b.yaml", Some("2\n"))]]);
    git(dir.path(), &["switch", "-q", "main"]);
    history(dir.path(), &[&[("c.yaml", Some("3\n"))]]);
    assert!(git(dir.path(), &["merge", "-q", "--no-edit", "side"]).0);
    let repo = open(&Location::Path(dir.path().to_owned()), dir.path()).await;
    let tip = repo.resolve(MAIN).await.expect("resolves").expect("there");
    let log = repo.log(&tip, None, 1).await.expect("walks");
    let made = repo.revert(&tip, &tip, git::revert_message(&log[0], Vec::new()), NOW).await.expect("reverts");
    let git::Reverted::Made(made) = made else { panic!("{made:?}") };
    assert!(git(dir.path(), &["revert", "--no-edit", "-m", "1", "HEAD"]).0);
    let shown = |what: &str| git(dir.path(), &["rev-parse", what]).1;
    assert_eq!(shown("HEAD^{tree}"), shown(&format!("{made}^{{tree}}")));
    let text = |what: &str| git(dir.path(), &["log", "-1", "--format=%B", what]).1;
    assert_eq!(text("HEAD"), text(&made.0));

    // What is undone already is nothing to undo; where the folder stood before is found again.
    git(dir.path(), &["reset", "-q", "--hard", &made.0]);
    let again = repo.revert(&tip, &made, message("Again"), NOW).await.expect("reverts");
    assert_eq!(again, git::Reverted::Nothing);
    let before = repo.same_as(&made, &tip, "", 10).await.expect("walks").expect("it was so before");
    assert_eq!(shown(&format!("{before}^")), begin[0].0);
    assert_eq!(repo.same_as(&made, &tip, "", 1).await.expect("walks"), None, "only so far back");
}

#[tokio::test]
async fn conflicts_of_a_revert_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let commits = history(
        dir.path(),
        &[
            &[("a.yaml", Some("1\n")), ("b.yaml", Some("1\n"))],
            &[("a.yaml", Some("2\n")), ("b.yaml", Some("2\n"))],
            &[("a.yaml", Some("3\n"))],
        ],
    );
    let repo = open(&Location::Path(dir.path().to_owned()), dir.path()).await;
    let made = repo.revert(&commits[1], &commits[2], message("Revert"), NOW).await.expect("is answered");
    assert_eq!(made, git::Reverted::Conflicts(vec!["a.yaml".into()]));
}

#[tokio::test]
async fn what_was_made_is_published_by_compare_and_swap_and_never_backwards() {
    let dir = tempfile::tempdir().expect("a folder");
    let (a, b) = remote(dir.path()).await;
    let one = a.commit(MAIN, None, changes(&[("a", Some("1")), ("b", Some("1"))]), message("One"), NOW).await.expect("pushes");
    let two = a.commit(MAIN, Some(&one), changes(&[("a", Some("2")), ("b", None)]), message("Two"), NOW).await.expect("pushes");
    let wanted = git::Restore { paths: ["b".into()].into(), changes: changes(&[("c", Some("new"))]) };
    let three = a.restore(&two, &one, wanted.clone(), message("Three"), NOW).await.expect("commits").expect("it differs");
    assert_eq!(a.restore(&three, &one, wanted, message("Again"), NOW).await.expect("commits"), None);
    let files = a.snapshot(&three, "").await.expect("reads").files;
    let text = |path: &str| String::from_utf8(files[path].bytes.to_vec()).expect("text");
    assert_eq!((text("a"), text("b"), text("c")), ("2".into(), "1".into(), "new".into()));

    let raced = a.publish(MAIN, Some(&one), &three, "late").await;
    assert!(matches!(raced, Err(GitError::Raced { .. })), "{raced:?}");
    let backwards = a.publish(MAIN, Some(&two), &one, "back").await;
    assert!(matches!(backwards, Err(GitError::Raced { .. })), "{backwards:?}");
    a.publish("refs/heads/revert/x", None, &three, "proposed").await.expect("pushes");
    let twice = a.publish("refs/heads/revert/x", None, &three, "proposed").await;
    assert!(matches!(twice, Err(GitError::Raced { .. })), "{twice:?}");
    a.publish(MAIN, Some(&two), &three, "on").await.expect("pushes");
    b.fetch().await.expect("fetches");
    assert_eq!(b.resolve(MAIN).await.expect("resolves"), Some(three.clone()));
    assert_eq!(b.resolve("refs/heads/revert/x").await.expect("resolves"), Some(three));
}
