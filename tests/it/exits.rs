//! Exit codes: one case for each row of the table (`ux/cli` §5).

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::cli::{edit, git, json, report, repository, run};
use crate::schemas::conforms;

fn code(dir: &Path, args: &[&str]) -> i32 {
    run(dir, args).code
}

#[test]
fn answers_and_refusals() {
    let dir = repository();
    let at = dir.path();
    assert_eq!(code(at, &["plan", "--exit-code"]), 0, "nothing to report");
    edit(at, "projects/shop/shoots/store.yaml", "maximum: 6", "maximum: 7");
    assert_eq!(code(at, &["plan"]), 0, "done");
    assert_eq!(code(at, &["plan", "--exit-code"]), 1, "there is something");
    assert_eq!(code(at, &["plan", "--detailed-exitcode"]), 2, "there is something, as Terraform says it");
    assert_eq!(code(at, &["plan", "--from", "nowhere"]), 2, "it cannot be answered");
    assert_eq!(code(at, &["plan", "--from", "nowhere", "--detailed-exitcode"]), 1, "it cannot be answered, as Terraform says it");
    assert_eq!(code(at, &["plan", "--fail-on", "scales"]), 3, "refused by a guard");
    edit(at, "projects/shop/shoots/store.yaml", "type: calico", "type: flannel");
    assert_eq!(code(at, &["plan"]), 3, "refused by the rules");
    assert_eq!(code(at, &["plan", "--form", "HEAD"]), 64, "a mistyped flag is not `there are changes`");
}

#[test]
fn waiting_times_out_and_ends_with_what_was_reported() {
    let dir = repository();
    let at = dir.path();
    assert_eq!(code(at, &["wait", "--timeout", "0s"]), 4, "nothing was reported");
    assert_eq!(code(at, &["wait", "shop/nobody"]), 2, "nobody has this name");
    let status = |standing: &str| format!("for: Shoot shop/store\nstanding: {standing}\n");
    let ready = status("ready");
    report(at, [("projects/shop/shoots/store.status.yaml", ready.as_str())].into());
    assert_eq!(code(at, &["wait", "shop/store"]), 0);
    for args in [&["wait", "shop/store", "-o", "json"][..], &["wait", "--timeout", "0s", "-o", "json"]] {
        conforms("wait", &json(&run(at, args)));
    }
    assert_eq!(code(at, &["wait", "--for", "reconciled"]), 0);
    assert_eq!(code(at, &["wait", "shop/*", "--timeout", "0s"]), 4, "the others are not ready");
    let held = status("held");
    report(at, [("projects/shop/shoots/store.status.yaml", held.as_str())].into());
    assert_eq!(code(at, &["wait", "shop/store"]), 1, "only another commit mends it");
    edit(at, "projects/shop/shoots/store.yaml", "maximum: 6", "maximum: 7");
    git(at, &["commit", "-q", "-am", "Not reconciled yet"]);
    assert_eq!(code(at, &["wait", "shop/store", "--timeout", "0s"]), 4, "what was reported is about another commit");
}

/// Starts the program and waits until it says something.
fn started(dir: &Path, args: &[&str]) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_espalier"))
        .env_clear()
        .env("HOME", dir)
        .current_dir(dir)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().expect("a pipe")).read_line(&mut line).expect("it says something");
    assert!(!line.is_empty());
    child
}

#[test]
fn whoever_is_interrupted_says_so() {
    for (signal, expected) in [("INT", 130), ("TERM", 143)] {
        let dir = repository();
        let mut child = started(dir.path(), &["wait"]);
        let sent =
            Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().expect("kill can be started");
        assert!(sent.success());
        assert_eq!(child.wait().expect("it ends").code(), Some(expected), "{signal}");
    }
}
