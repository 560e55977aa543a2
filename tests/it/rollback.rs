//! `rollback` with the real program, beside the real `git revert`.

use std::path::Path;
use std::process::Command;

use super::cli::{edit, git, json, repository, run};
use super::schemas::conforms;

const STORE: &str = "projects/shop/shoots/store.yaml";
const MINI: &str = "projects/shop/shoots/mini.yaml";
const API: &str = "projects/lab/shoots/api.yaml";
const SECOND: &str = "projects/lab/shoots/second.yaml";
const BRANCH: &str = "landscape/local";

/// What git prints.
fn said(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git").args(args).current_dir(dir).output().expect("git can be started");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn commit(dir: &Path, subject: &str) -> String {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "-m", subject]);
    said(dir, &["rev-parse", "HEAD"])
}

fn read(dir: &Path, revision: &str, path: &str) -> String {
    said(dir, &["show", &format!("{revision}:{path}")])
}

/// A commit with something of each: a version up, a pool's bounds, another machine type, a shoot more, and a file that is no part of
/// the landscape.
fn mixed(dir: &Path) -> String {
    edit(dir, STORE, "version: 1.34.2 ", "version: 1.34.6 ");
    edit(dir, STORE, "maximum: 6\n", "maximum: 9   # for the sale\n");
    edit(dir, MINI, "type: m6i.large", "type: m6i.xlarge");
    let api = std::fs::read_to_string(dir.join(API)).expect("a shoot");
    std::fs::write(dir.join(SECOND), api.replace("name: api", "name: second")).expect("written");
    std::fs::write(dir.join("NOTES.md"), "For the sale.\n").expect("written");
    commit(dir, "Get ready for the sale")
}

