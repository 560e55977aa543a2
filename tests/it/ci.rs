//! What CI makes of findings and plans: published shapes, reports, annotations and comments, also of what strangers wrote.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use espalier::plan::impact::Mark;
use serde_json::{Value, json};

use super::cli::{run, run_in};
use super::golden::{commit, is_sarif, is_well_formed, proposed};

const HOSTILE: &str = "@org/team #12 GH-7 !3 <script>alert(1)</script> | ` ``` ```` ![a](http://b.c) **x** \u{202e}evil\n```\n</details>\n@all https://x.org www.x.org --> &#64;all";

/// The plan of the golden pull request, as `plan -o json` writes it.
pub(crate) fn plan() -> &'static Value {
    static PLAN: OnceLock<Value> = OnceLock::new();
    PLAN.get_or_init(|| {
        let dir = proposed();
        let ran = run(dir.path(), &["plan", "--from", "HEAD~1", "--to", "HEAD", "-o", "json"]);
        assert_eq!(ran.code, 3, "{}", ran.err);
        serde_json::from_str(&ran.out).expect("JSON")
    })
}

/// A plan of these objects, whose summary fits them.
pub(crate) fn plan_of(objects: Vec<Value>) -> Value {
    let mut plan = plan().clone();
    let n = |word: &str| objects.iter().filter(|object| object["action"] == word).count();
    let marks = Mark::ALL.map(Mark::word);
    let weight = |object: &Value| marks.iter().position(|mark| object["worst"] == *mark).expect("a mark");
    let worst = objects.iter().map(weight).max().unwrap_or_default();
    let components = |object: &Value| object["components"].as_array().cloned().unwrap_or_default();
    let manifests: usize = objects.iter().flat_map(components).map(|c| c["manifests"].as_array().map_or(0, Vec::len)).sum();
    plan["summary"] = json!({
        "create": n("create"), "update": n("update"), "delete": n("delete"), "blocked": n("blocked"), "held": n("held"),
        "unchanged": 7, "rendered": objects.iter().filter(|o| o["components"].is_array()).count(), "manifests": manifests,
        "worst": marks[worst], "replaced": { "minimum": 0, "maximum": 0, "clusters": 0 },
    });
    plan["objects"] = objects.into();
    plan
}

fn published(name: &str) -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/cli").join(name);
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).expect("it is committed")).expect("JSON");
    jsonschema::draft202012::new(&schema).expect("the schema is one")
}

fn keeps_to(validator: &jsonschema::Validator, value: &Value) {
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// The counts that a comment shows, over both rows.
fn counts_of(comment: &str) -> Vec<u64> {
    let rows = comment.lines().filter(|line| line.starts_with("| shoots |") || line.starts_with("| other |"));
    let numbers = |row: &str| row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect::<Vec<u64>>();
    rows.map(numbers).reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect()).expect("two rows")
}

const WORDS: [&str; 5] = ["create", "update", "delete", "blocked", "held"];

