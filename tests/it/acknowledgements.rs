//! What a change costs, acknowledged by a file that is bound to this change.

use std::path::Path;

use serde_json::{Value, json};

use super::cli::{edit, json, repository, run};
use super::history::commit;
use super::schemas::conforms;

const STORE: &str = "projects/shop/shoots/store.yaml";
const FILE: &str = "acknowledgements/store.yaml";

/// A repository that asks before what is one-way, with such a change; gives the digest of the change.
fn guarded(dir: &Path) -> String {
    edit(dir, "landscape.yaml", "maxDeletions: 2", "acknowledge: [one-way]\n    maxDeletions: 2");
    commit(dir, "Ask before what cannot be taken back");
    edit(dir, STORE, "version: 1.34.2 ", "version: 1.34.6 ");
    commit(dir, "Update the store");
    let ran = run(dir, &["plan", "--from", "HEAD~1", "--to", "HEAD", "-o", "json"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    let digest = json(&ran)["digest"].as_str().expect("it changes something").to_owned();
    let text = run(dir, &["plan", "--from", "HEAD~1", "--to", "HEAD"]).out;
    assert!(text.contains(&format!("or add an Acknowledgement of change {digest} to acknowledgements/")), "{text}");
    digest
}

fn write(dir: &Path, spec: &str) {
    std::fs::create_dir_all(dir.join("acknowledgements")).expect("a folder");
    let head = "apiVersion: espalier.dev/v1alpha1\nkind: Acknowledgement\nmetadata:\n  name: store\nspec:\n";
    std::fs::write(dir.join(FILE), format!("{head}{spec}")).expect("a file");
}

fn spec(change: &str) -> String {
    format!("  mark: one-way\n  objects: [shop/store]\n  change: {change}\n  reason: the old version is out of support\n")
}

#[test]
fn a_file_acknowledges_its_change_and_no_other() {
    let dir = repository();
    let at = dir.path();
    let digest = guarded(at);
    write(at, &spec(&digest));
    commit(at, "Acknowledge it");
    let plan = ["plan", "--from", "HEAD~2", "--to", "HEAD"];
    let ran = run(at, &plan);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(run(at, &["validate"]).code, 0);

    // The change becomes another one.
    edit(at, STORE, "maximum: 6", "maximum: 7");
    commit(at, "And more room");
    let plan = ["plan", "--from", "HEAD~3", "--to", "HEAD"];
    let ran = run(at, &plan);
    assert_eq!(ran.code, 3, "{}", ran.out);
    assert!(ran.out.contains(&format!("{FILE}:8:11")) && ran.out.contains("note[ACK-UNUSED]"), "{}", ran.out);
    let answer = json(&run(at, &[&plan[..], &["-o", "json"]].concat()));
    conforms("plan", &answer);
    assert_eq!(answer["notes"][0]["code"], "ACK-UNUSED");
    write(at, &spec(answer["digest"].as_str().expect("a digest")));
    commit(at, "Acknowledge that");
    let plan = ["plan", "--from", "HEAD~4", "--to", "HEAD"];
    assert_eq!(run(at, &plan).code, 0);

    // Whom it does not name, it does not acknowledge.
    let text = std::fs::read_to_string(at.join(FILE)).expect("a file").replace("shop/store", "shop/pay");
    std::fs::write(at.join(FILE), text).expect("a file");
    commit(at, "Of somebody else");
    assert_eq!(run(at, &["plan", "--from", "HEAD~5", "--to", "HEAD"]).code, 3);
}

#[test]
fn it_ends_when_it_says_so() {
    let dir = repository();
    let at = dir.path();
    let digest = guarded(at);
    write(at, &format!("{}  until: 2026-11-20T00:00:00Z\n", spec(&digest)));
    commit(at, "Acknowledge it");
    let plan = |now: &str| run(at, &["plan", "--from", "HEAD~2", "--to", "HEAD", "--now", now]);
    assert_eq!(plan("2026-11-19T00:00:00Z").code, 0);
    let late = plan("2026-11-21T00:00:00Z");
    assert!(late.code == 3 && late.out.contains("note[ACK-EXPIRED]"), "{}", late.out);
    let ran = run(at, &["validate"]);
    assert!(ran.code == 0 && ran.out.contains("ACK-EXPIRED"), "{}{}", ran.out, ran.err);
}

#[test]
fn what_is_wrong_with_one_is_told_at_its_place() {
    let dir = repository();
    let at = dir.path();
    write(at, "  mark: forbidden\n  objects: [shop/nobody]\n  change: soon\n");
    let findings = |dir: &Path| {
        let answer = json(&run(dir, &["validate", "-o", "json"]));
        let found = answer["findings"].as_array().expect("findings").clone();
        let told = |f: &Value| json!([f["severity"], f["code"], f["places"][0]["path"], f["places"][0]["span"]["line"]]);
        found
            .iter()
            .filter(|f| {
                f["code"]
                    .as_str()
                    .is_some_and(|code| code.starts_with("ACK") || code.starts_with('F') || code.starts_with("LOAD"))
            })
            .map(told)
            .collect::<Vec<_>>()
    };
    let mut found = findings(at);
    found.sort_by_key(ToString::to_string);
    assert_eq!(
        found,
        [
            json!(["error", "ACK-CHANGE", FILE, 8]),
            json!(["error", "ACK-MARK", FILE, 6]),
            json!(["error", "ACK-REASON", FILE, 5]),
            json!(["note", "ACK-OBJECTS", FILE, 7]),
        ]
    );
    assert_eq!(run(at, &["plan"]).code, 3, "a plan with such a file is refused");
    write(at, &format!("{}  maark: one-way\n", spec(&"a".repeat(64))));
    assert_eq!(findings(at), [json!(["error", "FIELD-UNKNOWN", FILE, 10])]);
    std::fs::rename(at.join(FILE), at.join("operations/store.yaml"))
        .or_else(|_| {
            std::fs::create_dir_all(at.join("operations"))?;
            std::fs::rename(at.join(FILE), at.join("operations/store.yaml"))
        })
        .expect("moved");
    assert!(findings(at).iter().any(|f| f[1] == "LOAD-PLACE"), "it has a folder of its own");
    let explained = run(at, &["explain", "ACK-CHANGE"]);
    assert_eq!(explained.code, 0, "{}", explained.err);
    assert_eq!(run(at, &["schema", "acknowledgement"]).code, 0);
}
