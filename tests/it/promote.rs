//! Promotion as a merge of documents: what is taken, what stays, and that nothing else changes.
//!
//! A case of `tests/golden/promote/cases` has files by side and path, and what comes of them. With `ESPALIER_GOLDEN=write` the latter
//! is written anew, to be read before it is committed.

#![expect(clippy::disallowed_methods, reason = "a test has no configuration")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use espalier::document::{Budget, Edit, parse, to_yaml};
use espalier::finding::Pointer;
use espalier::landscape::{FileMemo, Kind, Landscape, Owner, load};
use espalier::promote::owned::Rules;
use espalier::promote::{Deed, Promotion, Request, Subject, promote};
use espalier::snapshot::{Changes, RepoPath, Snapshot};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::landscapes::snapshot;

const LANDSCAPE: &str = "apiVersion: espalier.dev/v1alpha1\nkind: Landscape\nmetadata: {name: live}\n";

type Files = BTreeMap<String, String>;

fn read(files: &Files) -> (Snapshot, Landscape) {
    let landscape = (!files.contains_key("landscape.yaml")).then_some(("landscape.yaml", LANDSCAPE));
    let snapshot = snapshot(files.iter().map(|(path, text)| (path.as_str(), text.as_str())).chain(landscape));
    let (landscape, _) = load(&snapshot, &mut FileMemo::default());
    (snapshot, landscape)
}

fn with(files: &Files, changes: &Changes) -> Files {
    let mut files = files.clone();
    for (path, text) in changes {
        match text {
            Some(text) => drop(files.insert(path.to_string(), text.clone())),
            None => drop(files.remove(path.as_str())),
        }
    }
    files
}

#[derive(Default)]
struct Case {
    about: String,
    sides: BTreeMap<String, Files>,
    expected: String,
}

impl Case {
    fn read(text: &str) -> Self {
        let mut case = Self::default();
        let mut into: Option<(Vec<String>, String)> = None;
        let mut lines = text.lines();
        for line in lines.by_ref() {
            if line == "=== promoted" {
                break;
            }
            if let Some(head) = line.strip_prefix("=== ") {
                let (sides, path) = head.split_once(' ').expect("sides and a path");
                into = Some((sides.split(',').map(str::to_owned).collect(), path.to_owned()));
                for side in sides.split(',') {
                    case.sides.entry(side.to_owned()).or_default().entry(path.to_owned()).or_default();
                }
                continue;
            }
            match &into {
                None => case.about.push_str(&format!("{line}\n")),
                Some((sides, path)) => {
                    for side in sides {
                        let file = case.sides.get_mut(side).and_then(|files| files.get_mut(path)).expect("made above");
                        file.push_str(&format!("{line}\n"));
                    }
                }
            }
        }
        case.expected = lines.flat_map(|line| [line, "\n"]).collect();
        case
    }

    fn side(&self, name: &str) -> Option<Landscape> {
        self.sides.get(name).map(|files| read(files).1)
    }

