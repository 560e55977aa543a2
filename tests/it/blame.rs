//! `blame` and `plan --blame`: who gave a field its value.

use std::path::Path;

use serde_json::{Value, json};

use super::cli::{edit, git, json, repository, run};
use super::history::commit;
use super::schemas::conforms;

const STORE: &str = "projects/shop/shoots/store.yaml";
const MOVED: &str = "projects/shop/shoots/east/store.yaml";

fn blame(dir: &Path, args: &[&str]) -> Value {
    let all: Vec<&str> = ["blame"].into_iter().chain(args.iter().copied()).chain(["-o", "json"]).collect();
    let ran = run(dir, &all);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let answer = json(&ran);
    conforms("blame", &answer);
    answer
}

fn field<'v>(answer: &'v Value, name: &str) -> &'v Value {
    let fields = answer["fields"].as_array().expect("fields");
    fields.iter().find(|field| field["field"] == name).unwrap_or_else(|| panic!("{name} is not in {answer:#}"))
}

#[test]
fn each_field_is_told_with_who_set_it_last() {
    let dir = repository();
    let at = dir.path();
    let first = super::history::said(at, &["rev-parse", "HEAD"]);
    edit(at, STORE, "version: 1.34.2 ", "version: 1.34.6 ");
    let update = commit(at, "Update the store");
    edit(at, STORE, "maximum: 6", "maximum: 7");
    commit(at, "Room for the site");
    edit(at, STORE, "maximum: 7", "maximum: 6");
    let less = commit(at, "Less room");
    // The pools change places, and the file its name; nothing of what it says is new.
    let text = std::fs::read_to_string(at.join(STORE)).expect("a file");
    let (head, rest) = text.split_once("      - name: site\n").expect("the first pool");
    let (site, rest) = rest.split_once("      - name: jobs\n").expect("the second pool");
    let (jobs, tail) = rest.split_once("  maintenance:\n").expect("what follows");
    let swapped = format!("{head}      - name: jobs\n{jobs}      - name: site\n{site}  maintenance:\n{tail}");
    std::fs::write(at.join(STORE), swapped).expect("a file");
    std::fs::create_dir_all(at.join("projects/shop/shoots/east")).expect("a folder");
    git(at, &["mv", STORE, MOVED]);
    commit(at, "Move the store");

    let answer = blame(at, &["shop/store"]);
    assert_eq!((&answer["path"], &answer["bounded"]), (&json!(MOVED), &Value::Null));
    let by = |name: &str| field(&answer, name)["set"]["commit"].clone();
    assert_eq!(by("kubernetes.version"), update.as_str());
    assert_eq!(by("provider.workers[site].maximum"), less.as_str(), "who brought the value back set it");
    assert_eq!(by("provider.workers[jobs].maximum"), first.as_str());
    assert_eq!(by("region"), first.as_str());
    assert_eq!(field(&answer, "kubernetes.version")["at"], format!("{MOVED}:20:14"));
    assert_eq!(field(&answer, "kubernetes.version")["set"]["author"], "alice");
    let default = field(&answer, "kubernetes.kubeProxy.mode");
    assert_eq!((&default["set"], &default["at"]), (&json!({ "by": "default" }), &Value::Null), "{default}");

    let text = run(at, &["blame", "shop/store", "kubernetes.version"]).out;
    let row =
        text.lines().find(|line| line.ends_with("   20:14   kubernetes.version: 1.34.6")).unwrap_or_else(|| panic!("{text}"));
    assert!(row.starts_with(&format!("{}   alice    20", &update[..7])), "{text}");
    assert!(run(at, &["blame", "shop/store", "kubernetes.kubeProxy"]).out.contains("default"), "{text}");
    let written = blame(at, &["shop/store", "spec.kubernetes", "--no-defaults"]);
    assert_eq!(written["fields"].as_array().map(Vec::len), Some(1), "{written:#}");
    let pool = blame(at, &["shop/store", "provider.workers[site]", "--no-defaults"]);
    assert!(
        pool["fields"]
            .as_array()
            .expect("fields")
            .iter()
            .all(|f| f["field"].as_str().is_some_and(|f| f.starts_with("provider.workers[site]")))
    );
    assert_eq!(blame(at, &["shop/store", "/spec/region"])["fields"].as_array().map(Vec::len), Some(1));

    edit(at, MOVED, "region: eu-west-1", "region: us-east-1");
    let answer = blame(at, &["shop/store", "region"]);
    assert_eq!(field(&answer, "region")["set"], json!({ "by": "uncommitted" }));
    let answer = blame(at, &["shop/store", "region", "--rev", "HEAD"]);
    assert_eq!(field(&answer, "region")["set"]["commit"], first.as_str());
}