#[test]
fn what_can_be_taken_back_is_and_the_rest_is_told() {
    let dir = repository();
    let bad = mixed(dir.path());
    edit(dir.path(), API, "eventTTL: 2h", "eventTTL: 3h");
    let tip = commit(dir.path(), "Keep events longer");

    let look = run(dir.path(), &["rollback", &bad, "--dry-run", "-o", "json"]);
    assert_eq!(look.code, 5, "{}{}", look.out, look.err);
    conforms("rollback", &json(&look));
    assert_eq!(said(dir.path(), &["for-each-ref", "--format=%(refname)"]), format!("refs/heads/{BRANCH}"), "nothing moved");

    let ran = run(dir.path(), &["rollback", &bad, "--reason", "INC-4711 node churn"]);
    assert_eq!(ran.code, 5, "partly: {}{}", ran.out, ran.err);
    let short = &bad[..7];
    let expected = include_str!("../golden/rollback/mixed.txt").replace("<bad>", short).replace("<tip>", &tip[..7]);
    assert_eq!(ran.out, expected, "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    assert_eq!(said(dir.path(), &["rev-parse", "HEAD"]), tip, "the branch itself stays");

    let branch = format!("revert/{short}");
    assert_eq!(said(dir.path(), &["rev-parse", &format!("{branch}~2")]), tip);
    let revert = said(dir.path(), &["log", "-1", "--format=%B", &format!("{branch}~1")]);
    assert_eq!(revert, format!("Revert \"Get ready for the sale\"\n\nThis reverts commit {bad}.\n\nReason: INC-4711 node churn"));
    let fix_up = said(dir.path(), &["log", "-1", "--format=%B", &branch]);
    for why in ["shop/store kubernetes.version (refused): kept at 1.34.6", "lab/second (deletes)", "Reason: INC-4711"] {
        assert!(fix_up.contains(why), "{why} is not in\n{fix_up}");
    }

    // The tree: what was bad is gone, what cannot go stays, what came later is untouched, comments too.
    let store = read(dir.path(), &branch, STORE);
    assert!(store.contains("version: 1.34.6              # 1.34.6 is offered; try the update"), "{store}");
    assert!(store.contains("maximum: 6\n") && !store.contains("for the sale"), "{store}");
    assert!(read(dir.path(), &branch, MINI).contains("m6i.large\n"));
    assert_eq!(read(dir.path(), &branch, SECOND), read(dir.path(), &bad, SECOND));
    assert!(read(dir.path(), &branch, API).contains("eventTTL: 3h"));
    git(dir.path(), &["revert", "--no-edit", &bad]);
    let genuine = said(dir.path(), &["rev-parse", "HEAD^{tree}"]);
    assert_eq!(said(dir.path(), &["rev-parse", &format!("{branch}~1^{{tree}}")]), genuine, "the revert is git's");
    git(dir.path(), &["reset", "-q", "--hard", &tip]);

    // What remains is sound, and a plan of it agrees.
    let plan = run(dir.path(), &["plan", "--from", BRANCH, "--to", &branch, "-o", "json"]);
    assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
    assert_eq!(json(&plan)["summary"]["update"], 2);

    // The same again makes nothing new; another one in its place is not overwritten.
    let again = run(dir.path(), &["rollback", &bad, "--reason", "INC-4711 node churn"]);
    assert_eq!(again.code, 5, "{}", again.err);
    let other = run(dir.path(), &["rollback", &bad, "--only-clean"]);
    assert_eq!(other.code, 2, "{}", other.out);
    assert!(other.err.contains("already another branch"), "{}", other.err);

    // JSON says the same.
    let answer = json(&look);
    assert_eq!(answer["summary"]["clean"], 1, "{answer}");
    assert_eq!(answer["summary"]["costs"], 1);
    assert_eq!(answer["summary"]["refused"], 1);
    assert_eq!(answer["summary"]["deletes"], 1);
    assert_eq!(answer["summary"]["taken"], 2);
    assert_eq!(answer["outside"], serde_json::json!(["NOTES.md"]));
}

#[test]
fn only_what_is_clean() {
    let dir = repository();
    let bad = mixed(dir.path());
    let ran = run(dir.path(), &["rollback", &bad, "--only-clean", "--branch", "careful"]);
    assert_eq!(ran.code, 5, "{}{}", ran.out, ran.err);
    assert!(read(dir.path(), "careful", MINI).contains("m6i.xlarge"), "another machine type costs");
    assert!(read(dir.path(), "careful", STORE).contains("maximum: 6\n"));

    // Of a commit that is all clean, it is git's revert, byte for byte.
    git(dir.path(), &["reset", "-q", "--hard", "HEAD~1"]);
    edit(dir.path(), STORE, "maximum: 6\n", "maximum: 9 # for the sale\n");
    std::fs::rename(dir.path().join("projects/shop/shoots/pay.yaml"), dir.path().join("projects/shop/shoots/pay-2.yaml"))
        .expect("moved");
    std::fs::write(dir.path().join("NOTES.md"), "For the sale.\n").expect("written");
    let clean = commit(dir.path(), "Grow");
    edit(dir.path(), STORE, "type: m6g.xlarge\n", "type: m6g.xlarge # ours\n");
    commit(dir.path(), "Say whose");
    let ran = run(dir.path(), &["rollback", &clean, "--only-clean", "--branch", "clean"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(said(dir.path(), &["rev-list", "--count", &format!("{BRANCH}..clean")]), "1");
    git(dir.path(), &["revert", "--no-edit", &clean]);
    assert_eq!(said(dir.path(), &["rev-parse", "HEAD^{tree}"]), said(dir.path(), &["rev-parse", "clean^{tree}"]));
    let body = |what: &str| said(dir.path(), &["log", "-1", "--format=%B", what]);
    assert_eq!(body("HEAD"), body("clean"));

    // Once it is taken back there is nothing to do.
    let again = run(dir.path(), &["rollback", &clean]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.out.contains("Nothing to take back"), "{}", again.out);
}

#[test]
fn what_a_revert_would_destroy_or_make_anew_has_to_be_asked_for() {
    let dir = repository();
    let api = std::fs::read_to_string(dir.path().join(API)).expect("a shoot");
    let confirmed =
        api.replace("name: api\n", "name: second\n  annotations:\n    confirmation.gardener.cloud/deletion: \"true\"\n");
    std::fs::write(dir.path().join(SECOND), &confirmed).expect("written");
    let made = commit(dir.path(), "Add a second one");
    let ran = run(dir.path(), &["rollback", &made]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("--include lab/second") && ran.out.contains("1 deletes"), "{}", ran.out);
    let asked = run(dir.path(), &["rollback", &made, "--include", "lab/second"]);
    assert_eq!(asked.code, 0, "{}{}", asked.out, asked.err);

    // Without a confirmation its file may go, and it stays.
    std::fs::remove_file(dir.path().join(SECOND)).expect("there");
    let gone = commit(dir.path(), "Delete it");
    let anew = run(dir.path(), &["rollback", &gone]);
    assert_eq!(anew.code, 3, "{}{}", anew.out, anew.err);
    assert!(anew.out.contains("not-a-restore") && anew.out.contains("--include lab/second"), "{}", anew.out);
    assert_eq!(run(dir.path(), &["rollback", &gone, "--include", "lab/*"]).code, 0);

    // What was never confirmed was never deleted: its file comes back as it was.
    std::fs::remove_file(dir.path().join(API)).expect("there");
    let lost = commit(dir.path(), "Lose a file");
    let ran = run(dir.path(), &["rollback", &lost]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(read(dir.path(), &format!("revert/{}", &lost[..7]), API), api.trim());
}

#[test]
fn one_shoot_goes_back_and_nobody_else() {
    let dir = repository();
    let begin = said(dir.path(), &["rev-parse", "HEAD"]);
    edit(dir.path(), STORE, "maximum: 6\n", "maximum: 9\n");
    edit(dir.path(), MINI, "maximum: 1\n", "maximum: 2\n");
    let bad = commit(dir.path(), "Grow");
    // Moved without a change: that is no change of the shoot.
    std::fs::rename(dir.path().join(STORE), dir.path().join("projects/shop/shoots/front.yaml")).expect("moved");
    edit(dir.path(), API, "eventTTL: 2h", "eventTTL: 3h");
    commit(dir.path(), "Move it");
    let ran = run(dir.path(), &["rollback", "shop/store"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let branch = format!("revert/{}-store", &bad[..7]);
    assert!(
        said(dir.path(), &["log", "-1", "--format=%B", &branch])
            .contains(&format!("This reverts commit {bad} for Shoot shop/store only."))
    );
    let changed = said(dir.path(), &["diff", "--name-only", "--no-renames", "HEAD", &branch]);
    assert_eq!(changed, "projects/shop/shoots/front.yaml\nprojects/shop/shoots/store.yaml");
    assert!(read(dir.path(), &branch, STORE).contains("maximum: 6\n"));

    // Several, back to where they were.
    let ran = run(dir.path(), &["rollback", "--to", &begin, "shop/*", "--branch", "back"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(read(dir.path(), "back", MINI).contains("maximum: 1\n"));
    assert!(read(dir.path(), "back", API).contains("eventTTL: 3h"));
    // All of it.
    let ran = run(dir.path(), &["rollback", "--to", &begin, "--branch", "all"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let tree = |what: &str| said(dir.path(), &["rev-parse", &format!("{what}^{{tree}}")]);
    assert_eq!(tree("all"), tree(&begin));
    assert_eq!(run(dir.path(), &["rollback", "shop/nobody"]).code, 2);
    // What is gone comes back as it was.
    std::fs::remove_file(dir.path().join(MINI)).expect("there");
    commit(dir.path(), "Lose it");
    let ran = run(dir.path(), &["rollback", "--to", &begin, "shop/mini", "--branch", "mini"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(read(dir.path(), "mini", MINI).contains(
        "maximum: 1
"
    ));
    assert_eq!(run(dir.path(), &["rollback"]).code, 64);
}

#[test]
fn an_emergency_goes_onto_the_branch_unless_somebody_works_there() {
    let dir = repository();
    edit(dir.path(), STORE, "maximum: 6\n", "maximum: 9\n");
    let bad = commit(dir.path(), "Grow");
    let held = run(dir.path(), &["rollback", &bad, "--emergency"]);
    assert_eq!(held.code, 5, "{}{}", held.out, held.err);
    assert!(held.err.contains("is checked out here"), "{}", held.err);
    assert!(held.out.contains(&format!("git merge --ff-only revert/{}", &bad[..7])), "{}", held.out);
    assert_eq!(said(dir.path(), &["rev-parse", BRANCH]), bad);

    git(dir.path(), &["switch", "-q", "-c", "work"]);
    let ran = run(dir.path(), &["rollback", &bad, "--emergency", "--onto", "local", "--reason", "INC-1\nReconciled: no"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(said(dir.path(), &["rev-parse", &format!("{BRANCH}~1")]), bad);
    let text = said(dir.path(), &["log", "-1", "--format=%B", BRANCH]);
    assert!(text.ends_with("Reason: INC-1 Reconciled: no\nEmergency: true"), "{text}");
}

#[test]
fn a_revert_that_does_not_fit_any_more_names_the_files() {
    let dir = repository();
    edit(dir.path(), STORE, "maximum: 6\n", "maximum: 9\n");
    let bad = commit(dir.path(), "Grow");
    edit(dir.path(), STORE, "maximum: 9\n", "maximum: 12\n");
    commit(dir.path(), "Grow more");
    let ran = run(dir.path(), &["rollback", &bad]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(ran.err.contains(STORE) && ran.err.contains("git revert"), "{}", ran.err);
    let elsewhere = run(dir.path(), &["rollback", "0123456789"]);
    assert!(elsewhere.code == 2 && elsewhere.err.contains("no revision"), "{}", elsewhere.err);
}

#[test]
fn a_mistake_is_mended_and_neighbours_in_a_file_stay() {
    let dir = repository();
    // Two shoots in one file: one gets a version that cannot go back, the other one more nodes.
    let (store, mini) = (std::fs::read_to_string(dir.path().join(STORE)), std::fs::read_to_string(dir.path().join(MINI)));
    let both = format!("{}---\n{}", store.expect("a shoot"), mini.expect("a shoot"));
    std::fs::write(dir.path().join(STORE), &both).expect("written");
    std::fs::remove_file(dir.path().join(MINI)).expect("there");
    commit(dir.path(), "Put them together");
    let new = both.replace("version: 1.34.2 ", "version: 1.34.6 ").replace("maximum: 1\n", "maximum: 3\n");
    std::fs::write(dir.path().join(STORE), &new).expect("written");
    let bad = commit(dir.path(), "Change both");
    let ran = run(dir.path(), &["rollback", &bad]);
    assert_eq!(ran.code, 5, "{}{}", ran.out, ran.err);
    let branch = format!("revert/{}", &bad[..7]);
    assert_eq!(read(dir.path(), &branch, STORE), new.replace("maximum: 3\n", "maximum: 1\n").trim());

    // A file that cannot be read any more is read again afterwards.
    edit(dir.path(), API, "spec:\n", "spec: [\n");
    let broken = commit(dir.path(), "Break it");
    let ran = run(dir.path(), &["rollback", &broken]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(read(dir.path(), &format!("revert/{}", &broken[..7]), API).contains("spec:\n  purpose"));
}

#[test]
fn one_of_two_mistakes_is_taken_back() {
    let dir = repository();
    edit(dir.path(), API, "version: 1.34.6", "version: 1.99.0");
    commit(dir.path(), "A version that nobody offers");
    edit(dir.path(), API, "eventTTL: 2h", "eventTTL: 200h");
    let second = commit(dir.path(), "Keep events for long");
    let ran = run(dir.path(), &["rollback", &second]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("it had errors before, and still has"), "{}", ran.out);
    assert!(read(dir.path(), &format!("revert/{}", &second[..7]), API).contains("eventTTL: 2h"));
}

#[test]
fn a_landscape_in_a_folder_of_a_remote_repository_is_rolled_back_there() {
    let dir = repository();
    let nested = dir.path().join("landscapes/local");
    std::fs::create_dir_all(&nested).expect("a folder");
    for part in ["landscape.yaml", "cloudprofiles", "extensions", "projects", "seeds"] {
        git(dir.path(), &["mv", part, "landscapes/local/"]);
    }
    commit(dir.path(), "Put it into a folder");
    let store = format!("landscapes/local/{STORE}");
    edit(dir.path(), &store, "version: 1.34.2 ", "version: 1.34.6 ");
    edit(dir.path(), &store, "maximum: 6\n", "maximum: 9\n");
    let bad = commit(dir.path(), "Grow");
    let bare = tempfile::tempdir().expect("a folder");
    git(bare.path(), &["clone", "-q", "--bare", dir.path().to_str().expect("text"), "origin.git"]);
    let origin = bare.path().join("origin.git");
    let url = format!("file://{}", origin.display());
    let args = |more: &[&'static str]| -> Vec<String> {
        let all = ["rollback", &bad, "--repo", &url, "-L", "local", "--path", "landscapes/local"];
        all.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
    };
    let ran = |more: &[&'static str]| {
        let args = args(more);
        run(bare.path(), &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let proposed = ran(&[]);
    assert_eq!(proposed.code, 5, "{}{}", proposed.out, proposed.err);
    assert!(!proposed.out.contains("outside the landscape") && !proposed.out.contains("git push"), "{}", proposed.out);
    let text = read(&origin, &format!("revert/{}", &bad[..7]), &store);
    assert!(text.contains("version: 1.34.6") && text.contains("maximum: 6\n"), "{text}");
    assert_eq!(said(&origin, &["rev-parse", BRANCH]), bad);
    let straight = ran(&["--emergency"]);
    assert_eq!(straight.code, 5, "{}{}", straight.out, straight.err);
    assert_eq!(said(&origin, &["rev-parse", &format!("{BRANCH}~2")]), bad);
    assert_eq!(read(&origin, BRANCH, &store), text);
}
