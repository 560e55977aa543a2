//! Random sequences of requests, the same for the same seed.

use fastrand::Rng;
use serde_json::{Value, json};

use super::bodies::{self, maybe, one_of};
use super::patches;

/// A request as conformance cases write it.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) verb: &'static str,
    /// Kind, name, subresource.
    pub(super) path: String,
    pub(super) options: Vec<String>,
    pub(super) body: Option<Value>,
}

/// The sequence with this number.
pub(super) fn sequence(seed: u64, index: u64) -> Vec<Step> {
    let random = &mut Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(index));
    let kind = one_of(random, &["cm", "deploy", "w", "w"]);
    let other = if maybe(random, 15) { one_of(random, &["cm", "deploy", "w"]) } else { kind };
    let mut steps = vec![birth(random, kind, "a")];
    for _ in 0..random.usize(3..8) {
        let kind = if maybe(random, 20) { other } else { kind };
        let name = if maybe(random, 20) { "b" } else { "a" };
        steps.push(step(random, kind, name));
    }
    for kind in if kind == other { vec![kind] } else { vec![kind, other] } {
        steps.push(Step { verb: "list", path: kind.into(), options: Vec::new(), body: None });
    }
    steps
}

fn birth(random: &mut Rng, kind: &'static str, name: &str) -> Step {
    if maybe(random, 50) {
        let body = bodies::whole(random, kind);
        let mut options = vec![by(random)];
        options.extend(writing(random));
        Step { verb: "apply", path: format!("{kind}/{name}"), options, body: Some(body) }
    } else {
        create(random, kind, name)
    }
}

fn create(random: &mut Rng, kind: &'static str, name: &str) -> Step {
    let mut body = bodies::whole(random, kind);
    body["metadata"]["name"] = name.into();
    let mut options = writing(random);
    if maybe(random, 60) {
        options.push(by(random));
    }
    Step { verb: "create", path: kind.into(), options, body: Some(body) }
}

fn by(random: &mut Rng) -> String {
    format!("by={}", one_of(random, &["one", "two", "two", "three", "kubectl"]))
}

/// `dryRun` and `fieldValidation`, now and then.
fn writing(random: &mut Rng) -> Vec<String> {
    let mut options = Vec::new();
    if maybe(random, 6) {
        options.push("dry".to_owned());
    }
    if maybe(random, 12) {
        options.push(one_of(random, &["strict", "strict", "ignore"]).to_owned());
    }
    options
}

fn step(random: &mut Rng, kind: &'static str, name: &str) -> Step {
    let path = format!("{kind}/{name}");
    let mut options = writing(random);
    if maybe(random, 60) {
        options.push(by(random));
    }
    match random.u32(0..100) {
        0..30 => {
            options.retain(|option| !option.starts_with("by="));
            options.insert(0, by(random));
            if maybe(random, 35) {
                options.push("force".to_owned());
            }
            let body = if maybe(random, 45) { bodies::whole(random, kind) } else { bodies::part(random, kind) };
            Step { verb: "apply", path, options, body: Some(body) }
        }
        30..37 => create(random, kind, name),
        37..48 => {
            let mut body = bodies::whole(random, kind);
            if maybe(random, 75) {
                body["metadata"]["resourceVersion"] = format!("${{rv:{path}}}").into();
            }
            if maybe(random, 5) {
                body["metadata"]["uid"] = format!("${{uid:{path}}}").into();
            }
            if maybe(random, 6) {
                body["metadata"]["managedFields"] = json!([]);
            }
            Step { verb: "update", path, options, body: Some(body) }
        }
        48..58 => {
            let mut body = bodies::part(random, kind);
            patches::nullify(random, &mut body);
            Step { verb: "merge", path, options, body: Some(body) }
        }
        58..65 => Step { verb: "json", path, options, body: Some(patches::json(random, kind)) },
        65..72 => {
            let mut body = bodies::part(random, kind);
            patches::direct(random, &mut body);
            Step { verb: "strategic", path, options, body: Some(body) }
        }
        72..80 if kind != "cm" => status(random, kind, &path, options),
        80..86 if kind != "cm" => scale(random, &path, options),
        72..92 => delete(random, &path),
        92..97 => list(random, kind),
        _ => Step { verb: "get", path, options: Vec::new(), body: None },
    }
}

