//! What templates wrote for one owner and is written for the next without running them, against running them.

use std::collections::BTreeMap;
use std::sync::Arc;

use espalier::facts::Facts;
use espalier::landscape::{Kind, Owner, Target};
use espalier::render::{self, Components, Images, Known, Scope};
use espalier::secrets::{Bodies, Names};
use espalier::snapshot::RepoPath;
use serde_json::{Value, json};

/// What templates do with values, one line each below `data:` of a ConfigMap.
const LINES: &[&str] = &[
    "a: \"{{name}}\"",
    "a: {{json name}}",
    "a: {{json (concat \"^(\" name \")$\")}}",
    "a: {{json (concat \"x\\\"\" count)}}",
    "a: {{json (concat name \"-\" count \"-\" flag)}}",
    "a: {{json (join items \",\")}}",
    "a: {{json (hash8 name)}}",
    "a: {{json (sha256 (concat name count))}}",
    "a: {{json (b64 name)}}",
    "a: {{#if (eq name \"web\")}}x{{else}}y{{/if}}",
    "a: {{#if (ne count 3)}}x{{else}}y{{/if}}",
    "a: {{#if count}}\"{{count}}\"{{else}}none{{/if}}",
    "a: {{#if name}}x{{else}}none{{/if}}",
    "a: {{#if (gt count 3)}}x{{else}}y{{/if}}",
    "a: {{#if (contains items \"b\")}}x{{else}}y{{/if}}",
    "a: {{#if (starts-with name \"w\")}}x{{else}}y{{/if}}",
    "a: {{#if (and name (not flag))}}x{{else}}y{{/if}}",
    "a: \"{{len items}}\"",
    "a: \"{{count}}\"",
    "a: \"{{add count 1}}\"",
    "a: {{count}}",
    "a: {{json (default maybe name)}}",
    "a: {{json (concat (default @root.maybe 5))}}",
    "{{#each items}}\n  k-{{@index}}: {{json this}}\n{{/each}}",
    "{{#each items as |item|}}\n  k-{{@index}}: {{json (concat item \"/\" @root.name \"/\" @root.count)}}\n{{/each}}",
    "{{#each labels}}\n  {{@key}}: {{json this}}\n{{/each}}",
    "a: {{json (fact \"y.address\")}}",
    "a: {{json (concat (fact \"y.address\") \"/\" (fact \"y.count\"))}}",
    "a: {{#if (has-fact \"y.count\")}}{{json (concat (fact \"y.count\"))}}{{else}}none{{/if}}",
    "a: {{secret \"ca-bundle\"}}",
    "a: {{json (secret-checksum \"ca-bundle\")}}",
    "a: \"{{replicas 2}}\"",
    "a: {{json (cidr-host net 1)}}",
    "a: {{json (quantity-max \"3\" net)}}",
    "{{#each labels}}\n  k{{@key}}: {{json this}}\n{{/each}}",
];

/// The same in the specification of an object that is nobody's: values of any type.
const FIELDS: &[&str] = &[
    "a: {{json count}}",
    "a: {{json (list name count flag (concat \"\\\\\" count))}}",
    "a: {{json (dict \"n\" name \"s\" count \"i\" items)}}",
    "a: {{json (dict name count)}}",
    "a: {{json labels}}",
    "{{yaml labels 2}}",
    "{{yaml tree 2}}",
    "{{fields labels 2}}",
    "{{fields tree 2}}",
    "a: {{json tree}}",
    "a: {{json (merge labels (dict \"x\" name))}}",
    "a: {{json (add count 1)}}",
    "a: {{count}}",
    "a: {{json (fact \"y.count\")}}",
    "a: {{json (fact \"y.list\")}}",
    "a: {{replicas 2}}",
    "replicas: {{json count}}",
    "template: {spec: {containers: [{name: {{json count}}, args: {{json tree.args}}}]}}",
];

