//! Golden output of the real program: the `validate` sample in every format, and admitted objects with their defaults marked.
//!
//! What is expected lies in `tests/golden`. With `ESPALIER_GOLDEN=write` it is written anew, to be read before it is committed.

#![expect(clippy::disallowed_methods, reason = "a test has no configuration")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares with a golden file, or writes it.
pub(crate) fn compare(name: &str, got: &str) {
    let path = golden().join(name);
    if std::env::var("ESPALIER_GOLDEN").is_ok_and(|word| word == "write") {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, got).expect("a file");
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(want, got, "{name} differs; ESPALIER_GOLDEN=write writes it anew");
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}

/// Commits everything as somebody on a day.
pub(crate) fn commit(dir: &Path, who: &str, day: &str, message: &str) {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "core.autocrlf=false", "-c", "commit.gpgsign=false"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_AUTHOR_NAME", who)
            .env("GIT_AUTHOR_EMAIL", format!("{who}@example.org"))
            .env("GIT_COMMITTER_NAME", who)
            .env("GIT_COMMITTER_EMAIL", format!("{who}@example.org"))
            .env("GIT_AUTHOR_DATE", format!("{day}T10:00:00Z"))
            .env("GIT_COMMITTER_DATE", format!("{day}T10:00:00Z"))
            .current_dir(dir)
            .output()
            .expect("git can be started");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    if !dir.join(".git").exists() {
        git(&["init", "-q", "-b", "live"]);
    }
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", message]);
}

/// Exit code and output of the program in a folder: results first, then messages.
fn run(dir: &Path, args: &[&str]) -> (i32, String) {
    let ran = super::cli::run(dir, args);
    (ran.code, ran.out + &ran.err)
}

/// `in 0.3 s.` → `in N s.`
fn masked(text: &str) -> String {
    let is_time = |word: &str| word.parse::<f64>().is_ok() && word.contains('.');
    let words = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let mask = |(i, word): (usize, &&str)| {
            let timed = is_time(word) && i > 0 && words[i - 1] == "in" && words.get(i + 1) == Some(&"s.");
            if timed { "N".to_owned() } else { (*word).to_owned() }
        };
        words.iter().enumerate().map(mask).collect::<Vec<_>>().join(" ")
    };
    text.split('\n').map(words).collect::<Vec<_>>().join("\n")
}

/// The landscape `before`, committed by alice, then touched by bob; `after` lies over it, uncommitted.
fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&golden().join("validate/before"), dir.path());
    commit(dir.path(), "alice", "2025-03-02", "Describe the landscape");
    let shoot = dir.path().join("projects/team-a/shoots/prod-eu1.yaml");
    let text = fs::read_to_string(&shoot).expect("a file");
    fs::write(&shoot, text.replacen("maximum: 3", "maximum: 4", 1)).expect("a file");
    commit(dir.path(), "bob", "2025-06-01", "Grow the pool");
    copy(&golden().join("validate/after"), dir.path());
    dir
}

#[test]
fn the_sample_of_validate_comes_out_like_this() {
    let dir = sample();
    let (code, text) = run(dir.path(), &["validate", "--against", "HEAD"]);
    assert_eq!(code, 1);
    compare("validate/table.txt", &masked(&text));
    for format in ["json", "yaml", "sarif", "junit", "github", "codequality", "tap", "checkstyle"] {
        let (code, text) = run(dir.path(), &["validate", "--against", "HEAD", "-o", format]);
        assert_eq!(code, 1, "{format}");
        // Where the folder is differs from run to run.
        let text = text.replace(&*dir.path().canonicalize().expect("a folder").to_string_lossy(), "DIR");
        compare(&format!("validate/{format}.txt"), &text);
        match format {
            "sarif" => is_sarif(&serde_json::from_str(&text).expect("SARIF is JSON")),
            "junit" | "checkstyle" => is_well_formed(&text),
            "json" | "codequality" => drop(serde_json::from_str::<Value>(&text).expect("JSON")),
            _ => {}
        }
    }
}