    fn run(&self) -> (Promotion, Files) {
        let empty = Files::new();
        let to_files = self.sides.get("to").unwrap_or(&empty);
        let (files, to) = read(to_files);
        let (base, from) = (self.side("base"), self.side("from").unwrap_or_default());
        let rules = Rules::of(to.landscape.as_ref().and_then(|config| config.spec.spec.promotion.as_ref())).expect("rules");
        let pair =
            |name: &str| Some((self.side(&format!("{name}-before")).unwrap_or_default(), self.side(&format!("{name}-after"))?));
        let (held, layers) = (pair("held"), pair("layer"));
        let mut past: BTreeMap<Owner, Vec<Arc<Value>>> = BTreeMap::new();
        for (owner, value, _) in self.side("past").iter().flat_map(Landscape::objects) {
            past.entry(owner).or_default().push(Arc::clone(value));
        }
        let [held, layers] = [&held, &layers].map(|pair| pair.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
        let promotion = promote(&Request {
            base: base.as_ref(),
            layers: &layers,
            held: &held,
            from: &from,
            to: &to,
            files: &files,
            past: &past,
            rules: &rules,
            wanted: &|subject, _| !subject.to_string().contains("unwanted"),
        });
        let after = with(to_files, &promotion.changes);
        (promotion, after)
    }

    fn told(&self) -> String {
        let (promotion, after) = self.run();
        let mut out = String::new();
        let mut say = |text: String| writeln!(out, "{}", text.trim_end()).expect("text");
        for (subject, deed) in &promotion.taken {
            let deed = match deed {
                Deed::Changed(steps) => steps.iter().map(|s| s.field.as_str()).collect::<Vec<_>>().join(", "),
                Deed::Moved(path) => format!("moved to {path}"),
                other => format!("{other:?}").to_lowercase(),
            };
            say(format!("take {subject}: {deed}"));
        }
        for (subject, step) in &promotion.pinned {
            let word = |value: &Option<Value>| {
                value.as_ref().map_or("nothing".into(), |v| if v.is_object() { "…".into() } else { v.to_string() })
            };
            say(format!("pin {subject}: {} {} → {}", step.field, word(&step.before), word(&step.after)));
        }
        promotion.owned.iter().for_each(|subject| say(format!("own {subject}")));
        promotion.held.iter().for_each(|(subject, field)| say(format!("held {subject}: {field}")));
        promotion.labelled.iter().for_each(|(subject, why)| say(format!("labelled {subject}: {why}")));
        promotion.unwanted.iter().for_each(|subject| say(format!("unwanted {subject}")));
        promotion.unconfirmed.iter().for_each(|subject| say(format!("unconfirmed {subject}")));
        promotion.troubles.iter().for_each(|(subject, why)| say(format!("trouble {subject}: {why}")));
        say(format!("in part: {}", promotion.is_in_part()));
        let none = Files::new();
        let before = self.sides.get("to").unwrap_or(&none);
        for path in promotion.changes.keys().map(RepoPath::as_str) {
            let text = |files: &Files| files.get(path).cloned().unwrap_or_default();
            let (old, new) = (text(before), text(&after));
            let name = |files: &Files| if files.contains_key(path) { path.to_owned() } else { "none".to_owned() };
            let diff = similar::TextDiff::from_lines(&old, &new);
            let (old, new) = (name(before), name(&after));
            out.push_str(&diff.unified_diff().context_radius(1).header(&old, &new).to_string());
        }
        out
    }
}

#[test]
fn promotions_come_out_like_this() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/promote/cases");
    let write = std::env::var("ESPALIER_GOLDEN").is_ok_and(|word| word == "write");
    let mut names: Vec<_> = fs::read_dir(&folder).expect("cases").flatten().map(|entry| entry.path()).collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    let mut wrong = Vec::new();
    for path in names {
        let text = fs::read_to_string(&path).expect("a case");
        let case = Case::read(&text);
        let told = case.told();
        if write {
            let input = text.split("=== promoted\n").next().unwrap_or_default();
            fs::write(&path, format!("{input}=== promoted\n{told}")).expect("a case");
        } else if told != case.expected {
            wrong.push(format!("{}: {}--- expected\n{}--- got\n{told}", path.display(), case.about, case.expected));
        }
        // What was taken once is there: the same again has nothing to take, but for a deletion that was only confirmed.
        let (first, after) = case.run();
        let mut sides = case.sides.clone();
        sides.insert("to".into(), after);
        let again = Case { sides, ..Case::default() }.run().0;
        let confirmed: Vec<&Subject> = first.taken.iter().filter(|(_, deed)| *deed == Deed::Confirmed).map(|(s, _)| s).collect();
        let more: Vec<&(Subject, Deed)> = again.taken.iter().filter(|(subject, _)| !confirmed.contains(&subject)).collect();
        assert!(more.is_empty(), "{}: {more:?}", path.display());
    }
    assert!(wrong.is_empty(), "{}\nESPALIER_GOLDEN=write writes them anew", wrong.join("\n"));
}

// ── generated edits ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const SHOOT: &str = include_str!("../../landscapes/local/projects/shop/shoots/store.yaml");
const PATH: &str = "projects/shop/shoots/store.yaml";

