//! The CI files that are shipped in `landscapes/ci`: each step of them is run, with a stand-in for the runner around it and for the
//! forge behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::ci_comment::{HEAD, StandIn, TOKEN};
use super::cli::copy;

const BASE: &str = "landscape/local";

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/ci").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&shipped(name)).expect("it is YAML")
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A runner: a checkout with a change merged into its base, and variables.
struct Runner {
    dir: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

struct Step {
    code: i32,
    printed: String,
}

impl Runner {
    /// A change that is fine, or one with mistakes.
    fn new(good: bool) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let work = dir.path().join("work");
        fs::create_dir_all(dir.path().join("home")).expect("a folder");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local"), &work);
        let mut runner = Self { dir, variables: BTreeMap::new() };
        let bin = Path::new(env!("CARGO_BIN_EXE_espalier")).parent().expect("a folder").display().to_string();
        let home = runner.dir.path().join("home").display().to_string();
        let identity = ["AUTHOR", "COMMITTER"].map(|who| {
            [(format!("GIT_{who}_NAME"), "ada".to_owned()), (format!("GIT_{who}_EMAIL"), "ada@example.org".to_owned())]
        });
        runner.variables.extend(identity.into_iter().flatten());
        runner.set("PATH", &format!("{bin}:/usr/local/bin:/usr/bin:/bin"));
        runner.set("HOME", &home);
        runner.set("ESPALIER_NOW", "2026-11-21T09:00:00Z");
        runner.must(&format!("git init -q -b {BASE} && git add -A && git commit -q -m 'Describe the landscape'"));
        runner.must(&format!("git update-ref refs/remotes/origin/{BASE} HEAD && git checkout -q -b change"));
        runner.edit("shop/shoots/store.yaml", "maximum: 6", "maximum: 9");
        if !good {
            runner.edit("lab/shoots/farm.yaml", "region: us-east-1", "region: \"us-east-1");
            runner.edit("shop/shoots/pay.yaml", "services: 100.64.0.0/13", "services: 100.96.0.0/13");
        }
        runner.must("git commit -q -am 'More nodes for the shop'");
        // As forges check out a pull request: what the merge gives, on no branch.
        runner
            .must(&format!("git checkout -q --detach {BASE} && git merge -q --no-ff -m Merge change && git branch -q -D {BASE}"));
        runner
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let file = self.work().join("projects").join(path);
        let text = fs::read_to_string(&file).expect("a file");
        assert!(text.contains(from), "{path} has no {from}");
        fs::write(file, text.replacen(from, to, 1)).expect("a file");
    }

    /// Runs a script as runners do: from a file, with these arguments to the shell, in the checkout.
    fn run(&self, shell: &[&str], script: &str) -> Step {
        let file = self.dir.path().join("script.sh");
        fs::write(&file, script).expect("a file");
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .arg(&file)
            .env_clear()
            .envs(&self.variables)
            .current_dir(self.work())
            .output()
            .expect("the shell can be started");
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(!printed.contains(TOKEN), "the token is told: {printed}");
        Step { code: output.status.code().expect("it ends by itself"), printed }
    }

    fn must(&self, script: &str) {
        let step = self.run(&["bash", "-e"], script);
        assert_eq!(step.code, 0, "{script}\n{}", step.printed);
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.work().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).expect("JSON")
    }
}

/// Expressions of GitHub's workflows, as far as they are used.
fn evaluated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (expression, after) = after.split_once("}}").expect("an expression ends");
        out.push_str(before);
        out.push_str(match expression.trim() {
            "github.token" => TOKEN,
            "github.event.workflow_run.head_sha" => HEAD,
            "github.event.workflow_run.id" => "1",
            other => panic!("the stand-in does not know `{other}`"),
        });
        rest = after;
    }
    out + rest
}

