//! The program, killed without warning at ten moments of a creation.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn demo(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_espalier"));
    command.args(["demo", "--speed", "none", "--dir"]).arg(dir).stdin(Stdio::null());
    command
}

/// Runs until it has said so many lines of progress, then kills it; says whether it came to that.
fn killed_after(dir: &Path, lines: usize) -> bool {
    let mut child = demo(dir).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let said = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok).take(lines).count();
    let alive = said == lines && child.try_wait().expect("a child").is_none();
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    alive
}

/// The tips of all status branches.
fn status(dir: &Path) -> Vec<String> {
    let repo = git2::Repository::open(dir.join("repo")).expect("a repository");
    let found = repo.references_glob("refs/heads/espalier/status/*").expect("references");
    found.map(|r| r.expect("a reference").target().expect("a commit").to_string()).collect()
}

#[test]
fn a_demo_killed_ten_times_still_comes_to_its_end() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    // The first ten lines or so of each life are its first picture.
    let moments = [1, 2, 4, 8, 11, 12, 13, 14, 15, 16];
    let killed = moments.iter().filter(|lines| killed_after(dir.path(), **lines)).count();
    assert_eq!(killed, moments.len(), "it was killed while it worked");

    let ended = demo(dir.path()).output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{:?}\n{out}\n{err}", ended.status);
    assert_eq!(out.lines().filter(|l| l.contains(" ready ") && l.contains("100%")).count(), 7, "{out}");
    let tips = status(dir.path());
    assert_eq!(tips.len(), 1, "one status branch");

    // Nothing is left to do; and even the most talkative log shows no secret.
    let again = demo(dir.path()).args(["-vvv"]).output().expect("it runs");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(status(dir.path()), tips, "no new status commit");
    for text in [ended.stdout, ended.stderr, again.stdout, again.stderr] {
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("PRIVATE KEY") && !text.contains("opens-nothing"), "a secret is shown:\n{text}");
    }
}