fn status(random: &mut Rng, kind: &'static str, path: &str, mut options: Vec<String>) -> Step {
    let mut body = json!({"status": bodies::status(random, kind)});
    if maybe(random, 10) {
        body["metadata"] = bodies::metadata(random);
    }
    let verb = one_of(random, &["apply", "apply", "merge", "update"]);
    match verb {
        "apply" => {
            options.retain(|option| !option.starts_with("by="));
            options.insert(0, by(random));
            if maybe(random, 35) {
                options.push("force".to_owned());
            }
        }
        "update" => {
            body["metadata"]["resourceVersion"] = format!("${{rv:{path}}}").into();
            body["spec"] = bodies::whole(random, kind)["spec"].take();
        }
        _ => {}
    }
    Step { verb, path: format!("{path}/status"), options, body: Some(body) }
}

fn scale(random: &mut Rng, path: &str, options: Vec<String>) -> Step {
    let path = format!("{path}/scale");
    let body = json!({"spec": {"replicas": random.u32(0..4)}});
    match random.u32(0..3) {
        0 => Step { verb: "get", path, options: Vec::new(), body: None },
        1 => Step { verb: "merge", path, options, body: Some(body) },
        _ => Step { verb: "update", path, options, body: Some(body) },
    }
}

fn delete(random: &mut Rng, path: &str) -> Step {
    let mut body = json!({});
    if maybe(random, 30) {
        body["propagationPolicy"] = one_of(random, &["Background", "Foreground", "Orphan"]).into();
    }
    if maybe(random, 15) {
        body["preconditions"] = match random.u32(0..3) {
            0 => json!({"uid": format!("${{uid:{path}}}")}),
            1 => json!({"resourceVersion": format!("${{rv:{path}}}")}),
            _ => json!({"uid": "11111111-2222-3333-4444-555555555555"}),
        };
    }
    if maybe(random, 10) {
        body["dryRun"] = json!(["All"]);
    }
    let body = if body == json!({}) { None } else { Some(body) };
    Step { verb: "delete", path: path.into(), options: Vec::new(), body }
}

fn list(random: &mut Rng, kind: &'static str) -> Step {
    let mut options = Vec::new();
    if maybe(random, 50) {
        let selector = one_of(random, &["x=1", "x", "!x", "x!=1", "x,y", "x==2,!z"]);
        options.push(format!("labelSelector={selector}"));
    }
    if maybe(random, 30) {
        let mut fields = vec!["metadata.name=a", "metadata.name!=a"];
        if kind == "w" {
            fields.extend(["spec.colour=red", "spec.colour!=blue", "spec.size=1"]);
        }
        options.push(format!("fieldSelector={}", one_of(random, &fields)));
    }
    if maybe(random, 40) {
        options.push("limit=1".to_owned());
    }
    Step { verb: "list", path: kind.into(), options, body: None }
}

/// The requests as a conformance case writes them.
pub(super) fn print(sequence: &[Step]) -> String {
    let lines = sequence.iter().map(|step| {
        let mut line = format!("{} {}", step.verb, step.path);
        for option in &step.options {
            line.push_str(&format!(" {option}"));
        }
        if let Some(body) = &step.body {
            line.push_str(&format!(" | {}", flow(body)));
        }
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// YAML on one line, quoted only where it must be.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let fields: Vec<String> = map.iter().map(|(name, below)| format!("{}: {}", word(name), flow(below))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => word(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn word(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._/-$".contains(c))
        && !matches!(text.to_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}