/// What reviewers see of a pull request: an upgrade, a renamed pool, a new cluster, one that is gone without a word, and a mistake.
pub(crate) fn proposed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local"), dir.path());
    commit(dir.path(), "alice", "2026-08-20", "Describe the landscape");
    let edit = |path: &str, from: &str, to: &str| {
        let file = dir.path().join(path);
        let text = fs::read_to_string(&file).expect("a file");
        assert!(text.contains(from), "{path} has no {from}");
        fs::write(file, text.replacen(from, to, 1)).expect("a file");
    };
    let shoots = dir.path().join("projects/shop/shoots");
    fs::copy(shoots.join("mini.yaml"), shoots.join("fresh.yaml")).expect("a file");
    edit("projects/shop/shoots/fresh.yaml", "name: mini", "name: fresh");
    edit("projects/shop/shoots/fresh.yaml", "10.182.0.0/16", "10.183.0.0/16");
    edit("projects/shop/shoots/mini.yaml", "name: one", "name: compute");
    edit("projects/shop/shoots/store.yaml", "version: 1.34.2", "version: 1.35.1");
    edit("projects/shop/shoots/store.yaml", "maximum: 6", "maximum: 9");
    edit("projects/shop/shoots/pay.yaml", "version: 1.35.1", "version: 1.34.6");
    edit("projects/lab/project.yaml", "Laboratory", "The laboratory");
    fs::remove_file(dir.path().join("projects/lab/shoots/api.yaml")).expect("a file");
    commit(dir.path(), "bob", "2026-08-21", "Upgrade the shop");
    dir
}

#[test]
fn the_sample_of_plan_comes_out_like_this() {
    let dir = proposed();
    let (code, text) = run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD"]);
    assert_eq!(code, 3, "{text}");
    compare("plan/tree.txt", &text);
    for line in text.lines().filter(|line| !line.contains("OperatingSystemConfig/") && !line.contains("Revert afterwards")) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    let (code, comment) = run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD", "-o", "md"]);
    assert_eq!(code, 3);
    compare("plan/comment.md", &comment);
    let (code, json) = run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD", "-o", "json"]);
    assert_eq!(code, 3);
    let plan: Value = serde_json::from_str(&json).expect("JSON");
    let of = |name: &str| {
        plan["objects"].as_array().expect("a list").iter().find(|o| o["owner"]["name"] == name).expect("it is there")
    };
    assert_eq!((&of("store")["worst"], &of("store")["revert"]["verdict"]), (&"one-way".into(), &"refused".into()));
    assert_eq!((&of("mini")["worst"], &of("mini")["revert"]["verdict"]), (&"recreates".into(), &"costs".into()));
    assert_eq!((&of("fresh")["worst"], &of("fresh")["revert"]["verdict"]), (&"none".into(), &"deletes".into()));
    assert_eq!((&of("pay")["worst"], &of("pay")["revert"]), (&"forbidden".into(), &Value::Null));
    assert_eq!(plan["summary"]["worst"], "forbidden");
    // Guards: what costs too much ends with 3, and what does not ends with 0.
    let guarded =
        |mark: &str, shoot: &str| run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD", "--fail-on", mark, shoot]).0;
    assert_eq!((guarded("one-way", "shop/store"), guarded("deletes", "shop/store")), (3, 0));
    assert_eq!(guarded("rolling", "shop/store"), 64);
}

#[test]
fn a_comment_is_bounded_and_nothing_in_it_is_markup() {
    const HOSTILE: &str =
        "@org/team #12 <script>alert(1)</script> | ` ``` ![a](http://b.c) **x** \u{202e}evil </details> www.x.org";
    let dir = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let file = dir.path().join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("a file");
    };
    write("landscape.yaml", "apiVersion: espalier.dev/v1alpha1\nkind: Landscape\nmetadata: {name: live}\n");
    let project = |n: usize, text: &str| {
        let text = serde_json::to_string(text).expect("JSON");
        format!(
            "apiVersion: core.gardener.cloud/v1beta1\nkind: Project\nmetadata:\n  name: p{n}\n  annotations: {{example.org/note: {text}}}\nspec:\n  owner: {{apiGroup: rbac.authorization.k8s.io, kind: User, name: ada}}\n"
        )
    };
    for n in 0..1_200 {
        write(&format!("projects/p{n}/project.yaml"), &project(n, "before"));
    }
    commit(dir.path(), "alice", "2026-08-20", "Describe the landscape");
    let hostile = HOSTILE.replace('\u{202e}', "");
    for n in 0..1_200 {
        write(&format!("projects/p{n}/project.yaml"), &project(n, &format!("{n} {hostile}")));
    }
    commit(dir.path(), "bob", "2026-08-21", "Change all of them");
    let (code, comment) = run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD", "-o", "md"]);
    assert_eq!(code, 0, "{comment}");
    assert!(comment.len() <= 58_982, "{} bytes", comment.len());
    assert!(comment.contains("more in the full plan"), "it says that there is more");
    let opened = |what: &str| comment.lines().filter(|line| line.contains(what)).count();
    assert_eq!(opened("<details>"), comment.lines().filter(|line| *line == "</details>").count());
    let fences: Vec<&str> = comment.lines().filter(|line| line.starts_with("```")).collect();
    assert!(fences.chunks(2).all(|pair| pair.len() == 2 && pair[0].strip_suffix("diff") == Some(pair[1])), "{fences:?}");
    // Outside of code nothing of it is left that a forge would act upon.
    let mut inside = false;
    for line in comment.lines() {
        if line.starts_with("````") {
            inside = !inside;
        } else if !inside {
            let bare: String = line.split('`').step_by(2).collect();
            assert!(!["@org", "#12 ", "<script", "http:", "www.", "**x**"].iter().any(|bad| bare.contains(bad)), "{line}");
            if line.starts_with("| ") {
                assert_eq!(bare.matches('|').count(), 7, "{line}");
            }
        }
    }
    // The same change everywhere is one row.
    for n in 0..1_200 {
        write(&format!("projects/p{n}/project.yaml"), &project(n, "after"));
    }
    commit(dir.path(), "bob", "2026-08-22", "Change them all alike");
    let (_, alike) = run(dir.path(), &["plan", "--from", "HEAD~2", "--to", "HEAD", "-o", "md"]);
    assert!(alike.contains("**1200 objects**") && alike.lines().filter(|line| line.starts_with("| **")).count() == 1, "{alike}");
}

