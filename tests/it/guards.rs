//! What a plan refuses as a whole, by the guards of the revision before; and where it is compared with.

use std::path::Path;

use serde_json::Value;

use crate::cli::{edit, git, repository, run};

const STORE: &str = "projects/shop/shoots/store.yaml";

fn commit(dir: &Path, message: &str) {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "-m", message]);
}

#[test]
fn what_is_one_way_is_acknowledged_or_refused() {
    let dir = repository();
    let at = dir.path();
    edit(at, "landscape.yaml", "maxDeletions: 2", "acknowledge: [one-way]\n    maxDeletions: 2");
    commit(at, "Ask before what cannot be taken back");
    edit(at, STORE, "version: 1.34.2 ", "version: 1.34.6 ");
    // The change loosens what judges it: in vain.
    edit(at, "landscape.yaml", "acknowledge: [one-way]", "acknowledge: []");
    commit(at, "Update the store");
    let plan = ["plan", "--from", "HEAD~1", "--to", "HEAD"];
    let ran = run(at, &plan);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    let said = "✗ guards.acknowledge: one-way is not acknowledged for shop/store\n    say `Acknowledged: one-way shop/store`";
    assert!(ran.out.contains(said), "{}", ran.out);
    let ran = run(at, &[&plan[..], &["-o", "json"]].concat());
    let json: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(json["guards"][0]["owners"][0]["name"], "store", "{json}");
    let ran = run(at, &[&plan[..], &["-o", "md"]].concat());
    assert!(ran.out.contains("**refused**: one-way is not acknowledged"), "{}", ran.out);

    git(at, &["commit", "-q", "--amend", "-m", "Update the store\n\nAcknowledged: one-way shop/pay"]);
    assert_eq!(run(at, &plan).code, 3, "another shoot's");
    git(at, &["commit", "-q", "--amend", "-m", "Update the store\n\nAcknowledged: one-way shop/store"]);
    let ran = run(at, &plan);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn no_more_shoots_change_at_once_than_was_said_before() {
    let dir = repository();
    let at = dir.path();
    edit(at, "landscape.yaml", "maxDeletions: 2", "maxChanged: 1\n    maxDeletions: 2");
    commit(at, "Small steps");
    edit(at, STORE, "maximum: 6", "maximum: 7");
    commit(at, "Room for the site");
    assert_eq!(run(at, &["plan", "--from", "HEAD~1", "--to", "HEAD"]).code, 0);
    edit(at, "projects/shop/shoots/mini.yaml", "maximum: 1", "maximum: 2");
    commit(at, "And for the small one");
    let ran = run(at, &["plan", "--from", "HEAD~2", "--to", "HEAD"]);
    assert_eq!(ran.code, 3, "{}", ran.out);
    assert!(ran.out.contains("✗ guards.maxChanged: 2 shoots change at once, 1 may"), "{}", ran.out);
    let brief = run(at, &["plan", "--from", "HEAD~2", "--to", "HEAD", "--impact-only"]);
    let lines: Vec<&str> = brief.out.lines().map(str::trim_end).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines.iter().all(|line| line.contains("update") && line.contains("scales") && line.contains("revert clean")),
        "{lines:?}"
    );
    edit(at, "landscape.yaml", "maxChanged: 1", "maxChanged: many");
    assert_eq!(run(at, &["validate"]).code, 1, "a limit is a number");
}

#[test]
fn a_change_is_compared_with_where_it_began() {
    let dir = repository();
    let at = dir.path();
    git(at, &["switch", "-q", "-c", "work"]);
    edit(at, STORE, "maximum: 6", "maximum: 7");
    commit(at, "Room for the site");
    git(at, &["switch", "-q", "landscape/local"]);
    edit(at, "projects/shop/shoots/mini.yaml", "maximum: 1", "maximum: 2");
    commit(at, "Meanwhile");
    let both = run(at, &["plan", "--from", "landscape/local", "--to", "work", "--impact-only"]);
    assert!(both.out.contains("shoot.shop.store") && both.out.contains("shoot.shop.mini"), "{}", both.out);
    let ran = run(at, &["plan", "--from", "landscape/local...work", "--impact-only"]);
    assert!(ran.out.contains("shoot.shop.store") && !ran.out.contains("shoot.shop.mini"), "{}{}", ran.out, ran.err);

    git(at, &["switch", "-q", "--orphan", "elsewhere"]);
    git(at, &["commit", "-q", "--allow-empty", "-m", "Nothing in common"]);
    let ran = run(at, &["plan", "--from", "landscape/local...elsewhere"]);
    assert!(ran.code == 2 && ran.err.contains("have no commit in common"), "{}", ran.err);
    let ran = run(at, &["plan", "--from", "landscape/local", "--to", "elsewhere"]);
    assert!(ran.code == 2 && ran.err.contains("there is no landscape"), "{}", ran.err);
    let ran = run(at, &["plan", "--from", "nowhere", "--to", "work"]);
    assert!(ran.code == 2 && ran.err.contains("there is no revision `nowhere`") && !ran.err.contains("unshallow"), "{}", ran.err);

    let shallow = tempfile::tempdir().expect("a folder");
    let url = format!("file://{}", at.display());
    git(shallow.path(), &["clone", "-q", "--depth", "1", "--branch", "landscape/local", &url, "."]);
    let ran = run(shallow.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD"]);
    assert!(ran.code == 2 && ran.err.contains("git fetch --unshallow"), "{}", ran.err);
}

#[test]
fn every_manifest_can_be_named() {
    let dir = repository();
    let at = dir.path();
    edit(at, STORE, "maximum: 6", "maximum: 7");
    let ran = run(at, &["plan", "--objects"]);
    assert!(ran.out.contains("worker in seed-aws-eu1:"), "{}", ran.out);
    assert!(ran.out.contains("~ Worker shoot--shop--store/store"), "{}", ran.out);
}

#[test]
fn what_follows_for_others_is_told_with_its_cost() {
    let dir = repository();
    let at = dir.path();
    let images = "  engine: espalier\n  images:\n    kube-scheduler: registry.example.org/kube-scheduler:v1.34.2";
    edit(at, "landscape.yaml", "  engine: espalier", images);
    let ran = run(at, &["plan", "--exit-code"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("as it was in Git; what it is rendered from changed"), "{}", ran.out);
    assert!(ran.out.contains("restarts-control-plane (likely): a deployment of the control plane rolls"), "{}", ran.out);
}

#[test]
fn a_landscape_file_that_nobody_can_read_changes_nothing_else() {
    let dir = repository();
    let at = dir.path();
    std::fs::write(at.join("landscape.yaml"), "a: [\n").expect("a file");
    let ran = run(at, &["plan"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("Rendered anew: 0 owners, 0 manifests touched"), "{}", ran.out);
    std::fs::remove_file(at.join("landscape.yaml")).expect("it is there");
    let ran = run(at, &["plan"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("Rendered anew: 0 owners, 0 manifests touched"), "{}", ran.out);
    assert!(ran.out.contains("LANDSCAPE-GONE"), "{}", ran.out);
    git(at, &["checkout", "-q", "landscape.yaml"]);
    edit(at, "landscape.yaml", "  name: local\n", "  name: other\n");
    let ran = run(at, &["plan"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("Rendered anew: 0 owners, 0 manifests touched"), "{}", ran.out);
    assert!(ran.out.contains("the landscape is called `local`, and `other` would be another one"), "{}", ran.out);
}
