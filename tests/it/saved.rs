//! Saved plans: carried out once, while everything that they were made from is as it was; and the status says which was.

use std::fs;

use serde_json::Value;

use crate::cli::{edit, git, repository, run};

#[test]
fn a_saved_plan_is_carried_out_only_while_it_is_true() {
    let dir = repository();
    let at = dir.path();
    // One shoot is enough.
    for gone in ["lab/shoots/api.yaml", "lab/shoots/dual.yaml", "lab/shoots/farm.yaml", "lab/shoots/winter.yaml"] {
        fs::remove_file(at.join("projects").join(gone)).expect("a file");
    }
    for gone in ["shop/shoots/pay.yaml", "shop/shoots/store.yaml"] {
        fs::remove_file(at.join("projects").join(gone)).expect("a file");
    }
    git(at, &["commit", "-q", "-am", "One shoot"]);
    let saved = |from: &str, file: &str| {
        let ran = run(at, &["plan", "--from", from, "--to", "HEAD", "--out", file]);
        assert!(at.join(file).exists(), "{}{}", ran.out, ran.err);
    };
    let state = tempfile::tempdir().expect("a folder");
    let state = state.path().to_str().expect("UTF-8");
    let apply = |file: &str| run(at, &["apply", file, "--sim", "--state-dir", state, "--yes"]);

    saved("HEAD~1", "first.json");
    let ran = apply("first.json");
    assert_eq!(ran.code, 3, "nothing was reconciled: {}{}", ran.out, ran.err);
    let once = run(at, &["run", "--landscape", "local", "--sim", "--once", "--state-dir", state]);
    assert_eq!(once.code, 0, "{}{}", once.out, once.err);

    edit(at, "projects/shop/shoots/mini.yaml", "maximum: 1", "maximum: 3");
    git(at, &["commit", "-q", "-am", "Room to grow"]);
    saved("HEAD~1", "plan.json");
    let plan: Value = serde_json::from_slice(&fs::read(at.join("plan.json")).expect("a file")).expect("JSON");
    assert_eq!(plan["pins"]["to"].as_str().map(str::len), Some(40), "{plan}");
    let shown = run(at, &["apply", "plan.json", "--sim", "--state-dir", state]);
    assert_eq!(shown.code, 3, "without --yes nothing is done: {}", shown.err);
    assert!(shown.out.contains("1 → 3"), "{}", shown.out);

    let text = fs::read_to_string(at.join("plan.json")).expect("a file");
    let digest = plan["digest"].as_str().expect("it changes something");
    fs::write(at.join("forged.json"), text.replace(digest, &"0".repeat(64))).expect("a file");
    assert_eq!(apply("forged.json").code, 3, "a plan that says something else");
    let policies = plan["pins"]["policies"].as_str().expect("a digest");
    fs::write(at.join("judged.json"), text.replace(policies, &"0".repeat(64))).expect("a file");
    let ran = apply("judged.json");
    assert!(ran.code == 3 && ran.err.contains("policies"), "other policies: {}", ran.err);

    let ran = apply("plan.json");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let log =
        std::process::Command::new("git").args(["log", "-1", "--format=%B", "espalier/status/local"]).current_dir(at).output();
    let log = String::from_utf8(log.expect("git can be started").stdout).expect("UTF-8");
    assert!(log.contains(&format!("Plan-Digest: {digest}")), "the daemon did what was planned: {log}");
    let ran = apply("plan.json");
    assert!(ran.code == 0 && ran.err.contains("reconciled already"), "{}", ran.err);

    edit(at, "projects/shop/shoots/mini.yaml", "maximum: 3", "maximum: 4");
    git(at, &["commit", "-q", "-am", "More room"]);
    saved("HEAD~1", "late.json");
    edit(at, "projects/shop/shoots/mini.yaml", "maximum: 4", "maximum: 5");
    git(at, &["commit", "-q", "-am", "Even more"]);
    let ran = apply("late.json");
    assert!(ran.code == 3 && ran.err.contains("is at"), "the branch went on: {}", ran.err);
    saved("HEAD~1", "between.json");
    let ran = apply("between.json");
    assert!(ran.code == 3 && ran.err.contains("was reconciled last"), "not from what is: {}", ran.err);
    assert_eq!(apply("projects/shop/project.yaml").code, 2, "no plan");
    let ran = run(at, &["plan", "--out", "work.json"]);
    assert!(ran.code == 2 && !at.join("work.json").exists(), "files in no commit: {}", ran.err);
}
