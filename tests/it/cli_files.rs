//! The real program where it writes files: formatting manifests, beginning a repository.

use std::path::Path;

use super::cli::{edit, git, json, repository, run};

const MINI: &str = "projects/shop/shoots/mini.yaml";

fn read(dir: &Path, path: &str) -> String {
    std::fs::read_to_string(dir.join(path)).expect("a file")
}

#[test]
fn fmt_orders_what_is_out_of_order_and_checks_the_rest() {
    let dir = repository();
    let first = run(dir.path(), &["fmt", "--check"]);
    assert_eq!(first.code, 1, "{}", first.err);
    assert!(first.out.lines().any(|line| line == MINI), "{}", first.out);
    assert!(first.out.lines().all(|line| dir.path().join(line).is_file()), "{}", first.out);
    let before = read(dir.path(), MINI);
    assert!(before.find("  region:") < before.find("  cloudProfile:"));
    let plan = run(dir.path(), &["plan", "--exit-code"]);
    assert_eq!(plan.code, 0, "{}", plan.out);

    let written = run(dir.path(), &["fmt"]);
    assert_eq!((written.code, &written.out), (0, &first.out), "{}", written.err);
    let after = read(dir.path(), MINI);
    assert!(after.find("  region:") > after.find("  cloudProfile:"), "{after}");
    assert!(after.starts_with("# As little as a shoot can be"), "{after}");
    // It says the same, and is in order now.
    let same = run(dir.path(), &["plan", "--exit-code"]);
    assert_eq!((same.code, same.out.contains("No changes")), (0, true), "{}", same.out);
    let again = run(dir.path(), &["fmt", "--check"]);
    assert_eq!((again.code, again.out.as_str()), (0, ""), "{}", again.err);
    assert_eq!(run(dir.path(), &["validate", "--strict", "-q"]).code, 0);
}

#[test]
fn fmt_names_the_schema_and_leaves_alone_what_it_cannot_read() {
    let dir = repository();
    edit(dir.path(), "projects/lab/shoots/farm.yaml", "region: us-east-1", "region: \"us-east-1");
    let broken = read(dir.path(), "projects/lab/shoots/farm.yaml");
    let ran = run(dir.path(), &["fmt", "--modeline", "projects"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.out.contains("projects/lab/shoots/farm.yaml:11:3: error[DOC-SYNTAX]"), "{}", ran.out);
    assert_eq!(read(dir.path(), "projects/lab/shoots/farm.yaml"), broken);
    let line = "# yaml-language-server: $schema=../../../schemas/shoot.json\n";
    assert!(read(dir.path(), MINI).starts_with(line), "{}", read(dir.path(), MINI));
    // A file of several kinds has no schema; what is named already stays.
    assert!(!read(dir.path(), "projects/shop/credentials/aws.yaml").contains("yaml-language-server"));
    let url = run(dir.path(), &["fmt", "--modeline=https://example.org/s/", MINI, "-o", "json"]);
    assert_eq!(json(&url)["files"][0]["state"], "changed", "{}", url.out);
    assert!(read(dir.path(), MINI).starts_with("# yaml-language-server: $schema=https://example.org/s/shoot.json\n# As"));
    assert_eq!(run(dir.path(), &["fmt", "--check", MINI]).code, 0);
    assert_eq!(run(dir.path(), &["fmt", "nothing.yaml"]).code, 2);
    assert_eq!(run(dir.path(), &["fmt", "--chek"]).code, 64);
}

#[test]
fn what_init_begins_is_valid_formatted_and_committed() {
    for (provider, ci, extra) in
        [("aws", "github", ".github/workflows/espalier.yaml"), ("gcp", "gitlab", ".gitlab-ci.yml"), ("aws", "none", "README.md")]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let ran = run(dir.path(), &["init", "fleet", "--landscape", "canary", "--provider", provider, "--ci", ci]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.lines().any(|line| line == extra), "{}", ran.out);
        let fleet = dir.path().join("fleet");
        for path in ran.out.lines() {
            assert!(!read(&fleet, path).contains("starter"), "{path} has another landscape's name");
        }
        let valid = run(&fleet, &["validate", "--strict"]);
        assert_eq!(valid.code, 0, "{}{}", valid.out, valid.err);
        assert!(valid.out.contains("Checked 1 shoot, 1 seed, 1 project, 1 cloud profile"), "{}", valid.out);
        let formatted = run(&fleet, &["fmt", "--check"]);
        assert_eq!(formatted.code, 0, "{}{}", formatted.out, formatted.err);
        // One commit on its branch, and nothing beside it.
        let plan = run(&fleet, &["plan", "--from", "landscape/canary", "--exit-code"]);
        assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
        let rendered = run(&fleet, &["render", "team/first", "-q"]);
        assert!(rendered.code == 0 && rendered.out.contains("kind: Worker"), "{}", rendered.err);
        git(&fleet, &["diff", "--exit-code", "HEAD"]);
    }
}