/// Runs every step of a job of GitHub's as its runner would; gives whether the job succeeded and what its steps printed.
fn github(runner: &mut Runner, job: &Value, artifacts: &Path) -> (bool, String) {
    assert_eq!(job["container"], "${{ vars.ESPALIER_IMAGE }}");
    assert_eq!(text(job, "/defaults/run/shell"), "bash");
    let (mut failed, mut printed) = (false, String::new());
    for step in list(job, "/steps") {
        let always = match text(step, "/if") {
            "" => false,
            condition => {
                let own = "always() && github.event.pull_request.head.repo.full_name == github.repository";
                assert!(["always()", own].contains(&condition), "the stand-in does not know `{condition}`");
                true
            }
        };
        if failed && !always {
            continue;
        }
        if let Some(action) = step["uses"].as_str() {
            let (name, version) = action.split_once('@').expect("an action has a version");
            assert!(version.len() == 40 && version.bytes().all(|b| b.is_ascii_hexdigit()), "{action} can be moved");
            let work = runner.work();
            match name {
                // All of history, and no credential left behind.
                "actions/checkout" => {
                    assert_eq!((&step["with"]["fetch-depth"], &step["with"]["persist-credentials"]), (&0.into(), &false.into()));
                }
                "github/codeql-action/upload-sarif" => {
                    runner.json(text(step, "/with/sarif_file"));
                }
                "actions/upload-artifact" => {
                    for file in text(step, "/with/path").lines() {
                        fs::copy(work.join(file), artifacts.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
                    }
                }
                "actions/download-artifact" => {
                    assert_eq!(evaluated(text(step, "/with/github-token")), TOKEN);
                    copy(artifacts, &work);
                }
                other => panic!("the stand-in does not know `{other}`"),
            }
            continue;
        }
        let script = text(step, "/run");
        assert!(!script.contains("${{"), "what people name would be part of the script: {script}");
        let before = runner.variables.clone();
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            runner.set(name, &evaluated(value.as_str().expect("a text")));
        }
        let done = runner.run(&["bash", "--noprofile", "--norc", "-eo", "pipefail"], script);
        runner.variables = before;
        failed |= done.code != 0;
        printed.push_str(&format!("{script}\n{}ends with {}\n", done.printed, done.code));
    }
    (!failed, printed)
}

/// The workflow that checks, on a change; gives the runner as it is afterwards, the artefacts, whether it succeeded and the log.
fn checked(good: bool) -> (Runner, tempfile::TempDir, bool, String) {
    let mut runner = Runner::new(good);
    let summary = runner.dir.path().join("summary.md").display().to_string();
    let work = runner.work().display().to_string();
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_WORKSPACE", &work),
        ("GITHUB_BASE_REF", BASE),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_STEP_SUMMARY", &summary),
        ("GITHUB_REPOSITORY", "org/landscapes"),
    ] {
        runner.set(name, value);
    }
    let artifacts = tempfile::tempdir().expect("a folder");
    let (done, log) = github(&mut runner, &yaml("github.yaml")["jobs"]["check"], artifacts.path());
    (runner, artifacts, done, log)
}

#[test]
fn every_step_on_github_is_run() {
    let (runner, artifacts, done, log) = checked(true);
    assert!(done, "{log}");
    let summary = fs::read_to_string(runner.dir.path().join("summary.md")).expect("a file");
    assert!(summary.contains("| shoots | 0 | 1 | 0 | 0 | 0 |") && summary.contains("scales"), "{summary}");
    let plan = runner.json("plan.json");
    assert_eq!(plan["summary"]["update"], 1);
    assert!(runner.read("findings.xml").contains("<testsuites"));
    // The other workflow has what the first one left behind, and nothing else.
    let stand_in = StandIn::start("github");
    let comment = yaml("github-comment.yaml");
    assert_eq!(text(&comment, "/jobs/comment/if"), "github.event.workflow_run.event == 'pull_request'");
    let job = &comment["jobs"]["comment"];
    let mut writer = Runner::new(true);
    fs::remove_dir_all(writer.work()).expect("a folder");
    fs::create_dir_all(writer.work()).expect("a folder");
    let api = stand_in.api.clone();
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", api.as_str()),
        ("GITHUB_REPOSITORY", "org/landscapes"),
        ("GITHUB_REF", "refs/heads/main"),
    ] {
        writer.set(name, value);
    }
    let (done, log) = github(&mut writer, job, artifacts.path());
    assert!(done, "{log}");
    let comments = stand_in.comments();
    assert_eq!(comments.len(), 1, "{log}");
    assert_eq!(format!("{}\n", comments[0].2.trim_end()), summary, "it is the summary");
    let (done, log) = github(&mut writer, job, artifacts.path());
    assert!(done && log.contains("says so already"), "{log}");
    // What a fork leaves behind may name another pull request, or be no number, or no plan.
    for (name, lie) in [("number", "8\n"), ("number", "$(touch x); 7"), ("plan.json", "{}")] {
        let kept = fs::read(artifacts.path().join(name)).expect("a file");
        fs::write(artifacts.path().join(name), lie).expect("a file");
        let (done, log) = github(&mut writer, job, artifacts.path());
        assert!(!done, "{lie}: {log}");
        fs::write(artifacts.path().join(name), kept).expect("a file");
    }
    assert!(!writer.work().join("x").exists());
    assert_eq!(stand_in.comments(), comments);
}

