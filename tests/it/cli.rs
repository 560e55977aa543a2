//! The real program: exit codes, what goes where, and what people see of three broken shoots.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use espalier::git::{self, Credentials, Location, Message, Repo};
use espalier::snapshot::{Changes, RepoPath};
use serde_json::Value;

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program in a folder with nothing of this machine's environment.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Ran {
    run_in(dir, &[], "", args)
}

/// Runs the program with more environment and something on stdin.
pub(crate) fn run_in(dir: &Path, environment: &[(&str, &str)], stdin: &str, args: &[&str]) -> Ran {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_espalier"))
        .env_clear()
        .env("HOME", dir)
        .env("ESPALIER_NOW", "2026-11-21T09:00:00Z")
        .envs(environment.iter().copied())
        .current_dir(dir)
        .args(args)
        .write_stdin(stdin)
        .output()
        .expect("the program can be started");
    Ran {
        code: output.status.code().expect("it ends by itself"),
        out: String::from_utf8(output.stdout).expect("results are UTF-8"),
        err: String::from_utf8(output.stderr).expect("messages are UTF-8"),
    }
}

pub(crate) fn json(ran: &Ran) -> Value {
    let value: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}\n{}", ran.out, ran.err));
    assert_eq!(value["apiVersion"], "espalier.dev/cli/v1", "{}", ran.out);
    value
}

fn local() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local")
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file");
        }
    }
}

pub(crate) fn git(dir: &Path, args: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=alice", "-c", "user.email=alice@example.com"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .current_dir(dir)
        .output()
        .expect("git can be started");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A repository with the local landscape on its branch.
pub(crate) fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&local(), dir.path());
    git(dir.path(), &["init", "-q", "-b", "landscape/local"]);
    git(dir.path(), &["add", "-A"]);
    git(dir.path(), &["commit", "-q", "-m", "Describe the landscape"]);
    dir
}

pub(crate) fn edit(dir: &Path, path: &str, from: &str, to: &str) {
    let file = dir.join(path);
    let text = std::fs::read_to_string(&file).expect("a file");
    assert!(text.contains(from), "{path} has no `{from}`");
    std::fs::write(file, text.replacen(from, to, 1)).expect("a file");
}

/// Three shoots with three mistakes: a quote that is never closed, networks that overlap, an older Kubernetes.
fn break_three(dir: &Path) {
    edit(dir, "projects/lab/shoots/farm.yaml", "region: us-east-1", "region: \"us-east-1");
    edit(dir, "projects/shop/shoots/pay.yaml", "services: 100.64.0.0/13", "services: 100.96.0.0/13");
    edit(dir, "projects/shop/shoots/store.yaml", "version: 1.34.2", "version: 1.33.9");
}