/// Those of them that have to be run: texts or numbers decide in them, or nothing is to be written.
const RUN_OFTEN: [&str; 5] = [
    "  a: {{#if (gt count 3)}}x{{else}}y{{/if}}",
    "  a: \"{{len items}}\"",
    "  a: {{count}}",
    "  a: {{json (quantity-max \"3\" net)}}",
    "  a: {{json (dict name count)}}",
];

/// A context, and what is known of clusters.
struct World {
    context: Value,
    facts: Facts,
    ca: &'static str,
}

fn world(name: Value, count: Value, more: Value) -> World {
    let mut context = json!({
        "name": name, "count": count, "flag": true, "items": ["a", "b"], "labels": {"l-l": "v"}, "net": "10.0.0.0/8", "maybe": null,
        "hibernated": false, "kubernetes": {"version": "1.33.2"}, "tree": {"args": ["x"], "deep": {"n": 5, "t": "t", "e": []}},
    });
    context.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    let mut facts = Facts::default();
    facts.insert("y.address", json!(format!("{}.example.org", context["name"].as_str().unwrap_or("none"))));
    facts.insert("y.count", context["count"].clone());
    facts.insert("y.list", context["items"].clone());
    World { context, facts, ca: "ca-1" }
}

/// Three that are alike, then everything that is different in some way.
fn worlds() -> Vec<World> {
    let like = |name: &str, count: u64| world(json!(name), json!(count), json!({}));
    let mut all = vec![like("web", 3), like("api", 4), like("db", 5), like("web", 7)];
    for name in
        ["", "1e3", "true", "a: b", "x\nevil: 1", "\"", "\\", "ä", "y", "-", "shoot--dev--web", "\u{f0000}", "\u{100001}", "\0"]
    {
        all.push(like(name, 3));
    }
    for count in
        [json!(0), json!(-1), json!(1.5), json!(1e30), json!("3"), json!(""), json!(null), json!(true), json!([1]), json!({})]
    {
        all.push(world(json!("web"), count, json!({})));
    }
    for more in [
        json!({"flag": false}),
        json!({"items": []}),
        json!({"items": ["a"]}),
        json!({"items": ["b", "web"]}),
        json!({"items": ["c", 5]}),
        json!({"items": ["", "b"]}),
        json!({"labels": {"m": "v"}}),
        json!({"labels": {"l-l": "1"}}),
        json!({"labels": {"l-l": 1}}),
        json!({"labels": {"x": "y"}}),
        json!({"maybe": "m"}),
        json!({"maybe": 0}),
        json!({"net": "10.0.0.0/33"}),
        json!({"hibernated": true}),
        json!({"tree": {"args": [7], "deep": {"n": 6, "t": "5", "e": []}}}),
        json!({"tree": {"args": ["yes"], "deep": {"n": 0, "t": "t: u", "e": []}}}),
    ] {
        all.push(world(json!("web"), json!(3), more));
    }
    let (mut without, mut other) = (like("web", 3), like("web", 3));
    without.facts = Facts::default();
    other.ca = "ca-2";
    all.extend([without, other]);
    all
}

fn compiled(text: &str) -> Components {
    let exporter = "---\ncomponent: y\nready: exists\nexports: {address: \"Service/y#/status/a\", count: \"Service/y#/status/b\", list: \"Service/y#/status/c\"}\n---\n";
    let files = [("templates/shoot/x.yaml", text), ("templates/shoot/y.yaml", exporter)];
    let files: BTreeMap<RepoPath, Arc<str>> =
        files.iter().map(|(path, text)| (RepoPath::from(*path), Arc::from(*text))).collect();
    let (components, findings) = render::compile(&files);
    assert!(findings.is_empty(), "{text}: {findings:?}");
    components
}

