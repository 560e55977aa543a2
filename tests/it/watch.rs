//! `plan --watch`: after every change it says what a plan from nothing says, and looks at no more than what changed.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::cli::{edit, git, repository, run};

/// A running watch, ended with the test.
struct Watched<'a> {
    dir: &'a Path,
    log: tempfile::NamedTempFile,
    child: Child,
    plans: mpsc::Receiver<Value>,
}

impl<'a> Watched<'a> {
    fn start(dir: &'a Path, args: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_espalier"))
            .env_clear()
            .env("HOME", dir)
            .env("ESPALIER_NOW", "2026-11-21T09:00:00Z")
            .env("ESPALIER_LOG", "espalier=debug")
            .current_dir(dir)
            .args(["plan", "--watch", "-o", "json"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log.path()).expect("a file"))
            .spawn()
            .expect("the program can be started");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, plans) = mpsc::channel();
        std::thread::spawn(move || {
            for plan in serde_json::Deserializer::from_reader(out).into_iter().map_while(Result::ok) {
                if sender.send(plan).is_err() {
                    break;
                }
            }
        });
        Self { dir, log, child, plans }
    }

    /// The next plan, which is what a plan from nothing says.
    fn next(&self, args: &[&str], after: &str) -> Value {
        let watched = self.plans.recv_timeout(Duration::from_mins(2));
        let watched = watched.unwrap_or_else(|_| panic!("no plan after {after}: {}", self.said()));
        let ran = run(self.dir, &[&["plan", "-o", "json"], args].concat());
        let cold: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}{}", ran.out, ran.err));
        let shown = |plan: &Value| serde_json::to_string_pretty(plan).expect("JSON");
        let difference = similar::TextDiff::from_lines(shown(&cold), shown(&watched)).unified_diff().to_string();
        assert!(cold == watched, "after {after}:\n{difference}");
        watched
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("a file")
    }

    /// How many plans came without looking at the whole landscape.
    fn quick(&self) -> usize {
        self.said().matches("compared quickly").count()
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Puts a file in its place in one step, as editors do.
fn put(dir: &Path, path: &str, text: &str) {
    let beside = dir.join("written.tmp");
    std::fs::write(&beside, text).expect("a file");
    std::fs::rename(beside, dir.join(path)).expect("a file");
}

fn changed(dir: &Path, path: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(dir.join(path)).expect("a file");
    assert!(text.contains(from), "{path} has no `{from}`");
    put(dir, path, &text.replacen(from, to, 1));
}

const STORE: &str = "projects/shop/shoots/store.yaml";
const MINI: &str = "projects/shop/shoots/mini.yaml";

#[test]
fn files_are_followed() {
    let dir = repository();
    let dir = dir.path();
    let watched = Watched::start(dir, &[]);
    assert_eq!(watched.next(&[], "the start")["changes"], Value::Null);
    // Documents of shoots: a value, another one beside it, a mistake, a comment above it, what admission refuses, and back.
    let steps = [
        (STORE, "maximum: 6", "maximum: 9"),
        (MINI, "m6i.large", "m6i.xlarge"),
        (STORE, "version: 1.34.2 ", "version: 1.33.9 "),
        (STORE, "apiVersion:", "# of the shop\napiVersion:"),
        (STORE, "version: 1.33.9 ", "version: 1.34.6 "),
        (MINI, "m6i.xlarge", "m6i.none"),
        (MINI, "m6i.none", "m6i.large"),
        (STORE, "maximum: 9", "maximum: 6"),
    ];
    let mut quick = 0;
    for (path, from, to) in steps {
        changed(dir, path, from, to);
        watched.next(&[], &format!("`{from}` became `{to}`"));
        quick += 1;
        assert_eq!(watched.quick(), quick, "{path} is looked at alone: {}", watched.said());
    }
    // What concerns more than some shoots is looked at as a whole.
    changed(dir, "cloudprofiles/aws.yaml", "name: m6i.large", "name: m6i.tiny");
    watched.next(&[], "another cloud profile");
    changed(dir, MINI, "kind: Shoot", "kind: Shot");
    watched.next(&[], "a document of no kind");
    changed(dir, MINI, "kind: Shot", "kind: Shoot");
    watched.next(&[], "its kind is back");
    let farm = std::fs::read_to_string(dir.join("projects/lab/shoots/farm.yaml")).expect("a file");
    std::fs::remove_file(dir.join("projects/lab/shoots/farm.yaml")).expect("a file");
    watched.next(&[], "a file is gone");
    put(dir, "projects/lab/shoots/farm.yaml", &farm);
    watched.next(&[], "it is back");
    changed(dir, "cloudprofiles/aws.yaml", "name: m6i.tiny", "name: m6i.large");
    watched.next(&[], "the cloud profile as it was");
    assert_eq!(watched.quick(), quick);
    changed(dir, MINI, "maximum: 1", "maximum: 3");
    watched.next(&[], "a value again");
    assert_eq!(watched.quick(), quick + 1);
}

#[test]
fn revisions_are_followed() {
    let dir = repository();
    let dir = dir.path();
    git(dir, &["branch", "next"]);
    let args = ["--from", "landscape/local", "--to", "next"];
    let watched = Watched::start(dir, &args);
    watched.next(&args, "the start");
    git(dir, &["worktree", "add", "-q", "wt", "next"]);
    let next = dir.join("wt");
    let commit = |from: &str, to: &str| {
        edit(&next, STORE, from, to);
        git(&next, &["commit", "-qam", to]);
    };
    commit("maximum: 6", "maximum: 9");
    let plan = watched.next(&args, "a commit");
    assert_eq!(plan["commits"], 1, "{plan}");
    commit("version: 1.34.2 ", "version: 1.34.6 ");
    assert_eq!(watched.next(&args, "another commit")["commits"], 2);
    assert_eq!(watched.quick(), 2, "{}", watched.said());
    // The side before moves: everything is looked at anew.
    edit(dir, MINI, "maximum: 1", "maximum: 3");
    git(dir, &["commit", "-qam", "More of mini"]);
    watched.next(&args, "a commit before");
    assert_eq!(watched.quick(), 2, "{}", watched.said());
}

#[test]
fn what_it_cannot_compare_with_is_said() {
    let dir = repository();
    let ran = run(dir.path(), &["plan", "--watch", "--from", "WORKTREE"]);
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("say --from REV"), "{}", ran.err);
    let ran = run(dir.path(), &["plan", "--watch", "--exit-code"]);
    assert_eq!(ran.code, 64, "{}{}", ran.out, ran.err);
}