#[test]
fn mistakes_fail_the_job_on_github_and_are_shown() {
    let (runner, artifacts, done, log) = checked(false);
    assert!(!done, "{log}");
    assert!(log.contains("::error file=projects/lab/shoots/farm.yaml,line=11,endLine=11,col=3,title=DOC-SYNTAX::"), "{log}");
    assert!(log.contains("ends with 1\n") && log.contains("ends with 3\n"), "{log}");
    let summary = fs::read_to_string(runner.dir.path().join("summary.md")).expect("a file");
    assert!(summary.contains("| shoots | 0 | 1 | 0 | 0 | 2 |"), "{summary}");
    assert!(runner.read("findings.xml").contains("<failure "));
    assert!(artifacts.path().join("plan.json").is_file(), "what was planned is kept");
}

#[test]
fn every_line_on_gitlab_is_run() {
    let job = &yaml("gitlab-ci.yml")["espalier"];
    let script = list(job, "/script").iter().map(|line| line.as_str().expect("a text")).collect::<Vec<_>>().join("\n");
    let shell = ["bash", "-eo", "pipefail"];
    for (good, code, held) in [(true, 0, 0), (false, 3, 2)] {
        let stand_in = StandIn::start("gitlab");
        let mut runner = Runner::new(good);
        let base = runner.run(&shell, &format!("git merge-base HEAD origin/{BASE}")).printed;
        let work = runner.work().display().to_string();
        for (name, value) in [
            ("GITLAB_CI", "true"),
            ("CI_PROJECT_DIR", work.as_str()),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", base.trim()),
            ("CI_API_V4_URL", &stand_in.api),
            ("CI_PROJECT_ID", "42"),
            ("CI_MERGE_REQUEST_IID", "7"),
        ] {
            runner.set(name, value);
        }
        let ran = runner.run(&shell, &script);
        assert_eq!(ran.code, code, "{}", ran.printed);
        assert!(stand_in.comments().is_empty(), "without a token nothing is written");
        runner.set("GITLAB_TOKEN", TOKEN);
        let ran = runner.run(&shell, &script);
        assert_eq!(ran.code, code, "{}", ran.printed);
        assert_eq!(stand_in.comments().len(), 1, "{}", ran.printed);
        for file in list(job, "/artifacts/paths").iter().filter_map(Value::as_str) {
            assert!(!runner.read(file).is_empty(), "{file}");
        }
        assert_eq!(runner.json("plan.json")["summary"]["held"], held);
        let counts = runner.json(text(job, "/artifacts/reports/terraform"));
        assert_eq!((&counts["create"], &counts["update"], &counts["delete"]), (&0.into(), &1.into(), &0.into()));
        let quality = runner.json(text(job, "/artifacts/reports/codequality"));
        let bad = quality.as_array().expect("a list").iter().filter(|one| one["severity"] == "critical").count();
        assert_eq!(bad > 0, !good, "{quality}");
        assert_eq!(runner.read(text(job, "/artifacts/reports/junit")).contains("<failure "), !good);
    }
}

#[test]
fn every_line_on_jenkins_is_run() {
    let file = shipped("Jenkinsfile");
    let lines: Vec<&str> = file.lines().filter_map(|line| line.trim().strip_prefix("sh '")?.strip_suffix('\'')).collect();
    assert_eq!(lines.len(), file.matches("sh '").count());
    for (good, codes) in [(true, [0, 0, 0]), (false, [1, 3, 0])] {
        let mut runner = Runner::new(good);
        runner.set("CHANGE_TARGET", BASE);
        let ran: Vec<Step> = lines.iter().map(|line| runner.run(&["sh", "-xe"], line)).collect();
        let log: String = ran.iter().map(|step| step.printed.as_str()).collect();
        assert_eq!(ran.iter().map(|step| step.code).collect::<Vec<_>>(), codes, "{log}");
        let kept: BTreeSet<&str> = file.split("artifacts: '").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
        for name in kept.iter().flat_map(|names| names.split(", ")).chain(["findings.xml"]) {
            assert!(!runner.read(name).is_empty(), "{name}");
        }
    }
    // A stage that fails does not keep the other from running.
    assert_eq!(file.matches("catchError(").count(), 2);
}

