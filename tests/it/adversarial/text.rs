//! Texts that mean harm: what they cost is bounded, what they say stays what they say, and no other file pays for them.

use std::collections::BTreeMap;
use std::fmt::Write;

use espalier::document::{self, Budget};
use espalier::finding::{Findings, Severity};
use espalier::landscape::{FileMemo, Kind, Landscape, Owner, load};
use espalier::library::{self, Library};
use espalier::snapshot::RepoPath;
use serde_json::{Value, json};

use super::{SHOOT, SHOOTS, codes, with};
use crate::landscapes::{admitted, render_mini, snapshot};

const BESIDE: &str = "projects/shop/shoots/other.yaml";

/// A shoot in a file of its own, and the same shoot beside another file: nothing about it may differ.
fn unharmed(landscape: &Landscape) {
    let alone = with(&[(BESIDE, &SHOOT.replace("prod", "other"))]).0;
    let owner = Owner::project(Kind::Shoot, "shop", "other");
    assert_eq!(landscape.value(&owner), alone.value(&owner));
    assert!(landscape.value(&owner).is_some());
}

fn beside(text: &str) -> (Landscape, Findings) {
    let found = with(&[(SHOOTS, text), (BESIDE, &SHOOT.replace("prod", "other"))]);
    unharmed(&found.0);
    found
}

#[test]
fn case_7_aliases_are_refused_before_they_grow() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ('b'..='z').zip('a'..) {
        writeln!(bomb, "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]").expect("a text grows");
    }
    let (landscape, findings) = beside(&format!("{SHOOT}{bomb}"));
    assert_eq!(codes(&findings).into_iter().collect::<std::collections::BTreeSet<_>>(), ["DOC-ALIAS", "DOC-ANCHOR"].into());
    assert!(findings.0.len() <= 100, "{} findings", findings.0.len());
    let owner = Owner::project(Kind::Shoot, "shop", "prod");
    assert!(landscape.broken.contains_key(&owner) && landscape.value(&owner).is_none(), "it is there and unusable");
    // None is allowed, and one is too many.
    let with_note = |note: &str| SHOOT.replace("  name: prod\n", &format!("  name: prod\n  annotations: {note}\n"));
    assert_eq!(codes(&beside(&with_note("{x: 'a*b', y: \"&c\", z: \"*d\"}")).1), [""; 0]);
    assert_eq!(codes(&beside(&with_note("{x: &c a}")).1), ["DOC-ANCHOR"]);
    assert_eq!(codes(&beside(&with_note("{x: *c}")).1), ["DOC-ALIAS"]);
    let merged = codes(&beside(&with_note("{<<: {x: y}}")).1).len();
    assert_eq!(merged, 1, "merge keys are no keys of annotations");
}

#[test]
fn case_9_no_reader_makes_something_else_of_a_text() {
    let traps = [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "n",
        "1e3",
        "0777",
        "0o17",
        "0x1F",
        "1_000",
        "2024-01-01",
        "12:30:45",
        ".inf",
        "-.INF",
        ".nan",
        "~",
        "null",
        "true",
        "1",
        "1.10",
    ];
    for trap in traps {
        let with_note = |note: &str| {
            SHOOT.replace("  name: prod\n", &format!("  name: prod\n  annotations:\n    example.org/note: {note}\n"))
        };
        let (landscape, findings) = beside(&with_note(trap));
        let owner = Owner::project(Kind::Shoot, "shop", "prod");
        let note = |landscape: &Landscape| {
            landscape.value(&owner).map(|shoot| shoot["metadata"]["annotations"]["example.org/note"].clone())
        };
        match note(&landscape) {
            // A server takes a null in a map of texts for an empty one.
            Some(Value::String(text)) if text.is_empty() => assert!(matches!(trap, "~" | "null"), "{trap} became nothing"),
            Some(text) => assert_eq!(text, json!(trap), "it is taken by the letter"),
            None => assert!(matches!(codes(&findings)[..], ["FIELD-TYPE" | "DOC-NUMBER"]), "{trap}: {findings:#?}"),
        }
        for quoted in [format!("'{trap}'"), format!("\"{trap}\""), format!("|-\n      {trap}")] {
            let (landscape, findings) = beside(&with_note(&quoted));
            assert_eq!(note(&landscape), Some(json!(trap)), "{quoted}");
            assert_eq!(findings.count(Severity::Warning) + findings.count(Severity::Error), 0, "{quoted}: {findings:#?}");
        }
    }
    let warned = |text: &str| {
        beside(&SHOOT.replace("region: eu", &format!("region: {text}")))
            .1
            .iter()
            .any(|f| f.code.as_str() == "DOC-YAML11-AMBIGUOUS")
    };
    assert!(warned("no") && warned("0777") && !warned("north"), "what readers disagree about is told");
}