/// Validates against our own writing of what SARIF 2.1.0 asks of the parts that are used; unknown properties are refused.
pub(crate) fn is_sarif(log: &Value) {
    let schema: Value = serde_json::from_str(include_str!("../golden/sarif-2.1.0-used.schema.json")).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let errors: Vec<String> = validator.iter_errors(log).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut broken = log.clone();
    broken["runs"][0]["results"][0]["level"] = "fatal".into();
    assert!(!validator.is_valid(&broken), "the schema notices a wrong level");
    let rules = log.pointer("/runs/0/tool/driver/rules").and_then(Value::as_array).expect("rules");
    for result in log.pointer("/runs/0/results").and_then(Value::as_array).expect("results") {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
}

/// Reads XML as far as this report uses it: one root, tags that are closed in their order, quoted attributes once each, no stray
/// `<` or `&`.
pub(crate) fn is_well_formed(xml: &str) {
    let rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("it begins with its declaration");
    let mut open: Vec<String> = Vec::new();
    let mut roots = 0;
    let mut rest = rest;
    while let Some(at) = rest.find('<') {
        text(&rest[..at]);
        assert!(!open.is_empty() || rest[..at].trim().is_empty(), "text outside of the root");
        let end = rest[at..].find('>').expect("a tag ends") + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "tags are closed in their order");
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "`{name}` is a name");
        attributes_of(attributes);
        roots += usize::from(open.is_empty());
        if !closed {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty() && roots == 1 && rest.trim().is_empty(), "{open:?} {roots}");
}

fn attributes_of(text_of: &str) {
    let mut seen = Vec::new();
    let mut rest = text_of.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("an attribute has a value in quotes");
        let (value, after) = after.split_once('"').expect("the quotes are closed");
        assert!(!seen.contains(&name), "`{name}` is there twice");
        seen.push(name);
        text(value);
        rest = after.trim_start();
    }
}

/// Every `&` begins an entity.
fn text(text: &str) {
    for (at, _) in text.match_indices('&') {
        let entity = text[at..].split_inclusive(';').next().unwrap_or_default();
        assert!(["&amp;", "&lt;", "&gt;", "&quot;"].contains(&entity), "`{entity}`");
    }
    assert!(!text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "control characters");
}

#[test]
fn admitted_objects_show_what_is_default() {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local"), dir.path());
    commit(dir.path(), "alice", "2025-03-02", "Describe the landscape");
    for (selector, name) in [("shoot/shop/mini", "shoot"), ("seed/aws-eu1", "seed"), ("project/shop", "project")] {
        let (code, text) = run(dir.path(), &["render", "--stage", "admitted", selector]);
        assert_eq!(code, 0, "{text}");
        compare(&format!("admitted/{name}.yaml"), &text);
        // What is left when everything marked is taken out was written.
        let plain: Value = serde_yaml::from_str(&text).expect("marks are comments");
        assert_eq!(plain["kind"].as_str().map(str::to_lowercase).as_deref(), Some(name));
    }
}
