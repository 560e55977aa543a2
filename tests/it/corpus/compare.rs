//! The comparison of objects: what Go's encoding adds is no difference, nor is another spelling of the same quantity or duration.

use espalier::value::Quantity;
use serde_json::Value;

/// A field that is not what it should be.
pub(super) struct Difference {
    pub field: String,
    pub want: String,
    pub got: String,
}

/// Metadata that a server writes, and the marks by which Gardener's plugins tell its controllers what to do; they mean nothing in
/// Git, and espalier has neither.
const SERVER: &[&str] = &[
    "/status",
    "/metadata/generation",
    "/metadata/creationTimestamp",
    "/metadata/uid",
    "/metadata/resourceVersion",
    "/metadata/annotations/gardener.cloud~1created-by",
    "/metadata/annotations/shoot.gardener.cloud~1tasks",
];

/// Where an object differs from what is expected, apart from the places that are random.
pub(super) fn objects(want: &Value, got: &Value, random: &[&str]) -> Vec<Difference> {
    let (mut want, mut got) = (want.clone(), got.clone());
    for pointer in SERVER.iter().chain(random) {
        remove(&mut want, pointer);
        remove(&mut got, pointer);
    }
    let mut out = Vec::new();
    walk(Some(&want), Some(&got), "", &mut out);
    out
}

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    if let Some(Value::Object(map)) = value.pointer_mut(parent) {
        map.remove(&key.replace("~1", "/").replace("~0", "~"));
    }
}

fn walk(want: Option<&Value>, got: Option<&Value>, field: &str, out: &mut Vec<Difference>) {
    match (want, got) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                walk(a.get(key), b.get(key), &format!("{field}.{key}"), out);
            }
        }
        (Some(Value::Object(map)), None) if map.values().all(is_zero) => {}
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                walk(Some(a), Some(b), &format!("{field}[{i}]"), out);
            }
        }
        (None, Some(value)) | (Some(value), None) if is_nothing(value) => {}
        // Go writes zero values where a field has no omitempty.
        (Some(value), None) if is_zero(value) => {}
        (Some(a), Some(b)) if same(a, b) => {}
        (None, None) => {}
        (want, got) => {
            let shown = |v: Option<&Value>| v.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let field = field.trim_start_matches('.').to_owned();
            out.push(Difference { field, want: shown(want), got: shown(got) });
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_nothing),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn is_zero(value: &Value) -> bool {
    is_nothing(value) || *value == Value::Bool(false) || value.as_f64() == Some(0.0)
}

fn same(a: &Value, b: &Value) -> bool {
    if a == b || (a.is_number() && b.is_number() && a.as_f64() == b.as_f64()) {
        return true;
    }
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let (a, b) = (text(a), text(b));
    let durations = duration(&a).zip(duration(&b)).is_some_and(|(a, b)| (a - b).abs() < 1e-9);
    let quantities = a.parse::<Quantity>().ok().zip(b.parse::<Quantity>().ok()).is_some_and(|(a, b)| a == b);
    durations || quantities
}

/// The seconds of a duration as Go writes it.
fn duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(seconds)
}

/// `workers[3].name` → `workers[].name`.
pub(super) fn without_indices(field: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in field.chars() {
        inside = (inside || out.ends_with('[')) && c.is_ascii_digit();
        if !inside {
            out.push(c);
        }
    }
    out
}
