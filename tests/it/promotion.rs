//! `promote` on three landscapes, dev → canary → live, that a script makes as branches from `landscapes/local`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use espalier::git::{Credentials, Location, Message, Repo};
use espalier::snapshot::{RepoPath, Revision};
use serde_json::Value;

use super::cli::{Ran, run};
use super::golden::{compare, copy};
use super::schemas::conforms;

/// A repository whose commits are the same wherever it is made.
struct Script {
    /// Where it is.
    dir: tempfile::TempDir,
    /// Days since the beginning: each commit has one of its own.
    day: std::cell::Cell<u32>,
}

impl Script {
    fn new() -> Self {
        let script = Self { dir: tempfile::tempdir().expect("a folder"), day: std::cell::Cell::new(0) };
        script.git(&["init", "-q", "-b", "main"]);
        script
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn git(&self, args: &[&str]) -> String {
        let date = format!("2026-11-{:02}T10:00:00Z", self.day.get().max(1));
        let output = Command::new("git")
            .args(["-c", "core.autocrlf=false", "-c", "commit.gpgsign=false"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .envs([("GIT_AUTHOR_NAME", "alice"), ("GIT_AUTHOR_EMAIL", "alice@example.org")])
            .envs([("GIT_COMMITTER_NAME", "alice"), ("GIT_COMMITTER_EMAIL", "alice@example.org")])
            .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
            .current_dir(self.path())
            .output()
            .expect("git can be started");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn commit(&self, message: &str) -> String {
        self.day.set(self.day.get() + 1);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let file = self.path().join(path);
        let text = fs::read_to_string(&file).expect("a file");
        assert!(text.contains(from), "{path} has no {from}");
        fs::write(file, text.replacen(from, to, 1)).expect("a file");
    }

    fn change(&self, path: &str, from: &str, to: &str, message: &str) -> String {
        self.edit(path, from, to);
        self.commit(message)
    }

    fn on(&self, landscape: &str) {
        self.git(&["checkout", "-q", &format!("landscape/{landscape}")]);
    }

    fn tip(&self, name: &str) -> String {
        self.git(&["rev-parse", &format!("refs/heads/{name}")])
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(self.path(), args)
    }

    /// What the program says, which fits 80 columns but for the plan.
    fn told(&self, args: &[&str], code: i32) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.out, ran.err);
        for line in ran.out.lines().take_while(|line| !line.starts_with("Plan ")) {
            assert!(line.chars().count() <= 80, "{line}");
        }
        ran.out
    }

    fn json(&self, args: &[&str], code: i32) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["-o", "json"]).collect();
        let ran = self.run(&args);
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.out, ran.err);
        let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
        match answer["kind"].as_str() {
            Some("Promotion") => conforms("promotion", &answer),
            Some("PromotionStatus") => conforms("promotion-status", &answer),
            _ => {}
        }
        answer
    }

    fn file(&self, at: &str, path: &str) -> String {
        self.git(&["show", &format!("{at}:{path}")])
    }

    /// What the daemon would say of a landscape.
    fn report(&self, landscape: &str, reconciled: &str, at: &str, result: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let location = Location::Path(PathBuf::from(self.path()));
            let repo = Repo::open(location, self.path(), Credentials::default()).await.expect("opens");
            let reference = format!("refs/heads/espalier/status/{landscape}");
            let tip: Option<Revision> = repo.resolve(&reference).await.expect("resolves");
            let now: jiff::Timestamp = at.parse().expect("a time");
            let standing = if result.contains("failed") { "failed" } else { "ready" };
            let text = format!("kind: Status\nfor: Shoot shop/store\nstanding: {standing}\nat: {at}\n");
            let files = BTreeMap::from([(RepoPath::from("projects/shop/shoots/store.status.yaml"), Some(text))]);
            let trailers = [("Reconciled", reconciled), ("Landscape", landscape), ("Result", result)];
            let trailers = trailers.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
            let message = Message { subject: "Report".to_owned(), trailers, ..Message::default() };
            repo.commit(&reference, tip.as_ref(), files, message, now.as_second()).await.expect("commits");
        });
    }
}