/// Fields with values that a shoot may have there; what belongs to the target comes last.
fn fields() -> Vec<(&'static str, Vec<Value>)> {
    let text = |all: &[&str]| all.iter().map(|text| json!(text)).collect::<Vec<_>>();
    vec![
        ("/spec/kubernetes/version", text(&["1.34.2", "1.34.6", "1.35.1"])),
        ("/spec/purpose", text(&["production", "testing"])),
        ("/spec/provider/workers/0/minimum", vec![json!(1), json!(2), json!(3)]),
        ("/spec/provider/workers/0/machine/type", text(&["m6i.xlarge", "m6i.2xlarge"])),
        ("/spec/provider/workers/1/volume/size", text(&["100Gi", "120Gi", "140Gi"])),
        ("/spec/provider/workers/1/labels/workload.example.org~1class", text(&["batch", "night"])),
        ("/spec/provider/workers/0/zones", vec![json!(["eu-west-1a", "eu-west-1b"]), json!(["eu-west-1b"])]),
        ("/metadata/labels/team", text(&["storefront", "shop"])),
        ("/metadata/labels/extra", text(&["a", "b"])),
        ("/metadata/annotations/note", text(&["x: y", "# no comment", "multi\nline\n"])),
        ("/spec/maintenance/timeWindow/begin", text(&["020000+0100", "010000+0100"])),
        ("/spec/monitoring/alerting/emailReceivers", vec![json!(["a@example.org"]), json!(["b@example.org", "c@example.org"])]),
        ("/spec/kubernetes/kubeAPIServer/requests/maxMutatingInflight", vec![json!(100), json!(200)]),
        ("/spec/provider/workers/0/maximum", vec![json!(6), json!(8), json!(9)]),
        ("/spec/provider/workers/1/maximum", vec![json!(4), json!(5)]),
        ("/spec/seedName", text(&["aws-eu1", "aws-us1"])),
        ("/spec/dns/domain", text(&["a.example.org", "b.example.org"])),
    ]
}

/// How many of the fields belong to the target.
const OWNED: usize = 4;

fn edited(text: &str, picks: &[(usize, usize)]) -> String {
    let fields = fields();
    let mut text = text.to_owned();
    for (field, value) in picks {
        let (pointer, values) = &fields[field % fields.len()];
        let edit = Edit::Set { pointer: Pointer::from(*pointer), value: values[value % values.len()].clone() };
        let parsed = parse(&RepoPath::from(PATH), text.as_bytes(), &Budget::default());
        text = parsed.documents[0].edit(&[edit]).expect("the field can be set");
    }
    text
}

/// Adds a pool, or takes one away.
fn pools(text: &str, add: bool, remove: bool) -> String {
    let mut text = text.to_owned();
    let mut edit = |edit: Edit| {
        let parsed = parse(&RepoPath::from(PATH), text.as_bytes(), &Budget::default());
        text = parsed.documents[0].edit(&[edit]).expect("the pool can be edited");
    };
    if add {
        let pool = json!({"name": "more", "minimum": 1, "maximum": 2, "machine": {"type": "m6i.large"}});
        edit(Edit::Append { pointer: Pointer::from("/spec/provider/workers"), value: pool });
    }
    if remove {
        edit(Edit::Remove { pointer: Pointer::from("/spec/provider/workers/1") });
    }
    text
}

fn once(base: Option<&str>, from: &str, to: &str) -> (Promotion, String) {
    let file = |text: &str| Files::from([(PATH.to_owned(), text.to_owned())]);
    let base = base.map(|text| read(&file(text)).1);
    let (files, to_landscape) = read(&file(to));
    let (_, from) = read(&file(from));
    assert!(from.broken.is_empty() && to_landscape.broken.is_empty(), "{:?} {:?}", from.broken, to_landscape.broken);
    let declared = serde_json::from_value(json!({"owned": ["shoot.spec.provider.workers[*].maximum"]})).expect("a promotion");
    let promotion = promote(&Request {
        base: base.as_ref(),
        layers: &[],
        held: &[],
        from: &from,
        to: &to_landscape,
        files: &files,
        past: &BTreeMap::new(),
        rules: &Rules::of(Some(&declared)).expect("rules"),
        wanted: &|_, _| true,
    });
    let after = with(&file(to), &promotion.changes).remove(PATH).expect("the file stays");
    (promotion, after)
}

