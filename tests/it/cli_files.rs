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
    assert!(
        read(dir.path(), "landscape.yaml").contains("default: shoots.dev.example.net"),
        "{}",
        read(dir.path(), "landscape.yaml")
    );
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

/// A repository whose branch nobody has checked out, with a folder outside of it.
fn elsewhere() -> tempfile::TempDir {
    let dir = repository();
    git(dir.path(), &["checkout", "-q", "-b", "work"]);
    dir
}

fn shown(dir: &Path, what: &str) -> String {
    let output = std::process::Command::new("git").args(["show", what]).current_dir(dir).output().expect("git");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn op_commits_a_request_with_an_id() {
    let dir = elsewhere();
    let file = "operations/2026-11-21-090000-retry-shop-store.yaml";
    let dry = run(dir.path(), &["op", "shop/store", "retry", "--dry-run"]);
    let text = "apiVersion: espalier.dev/v1alpha1\nkind: Operation\nmetadata:\n  name: \"2026-11-21-090000-retry-shop-store\"\n\
                spec:\n  request: retry\n  selector:\n    shoots:\n    - shop/store\n";
    assert_eq!((dry.code, dry.out.as_str()), (0, text), "{}", dry.err);
    let ran = run(dir.path(), &["op", "shop/store", "retry"]);
    assert!(ran.code == 0 && ran.out.starts_with(&format!("Committed {file} to landscape/local: ")), "{}{}", ran.out, ran.err);
    assert_eq!(shown(dir.path(), &format!("landscape/local:{file}")), text);
    assert!(shown(dir.path(), "landscape/local").contains("Ask for retry of shop/store"));
    // The same id is not asked for twice.
    let again = run(dir.path(), &["op", "shop/store", "retry"]);
    assert_eq!(again.code, 3, "{}", again.out);
    // A proposal leaves the branch alone, and a second one goes on top of it.
    for (id, selector) in [("a", "shop/*"), ("b", "seed/aws-eu1")] {
        let args = ["op", selector, "reconcile", "--id", id, "--branch", "ask", "--message", "Please", "--arg", "why=because"];
        let ran = run(dir.path(), &args);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    assert!(shown(dir.path(), "ask:operations/a.yaml").contains("    projects:\n    - shop\n"));
    assert!(shown(dir.path(), "ask:operations/b.yaml").contains("  args:\n    why: because\n"));
    assert!(shown(dir.path(), "ask").contains("    Please"));
    assert_eq!(shown(dir.path(), "landscape/local:operations/a.yaml"), "");
    let valid = run(dir.path(), &["validate", "--rev", "ask", "--strict"]);
    assert_eq!(valid.code, 0, "{}", valid.out);
    for (args, code, said) in [
        (&["op", "shop/strore", "retry"][..], 2, "did you mean `shop/store`?"),
        (&["op", "shop/store", "rotate"], 2, "not supported yet"),
        (&["op", "shop/store", "restart"], 64, "invalid value"),
        (&["op", "shop/store", "retry", "--id", "No Id"], 64, "cannot be an id"),
        (&["op", "shop/store", "retry", "-L", "nowhere"], 2, "there is no branch landscape/nowhere"),
    ] {
        let ran = run(dir.path(), args);
        assert!(ran.code == code && ran.err.contains(said), "{args:?}: {} {}", ran.code, ran.err);
    }
}

#[test]
fn what_is_checked_out_is_written_into_the_work_tree() {
    let dir = repository();
    let ran = run(dir.path(), &["op", "shop/store", "reconcile", "--id", "again"]);
    assert!(
        ran.code == 0 && ran.out.starts_with("Wrote operations/again.yaml: landscape/local is checked out here."),
        "{}",
        ran.out
    );
    assert!(read(dir.path(), "operations/again.yaml").contains("request: reconcile"));
    let plan = json(&run(dir.path(), &["plan", "-o", "json"]));
    assert_eq!(plan["summary"]["create"], 1, "{plan}");
    let twice = run(dir.path(), &["op", "shop/store", "reconcile", "--id", "again"]);
    assert_eq!(twice.code, 2, "{}", twice.err);
    // Two files with one id: neither is new and known at once.
    std::fs::copy(dir.path().join("operations/again.yaml"), dir.path().join("operations/other.yaml")).expect("a copy");
    edit(dir.path(), "operations/other.yaml", "name: again", "name: other");
    edit(dir.path(), "operations/other.yaml", "spec:\n", "spec:\n  id: again\n");
    let valid = run(dir.path(), &["validate", "-q"]);
    assert!(
        valid.code == 1 && valid.out.contains("error[OPERATION-ID]: the id `again` is that of Operation again"),
        "{}",
        valid.out
    );
}

#[test]
fn pause_is_an_edit_and_resume_takes_exactly_that_back() {
    let dir = elsewhere();
    let of = |branch: &str| shown(dir.path(), &format!("{branch}:landscape.yaml"));
    let before = of("landscape/local");
    let until = "2026-12-01T06:00:00Z";
    for scope in ["project/shop", "project/lab", "landscape"] {
        let ran = run(dir.path(), &["pause", scope, "--until", until, "--reason", "black: friday"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let paused = of("landscape/local");
    assert!(
        paused.contains("maxDeletions: 2                         # shoots, seeds and projects in 24 hours\n    freeze:\n"),
        "{paused}"
    );
    assert!(paused.contains("reason: \"black: friday\"") && paused.matches(until).count() == 3, "{paused}");
    assert_eq!(run(dir.path(), &["validate", "--rev", "landscape/local", "--strict"]).code, 0);
    // A later pause of the same scope takes the place of the first.
    let ran = run(dir.path(), &["pause", "project/shop", "--until", "2026-12-02T06:00:00Z", "--reason", "longer"]);
    assert_eq!((ran.code, of("landscape/local").matches("- shop\n").count()), (0, 1), "{}", of("landscape/local"));

    // Status and plan say it; a change of a frozen project is kept back, one of the base's own is not.
    let status = run(dir.path(), &["status"]);
    assert_eq!(status.code, 2, "nothing was reported yet: {}", status.out);
    git(dir.path(), &["checkout", "-q", "-B", "work", "landscape/local"]);
    edit(dir.path(), MINI, "version: 1.35.3", "version: 1.35.1");
    edit(dir.path(), MINI, "version: 1.35.1", "version: 1.35.3");
    edit(dir.path(), "projects/shop/shoots/store.yaml", "maximum: 6", "maximum: 9");
    let plan = run(dir.path(), &["plan"]);
    assert_eq!(plan.code, 3, "{}", plan.err);
    assert!(plan.out.contains("its change is kept back: frozen until 2026-12-02T06:00:00Z (shop): longer"), "{}", plan.out);
    let later = run(dir.path(), &["plan", "--now", "2026-12-03T00:00:00Z"]);
    assert!(later.code == 0 && later.out.contains("6 → 9"), "{}", later.out);
    git(dir.path(), &["checkout", "-q", "-f", "work"]);

    // Each resume takes its own back; the last one leaves the file as it was.
    for (scope, left) in [("project/shop", 2), ("landscape", 1), ("project/lab", 0)] {
        let ran = run(dir.path(), &["resume", scope]);
        assert_eq!((ran.code, of("landscape/local").matches("reason:").count()), (0, left), "{}", ran.err);
    }
    assert_eq!(of("landscape/local"), before);
    let none = run(dir.path(), &["resume", "project/lab"]);
    assert!(none.code == 1 && none.err.contains("project lab is not paused"), "{}", none.err);
    for (args, code) in [
        (&["pause", "project/nope", "--until", until, "--reason", "x"][..], 2),
        (&["pause", "landscape", "--until", "2020-01-01T00:00:00Z", "--reason", "x"], 64),
        (&["pause", "seed/aws-eu1", "--until", until, "--reason", "x"], 64),
    ] {
        assert_eq!(run(dir.path(), args).code, code, "{args:?}");
    }
}