/// Text, JSON, JSON lines and Markdown of one plan agree, and JSON is what is published; gives the JSON.
fn agrees(dir: &Path, args: &[&str]) -> Value {
    let of = |format: &str| run(dir, &[&["plan", "-o", format], args].concat()).out;
    let plan: Value = serde_json::from_str(&of("json")).expect("JSON");
    keeps_to(&published("plan.json"), &plan);
    let summary = &plan["summary"];
    let n = |word: &str| summary[word].as_u64().expect("a number");
    let text = of("text");
    let mut line = format!("Summary: {} create, {} update, {} delete", n("create"), n("update"), n("delete"));
    for word in ["blocked", "held"].into_iter().filter(|word| n(word) > 0) {
        line.push_str(&format!(", {} {word}", n(word)));
    }
    assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    let comment = of("md");
    assert_eq!(counts_of(&comment), WORDS.map(n), "{comment}");
    // Markdown of the JSON is the Markdown of the plan.
    let again = run_in(dir, &[], &plan.to_string(), &["ci", "summary", "--limit", "58977"]);
    assert_eq!((again.code, again.out.as_str()), (0, comment.as_str()), "{}", again.err);
    // Lines make the same document.
    let lines: Vec<Value> = of("jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut joined = lines[0].clone();
    assert_eq!((&joined["type"], &joined["apiVersion"]), (&"plan".into(), &"espalier.dev/cli/v1".into()));
    joined.as_object_mut().expect("a map").remove("type");
    let all = |word: &str| lines.iter().filter(|line| line["type"] == word).map(|line| line[word].clone()).collect::<Value>();
    (joined["objects"], joined["findings"]) = (all("object"), all("finding"));
    joined["summary"] = lines.last().expect("a line")["summary"].clone();
    assert_eq!(joined, plan);
    plan
}

#[test]
fn a_plan_is_what_is_published_and_counts_alike_in_every_format() {
    let dir = proposed();
    let plan = agrees(dir.path(), &["--from", "HEAD~1", "--to", "HEAD"]);
    assert_eq!(WORDS.map(|word| plan["summary"][word].as_u64()), [1, 3, 0, 1, 1].map(Some), "{}", plan["summary"]);
    // A confirmed deletion, hostile text, and a landscape that cannot be read.
    let edit = |path: &str, from: &str, to: &str| {
        let file = dir.path().join(path);
        let text = fs::read_to_string(&file).expect("a file");
        assert!(text.contains(from), "{path} has no {from}");
        fs::write(file, text.replacen(from, to, 1)).expect("a file");
    };
    let confirmed = "metadata:\n  annotations: { confirmation.gardener.cloud/deletion: \"true\" }\n";
    edit("projects/shop/shoots/mini.yaml", "metadata:\n", confirmed);
    commit(dir.path(), "bob", "2026-08-22", "Confirm");
    fs::remove_file(dir.path().join("projects/shop/shoots/mini.yaml")).expect("it is there");
    // A character that turns text around would hold the project.
    let note = format!("metadata:\n  annotations: {{ example.org/note: {} }}\n", json!(HOSTILE.replace('\u{202e}', "")));
    edit("projects/lab/project.yaml", "metadata:\n", &note);
    let plan = agrees(dir.path(), &[]);
    assert_eq!((&plan["summary"]["delete"], &plan["summary"]["worst"]), (&1.into(), &"deletes".into()), "{plan}");
    assert!(plan.to_string().contains("</details>"), "what people wrote is in it as it is");
    fs::write(dir.path().join("landscape.yaml"), "kind: [").expect("a file");
    let plan = agrees(dir.path(), &[]);
    assert_ne!((&plan["findings"], &plan["summary"]["blocked"]), (&json!([]), &0.into()), "{}", plan["summary"]);
    // The schema notices what does not belong there.
    let validator = published("plan.json");
    for (pointer, wrong) in [
        ("/apiVersion", json!("v2")),
        ("/summary/create", json!("1")),
        ("/objects/0/action", json!("replace")),
        ("/objects/0/worst", json!("bad")),
        ("/objects/0/owner/kind", json!("Pod")),
        ("/objects/0/owner", json!({ "kind": "Shoot", "name": "a", "uid": "b" })),
    ] {
        let mut broken = plan.clone();
        *broken.pointer_mut(pointer).expect("it is there") = wrong;
        assert!(!validator.is_valid(&broken), "{pointer}");
    }
}

#[test]
fn what_strangers_write_is_refused_in_one_line_that_quotes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |text: &str, words: &str| {
        for args in [&["ci", "summary"][..], &["ci", "comment", "--dry-run", "--forge", "github"]] {
            let ran = run_in(dir.path(), &[], text, args);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words}: {}", ran.err);
            assert!(ran.err.contains(words) && ran.err.lines().count() == 1 && ran.err.len() < 500, "{words}: {}", ran.err);
            assert!(!ran.err.contains("<script>") && !ran.err.contains('\u{202e}') && !ran.err.contains('\x1b'), "{}", ran.err);
        }
    };
    let with = |pointer: &str, value: Value| {
        let mut plan = plan().clone();
        let (above, key) = pointer.rsplit_once('/').expect("a pointer");
        plan.pointer_mut(above).expect("it is there")[key] = value;
        plan.to_string()
    };
    refused("", "is not JSON");
    refused("{\"apiVersion\": \"<script>\u{1b}[31m", "is not JSON");
    refused("[]", "is no Plan of espalier.dev/cli/v1");
    refused(&"[".repeat(5_000), "is not JSON");
    refused(&with("/kind", "Validation".into()), "is no Plan of espalier.dev/cli/v1");
    refused(&with("/<script>\u{202e}\n", HOSTILE.into()), "is no Plan of espalier.dev/cli/v1");
    refused(&with(&format!("/{}", "x".repeat(100_000)), HOSTILE.into()), "is no Plan of espalier.dev/cli/v1");
    refused(&with("/landscape", json!({ HOSTILE: HOSTILE })), "is no Plan of espalier.dev/cli/v1 at /landscape");
    refused(&with("/objects/0/worst", HOSTILE.into()), "at /objects/0/worst");
    refused(&with("/summary/create", json!(-1)), "at /summary/create");
    refused(&with("/summary/create", json!(400)), "contradicts itself: its summary says 400 create, its objects are 1");
    refused(&with("/summary/worst", "none".into()), "contradicts itself: its summary says worst none");
    let large = dir.path().join("large.json");
    fs::File::create(&large).and_then(|file| file.set_len((64 << 20) + 1)).expect("a file with a hole");
    let ran = run(dir.path(), &["ci", "summary", "--plan", "large.json"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("large.json is larger than 64 MiB"), "{}", ran.err);
    assert_eq!(run(dir.path(), &["ci", "summary", "--plan", "none.json"]).code, 2);
    // The same for findings.
    for text in ["", "{}", &plan().to_string()] {
        let ran = run_in(dir.path(), &[], text, &["ci", "annotate"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    }
    for wrong in [
        &["ci"][..],
        &["ci", "coment"],
        &["ci", "report"],
        &["ci", "report", "--report", "sarif"],
        &["ci", "report", "--report", "sariff=a"],
        &["ci", "report", "--plan", "a", "--format", "sarif"],
        &["ci", "report", "a", "--format", "gitlab-plan"],
        &["ci", "summary", "--limit", "12"],
        &["validate", "--report", "gitlab-plan=a"],
        &["ci", "comment", "--head", "HEAD"],
    ] {
        let ran = run(dir.path(), wrong);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{wrong:?}: {}", ran.err);
    }
}

/// The comment that would be written on a forge.
fn comment(dir: &Path, forge: &str, plan: &Value) -> String {
    let ran = run_in(dir, &[], &plan.to_string(), &["ci", "comment", "--dry-run", "--forge", forge]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out.split_once("\n\n").expect("a blank line before the comment").1.to_owned()
}

const FORGES: [(&str, usize); 4] = [("github", 65_536), ("gitlab", 1_000_000), ("gitea", 65_535), ("bitbucket", 32_768)];

/// Character references are what they stand for, as a forge reads them.
fn decoded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("&#") {
        out.push_str(&rest[..at]);
        let (number, after) = rest[at + 2..].split_once(';').expect("a reference ends");
        out.push(number.parse().ok().and_then(char::from_u32).expect("a reference is a number"));
        rest = after;
    }
    out + rest
}

/// Reads a comment as far as it uses GitHub's Markdown: what is open is closed, rows have their cells, and outside of code nothing
/// refers to anybody or anything.
fn is_markdown(comment: &str, html: bool) {
    let mut fence: Option<String> = None;
    let (mut folded, mut cells) = (0_usize, None);
    let marker = comment.lines().next().expect("a line");
    let frame = if html { ("<!-- espalier:plan:", ":v1 -->") } else { ("[//]: # (espalier:plan:", ":v1)") };
    let name = marker.strip_prefix(frame.0).and_then(|rest| rest.strip_suffix(frame.1)).expect("it begins with its marker");
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')), "{marker}");
    for line in comment.lines().skip(1) {
        let ticks = line.len() - line.trim_start_matches('`').len();
        if let Some(open) = &fence {
            if line == open {
                fence = None;
            } else {
                assert!(!line.contains(&**open), "a line ends its block: {line}");
                assert!(line.chars().count() < 700, "{line}");
            }
            continue;
        }
        if ticks >= 3 {
            fence = Some("`".repeat(ticks));
            continue;
        }
        assert!(line.matches('`').count() % 2 == 0, "code is closed: {line}");
        let bare: String = line.split('`').step_by(2).collect();
        folded += bare.matches("<details>").count();
        folded = folded.checked_sub(bare.matches("</details>").count()).expect("only what is open is closed");
        assert!(folded <= 1, "{line}");
        if line.starts_with('|') {
            let n = bare.matches('|').count();
            assert_eq!(*cells.get_or_insert(n), n, "{line}");
        } else {
            cells = None;
        }
        let tags = ["<details><summary>", "</summary>", "</details>", "<b>", "</b>"];
        let text = if html { tags.iter().fold(bare.clone(), |text, tag| text.replace(tag, "")) } else { bare.clone() };
        assert!(!text.contains(['<', '>']) && !text.contains("!["), "{line}");
        // Forges look for references in what Markdown makes of it.
        let read = decoded(&text);
        for bad in ["@org", "@all", "#12", "GH-7", "!3", "http://", "https://", "\u{202e}"] {
            assert!(!read.contains(bad), "{bad} in {read}");
        }
        assert!(!bare.contains("www.") && !bare.contains("**x**"), "{line}");
    }
    assert!(fence.is_none() && folded == 0, "something stays open");
    assert!(!comment.contains('\u{202e}') && !comment.contains('\x1b'));
}

#[test]
fn hostile_text_changes_no_layout_and_mentions_nobody() {
    let dir = tempfile::tempdir().expect("a folder");
    // In place of every text of the plan it must still be below what is read of a document.
    let long = format!("{HOSTILE}{}", "y".repeat(40_000));
    for text in [HOSTILE, &long, "```", "</details>", "|", "@all", "\u{202e}\u{2066}", "x --> <!-- y"] {
        let mut plan = plan().clone();
        fn everywhere(value: &mut Value, key: &str, text: &str) {
            let kept = ["apiVersion", "kind", "action", "worst", "mark", "certainty", "verdict", "severity", "type", "when"];
            match value {
                Value::String(old) if !kept.contains(&key) => text.clone_into(old),
                Value::Array(list) => list.iter_mut().for_each(|value| everywhere(value, key, text)),
                Value::Object(map) => map.iter_mut().for_each(|(key, value)| everywhere(value, &key.clone(), text)),
                _ => {}
            }
        }
        everywhere(&mut plan, "", text);
        plan["findings"] = json!([{ "severity": "error", "code": text, "message": text, "places": [
            { "path": text, "span": null, "pointer": text } ] }]);
        plan["guards"] = json!([{ "guard": text, "message": text, "help": text, "owners": [] }]);
        for (forge, most) in FORGES {
            let comment = comment(dir.path(), forge, &plan);
            assert!(comment.len() <= most, "{forge}: {} bytes", comment.len());
            is_markdown(&comment, forge != "bitbucket");
            assert_eq!(counts_of(&comment), [1, 3, 0, 1, 1], "{forge}");
            assert_eq!(comment.lines().filter(|line| line.starts_with("- **")).count(), 2, "{forge}: {comment}");
        }
    }
}

#[test]
fn five_thousand_changed_shoots_are_one_comment_on_every_forge() {
    let dir = tempfile::tempdir().expect("a folder");
    let objects = plan()["objects"].as_array().expect("a list");
    let like = |name: &str| objects.iter().find(|object| object["owner"]["name"] == name).expect("it is there");
    let shoot = |n: usize| {
        // Most are alike in pairs, one in a thousand is held, one in five hundred goes one way.
        let mut object = like(if n % 1_000 == 999 {
            "pay"
        } else if n % 500 == 499 {
            "store"
        } else {
            "mini"
        })
        .clone();
        object.as_object_mut().expect("a map").remove("components");
        object["owner"] = json!({ "kind": "Shoot", "project": format!("p{}", n % 50), "name": format!("s{n}") });
        if object["action"] == "update" {
            object["changes"][0]["after"] = json!(format!("value {}", n / 2));
        }
        object
    };
    let plan = plan_of((0..5_000).map(shoot).collect());
    for (forge, most) in FORGES {
        let comment = comment(dir.path(), forge, &plan);
        println!("{forge}: {} bytes of {most}, {} lines", comment.len(), comment.lines().count());
        assert!(comment.len() <= most / 10 * 9 + 9 && comment.len() > most / 2, "{forge}: {} bytes", comment.len());
        is_markdown(&comment, forge != "bitbucket");
        assert!(comment.contains("### espalier plan · `local` · ⚠️ forbidden"), "the header stays");
        assert_eq!(counts_of(&comment), [0, 4_995, 0, 0, 5]);
        let rows: Vec<&str> = comment.lines().filter(|line| line.starts_with("| `") || line.starts_with("| **")).collect();
        let weight =
            |row: &str| ["forbidden", "one-way", "recreates"].iter().position(|mark| row.contains(mark)).expect("a mark");
        assert!(rows.windows(2).all(|pair| weight(pair[0]) <= weight(pair[1])), "worst first");
        assert!(comment.contains("more in the full plan"), "it says that there is more");
    }
    let ran = run_in(dir.path(), &[], &plan.to_string(), &["ci", "summary"]);
    assert!(ran.out.len() <= 1 << 20 && ran.out.len() > 900_000, "{} bytes", ran.out.len());
}

#[test]
fn the_summary_of_a_job_is_appended_within_its_budget() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("summary.md");
    fs::write(&file, "before\n").expect("a file");
    let environment = [("GITHUB_STEP_SUMMARY", file.to_str().expect("UTF-8"))];
    let text = plan().to_string();
    let ran = run_in(dir.path(), &environment, &text, &["ci", "summary"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let written = fs::read_to_string(&file).expect("a file");
    assert!(written.starts_with("before\n<!-- espalier:plan:local:v1 -->\n### espalier plan"), "{written}");
    fs::write(&file, "x".repeat((1 << 20) - 100)).expect("a file");
    let ran = run_in(dir.path(), &environment, &text, &["ci", "summary"]);
    assert!(ran.code == 0 && ran.err.contains("is full already"), "{}", ran.err);
    assert_eq!(fs::metadata(&file).expect("a file").len(), (1 << 20) - 100);
}

/// A landscape of 40 projects with a mistake each, and one with the same mistake three times.
fn mistaken(above: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let landscape = "apiVersion: espalier.dev/v1alpha1\nkind: Landscape\nmetadata: {name: live}\n";
    fs::write(dir.path().join("landscape.yaml"), landscape).expect("a file");
    for n in 0..38 {
        let folder = dir.path().join(format!("projects/p{n}"));
        fs::create_dir_all(&folder).expect("a folder");
        let more = if n == 0 { "  wrong0a: 1\n  wrong0b: 2\n" } else { "" };
        let text = format!(
            "{above}apiVersion: core.gardener.cloud/v1beta1\nkind: Project\nmetadata:\n  name: p{n}\nspec:\n  wrong{n}: \"{n}\"\n{more}"
        );
        fs::write(folder.join("project.yaml"), text).expect("a file");
    }
    dir
}

#[test]
fn forty_findings_are_ten_annotations_and_forty_in_every_report() {
    let dir = mistaken("");
    let at = dir.path();
    let ran = run(at, &["validate", "-o", "json"]);
    let findings: Value = serde_json::from_str(&ran.out).expect("JSON");
    keeps_to(&published("validation.json"), &findings);
    let errors = findings["findings"].as_array().expect("a list").iter().filter(|f| f["severity"] == "error").count();
    assert_eq!((ran.code, errors), (1, 40), "{}", ran.out);
    let annotated = run_in(at, &[], &ran.out, &["ci", "annotate"]);
    let shown: Vec<&str> = annotated.out.lines().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!((annotated.code, shown.len()), (0, 10), "{}", annotated.out);
    assert!(shown[0].contains("file=projects/p0/project.yaml") && shown[0].ends_with("and 2 more of FIELD-UNKNOWN in this file"));
    assert_eq!(shown[9], "::error title=espalier::and 31 more, see the summary");
    let files: BTreeSet<&str> = shown[..9].iter().filter_map(|line| line.split(',').next()).collect();
    assert_eq!(files.len(), 9, "at most one for each file: {shown:#?}");
    // Both ways to a report give the same, and it has all of them.
    fs::write(at.join("findings.json"), &ran.out).expect("a file");
    let formats = ["sarif", "junit", "codequality", "github", "tap", "checkstyle", "json"];
    let wanted = |word: &str| formats.map(|format| format!("{format}={word}.{format}"));
    let (one, two) = (wanted("one"), wanted("two"));
    let with = |command: &[&str], reports: &[String]| {
        let reports: Vec<&str> = reports.iter().flat_map(|report| ["--report", report]).collect();
        run(at, &[command, &reports].concat())
    };
    assert_eq!(with(&["validate", "-q"], &one).code, 1);
    let ran = with(&["ci", "report", "findings.json"], &two);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let read = |word: &str, format: &str| fs::read_to_string(at.join(format!("{word}.{format}"))).expect("it was written");
    for format in formats {
        assert_eq!(read("one", format), read("two", format), "{format}");
        assert_eq!(run(at, &["ci", "report", "findings.json", "--format", format]).out, read("one", format));
    }
    let sarif: Value = serde_json::from_str(&read("one", "sarif")).expect("JSON");
    is_sarif(&sarif);
    let results = sarif.pointer("/runs/0/results").and_then(Value::as_array).expect("results");
    assert_eq!(results.iter().filter(|result| result["level"] == "error").count(), 40);
    let junit = read("one", "junit");
    is_well_formed(&junit);
    assert_eq!((junit.matches("<failure ").count(), junit.matches(": error[").count()), (38, 40), "{junit}");
    let checkstyle = read("one", "checkstyle");
    is_well_formed(&checkstyle);
    assert_eq!(checkstyle.matches("severity=\"error\"").count(), 40);
    let tap = read("one", "tap");
    let points = tap.lines().filter(|line| line.starts_with("ok ") || line.starts_with("not ok ")).count();
    assert!(tap.starts_with(&format!("TAP version 14\n1..{points}\n")), "{tap}");
    assert_eq!((tap.matches("\nnot ok ").count(), tap.matches(": error[").count()), (38, 40), "{tap}");
    let quality: Vec<Value> = serde_json::from_str(&read("one", "codequality")).expect("an array, without a mark before it");
    let prints: BTreeSet<&str> = quality.iter().filter_map(|one| one["fingerprint"].as_str()).collect();
    assert_eq!((prints.len(), quality.len()), (results.len(), results.len()));
    let relative = |path: &str| !path.starts_with('/') && !path.starts_with("./") && at.join(path).is_file();
    assert!(quality.iter().all(|one| one.pointer("/location/path").and_then(Value::as_str).is_some_and(relative)));
    // GitLab gets a file and nothing else.
    let gitlab = run_in(at, &[("GITLAB_CI", "true")], "", &["ci", "annotate", "findings.json"]);
    assert_eq!((gitlab.code, gitlab.out.as_str()), (0, ""), "{}", gitlab.err);
    let written = fs::read_to_string(at.join("gl-code-quality-report.json")).expect("it was written");
    assert_eq!(written, read("one", "codequality"));
}

#[test]
fn fingerprints_stay_when_lines_come_above() {
    let prints = |dir: &tempfile::TempDir| -> BTreeSet<String> {
        let ran = run(dir.path(), &["validate", "-o", "sarif"]);
        let sarif: Value = serde_json::from_str(&ran.out).expect("JSON");
        let results = sarif.pointer("/runs/0/results").and_then(Value::as_array).expect("results");
        results.iter().map(|result| result["partialFingerprints"]["espalier/v1"].as_str().expect("one").to_owned()).collect()
    };
    let (before, after) = (prints(&mistaken("")), prints(&mistaken(&"# a remark\n".repeat(20))));
    assert!(before.len() >= 40, "{}", before.len());
    assert_eq!(before, after);
}

#[test]
fn gitlab_shows_the_counts_of_a_plan() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("plan.json"), plan().to_string()).expect("a file");
    let ran = run(dir.path(), &["ci", "report", "--plan", "plan.json", "--report", "gitlab-plan=counts.json"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let counts: Value = serde_json::from_str(&fs::read_to_string(dir.path().join("counts.json")).expect("a file")).expect("JSON");
    assert_eq!(counts, json!({ "create": 1, "update": 3, "delete": 0 }));
}

#[test]
fn secrets_are_in_no_output() {
    const CANARY: &str = "c4n4ry-s3cr3t";
    let dir = proposed();
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: leak}}\nstringData: {{token: {CANARY}}}\ndata: {{token: {CANARY}}}\n"
    );
    fs::write(dir.path().join("projects/shop/credentials/leak.yaml"), secret).expect("a file");
    let environment =
        [("GITHUB_TOKEN", CANARY), ("ESPALIER_GIT_TOKEN", CANARY), ("GITLAB_TOKEN", CANARY), ("GITHUB_ACTIONS", "true")];
    let mut all = Vec::new();
    for format in ["table", "json", "sarif", "junit", "codequality", "github", "tap", "checkstyle"] {
        all.push(run_in(dir.path(), &environment, "", &["validate", "-o", format]));
    }
    assert!(all[0].out.contains("leak.yaml"), "it is seen: {}", all[0].out);
    for format in ["text", "json", "jsonl", "md"] {
        all.push(run_in(dir.path(), &environment, "", &["plan", "-o", format]));
    }
    all.push(run_in(dir.path(), &environment, &plan().to_string(), &["ci", "comment", "--dry-run"]));
    all.push(run_in(dir.path(), &environment, &plan().to_string(), &["-vv", "ci", "summary"]));
    for ran in all {
        assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{}{}", ran.out, ran.err);
    }
}
