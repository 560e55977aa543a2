//! Places of findings: one shoot with one wrong value, written in many ways. Whatever the layout, the finding's bytes lie inside the
//! token, its line and column are those of its first byte, and the caret stands below it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use espalier::admission::policy::Policies;
use espalier::admission::{Accepted, Memory, admit};
use espalier::finding::{Finding, Findings};
use espalier::landscape::{FileMemo, load};
use espalier::print::snippet;
use serde_json::{Value, json};

use crate::landscapes::snapshot;

const PATH: &str = "projects/shop/shoots/one.yaml";

/// A wrong value: where, what, and the code that it raises.
fn wrong() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/metadata/labels/team", json!("front/back"), "META-LABEL"),
        ("/metadata/annotations/on call", json!("ada"), "META-ANNOTATION"),
        ("/spec/networking/nodes", json!("10.0.0.1/16"), "SHOOT-NET-CIDR"),
        ("/spec/purpose", json!("für größere Pläne"), "SHOOT-PURPOSE"),
        ("/spec/provider/workers/0/maximum", json!(-1), "SHOOT-POOL-SIZE"),
        ("/spec/provider/workers/1/name", json!("front_end"), "SHOOT-POOL-NAME"),
        ("/spec/maintenance/timeWindow/begin", json!("zwei Uhr früh"), "SHOOT-MAINTENANCE-WINDOW"),
        ("/spec/kubernetes/kubelet/maxPods", json!("viele"), "FIELD-TYPE"),
        ("/spec/hibernation/schedules/0/location", json!("Mars/Olympus"), "SHOOT-HIBERNATION-LOCATION"),
        ("/spec/regoin", json!("eu"), "FIELD-UNKNOWN"),
    ]
}

fn shoot() -> Value {
    let pool = |name: &str| {
        json!({"name": name, "minimum": 1, "maximum": 2, "labels": {"example.org/a": "b"}, "machine": {"type": "small",
            "image": {"name": "linux", "version": "1.2.3"}}, "volume": {"type": "ssd", "size": "50Gi"}, "zones": ["a", "b"]})
    };
    json!({
        "apiVersion": "core.gardener.cloud/v1beta1",
        "kind": "Shoot",
        "metadata": {
            "name": "one",
            "annotations": {"a.example.org/note": "Größe äöü: wichtig", "b.example.org/text": "erste Zeile\nzweite Zeile ü\n"},
            "labels": {"stage": "test"},
        },
        "spec": {
            "purpose": "testing",
            "region": "eu",
            "credentialsBindingName": "local",
            "hibernation": {"schedules": [{"start": "0 19 * * *", "location": "Europe/Berlin"}]},
            "kubernetes": {"version": "1.34.6", "kubelet": {"podPidsLimit": 1000}},
            "networking": {"type": "calico", "nodes": "10.0.0.0/16", "pods": "100.96.0.0/11", "services": "100.64.0.0/13"},
            "maintenance": {"timeWindow": {"begin": "020000+0000", "end": "030000+0000"}},
            "provider": {"type": "local", "workers": [pool("one"), pool("two")]},
        },
    })
}

/// Writes a value in one of many layouts, and remembers where key and value of one entry came to stand.
struct Writer {
    random: fastrand::Rng,
    text: String,
    line: &'static str,
    target: &'static str,
    key: Range<usize>,
    value: Range<usize>,
}

impl Writer {
    fn one_in(&mut self, n: usize) -> bool {
        self.random.usize(0..n) == 0
    }

    /// A text in a style that can hold it.
    fn string(&mut self, text: &str, in_flow: bool, indent: usize) {
        let plain = !text.is_empty()
            && text.chars().all(|c| c.is_alphanumeric() || "/._- ".contains(c))
            && text.starts_with(char::is_alphabetic)
            && !text.ends_with(' ')
            || text.split('.').count() == 3 && text.chars().all(|c| c.is_ascii_digit() || c == '.');
        let broken = text.contains('\n');
        match self.random.usize(0..6) {
            0 | 1 if plain => self.text.push_str(text),
            2 if !broken => self.text.push_str(&format!("'{text}'")),
            3 if !in_flow => {
                let mark = if text.ends_with('\n') { "|" } else { "|-" };
                self.text.push_str(mark);
                for row in text.trim_end_matches('\n').split('\n') {
                    self.text.push_str(&format!("{}{}{row}", self.line, " ".repeat(indent + 2)));
                }
            }
            _ => {
                self.text.push('"');
                for c in text.chars() {
                    match c {
                        '\n' => self.text.push_str("\\n"),
                        c if self.one_in(9) => self.text.push_str(&format!("\\u{:04x}", u32::from(c))),
                        c => self.text.push(c),
                    }
                }
                self.text.push('"');
            }
        }
    }