#[test]
fn every_hook_is_run() {
    let hooks = yaml("pre-commit.yaml");
    let hooks = list(&hooks, "/repos/0/hooks");
    assert_eq!(hooks.len(), 2);
    for (good, codes) in [(true, [0, 0]), (false, [1, 3])] {
        let mut runner = Runner::new(good);
        // What is committed in the end is what lies in the work tree.
        runner.must("git reset -q --soft HEAD~1");
        let staged = runner.run(&["bash"], text(&hooks[0], "/entry"));
        assert_eq!(staged.code, codes[0], "{}", staged.printed);
        runner.must("git commit -q -m 'More nodes for the shop'");
        runner.set("PRE_COMMIT_FROM_REF", "HEAD~1");
        runner.set("PRE_COMMIT_TO_REF", "HEAD");
        let pushed = runner.run(&["bash"], text(&hooks[1], "/entry"));
        assert_eq!(pushed.code, codes[1], "{}", pushed.printed);
    }
    // What cannot be taken back stops a push.
    let mut runner = Runner::new(true);
    runner.edit("shop/shoots/store.yaml", "version: 1.34.2", "version: 1.34.6");
    runner.must("git commit -q -am 'Update the store'");
    runner.set("PRE_COMMIT_FROM_REF", "HEAD~1");
    runner.set("PRE_COMMIT_TO_REF", "HEAD");
    let pushed = runner.run(&["bash"], text(&hooks[1], "/entry"));
    assert_eq!(pushed.code, 3, "{}", pushed.printed);
    assert!(pushed.printed.contains("one-way"), "{}", pushed.printed);
}

/// Whether a pattern of GitHub's or Jenkins' names a branch: `*` stands for anything but a slash.
fn names(pattern: &str, branch: &str) -> bool {
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), branch.split('/').collect());
    patterns.len() == parts.len() && patterns.iter().zip(&parts).all(|(pattern, part)| *pattern == "*" || pattern == part)
}

#[test]
fn a_status_commit_starts_nothing() {
    let status = espalier::git::status_reference("local");
    let status = status.strip_prefix("refs/heads/").expect("a branch");
    assert_eq!(status, "espalier/status/local");
    // GitHub: pull requests into landscapes, and what follows from these; a push starts nothing at all.
    let on = yaml("github.yaml")["on"].clone();
    assert_eq!(on.as_object().expect("a map").keys().collect::<Vec<_>>(), ["pull_request"]);
    let branches: Vec<&str> = list(&on, "/pull_request/branches").iter().filter_map(Value::as_str).collect();
    assert!(branches.iter().any(|pattern| names(pattern, BASE)) && !branches.is_empty());
    assert!(!branches.iter().any(|pattern| names(pattern, status)), "{branches:?}");
    let on = yaml("github-comment.yaml")["on"].clone();
    assert_eq!(on.as_object().expect("a map").keys().collect::<Vec<_>>(), ["workflow_run"]);
    assert_eq!(list(&on, "/workflow_run/workflows"), [yaml("github.yaml")["name"].clone()]);
    // GitLab: one rule for the whole file.
    let rules = yaml("gitlab-ci.yml");
    let rules = list(&rules, "/workflow/rules");
    let starts = |variables: &BTreeMap<&str, &str>| {
        rules.iter().any(|rule| {
            text(rule, "/if").split(" && ").all(|part| {
                let value = |name: &str| variables.get(name.trim_start_matches('$')).copied().unwrap_or_default();
                if let Some((name, wanted)) = part.split_once(" == ") {
                    return value(name) == wanted.trim_matches('"');
                }
                let (name, pattern) = part.split_once(" =~ ").expect("a comparison");
                let start = pattern.strip_prefix("/^").and_then(|rest| rest.strip_suffix('/')).expect("how a name begins");
                value(name).starts_with(&start.replace("\\/", "/"))
            })
        })
    };
    let merge =
        |target| BTreeMap::from([("CI_PIPELINE_SOURCE", "merge_request_event"), ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", target)]);
    assert!(rules.len() == 1 && starts(&merge(BASE)));
    assert!(!starts(&merge(status)));
    assert!(!starts(&BTreeMap::from([("CI_PIPELINE_SOURCE", "push"), ("CI_COMMIT_BRANCH", status)])));
    // Jenkins: every stage asks for a change request into a landscape.
    let file = shipped("Jenkinsfile");
    let targets: Vec<&str> = file.split("changeRequest target: '").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
    assert_eq!(targets.len(), file.matches("stage('").count());
    assert!(targets.iter().all(|pattern| names(pattern, BASE) && !names(pattern, status)), "{targets:?}");
}