/// Commits by the order in which they are named: what they are called depends on every byte of the example.
fn masked(text: &str) -> String {
    let is_id = |word: &str| {
        matches!(word.len(), 7 | 40) && word.chars().all(|c| c.is_ascii_hexdigit()) && word.contains(|c: char| c.is_ascii_digit())
    };
    let mut known: Vec<String> = Vec::new();
    let mut out = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_id(word) {
            let short = word[..7].to_owned();
            let at = known.iter().position(|id| *id == short).unwrap_or_else(|| {
                known.push(short);
                known.len() - 1
            });
            out.push_str(&format!("{:0<width$}", format!("c{:06}", at + 1), width = word.len()));
            out.push_str(&piece[word.len()..]);
        } else {
            out.push_str(piece);
        }
    }
    out
}

/// Compares with a golden file.
fn golden(name: &str, text: &str) {
    compare(&format!("promote/{name}"), &masked(text));
}

const STORE: &str = "projects/shop/shoots/store.yaml";
const PAY: &str = "projects/shop/shoots/pay.yaml";
const MINI: &str = "projects/shop/shoots/mini.yaml";
const DUAL: &str = "projects/lab/shoots/dual.yaml";
const AWS: &str = "cloudprofiles/aws.yaml";
const OK: &str = "\n\nApproved-by: Bob <bob@example.org>";

/// Three landscapes, and what happened in them. Gives the held commit.
fn landscapes() -> (Script, String) {
    let script = Script::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local"), script.path());
    script.edit("landscape.yaml", "name: local", "name: dev");
    script.git(&["checkout", "-q", "-b", "landscape/dev"]);
    script.commit("Describe the landscape");
    let settings = |name: &str, promotion: &str| {
        script.git(&["checkout", "-q", "-b", &format!("landscape/{name}"), "landscape/dev"]);
        script.edit("landscape.yaml", "name: dev", &format!("name: {name}"));
        script.edit("landscape.yaml", "  promotion:\n", &format!("  promotion:\n{promotion}"));
        script.commit(&format!("Make it {name}"));
    };
    settings("canary", "    from: dev\n");
    let gates = "    from: canary\n    owned: [\"shoot.spec.provider.workers[*].maximum\"]\n    gates:\n      healthyFor: 24h\n      \
                 approvals: 1\n      noMarkAbove: one-way\n";
    settings("live", gates);
    script.edit("landscape.yaml", "    maxDeletions: 2", "    freeze:\n      - {reason: holidays, from: \"2026-12-20T00:00:00Z\", until: \"2027-01-07T00:00:00Z\"}\n    maxDeletions: 2");
    script.commit("Rest over the holidays");
    script.change(STORE, "maximum: 6", "maximum: 12               # more than elsewhere", "Give the store more nodes");
    script.change(STORE, "version: 1.34.2", "version: 1.34.6", "Update the store early");
    script.change(PAY, "# one in each zone", "# at once, one in each zone", "Say it better");

    script.on("canary");
    let shared =
        script.change("projects/lab/project.yaml", "Laboratory", "The laboratory", &format!("Call it the laboratory{OK}"));
    script.change(STORE, "version: 1.34.2", "version: 1.35.1", &format!("Upgrade the store to 1.35.1{OK}"));
    script.edit(MINI, "size: 25Gi", "size: 50Gi");
    script.change(PAY, "version: 1.35.1", "version: 1.35.3", &format!("Update payments, and give mini more room{OK}"));
    let held = script.change(DUAL, "size: 40Gi", "size: 60Gi", "Try larger volumes\n\nHold: net-team");
    script.change("seeds/aws-eu1.yaml", "continent: europe", "continent: eu", "Name the continent as others do");
    let fair = fs::read_to_string(script.path().join(MINI)).expect("a file");
    let fair = fair
        .replace("# As little", "# For the fair: as little")
        .replace("name: mini", "name: fair")
        .replace("10.182.", "10.183.");
    let fair = fair.replace("  region: eu-west-1\n", "  region: eu-west-1\n  seedName: aws-eu1               # canary's own\n");
    fs::write(script.path().join("projects/shop/shoots/fair.yaml"), fair).expect("a file");
    script.commit(&format!("Add a cluster for the fair{OK}"));
    script.change(AWS, "    - name: m6i.2xlarge\n", "    - name: m7i.large\n      cpu: \"2\"\n      gpu: \"0\"\n      memory: 8Gi\n      architecture: amd64\n    - name: m6i.2xlarge\n", &format!("Offer m7i.large{OK}"));
    let wrong = script.change(STORE, "maximum: 4", "maximum: 40", "Give the jobs many nodes");
    script.day.set(script.day.get() + 1);
    script.git(&["revert", "--no-edit", &wrong]);

    script.on("live");
    script.day.set(script.day.get() + 1);
    script.git(&["cherry-pick", &shared]);
    script.on("dev");
    script.change(PAY, "team: payments", "team: money", "Rename the team");
    let canary = script.tip("landscape/canary");
    script.report("canary", &canary, "2026-11-19T20:00:00Z", "6 ready, 1 failed");
    script.report("canary", &canary, "2026-11-20T07:00:00Z", "7 ready");
    script.report("canary", &canary, "2026-11-20T09:00:00Z", "7 ready");
    (script, held)
}