    fn scalar(&mut self, value: &Value, in_flow: bool, indent: usize) {
        match value {
            Value::String(text) => self.string(text, in_flow, indent),
            other => self.text.push_str(&other.to_string()),
        }
    }

    /// A key with its colon.
    fn key(&mut self, key: &str, at: &str) {
        let start = self.text.len();
        let quoted = key.contains(' ') || self.one_in(8);
        self.text.push_str(&if quoted { format!("\"{key}\"") } else { key.to_owned() });
        if at == self.target {
            self.key = start..self.text.len();
        }
        self.text.push(':');
    }

    fn remembered(&mut self, at: &str, write: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        write(self);
        if at == self.target {
            self.value = start..self.text.len();
        }
    }

    fn flow(&mut self, value: &Value, at: &str, indent: usize) {
        let space = |w: &mut Self| if w.one_in(4) { format!("{}{}", w.line, " ".repeat(indent + 4)) } else { " ".to_owned() };
        match value {
            Value::Object(map) => {
                self.text.push('{');
                for (i, (key, value)) in map.iter().enumerate() {
                    if i > 0 {
                        let space = space(self);
                        self.text.push_str(&format!(",{space}"));
                    }
                    let at = format!("{at}/{}", key.replace('/', "~1"));
                    self.key(key, &at);
                    self.text.push(' ');
                    self.remembered(&at, |w| w.flow(value, &at, indent));
                }
                self.text.push('}');
            }
            Value::Array(list) => {
                self.text.push('[');
                for (i, value) in list.iter().enumerate() {
                    if i > 0 {
                        let space = space(self);
                        self.text.push_str(&format!(",{space}"));
                    }
                    let at = format!("{at}/{i}");
                    self.remembered(&at, |w| w.flow(value, &at, indent));
                }
                self.text.push(']');
            }
            scalar => self.scalar(scalar, true, indent),
        }
    }

    /// Something after a key or a dash: on the same line, or below it.
    fn below(&mut self, value: &Value, at: &str, indent: usize, after_dash: bool) {
        let simple = !(value.is_object() || value.is_array());
        if simple || self.one_in(5) {
            self.text.push(' ');
            self.remembered(at, |w| if simple { w.scalar(value, false, indent) } else { w.flow(value, at, indent) });
            let in_block = self.text.rfind(['|', '"', '\'', '\n']).is_some_and(|i| !self.text[i..].starts_with(['"', '\'']));
            if !in_block && self.one_in(5) {
                self.text.push_str("  # größer");
            }
            self.text.push_str(self.line);
            return;
        }
        let inner = indent + if self.one_in(3) { 4 } else { 2 };
        if after_dash && value.is_object() {
            self.text.push_str(&" ".repeat(inner - indent - 1));
            self.block(value, at, inner, true);
        } else {
            self.text.push_str(self.line);
            let flat = value.is_array() && !after_dash && self.one_in(2);
            self.block(value, at, if flat { indent } else { inner }, false);
        }
    }

    /// A map or list in block style; `begun` if its first line is already indented.
    fn block(&mut self, value: &Value, at: &str, indent: usize, begun: bool) {
        let pad = " ".repeat(indent);
        let entries: Vec<(Option<&str>, String, &Value)> = match value {
            Value::Object(map) => {
                map.iter().map(|(k, v)| (Some(k.as_str()), format!("{at}/{}", k.replace('/', "~1")), v)).collect()
            }
            Value::Array(list) => list.iter().enumerate().map(|(i, v)| (None, format!("{at}/{i}"), v)).collect(),
            _ => Vec::new(),
        };
        for (i, (key, at, value)) in entries.into_iter().enumerate() {
            if i > 0 || !begun {
                if self.one_in(12) {
                    self.text.push_str(&format!("{pad}# Anmerkung: für später{}", self.line));
                }
                self.text.push_str(&pad);
            }
            match key {
                Some(key) => self.key(key, &at),
                None => self.text.push('-'),
            }
            self.below(value, &at, indent, key.is_none());
        }
    }
}