/// Everything that rendering says of an owner.
fn told(components: &Components, world: &World, offline: bool) -> String {
    let names = Names { current: world.ca.into(), old: None, checksum: format!("sum-{}", world.ca), public: true };
    let known = Known {
        owner: &Owner::project(Kind::Shoot, "dev", "web"),
        target: &Target::Seed("eu".into()),
        namespace: "shoot--dev--web",
        garden_namespace: "garden-dev",
        names: Some(&BTreeMap::from([("ca-bundle".to_owned(), names)])),
        facts: &world.facts,
        bodies: &Bodies::default(),
        images: &Images::default(),
        digest_key: None,
        offline,
    };
    let outcome = render::components(components, Scope::Shoot, &world.context, &known);
    let mut out = format!("{:?}\n{:?}\n", outcome.findings, outcome.needs_bodies);
    for rendered in &outcome.components {
        out.push_str(&format!("{} {:?}\n", rendered.component.id, rendered.state));
        for object in &rendered.objects {
            out.push_str(&format!("{} {:?} {}\n", object.key.path(), object.once, object.digest));
            object.body.append_yaml(&mut out);
            assert!(out.ends_with(&espalier::document::to_yaml(&object.body)), "{out}");
        }
    }
    out
}

fn bodies() -> impl Iterator<Item = String> {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"c-{{@root.kubernetes.version}}\"}\ndata:\n  fixed: x\n";
    let thing = "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: t}\nspec:\n  fixed: x\n";
    let lines = LINES.iter().map(move |line| format!("{config}{}{line}\n", if line.starts_with("{{#") { "" } else { "  " }));
    let own_line = |line: &str| line.starts_with("{{yaml") || line.starts_with("{{fields");
    lines.chain(FIELDS.iter().map(move |line| format!("{thing}{}{line}\n", if own_line(line) { "" } else { "  " })))
}

#[test]
fn a_replay_is_what_the_template_would_have_written() {
    let worlds = worlds();
    for body in bodies() {
        let text = format!("---\ncomponent: x\nready: exists\nneeds: [y]\nonce: [/spec/replicas]\n---\n{body}");
        for offline in [false, true] {
            let shared = compiled(&text);
            let alone: Vec<(&World, String)> = worlds.iter().map(|w| (w, told(&compiled(&text), w, offline))).collect();
            // Forwards and backwards, so that each is learned from, and met by what others left.
            for (world, alone) in alone.iter().chain(alone.iter().rev()).chain(&alone) {
                assert_eq!(told(&shared, world, offline), *alone, "{body}\n{}", world.context);
            }
        }
    }
}

#[test]
fn what_only_writes_values_is_run_for_the_first_few_alone() {
    let few = |body: &str| {
        let shared = compiled(&format!("---\ncomponent: x\nready: exists\nneeds: [y]\n---\n{body}"));
        for n in 1..=50 {
            told(&shared, &world(json!(format!("shoot{n}")), json!(n), json!({})), false);
        }
        shared.runs()
    };
    let runs: Vec<(String, usize)> = bodies().map(|body| (body.clone(), few(&body))).collect();
    let often: Vec<&str> =
        runs.iter().filter(|(_, runs)| *runs > 12).map(|(body, _)| body.lines().last().unwrap_or_default()).collect();
    assert_eq!(often, RUN_OFTEN, "{runs:?}");
}

#[test]
fn what_is_not_there_may_be_there_for_the_next() {
    // `default` is the only one to look at `maybe`.
    let shared = compiled(
        "---\ncomponent: x\nready: exists\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: {{json (default maybe \"d\")}}\n",
    );
    let of = |maybe: Value| {
        let told = told(&shared, &world(json!("web"), json!(3), json!({"maybe": maybe})), false);
        told.lines().find_map(|line| line.strip_prefix("  a: ").map(str::to_owned)).expect("a line")
    };
    for _ in 0..3 {
        assert_eq!(of(Value::Null), "d");
        assert_eq!(of(json!("m")), "m");
    }
}