/// The objects of the shipped shoot `mini` with a value in what its provider reads and in an annotation of its pool.
fn rendered(value: &str) -> Vec<Value> {
    let files: BTreeMap<String, String> =
        library::example("local").into_iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
    let path = "projects/shop/shoots/mini.yaml";
    let mut shoot: Value = serde_yaml::from_str(&files[path]).expect("it is YAML");
    shoot["spec"]["provider"]["infrastructureConfig"] =
        json!({"apiVersion": "aws.provider.extensions.gardener.cloud/v1alpha1", "kind": "InfrastructureConfig", "note": value});
    shoot["spec"]["provider"]["workers"][0]["annotations"] = json!({"example.org/note": value});
    let text = serde_yaml::to_string(&shoot).expect("it can be written");
    let all = files.iter().map(|(p, t)| (p.as_str(), if p == path { text.as_str() } else { t.as_str() }));
    let (landscape, findings) = load(&snapshot(all), &mut FileMemo::default());
    assert!(!findings.has_errors(), "{findings:#?}");
    let owner = Owner::project(Kind::Shoot, "shop", "mini");
    let (admitted, _) = admitted(&landscape);
    assert!(admitted.fresh.contains(&owner), "{:#?}", admitted.held.get(&owner));
    let (library, _) = Library::compile(&BTreeMap::new());
    let rendering = render_mini(&admitted.objects, &library);
    assert!(!rendering.findings.has_errors(), "{:#?}", rendering.findings);
    let components = rendering.releases.iter().flat_map(|release| &release.components);
    components.flat_map(|component| &component.objects).map(|object| object.body.as_ref().clone()).collect()
}

/// Every text in an object that contains another one, and how many places there are in all.
fn places<'v>(value: &'v Value, with: &str, found: &mut Vec<&'v str>) -> usize {
    match value {
        Value::String(text) => {
            if text.contains(with) {
                found.push(text);
            }
            1
        }
        Value::Array(list) => 1 + list.iter().map(|item| places(item, with, found)).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(|item| places(item, with, found)).sum::<usize>(),
        _ => 1,
    }
}

#[test]
fn case_18_a_value_never_changes_the_structure_around_it() {
    let plain = rendered("plain-mark");
    let mut marks = Vec::new();
    let size: usize = plain.iter().map(|object| places(object, "plain-mark", &mut marks)).sum();
    let whole = marks.iter().filter(|text| **text == "plain-mark").count();
    assert!(whole >= 2, "the value is in what is rendered: {marks:#?}");
    let hostile = [
        "mark\"\n---\nkind: Secret\n",
        "mark' : {a: b} # no comment",
        "mark\n  replicas: 100\n\ttab",
        "mark {{identity.uid}} {{{x}}} {{#each y}}",
        "mark: &a [*b] !!str | > % @ `",
        "mark \\u0000 \\n \u{e9} \u{1f331}",
        "--mark=a,b --c",
    ];
    for value in hostile {
        let objects = rendered(value);
        assert_eq!(objects.len(), plain.len(), "{value:?}");
        let mut found = Vec::new();
        let now: usize = objects.iter().map(|object| places(object, value, &mut found)).sum();
        assert_eq!(now, size, "{value:?} changes what is around it");
        assert_eq!(found.iter().filter(|text| **text == value).count(), whole, "{value:?} arrives as it is");
        for object in &objects {
            let written = serde_yaml::to_string(object).expect("it can be written");
            let read = document::parse(
                &RepoPath::from("x.yaml"),
                written.as_bytes(),
                &Budget { bytes: 8 << 20, scalar: 8 << 20, ..Budget::default() },
            );
            assert_eq!(read.documents[0].value(), object, "{value:?} is read as it was written");
        }
    }
}

#[test]
fn case_19_one_file_with_far_too_much_costs_that_file_only() {
    let documents =
        |n: usize| (0..n).fold(String::new(), |all, i| all + &format!("---\n{}", SHOOT.replace("prod", &format!("s{i}"))));
    let (landscape, findings) = beside(&documents(1_000));
    assert_eq!((codes(&findings).len(), landscape.shoots.len()), (0, 1_001), "as many as are allowed");
    let (landscape, findings) = beside(&documents(1_001));
    assert_eq!(codes(&findings), ["DOC-BUDGET-DOCUMENTS"]);
    assert_eq!((landscape.shoots.len(), landscape.unknown.len()), (1_001, 1), "the rest is not known, so nothing is deleted");
    let (landscape, findings) = beside(&"---\na: b\n".repeat(100_000));
    assert!(findings.0.len() <= 1_100, "{} findings", findings.0.len());
    assert!(landscape.unknown.len() <= 1_001 && landscape.shoots.len() == 1, "the rest is one thing");

    let remark = |size: usize| format!("{}\n{SHOOT}", "# words and more words\n".repeat((size - SHOOT.len() - 1) / 23));
    let limit = Budget::default().bytes;
    assert_eq!(codes(&beside(&remark(limit)).1), [""; 0]);
    let (landscape, findings) = beside(&remark(limit + 46));
    assert_eq!(codes(&findings), ["DOC-BUDGET-BYTES"]);
    let owner = Owner::project(Kind::Shoot, "shop", "prod");
    assert!(landscape.broken.contains_key(&owner), "what it is about is still read");
}