/// The text of a file, and where in it key and value of the wrong entry are.
fn written(seed: u64, pointer: &'static str, value: &Value) -> (String, Range<usize>, Range<usize>) {
    let mut shoot = shoot();
    let (parent, key) = pointer.rsplit_once('/').expect("a field");
    match shoot.pointer_mut(parent).expect("the parent is there") {
        Value::Object(map) => drop(map.insert(key.to_owned(), value.clone())),
        other => panic!("{other} has no fields"),
    }
    let random = fastrand::Rng::with_seed(seed);
    let line = if seed.is_multiple_of(3) { "\r\n" } else { "\n" };
    let mut writer = Writer { random, text: String::new(), line, target: pointer, key: 0..0, value: 0..0 };
    if writer.one_in(6) {
        writer.text.push('\u{feff}');
    }
    if writer.one_in(2) {
        let other = "apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata: {name: größer}\nspec: {}\n---\n";
        writer.text.push_str(&other.replace('\n', line));
    }
    if writer.one_in(2) {
        writer.text.push_str(&format!("# Ein Cluster, der größer wird.{line}"));
    }
    if writer.one_in(8) {
        writer.flow(&shoot, "", 0);
        writer.text.push_str(line);
    } else {
        writer.block(&shoot, "", 0, false);
    }
    if writer.one_in(3) {
        let other = "---\napiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata: {name: two}\nspec: {}\n";
        writer.text.push_str(&other.replace('\n', line));
    }
    (writer.text, writer.key, writer.value)
}

/// The first finding with a code about the shoot.
fn found(text: &str, code: &str) -> Option<Finding> {
    let landscape = "apiVersion: espalier.dev/v1alpha1\nkind: Landscape\nmetadata: {name: test}\nspec: {clusters: sim}\n";
    let project =
        "apiVersion: core.gardener.cloud/v1beta1\nkind: Project\nmetadata: {name: shop}\nspec: {namespace: garden-shop}\n";
    let files = [("landscape.yaml", landscape), ("projects/shop/project.yaml", project), (PATH, text)];
    let (landscape, mut findings) = load(&snapshot(files), &mut FileMemo::default());
    let (policies, _) = Policies::compile(&BTreeMap::new());
    findings.extend(admit(&landscape, &Accepted::default(), &policies, 1_795_219_200, &mut Memory::default()).1);
    findings.into_iter().find(|f| f.code.as_str() == code && f.owner == "Shoot shop/one")
}

/// The line that is meant and what stands above the carets, as it is printed.
fn pointed_at(finding: &Finding, text: &str) -> (String, String) {
    let only = Finding { places: finding.places[..1].to_vec(), help: None, ..finding.clone() };
    let text: Arc<str> = Arc::from(text);
    let shown = snippet::findings(&Findings(vec![only]), &|_| Some(Arc::clone(&text)), 1000);
    let plain = anstream::adapter::strip_str(&shown).to_string();
    let rows: Vec<&str> = plain.lines().collect();
    let at = rows.iter().position(|row| row.trim_start().starts_with("| ") && row.contains('^')).expect("there are carets");
    let after = |row: &str| row.split_once("| ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    let (source, carets) = (after(rows[at - 1]), after(rows[at]));
    let begin = carets.chars().position(|c| c == '^').expect("a caret");
    let wide = carets.chars().filter(|c| *c == '^').count();
    let above = source.chars().skip(begin).take(wide).collect();
    (source, above)
}

#[test]
fn places_stay_inside_the_token_in_every_layout() {
    let mut layouts = 0;
    for (pointer, value, code) in wrong() {
        for seed in 0..60 {
            let (text, key, token) = written(seed, pointer, &value);
            let case = || format!("{code} with seed {seed} in\n{text}");
            let finding = found(&text, code).unwrap_or_else(|| panic!("not found: {}", case()));
            let span = finding.places[0].span.unwrap_or_else(|| panic!("without a place: {}", case()));
            let within = |range: &Range<usize>| range.start <= span.start && span.end <= range.end && span.start < span.end;
            assert!(within(&key) || within(&token), "{span:?} is outside of {key:?} and {token:?}: {}", case());
            let before = &text[..span.start];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().trim_start_matches('\u{feff}').chars().count() + 1;
            assert_eq!((span.line as usize, span.column as usize), (line, column), "{}", case());
            let (source, above) = pointed_at(&finding, &text);
            let meant = text[span.range()].lines().next().unwrap_or_default();
            assert_eq!(above, meant, "the carets stand below `{above}` of `{source}`: {}", case());
            layouts += 1;
        }
    }
    assert_eq!(layouts, 600);
}