#[test]
fn the_local_landscape_is_without_a_problem() {
    let ran = run(&local(), &["validate", "--strict", "--policy-tests"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("No problems"), "{}", ran.out);
    assert!(!ran.out.contains('\x1b'), "a pipe gets no escape codes");
}

#[test]
fn three_broken_shoots_are_told_at_their_places_and_held() {
    let dir = repository();
    break_three(dir.path());
    let ran = run(dir.path(), &["validate", "--against", "HEAD", "-q"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(!ran.out.contains('\x1b'));
    let heads: Vec<&str> = ran.out.lines().filter(|line| line.contains(": error[")).collect();
    assert_eq!(
        heads,
        [
            "projects/lab/shoots/farm.yaml:11:3: error[DOC-SYNTAX]: invalid indentation in multiline quoted scalar",
            "projects/shop/shoots/pay.yaml:31:15: error[SHOOT-IMMUTABLE]: `spec.networking.services` cannot change from `100.64.0.0/13` to `100.96.0.0/13`",
            "projects/shop/shoots/pay.yaml:31:15: error[SHOOT-NET-OVERLAP]: services `100.96.0.0/13` overlap with pods `100.96.0.0/11`",
            "projects/shop/shoots/store.yaml:20:14: error[SHOOT-VERSION-DOWNGRADE]: Kubernetes cannot go back from `1.34.2` to `1.33.9`",
        ]
    );
    let snippet = "\
   |
29 |     nodes: 10.181.0.0/16
30 |     pods: 100.96.0.0/11
31 |     services: 100.96.0.0/13
   |               ^^^^^^^^^^^^^
   |
  ::: projects/shop/shoots/pay.yaml:30:11
   |
28 |     type: calico
29 |     nodes: 10.181.0.0/16
30 |     pods: 100.96.0.0/11
   |           ------------- pods are here
   = help: choose a range for services that shares no address with the other networks of the shoot
";
    assert!(ran.out.contains(snippet), "{}", ran.out);
    assert!(ran.out.contains("\n4 problems in 3 files (4 errors, 0 warnings"), "{}", ran.out);
    // Only what was asked about is shown.
    let part = run(dir.path(), &["validate", "-q", "projects/lab"]);
    assert_eq!((part.code, part.out.matches("error[").count()), (1, 1), "{}", part.out);
    // A plan of the same holds them and touches nobody else.
    let plan = run(dir.path(), &["plan", "-o", "json"]);
    assert_eq!(plan.code, 3, "{}", plan.err);
    let plan = json(&plan);
    assert_eq!(plan["summary"]["held"], 3);
    assert_eq!(plan["summary"]["rendered"], 0);
}

#[test]
fn a_branch_is_judged_by_the_policies_before_it() {
    let dir = repository();
    let policy = |most: &str| include_str!("../../policies/budget.yaml").replace("? 50 : 500", &format!("? {most} : 500"));
    let write = |text: &str| {
        std::fs::create_dir_all(dir.path().join("policies")).expect("a folder");
        std::fs::write(dir.path().join("policies/budget.yaml"), text).expect("it can be written");
    };
    write(&policy("30"));
    git(dir.path(), &["add", "-A"]);
    git(dir.path(), &["commit", "-q", "-m", "A budget of our own"]);
    // The branch weakens the policy, and breaks the old one.
    write(&policy("60"));
    edit(dir.path(), "projects/lab/shoots/farm.yaml", "maximum: 8", "maximum: 25");
    let told = "error[POLICY-NODES-WITHIN-BUDGET]: the pools may grow to 35 nodes together, the budget is 30";
    let against = run(dir.path(), &["validate", "--against", "HEAD", "-q"]);
    assert_eq!((against.code, against.out.matches(told).count()), (1, 1), "{}", against.out);
    let from = run(dir.path(), &["validate", "--policies-from", "HEAD", "-q"]);
    assert_eq!((from.code, from.out.matches(told).count()), (1, 1), "{}", from.out);
    let plan = run(dir.path(), &["plan", "-o", "json"]);
    assert_eq!((plan.code, &json(&plan)["summary"]["held"]), (3, &1.into()), "{}", plan.out);
    // By itself, or where that is asked for, it is fine.
    for arguments in [&["validate", "-q"][..], &["validate", "--against", "HEAD", "--policies-from", "WORKTREE", "-q"]] {
        let ran = run(dir.path(), arguments);
        assert_eq!(ran.code, 0, "{}", ran.out);
    }
    assert_eq!(run(dir.path(), &["plan", "--policies-from", "WORKTREE"]).code, 0);
    // The test cases are the branch's own.
    let tests = run(dir.path(), &["validate", "--against", "HEAD", "--policy-tests", "-q"]);
    assert_eq!(tests.out.matches("error[POLICY-TEST]").count(), 1, "{}", tests.out);
    assert!(tests.out.contains("test case `too many for evaluation`"), "{}", tests.out);
}

#[test]
fn only_schema_reads_and_applies_no_rule() {
    let dir = repository();
    edit(dir.path(), "projects/shop/shoots/pay.yaml", "services: 100.64.0.0/13", "services: 100.96.0.0/13");
    let ran = run(dir.path(), &["validate", "--only", "schema"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.err.contains(" objects checked in ") && ran.err.contains(" in a second"), "{}", ran.err);
    edit(dir.path(), "projects/shop/shoots/pay.yaml", "  networking:", "  netwrking:");
    let ran = run(dir.path(), &["validate", "--only", "schema", "-q"]);
    assert!(ran.code == 1 && ran.out.contains("error[FIELD-UNKNOWN]"), "{}", ran.out);
    assert_eq!(ran.err, "");
    assert_eq!(run(dir.path(), &["validate", "--only", "schema", "--against", "HEAD"]).code, 64);
}

#[test]
fn findings_come_in_every_format() {
    let dir = repository();
    break_three(dir.path());
    let validate = |format: &str| run(dir.path(), &["validate", "--against", "HEAD", "-o", format]);
    let answer = json(&validate("json"));
    assert_eq!(answer["summary"]["errors"], 4);
    let sarif: Value = serde_json::from_str(&validate("sarif").out).expect("SARIF is JSON");
    let results = sarif.pointer("/runs/0/results").and_then(Value::as_array).expect("results");
    assert_eq!(results.iter().filter(|r| r["level"] == "error").count(), 4);
    assert!(sarif.pointer("/runs/0/tool/driver/rules/0/help/text").is_some());
    let quality: Vec<Value> = serde_json::from_str(&validate("codequality").out).expect("a JSON array");
    let prints: std::collections::BTreeSet<&str> = quality.iter().filter_map(|f| f["fingerprint"].as_str()).collect();
    assert_eq!(prints.len(), quality.len());
    let junit = validate("junit");
    assert_eq!((junit.code, junit.out.matches("<failure ").count()), (1, 3), "{}", junit.out);
    let github = validate("github").out;
    assert!(
        github.starts_with("::error file=projects/lab/shoots/farm.yaml,line=11,endLine=11,col=3,title=DOC-SYNTAX::"),
        "{github}"
    );
}

#[test]
fn a_plan_names_fields_places_and_manifests() {
    let dir = repository();
    let same = run(dir.path(), &["plan", "--exit-code"]);
    assert_eq!(same.code, 0, "{}{}", same.out, same.err);
    assert!(same.out.contains("No changes"), "{}", same.out);
    edit(dir.path(), "projects/shop/shoots/store.yaml", "maximum: 6", "maximum: 9");
    std::fs::remove_file(dir.path().join("projects/lab/shoots/api.yaml")).expect("it is there");
    git(dir.path(), &["add", "-A"]);
    git(dir.path(), &["commit", "-q", "-m", "More nodes for the shop"]);
    let one = run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD", "shop/store", "--exit-code"]);
    assert_eq!(one.code, 1, "{}{}", one.out, one.err);
    assert!(one.out.contains("provider.workers[site].maximum       6 → 9\n"), "{}", one.out);
    assert!(one.out.contains("projects/shop/shoots/store.yaml:49:18\n"), "{}", one.out);
    assert!(one.out.contains("~Worker/store"), "{}", one.out);
    assert!(one.out.contains("scales: the autoscaler's upper bound moves"), "{}", one.out);
    assert!(one.out.contains("Worst mark: scales"), "{}", one.out);
    assert!(one.out.contains("Revert afterwards: 1 clean"), "{}", one.out);
    let detailed = run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD", "shop/store", "--detailed-exitcode"]);
    assert_eq!(detailed.code, 2, "{}", detailed.err);
    // Absence without confirmation is not deletion.
    let all = run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD"]);
    assert_eq!(all.code, 3, "{}", all.err);
    assert!(all.out.contains("✗ blocked"), "{}", all.out);
    let answer = json(&run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD", "-o", "json"]));
    assert_eq!((&answer["summary"]["update"], &answer["summary"]["blocked"]), (&1.into(), &1.into()));
}

#[test]
fn confirmed_deletions_go_as_far_as_the_budget() {
    let dir = repository();
    let shoots =
        ["lab/shoots/api", "lab/shoots/dual", "lab/shoots/farm", "lab/shoots/winter", "shop/shoots/mini", "shop/shoots/pay"];
    for shoot in shoots {
        let path = format!("projects/{shoot}.yaml");
        edit(dir.path(), &path, "metadata:\n", "metadata:\n  annotations: { confirmation.gardener.cloud/deletion: \"true\" }\n");
    }
    git(dir.path(), &["commit", "-q", "-am", "Confirm"]);
    std::fs::remove_file(dir.path().join("projects/lab/shoots/api.yaml")).expect("it is there");
    let one = json(&run(dir.path(), &["plan", "-o", "json"]));
    assert_eq!((&one["summary"]["delete"], &one["summary"]["blocked"]), (&1.into(), &0.into()), "{one}");
    for shoot in &shoots[1..] {
        std::fs::remove_file(dir.path().join(format!("projects/{shoot}.yaml"))).expect("it is there");
    }
    let all = run(dir.path(), &["plan", "-o", "json"]);
    assert_eq!(all.code, 3, "{}", all.err);
    let all = json(&all);
    assert_eq!((&all["summary"]["delete"], &all["summary"]["blocked"]), (&0.into(), &6.into()), "{all}");
    let validate = run(dir.path(), &["validate", "--against", "HEAD", "-q"]);
    assert!(validate.code == 1 && validate.out.contains("error[DELETE-BUDGET]"), "{}", validate.out);
}

#[test]
fn rendering_is_the_same_each_time_and_shows_no_secret() {
    let dir = repository();
    let one = run(dir.path(), &["render", "shop/*", "seed/aws-eu1", "garden", "-q"]);
    assert_eq!(one.code, 0, "{}", one.err);
    assert!(one.err.is_empty(), "{}", one.err);
    assert!(one.out.contains("kind: Etcd") && one.out.contains("# Shoot shop/pay: kube-apiserver, in seed-aws-us1"));
    assert!(!one.out.contains("PRIVATE KEY"));
    let two = run(dir.path(), &["render", "shop/*", "seed/aws-eu1", "garden"]);
    assert!(two.err.contains("Shoot shop/pay: seed aws-us1"), "{}", two.err);
    assert_eq!(one.out, two.out);
    let admitted = run(dir.path(), &["render", "--stage", "admitted", "shoot/shop/pay"]);
    assert!(admitted.out.contains("kind: Shoot") && admitted.out.contains("kubernetes:"), "{}", admitted.out);
    let out = dir.path().join("out");
    let split = run(dir.path(), &["render", "shop/mini", "-q", "--split-dir", "out"]);
    assert_eq!((split.code, split.out.as_str()), (0, ""), "{}", split.err);
    assert!(out.join("shoot/shop/mini/seed-aws-eu1/kube-apiserver.yaml").is_file());
    let unknown = run(dir.path(), &["render", "shop/strore"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("did you mean `shop/store`?"), "{}", unknown.err);
}

/// Writes a status branch as the daemon would.
pub(crate) fn report(dir: &Path, files: BTreeMap<&str, &str>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let repo = Repo::open(Location::Path(dir.to_owned()), dir, Credentials::default()).await.expect("a repository");
        let head = repo.resolve("HEAD").await.expect("it can be read").expect("it is there");
        let changes: Changes = files.into_iter().map(|(path, text)| (RepoPath::from(path), Some(text.to_owned()))).collect();
        let message = Message {
            subject: "Report".into(),
            trailers: vec![(git::RECONCILED_TRAILER.into(), head.to_string())],
            ..Message::default()
        };
        let reference = git::status_reference("local");
        let tip = repo.resolve(&reference).await.expect("it can be read");
        repo.commit(&reference, tip.as_ref(), changes, message, 1_795_000_000).await.expect("it can be written");
    });
}

#[test]
fn get_and_status_join_the_branch_with_what_was_reported() {
    let dir = repository();
    let unknown = run(dir.path(), &["status"]);
    assert_eq!(unknown.code, 2, "{}", unknown.out);
    let ready = "apiVersion: espalier.dev/v1alpha1\nkind: Status\nfor: Shoot shop/store\nstanding: ready\nseed: aws-eu1\nstatus:\n  technicalID: shoot--shop--store\n  lastOperation:\n    type: Create\n    state: Succeeded\n    progress: 100\n    lastUpdateTime: \"2026-11-21T08:00:00Z\"\n";
    let held = "apiVersion: espalier.dev/v1alpha1\nkind: Status\nfor: Shoot shop/pay\nstanding: held\nseed: aws-us1\nfindings:\n- severity: error\n  code: SHOOT-NET-OVERLAP\n  message: services overlap with pods\n  at: projects/shop/shoots/pay.yaml:31:15\n";
    let files = [("projects/shop/shoots/store.status.yaml", ready), ("projects/shop/shoots/pay.status.yaml", held)];
    report(dir.path(), files.into());
    let shoots = run(dir.path(), &["get", "shoots", "-p", "shop"]);
    assert_eq!(
        shoots.out,
        "\
PROJECT   NAME    PROVIDER/REGION   SEED      VERSION   HA     OPERATION          PROGRESS   STATUS
shop      mini    aws/eu-west-1     -         1.35.3    -      -                  -          unknown
shop      pay     aws/us-east-1     aws-us1   1.35.1    zone   -                  -          held
shop      store   aws/eu-west-1     aws-eu1   1.34.2    node   Create/Succeeded   100%       ready
"
    );
    let names = run(dir.path(), &["get", "shoots", "-l", "team=payments", "-o", "name"]);
    assert_eq!(names.out, "shoot/shop/pay\n");
    let one: Value = serde_json::from_str(&run(dir.path(), &["get", "shoot", "shop/store", "-o", "json"]).out).expect("JSON");
    assert_eq!(one["kind"], "Shoot");
    assert_eq!(one["status"]["technicalID"], "shoot--shop--store");
    assert_eq!(json(&run(dir.path(), &["get", "shoots", "-o", "json"]))["items"].as_array().map(Vec::len), Some(7));
    let status = run(dir.path(), &["status", "shop/*"]);
    assert_eq!(status.code, 0, "{}", status.err);
    assert!(status.out.contains("NEEDS ATTENTION"), "{}", status.out);
    assert!(
        status.out.contains(
            "Shoot shop/pay   held       projects/shop/shoots/pay.yaml:31:15: services overlap with pods (SHOOT-NET-OVERLAP)"
        ),
        "{}",
        status.out
    );
    assert_eq!(run(dir.path(), &["status", "--exit-code"]).code, 1);
    assert_eq!(run(dir.path(), &["status", "--exit-code", "shop/store"]).code, 0);
    let answer = json(&run(dir.path(), &["status", "-L", "local", "-o", "json"]));
    assert_eq!(answer["behind"], 0);
    // A table and its JSON count alike.
    assert_eq!(answer["counts"]["shoots"]["held"], 1);
}

#[test]
fn explain_knows_codes_and_fields_and_suggests() {
    let dir = tempfile::tempdir().expect("a folder");
    let field = run(dir.path(), &["explain", "shoot.spec.provider.workers.machine.type"]);
    assert_eq!(field.code, 0, "{}", field.err);
    assert!(field.out.contains("TYPE:    string"), "{}", field.out);
    let near = run(dir.path(), &["explain", "shoot.spec.provder"]);
    assert_eq!(near.code, 2);
    assert!(near.err.contains("did you mean `shoot.spec.provider`?"), "{}", near.err);
    // Every code that there is has words.
    let codes = json(&run(dir.path(), &["explain", "--codes", "-o", "json"]));
    let codes = codes["items"].as_array().expect("a list");
    assert!(codes.len() > 60);
    for code in ["SHOOT-NET-OVERLAP", "DOC-SYNTAX", "TEMPLATE-RENDER", "DELETE-BUDGET", "FIELD-UNKNOWN"] {
        assert!(codes.iter().any(|c| c["code"] == code), "{code} is not explained");
        let ran = run(dir.path(), &["explain", code]);
        assert_eq!(ran.code, 0, "{code}: {}", ran.err);
    }
    // With an example that fails and one that passes below them.
    let overlap = run(dir.path(), &["explain", "shoot-net-overlap"]).out;
    let example = "\
Fails (Shoot):

    spec:
      networking:
        nodes: 10.182.0.0/16
        pods: 10.182.128.0/17

Passes:

    spec:
      networking:
        nodes: 10.182.0.0/16
        pods: 100.96.0.0/11
";
    assert!(overlap.ends_with(example), "{overlap}");
    let data = json(&run(dir.path(), &["explain", "SHOOT-NET-OVERLAP", "-o", "json"]));
    assert_eq!(data["example"]["of"], "Shoot");
    assert!(data["example"]["fails"].as_str().expect("a text").contains("pods: 10.182.128.0/17"));
}

/// The commands that the first page of help lists.
fn listed(help: &str) -> impl Iterator<Item = &str> {
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    lines.filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).filter_map(|line| line.split_whitespace().next())
}

#[test]
fn every_command_explains_itself_however_deep_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let page = run(dir.path(), &["--help"]).out;
    // Its examples begin with the program itself.
    let mut open: Vec<Vec<String>> = listed(&page).filter(|name| *name != "espalier").map(|name| vec![name.to_owned()]).collect();
    let mut seen = Vec::new();
    while let Some(path) = open.pop() {
        for flag in ["--help", "-h"] {
            let args: Vec<&str> = path.iter().map(String::as_str).chain([flag]).collect();
            let ran = run(dir.path(), &args);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
            assert!(ran.out.contains("Usage: espalier"), "{args:?}: {}", ran.out);
            if let Some((_, below)) = ran.out.split_once("\nCommands:\n").filter(|_| flag == "--help") {
                let below = below.split("\n\n").next().unwrap_or_default();
                let names = below.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
                open.extend(names.map(|name| path.iter().cloned().chain([name.to_owned()]).collect()));
            }
        }
        seen.push(path.join(" "));
    }
    for deep in ["plan", "ci comment", "sim serve"] {
        assert!(seen.iter().any(|path| path == deep), "{deep} is among {seen:?}");
    }
}

#[test]
fn exit_codes_and_channels_are_those_promised() {
    let dir = tempfile::tempdir().expect("a folder");
    let code = |args: &[&str]| run(dir.path(), args).code;
    assert_eq!(code(&["--help"]), 0);
    assert_eq!(code(&["plan", "--help"]), 0);
    assert_eq!(code(&["version"]), 0);
    assert_eq!(code(&["validate"]), 1, "a landscape without landscape.yaml");
    assert_eq!(code(&["plan"]), 2, "no repository");
    assert_eq!(code(&["get", "shoots"]), 2, "no landscape");
    for wrong in [
        &["valdate"][..],
        &["validate", "--strcit"],
        &["plan", "-o", "sarif"],
        &["get", "shots"],
        &["render"],
        &["render", "a//b"],
        &[],
    ] {
        let ran = run(dir.path(), wrong);
        assert_eq!(ran.code, 64, "{wrong:?}: {}{}", ran.out, ran.err);
        assert_eq!(ran.out, "", "{wrong:?}");
    }
    assert!(run(dir.path(), &["valdate"]).err.contains("validate"));
    let nested = tempfile::tempdir().expect("a folder");
    copy(&local(), &nested.path().join("landscapes/local"));
    let ran = run(nested.path(), &["validate"]);
    assert!(ran.err.contains("espalier validate landscapes/local"), "{}", ran.err);
    let ran = run(nested.path(), &["validate", "landscapes/local", "-o", "json"]);
    assert_eq!(ran.code, 0);
    let finding = json(&ran)["findings"][0]["places"][0]["path"].clone();
    assert!(finding.as_str().is_some_and(|path| path.starts_with("landscapes/local/")), "{finding}");
}

#[test]
fn schemas_graphs_and_completions_are_printed() {
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(run(dir.path(), &["schema", "--out", "schemas", "-q"]).code, 0);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/shoot.json");
    let written = std::fs::read_to_string(dir.path().join("schemas/shoot.json")).expect("it was written");
    assert_eq!(written, std::fs::read_to_string(committed).expect("it is committed"));
    for answer in ["plan", "validation"] {
        let written = std::fs::read_to_string(dir.path().join(format!("schemas/cli/{answer}.json"))).expect("it was written");
        assert_eq!(run(dir.path(), &["schema", answer]).out, written);
    }
    assert!(run(dir.path(), &["schema", "plann"]).err.contains("did you mean `plan`?"));
    let graph = run(dir.path(), &["graph", "shoot"]);
    assert!(graph.out.lines().any(|l| l.starts_with("kube-apiserver ") && l.contains("etcd-main")), "{}", graph.out);
    assert!(run(dir.path(), &["graph", "seed", "-o", "mermaid"]).out.starts_with("flowchart LR\n"));
    assert!(run(dir.path(), &["graph", "garden", "-o", "dot"]).out.starts_with("digraph {\n"));
    assert!(run(dir.path(), &["completion", "bash"]).out.contains("_espalier"));
    assert_eq!(json(&run(dir.path(), &["version", "-o", "json"]))["version"], env!("CARGO_PKG_VERSION"));
}