/// The lines of a workflow that run the program run: none of them ends with wrong usage.
#[test]
fn what_the_files_for_a_ci_run_can_be_run() {
    let dir = tempfile::tempdir().expect("a folder");
    for (ci, path) in [("github", ".github/workflows/espalier.yaml"), ("gitlab", ".gitlab-ci.yml")] {
        let ran = run(dir.path(), &["init", ci, "-L", "dev", "--ci", ci]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let fleet = dir.path().join(ci);
        git(&fleet, &["update-ref", "refs/remotes/origin/landscape/dev", "HEAD"]);
        let text = read(&fleet, path);
        let commands: Vec<&str> =
            text.split("espalier ").skip(1).filter(|rest| rest.starts_with("validate ") || rest.starts_with("plan ")).collect();
        assert!(commands.len() >= 2, "{text}");
        for command in commands {
            let words = command.split(['>', '|', ';', '\n', ')']).next().unwrap_or_default().split_whitespace();
            let ran = run(&fleet, &words.collect::<Vec<_>>());
            assert_eq!(ran.code, 0, "{command}\n{}", ran.err);
        }
    }
}

#[test]
fn init_overwrites_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("landscape.yaml"), "mine").expect("it can be written");
    let ran = run(dir.path(), &["init", "-L", "dev"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("landscape.yaml"), "{}", ran.err);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1);
    std::fs::remove_file(dir.path().join("landscape.yaml")).expect("it is there");

    // A folder that is there, with something else in it.
    std::fs::write(dir.path().join("LICENSE"), "mine").expect("it can be written");
    let dry = run(dir.path(), &["init", "-L", "dev", "--dry-run"]);
    assert_eq!((dry.code, std::fs::read_dir(dir.path()).expect("a folder").count()), (0, 1), "{}", dry.err);
    let ran = run(dir.path(), &["init", "-L", "dev", "--domain", "dev.example.net"]);
    assert_eq!((ran.code, &ran.out), (0, &dry.out), "{}", ran.err);
    assert!(read(dir.path(), "landscape.yaml").contains("default: shoots.dev.example.net"), "{}", read(dir.path(), "landscape.yaml"));
    assert_eq!(read(dir.path(), "LICENSE"), "mine");
    git(dir.path(), &["rev-parse", "--verify", "landscape/dev"]);

    // Within a repository only files are written.
    let inner = run(dir.path(), &["init", "other", "-L", "live"]);
    assert!(inner.code == 0 && inner.err.contains("git checkout -b landscape/live"), "{}", inner.err);
    assert!(!dir.path().join("other/.git").exists());
    for (args, code) in [(&["init", "x"][..], 64), (&["init", "x", "-L", "No Name"], 2), (&["init", "x", "-L", "null"], 2)] {
        let ran = run(dir.path(), args);
        assert_eq!((ran.code, dir.path().join("x").exists()), (code, false), "{args:?} {}", ran.err);
    }
}