fn value(text: &str) -> Value {
    let parsed = parse(&RepoPath::from(PATH), text.as_bytes(), &Budget::default());
    assert!(parsed.broken.is_empty(), "{text}");
    parsed.documents[0].value().clone()
}

/// A field by the names of the items on the way: pools come and go.
fn at<'v>(shoot: &'v Value, pointer: &str) -> Option<&'v Value> {
    let pool = |index: &str| if index == "0" { "site" } else { "jobs" };
    let Some(rest) = pointer.strip_prefix("/spec/provider/workers/") else { return shoot.pointer(pointer) };
    let (index, field) = rest.split_once('/').expect("a field of a pool");
    let pools = shoot.pointer("/spec/provider/workers")?.as_array()?;
    pools.iter().find(|p| p["name"] == pool(index))?.pointer(&format!("/{field}"))
}

fn comments(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.find(" # ").map(|at| &line[at..]))
        .chain(text.lines().filter(|l| l.starts_with("# ")))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Twice is once; what belongs to the target never changes; its comments survive; what is taken is the source's; what it
    /// changed by itself stays.
    #[test]
    fn a_promotion_takes_what_it_says_and_nothing_else(
        base in prop::collection::vec((0_usize..20, 0_usize..3), 0..4),
        from in prop::collection::vec((0_usize..20, 0_usize..3), 0..8),
        to in prop::collection::vec((0_usize..20, 0_usize..3), 0..8),
        (add, remove) in (any::<bool>(), any::<bool>()),
    ) {
        let base = edited(SHOOT, &base);
        let from = pools(&edited(&base, &from), add, remove);
        let to = edited(&base, &to);
        let (promotion, after) = once(Some(&base), &from, &to);
        prop_assert!(promotion.troubles.is_empty(), "{:?}", promotion.troubles);
        let (again, same) = once(Some(&base), &from, &after);
        prop_assert!(again.changes.is_empty() && same == after, "{again:?}\n{after}");
        let (moved_on, _) = once(Some(&from), &from, &after);
        prop_assert!(moved_on.changes.is_empty(), "{moved_on:?}");

        let [b, f, t, a] = [&base, &from, &to, &after].map(|text| value(text));
        let fields = fields();
        for (n, (pointer, _)) in fields.iter().enumerate() {
            let [b, f, t, a] = [&b, &f, &t, &a].map(|shoot| at(shoot, pointer));
            if remove && pointer.contains("/workers/1/") {
                // The pool goes as a whole, or stays as a whole.
                prop_assert!(a == t || a.is_none(), "{pointer} goes or stays");
            } else if n >= fields.len() - OWNED {
                prop_assert_eq!(a, t, "{} is the target's own", pointer);
            } else if b == t {
                prop_assert_eq!(a, f, "{} is taken", pointer);
            } else {
                prop_assert_eq!(a, t, "{} is pinned", pointer);
            }
        }
        if !remove {
            let left = comments(&after);
            for comment in comments(&to) {
                prop_assert!(left.contains(&comment), "{comment} is lost in\n{after}");
            }
        }
        prop_assert!(to_yaml(&a).len() > 100);
    }
}

#[test]
fn nothing_goes_over_that_nobody_changed() {
    let own = edited(SHOOT, &[(0, 1), (8, 0), (15, 0)]);
    assert!(once(Some(SHOOT), SHOOT, &own).0.taken.is_empty());
    let (promotion, after) = once(Some(SHOOT), &edited(SHOOT, &[(15, 1), (16, 0)]), SHOOT);
    assert!(promotion.changes.is_empty() && after == SHOOT, "seed and domain stay where they are: {promotion:?}");
    assert_eq!(promotion.owned.iter().collect::<Vec<_>>(), [&Subject::Object(Owner::project(Kind::Shoot, "shop", "store"))]);
}