#[test]
fn three_landscapes_are_promoted_along_the_way() {
    let (script, held) = landscapes();
    let live = script.tip("landscape/live");
    golden("status.txt", &script.told(&["promote", "--status"], 0));
    let status = script.json(&["promote", "--status"], 0);
    let pair = |status: &Value, from: &str| {
        status["pairs"].as_array().expect("pairs").iter().find(|pair| pair["from"]["name"] == from).cloned().expect("the pair")
    };
    let states = |status: &Value| {
        pair(status, "canary")["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .map(|c| c["state"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(states(&status), ["undone", "undone", "ahead", "ahead", "own", "held", "ahead", "ahead", "picked", "own"]);

    // A dry run shows the whole plan, and leaves nothing.
    let dry = script.told(&["promote", "canary", "live", "--dry-run"], 0);
    let (head, plan) = dry.split_once("\nPlan  live").expect("the plan follows");
    golden("dry-run.txt", head);
    for told in [
        "+ Shoot fair",
        "kubernetes.version                   1.35.1 → 1.35.3",
        "⚠ one-way",
        "refused: Kubernetes cannot go back",
        "Worst mark: one-way",
    ] {
        assert!(plan.contains(told), "{told} is not in\n{plan}");
    }
    let branch = "promote/canary-to-live-20261121";
    assert!(script.git(&["branch", "--list", branch]).is_empty());
    let planned = script.json(&["promote", "canary", "live", "--dry-run"], 0);
    assert_eq!((&planned["result"], &planned["inPart"]), (&"dry-run".into(), &true.into()));
    assert_eq!(planned["plan"]["summary"]["worst"], "one-way");

    golden("real.txt", &script.told(&["promote", "canary", "live"], 0));
    assert_eq!(script.git(&["rev-parse", &format!("{branch}^")]), live, "one commit on top of live");
    assert_eq!(script.tip("landscape/live"), live, "live itself is where it was");
    golden("commit.txt", &(script.git(&["log", "-1", "--format=%an <%ae>%n%B", branch]) + "\n"));
    golden("commit.diff", &(script.git(&["diff", "--no-color", &live, branch]) + "\n"));
    let store = script.file(branch, STORE);
    assert!(store.contains("maximum: 12               # more than elsewhere") && store.contains("version: 1.34.6"), "{store}");
    assert!(script.file(branch, PAY).contains("# at once, one in each zone"));
    assert!(!script.file(branch, "projects/shop/shoots/fair.yaml").contains("seedName"));

    // The same again is the same, before it is merged and after.
    golden("again.txt", &script.told(&["promote", "canary", "live"], 0));
    let tip = script.tip(branch);
    script.git(&["update-ref", "refs/heads/landscape/live", &tip]);
    golden("merged.txt", &script.told(&["promote", "canary", "live"], 0));
    assert_eq!(script.tip("landscape/live"), tip, "no commit");
    golden("status-after.txt", &script.told(&["promote", "--status"], 0));
    let after = states(&script.json(&["promote", "--status"], 0));
    assert_eq!(after, ["undone", "undone", "promoted", "promoted", "own", "held", "promoted", "ahead", "picked", "own"]);

    // A held commit goes when it is asked for by name; nobody approved it.
    let named = ["promote", "canary", "live", "--commit", &held, "--branch", "landscape/live"];
    let refused = script.json(&named, 3);
    assert_eq!((&refused["result"], &refused["gates"][4]["state"]), (&"refused".into(), &"waiting".into()), "{refused}");
    assert_eq!(script.tip("landscape/live"), tip);
}

#[test]
fn gates_refuse_and_make_nothing() {
    let (script, _) = landscapes();
    let refs = script.git(&["for-each-ref"]);
    let gate = |args: &[&str], name: &str| {
        let answer = script.json(args, 3);
        assert_eq!(answer["result"], "refused");
        let gates = answer["gates"].as_array().expect("gates");
        let open: Vec<&str> = gates.iter().filter(|g| g["state"] != "passed").filter_map(|g| g["name"].as_str()).collect();
        assert_eq!(open, [name], "{answer}");
        gates.iter().find(|g| g["name"] == name).cloned().expect("the gate")
    };
    let early = gate(&["promote", "canary", "live", "--now", "2026-11-20T19:00:00Z"], "soak");
    assert_eq!((&early["text"], &early["state"]), (&"12 h of 24h".into(), &"waiting".into()));
    let frozen = gate(&["promote", "canary", "live", "--now", "2026-12-24T00:00:00Z"], "freeze");
    assert_eq!(frozen["text"], "holidays until 2027-01-07T00:00:00Z");
    let order = script.json(&["promote", "dev", "live", "--dry-run"], 3);
    assert_eq!(order["gates"][0]["state"], "failed", "no stage is skipped: {order}");
    golden("refused.txt", &script.told(&["promote", "dev", "live"], 3));
    // What failed there since is no health.
    script.report("canary", &script.tip("landscape/canary"), "2026-11-21T08:00:00Z", "6 ready, 1 failed");
    let sick = script.json(&["promote", "canary", "live", "--dry-run"], 3);
    let open = sick["gates"].as_array().expect("gates").iter().filter(|g| g["state"] != "passed").count();
    assert_eq!(open, 2, "{sick}");
    let others = |refs: &str| refs.lines().filter(|line| !line.contains("espalier/")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(others(&script.git(&["for-each-ref"])), others(&refs), "no branch was made or moved");
}

#[test]
fn a_part_is_promoted_and_the_rest_later() {
    let (script, held) = landscapes();
    let part = script.told(
        &["promote", "canary", "live", "--exclude", "shop/pay", "--exclude", "cloudprofiles/**", "--branch", "landscape/live"],
        0,
    );
    golden("part.txt", &part);
    let only = ["promote", "canary", "live", "--project", "shop", "--branch", "landscape/live"];
    assert_eq!(script.json(&only, 0)["result"], "made");
    let messages = script.git(&["log", "-2", "--format=%B", "landscape/live"]);
    assert!(messages.matches("Promoted-Base: ").count() == 2 && messages.contains(" (in part)"), "{messages}");
    // Taking back what was promoted is the target's own word, also after more was promoted.
    script.on("live");
    script.change(PAY, "version: 1.35.3", "version: 1.35.1", "Go back with payments");
    script.on("dev");
    let rest = script.json(&["promote", "canary", "live", "--branch", "landscape/live"], 0);
    let subjects = |key: &str| {
        rest[key]
            .as_array()
            .expect("a list")
            .iter()
            .map(|s| s["owner"]["name"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(subjects("taken"), ["aws"], "{rest}");
    assert!(script.file("landscape/live", PAY).contains("version: 1.35.1"));
    assert!(script.file("landscape/live", DUAL).contains("size: 40Gi"), "it is held");
    assert!(script.file("landscape/canary", DUAL).contains("size: 60Gi") && !held.is_empty());
}

#[test]
fn a_cluster_goes_by_two_promotions_and_past_a_gate() {
    let (script, _) = landscapes();
    let api = "projects/lab/shoots/api.yaml";
    script.on("canary");
    let confirm = "metadata:\n  annotations:\n    confirmation.gardener.cloud/deletion: \"true\"\n";
    script.change(api, "metadata:\n", confirm, &format!("Say that the API's cluster goes{OK}"));
    fs::remove_file(script.path().join(api)).expect("a file");
    let tip = script.commit(&format!("Let the API's cluster go{OK}"));
    script.on("dev");
    script.report("canary", &tip, "2026-11-20T09:30:00Z", "6 ready");
    let promote =
        ["promote", "canary", "live", "--project", "lab", "--now", "2026-11-22T09:00:00Z", "--branch", "landscape/live"];
    let first = script.json(&promote, 0);
    let deed = |answer: &Value| {
        answer["taken"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|t| t["action"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((deed(&first), &first["inPart"]), (vec!["confirm-deletion".to_owned()], &true.into()), "{first}");
    assert!(script.file("landscape/live", api).contains("confirmation.gardener.cloud/deletion: \"true\""));
    // It was only confirmed: the next one would remove it, which costs more than live allows.
    let second = script.json(&promote, 3);
    assert_eq!(deed(&second), ["delete"]);
    assert_eq!(second["plan"]["summary"]["worst"], "deletes");
    let open: Vec<&Value> = second["gates"].as_array().expect("gates").iter().filter(|gate| gate["state"] != "passed").collect();
    assert!(open.len() == 1 && open[0]["name"] == "mark", "{open:?}");
    assert!(script.file("landscape/live", api).contains("kind: Shoot"), "it is still there");
}

#[test]
fn folders_of_one_branch_are_landscapes_too() {
    let script = Script::new();
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local");
    for name in ["canary", "live"] {
        let folder = script.path().join("landscapes").join(name);
        fs::create_dir_all(&folder).expect("a folder");
        copy(&local, &folder);
        script.edit(&format!("landscapes/{name}/landscape.yaml"), "name: local", &format!("name: {name}"));
    }
    script.edit("landscapes/live/landscape.yaml", "  promotion:\n", "  promotion:\n    from: [canary, hotfix]\n");
    script.edit(&format!("landscapes/live/{PAY}"), "team: payments", "team: money");
    script.commit("Describe both");
    script.change(&format!("landscapes/canary/{STORE}"), "version: 1.34.2", "version: 1.34.6", "Update the store");
    let answer = script.json(&["promote", "canary", "live", "--path", "landscapes"], 0);
    assert_eq!((&answer["result"], &answer["taken"][0]["fields"][0]), (&"made".into(), &"kubernetes.version".into()), "{answer}");
    let branch = answer["branch"].as_str().expect("a branch");
    let changed = script.git(&["diff", "--name-only", "main", branch]);
    assert_eq!(changed, format!("landscapes/live/{STORE}"), "what live says otherwise stays: it is no older word of canary's");
    script.git(&["merge", "-q", "--ff-only", branch]);
    assert_eq!(script.json(&["promote", "canary", "live", "--path", "landscapes"], 0)["result"], "nothing");
    let status = script.json(&["promote", "--status", "--path", "landscapes"], 0);
    assert_eq!(status["pairs"][0]["summary"]["ahead"], 0, "{status}");
    assert_eq!(status["unknown"][0]["from"], "hotfix", "{status}");
}

#[test]
fn wrong_words_are_told_and_nothing_is_forced() {
    let (script, _) = landscapes();
    assert_eq!(script.run(&["promote"]).code, 64);
    assert_eq!(script.run(&["promote", "--status", "canary", "live"]).code, 64);
    let unknown = script.run(&["promote", "canary", "prod"]);
    assert!(unknown.code == 2 && unknown.err.contains("there is no landscape `prod`"), "{}", unknown.err);
    assert_eq!(script.run(&["promote", "live", "live"]).code, 2);
    script.git(&["branch", "mine", "landscape/dev"]);
    let taken = script.run(&["promote", "canary", "live", "--branch", "mine"]);
    assert!(taken.code == 2 && taken.err.contains("exists"), "{}", taken.err);
    assert_eq!(script.tip("mine"), script.tip("landscape/dev"));
    let foreign = script.run(&["promote", "canary", "live", "--branch", "landscape/dev"]);
    assert!(foreign.code == 2 && foreign.err.contains("something else"), "{}", foreign.err);
    // What is checked out is not moved under its files.
    script.on("live");
    let checked_out = script.run(&["promote", "canary", "live", "--branch", "landscape/live"]);
    assert!(checked_out.code == 2 && checked_out.err.contains("checked out"), "{}", checked_out.err);
}

#[test]
fn what_is_to_wait_for_a_maintenance_window_is_counted() {
    let script = Script::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local"), script.path());
    script.edit("landscape.yaml", "name: local", "name: dev");
    script.edit(STORE, "  maintenance:\n", "  maintenance:\n    confineSpecUpdateRollout: true\n");
    script.git(&["checkout", "-q", "-b", "landscape/dev"]);
    script.commit("Describe the landscape");
    script.git(&["checkout", "-q", "-b", "landscape/canary"]);
    script.edit("landscape.yaml", "name: dev", "name: canary");
    script.edit("landscape.yaml", "  promotion:\n", "  promotion:\n    from: dev\n");
    script.commit("Make it canary");
    script.on("dev");
    script.change(STORE, "version: 1.34.2", "version: 1.34.6", "Update the store");
    script.change(MINI, "maximum: 1", "maximum: 2", "More room");
    let ran = script.run(&["promote", "dev", "canary", "--dry-run"]);
    assert!(ran.out.contains("2 updated") && ran.out.contains("1 to wait for a maintenance window"), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("Waiting for a maintenance window: 1 object\n"), "{}", ran.out);
}