#[test]
fn one_object_and_one_field_that_are_there() {
    let dir = repository();
    let at = dir.path();
    let ran = run(at, &["blame", "shop/store", "kubernetes.versoin"]);
    assert!(ran.code == 2 && ran.err.contains("did you mean `kubernetes.version`?"), "{}", ran.err);
    let ran = run(at, &["blame", "shop/stroe"]);
    assert!(ran.code == 2 && ran.err.contains("did you mean `shop/store`?"), "{}", ran.err);
    let ran = run(at, &["blame", "shop/*"]);
    assert!(ran.code == 2 && ran.err.contains("name one"), "{}", ran.err);
    assert_eq!(run(at, &["blame"]).code, 64);
}

#[test]
fn a_clone_that_is_cut_off_says_so() {
    let dir = repository();
    let at = dir.path();
    edit(at, STORE, "maximum: 6", "maximum: 7");
    commit(at, "Room for the site");
    let shallow = tempfile::tempdir().expect("a folder");
    let url = format!("file://{}", at.display());
    git(shallow.path(), &["clone", "-q", "--depth", "1", "--branch", "landscape/local", &url, "."]);
    // All that such a clone knows is its one commit.
    let answer = blame(shallow.path(), &["shop/store", "provider.workers[site].maximum"]);
    let set = field(&answer, "provider.workers[site].maximum")["set"].clone();
    assert!(set["subject"] == "Room for the site" || set["by"] == "older", "{set}");
}

#[test]
fn a_plan_says_who_set_both_values_if_it_is_asked() {
    let dir = repository();
    let at = dir.path();
    let first = super::history::said(at, &["rev-parse", "HEAD"]);
    edit(at, STORE, "maximum: 6", "maximum: 7");
    let room = commit(at, "Room for the site");
    edit(at, STORE, "maximum: 7", "maximum: 8");
    edit(at, STORE, "  purpose: production\n", "");
    let more = commit(at, "More room");
    let plan = ["plan", "--from", "HEAD~1", "--to", "HEAD"];
    let plain = run(at, &[&plan[..], &["-o", "json"]].concat());
    assert!(!plain.out.contains("\"set\""), "{}", plain.out);
    let asked = run(at, &[&plan[..], &["--blame", "-o", "json"]].concat());
    let answer = json(&asked);
    conforms("plan", &answer);
    let mut without = answer.clone();
    for change in without["objects"][0]["changes"].as_array_mut().expect("changes") {
        assert!(change.as_object_mut().expect("a change").remove("set").is_some());
    }
    assert_eq!(without, json(&plain), "nothing else differs");
    let set = |name: &str| {
        let changes = answer["objects"][0]["changes"].as_array().expect("changes");
        let change = changes.iter().find(|change| change["field"] == name);
        change.unwrap_or_else(|| panic!("{name} is not in {changes:#?}"))["set"].clone()
    };
    let maximum = set("provider.workers[site].maximum");
    assert_eq!((&maximum["before"]["commit"], &maximum["after"]["commit"]), (&json!(room), &json!(more)));
    assert_eq!(set("purpose")["before"]["commit"], first.as_str());
    assert_eq!(set("purpose")["after"], json!({ "by": "default" }));

    let text = run(at, &[&plan[..], &["--blame"]].concat()).out;
    assert!(
        text.contains(&format!("old: {}, alice, ", &room[..7])) && text.contains(&format!("new: {}, alice, ", &more[..7])),
        "{text}"
    );
    edit(at, STORE, "maximum: 8", "maximum: 9");
    let text = run(at, &["plan", "--blame"]).out;
    assert!(text.contains("new: in no commit yet"), "{text}");
    assert_eq!(run(at, &["plan", "--blame", "--impact-only"]).code, 64);
}
