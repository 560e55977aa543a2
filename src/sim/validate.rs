//! What the schema of a custom kind finds wrong with an object, in the words of the real server: types, limits, values, lists
//! with keys, rules.
//!
//! What was wrong before and has not changed may stay: an update is held to what it changes.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::{Value, json};

use super::error::Cause;
use super::kind::Scale;
use super::structure::{Structure, is_identity};
use super::table;

/// Kubernetes' functions, registered once.
static RULES: LazyLock<Validator> = LazyLock::new(Validator::new);
/// Patterns that were seen, compiled.
static PATTERNS: LazyLock<Mutex<HashMap<String, Option<jsonschema::Validator>>>> = LazyLock::new(Mutex::default);

/// The rules of a schema, compiled; `None` if it has none.
pub(crate) fn compile(schema: &Value) -> Option<Box<CompiledSchema>> {
    has_rules(schema).then(|| Box::new(compile_schema(schema)))
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key("x-kubernetes-validations") || map.values().any(has_rules),
        Value::Array(list) => list.iter().any(has_rules),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// All findings about an object: of the schema, of lists, of embedded objects, of the scale subresource, then of the rules.
/// They are added to what was found before.
pub(crate) fn object(
    structure: &Structure,
    scale: Option<&Scale>,
    new: &Value,
    old: Option<&Value>,
    status: bool,
    causes: &mut Vec<Cause>,
) {
    let schema = structure.source();
    let state = |value: &Value| value.get("status").cloned().unwrap_or_default();
    if status {
        if let (Some(schema), Some(value)) = (schema.pointer("/properties/status"), new.get("status")) {
            node(schema, value, old.map(state).as_ref(), &Path::status(), causes);
            lists(schema, value, "status", causes);
        }
    } else {
        node(schema, new, old, &Path { field: String::new(), body: String::new() }, causes);
        for (name, below) in fields(schema) {
            if let Some(value) = new.get(name).filter(|_| !is_identity(name)) {
                lists(below, value, name, causes);
                embedded(below, value, name, causes);
            }
        }
    }
    if let Some(scale) = scale.filter(|_| !status) {
        replicas(scale, new, causes);
    }
    let blocking = |cause: &Cause| {
        matches!(
            cause.reason,
            "FieldValueRequired" | "FieldValueTypeInvalid" | "FieldValueTooLong" | "FieldValueTooMany" | "FieldValueNotSupported"
        )
    };
    if causes.iter().any(blocking) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        causes.push(Cause::invalid("<nil>", &Value::Null, why));
    } else {
        rules(structure, new, old, status, causes);
    }
}

/// What a schema finds wrong with a value that is no object of its own, such as a default.
pub(crate) fn value(schema: &Value, value: &Value, field: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    node(schema, value, None, &Path { field: field.to_owned(), body: String::new() }, &mut causes);
    causes
}

/// A path twice: of the field, and as the message has it, which leaves out the status it is in.
struct Path {
    field: String,
    body: String,
}

impl Path {
    fn status() -> Self {
        Self { field: "status".into(), body: String::new() }
    }

    fn below(&self, name: &str) -> Self {
        let join = |path: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        Self { field: join(&self.field), body: join(&self.body) }
    }

    fn at(&self, index: usize) -> Self {
        Self { field: format!("{}[{index}]", self.field), body: format!("{}[{index}]", self.body) }
    }
}

fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

/// The text in a field; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn strings<'a>(schema: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wrong_type(path: &Path, wanted: &str, given: &str) -> Cause {
    Cause {
        reason: "FieldValueTypeInvalid",
        field: path.field.clone(),
        message: format!("Invalid value: {given:?}: {} in body must be of type {wanted}: {given:?}", path.body),
    }
}

fn node(schema: &Value, value: &Value, old: Option<&Value>, path: &Path, causes: &mut Vec<Cause>) {
    // What has not changed may be as wrong as it was.
    if old == Some(value) || (value.is_null() && flag(schema, "nullable")) {
        return;
    }
    let wanted = if flag(schema, "x-kubernetes-int-or-string") { "integer,string" } else { text(schema, "type") };
    let given = kind_of(value);
    let fits = wanted.is_empty() || wanted.split(',').any(|wanted| wanted == given || (wanted == "number" && given == "integer"));
    if !fits {
        match (wanted, text(schema, "format"), given) {
            ("integer", format @ ("int32" | "int64"), "number") => {
                causes.push(wrong_type(path, format, "float64"));
                causes.push(unfit("integer", format, path));
            }
            // Where there is a format, that is what is said to be missing.
            (_, format, "object" | "boolean") if !format.is_empty() => causes.push(wrong_type(path, format, "")),
            _ => causes.push(wrong_type(path, wanted, given)),
        }
        one_of_these(schema, value, path, causes);
        return;
    }
    combined(schema, value, path, causes);
    let mut invalid = |why: String, shown: &Value| {
        causes.push(Cause::invalid(&path.field, shown, &format!("{} in body {why}", path.body)));
    };
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    let count = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    match value {
        Value::Number(given) => {
            let Some(given) = given.as_f64() else { return };
            if let Some(factor) = number("multipleOf")
                && (given / factor).fract() != 0.0
            {
                invalid(format!("should be a multiple of {factor}"), value);
            }
            if let Some(limit) = number("maximum") {
                if flag(schema, "exclusiveMaximum") && given >= limit {
                    invalid(format!("should be less than {limit}"), value);
                } else if given > limit {
                    invalid(format!("should be less than or equal to {limit}"), value);
                }
            }
            if let Some(limit) = number("minimum") {
                if flag(schema, "exclusiveMinimum") && given <= limit {
                    invalid(format!("should be greater than {limit}"), value);
                } else if given < limit {
                    invalid(format!("should be greater than or equal to {limit}"), value);
                }
            }
            let format = text(schema, "format");
            if format == "int32" && !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&given) {
                causes.push(unfit("integer", format, path));
            }
        }
        Value::String(given) => {
            if count("maxLength").is_some_and(|most| given.chars().count() > most) {
                causes.push(Cause {
                    reason: "FieldValueTooLong",
                    field: path.field.clone(),
                    message: format!("Too long: may not be more than {} bytes", count("maxLength").unwrap_or_default()),
                });
            } else if let Some(least) = count("minLength").filter(|least| given.chars().count() < *least) {
                invalid(format!("should be at least {least} chars long"), value);
            } else if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
                && !matches(pattern, given)
            {
                invalid(format!("should match '{pattern}'"), value);
            } else if !is_format(text(schema, "format"), given) {
                let format = text(schema, "format");
                causes.push(wrong_type(path, format, given));
            }
        }
        Value::Array(items) => {
            array(schema, items, old, path, causes);
        }
        Value::Object(map) => {
            if let Some(least) = count("minProperties").filter(|least| map.len() < *least) {
                invalid(format!("should have at least {least} properties"), &map.len().into());
            }
            if let Some(most) = count("maxProperties").filter(|most| map.len() > *most) {
                causes.push(too_many(path, map.len(), most));
            }
            for (name, value) in map.iter().filter(|(name, _)| !(path.field.is_empty() && is_identity(name))) {
                let below = schema.get("properties").and_then(|p| p.get(name)).or_else(|| schema.get("additionalProperties"));
                if let Some(below) = below.filter(|below| below.is_object()) {
                    node(below, value, old.and_then(|old| old.get(name)), &path.below(name), causes);
                }
            }
            for name in strings(schema, "required").filter(|name| !map.contains_key(*name)) {
                causes.push(Cause::required(&path.below(name).field, ""));
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
    one_of_these(schema, value, path, causes);
}

/// Whether a value is one of those that are listed is asked even where its type is wrong.
fn one_of_these(schema: &Value, value: &Value, path: &Path, causes: &mut Vec<Cause>) {
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let list: Vec<String> = allowed.iter().map(Value::to_string).collect();
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            field: path.field.clone(),
            message: format!("Unsupported value: {value}: supported values: {}", list.join(", ")),
        });
    }
}

fn unfit(kind: &str, format: &str, path: &Path) -> Cause {
    Cause::invalid("<nil>", &json!(""), &format!("Checked value must be of type {kind} with format {format} in {}", path.body))
}

fn too_many(path: &Path, count: usize, most: usize) -> Cause {
    Cause {
        reason: "FieldValueTooMany",
        field: path.field.clone(),
        message: format!("Too many: {count}: must have at most {most} items"),
    }
}

fn array(schema: &Value, items: &[Value], old: Option<&Value>, path: &Path, causes: &mut Vec<Cause>) {
    let count = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    if let Some(below) = schema.get("items") {
        let keys: Vec<&str> = strings(schema, "x-kubernetes-list-map-keys").collect();
        for (index, item) in items.iter().enumerate() {
            let twin = old.and_then(Value::as_array).filter(|_| !keys.is_empty());
            let twin = twin.and_then(|old| old.iter().find(|o| keys.iter().all(|key| o.get(key) == item.get(key))));
            node(below, item, twin, &path.at(index), causes);
        }
    }
    if let Some(least) = count("minItems").filter(|least| items.len() < *least) {
        let why = format!("{} in body should have at least {least} items", path.body);
        causes.push(Cause::invalid(&path.field, &items.len().into(), &why));
    }
    if let Some(most) = count("maxItems").filter(|most| items.len() > *most) {
        causes.push(too_many(path, items.len(), most));
    }
}

/// `allOf`, `anyOf`, `oneOf`, `not`.
fn combined(schema: &Value, value: &Value, path: &Path, causes: &mut Vec<Cause>) {
    let findings = |schema: &Value| {
        let mut list = Vec::new();
        node(schema, value, None, path, &mut list);
        list
    };
    let all = |name: &str| -> Option<Vec<Vec<Cause>>> { Some(schema.get(name)?.as_array()?.iter().map(findings).collect()) };
    let mut say = |why: &str| causes.push(Cause::invalid("<nil>", &json!(""), &format!("{:?} {why}", path.body)));
    let best = |results: Vec<Vec<Cause>>| results.into_iter().next().unwrap_or_default();
    if let Some(results) = all("anyOf")
        && !results.is_empty()
        && results.iter().all(|list| !list.is_empty())
        && !flag(schema, "x-kubernetes-int-or-string")
    {
        say("must validate at least one schema (anyOf)");
        causes.extend(best(results));
        return;
    }
    if let Some(results) = all("oneOf") {
        let valid = results.iter().filter(|list| list.is_empty()).count();
        if valid == 0 {
            say("must validate one and only one schema (oneOf). Found none valid");
            causes.extend(best(results));
        } else if valid > 1 {
            say(&format!("must validate one and only one schema (oneOf). Found {valid} valid alternatives"));
        }
        return;
    }
    if let Some(results) = all("allOf") {
        let failed: Vec<Cause> = results.into_iter().flatten().collect();
        if !failed.is_empty() {
            say("must validate all the schemas (allOf)");
            causes.extend(failed);
            return;
        }
    }
    if schema.get("not").is_some_and(|not| findings(not).is_empty()) {
        say("must not validate the schema (not)");
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if !patterns.contains_key(pattern) {
        patterns.insert(pattern.to_owned(), jsonschema::validator_for(&json!({"pattern": pattern})).ok());
    }
    // A pattern that cannot be read was refused with its definition.
    patterns.get(pattern).and_then(Option::as_ref).is_none_or(|compiled| compiled.is_valid(&text.into()))
}

fn is_format(format: &str, text: &str) -> bool {
    use base64::Engine as _;
    match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "duration" => text.parse::<jiff::SignedDuration>().is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    }
}

/// Sets without duplicates, keyed lists without equal keys.
fn lists(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let below = schema.get("properties").and_then(|p| p.get(name)).or_else(|| schema.get("additionalProperties"));
                if let Some(below) = below {
                    lists(below, value, &format!("{path}.{name}"), causes);
                }
            }
        }
        Value::Array(items) => {
            let keys: Vec<&str> = strings(schema, "x-kubernetes-list-map-keys").collect();
            let of = text(schema, "x-kubernetes-list-type");
            let foreign = items.iter().enumerate().find(|(_, item)| of == "map" && !item.is_object() && !item.is_null());
            if let Some((index, item)) = foreign {
                let why = "must be an object for an array of list-type map";
                causes.push(Cause::invalid(&format!("{path}[{index}]"), item, why));
            }
            let mut seen: Vec<Value> = Vec::new();
            for (index, item) in items.iter().enumerate().filter(|_| foreign.is_none()) {
                let element = match of {
                    "set" => item.clone(),
                    "map" => {
                        let pairs = keys.iter().filter_map(|key| Some(((*key).to_owned(), item.get(key)?.clone())));
                        Value::Object(pairs.collect())
                    }
                    _ => break,
                };
                // What is there a third time has been said.
                if seen.iter().filter(|other| **other == element).count() == 1 {
                    let (field, message) = (format!("{path}[{index}]"), format!("Duplicate value: {element}"));
                    causes.push(Cause { reason: "FieldValueDuplicate", field, message });
                }
                seen.push(element);
            }
            if let Some(below) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    lists(below, item, &format!("{path}[{index}]"), causes);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Embedded objects say what they are.
fn embedded(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(map) = value.as_object() else {
        if let (Some(items), Some(below)) = (value.as_array(), schema.get("items")) {
            for (index, item) in items.iter().enumerate() {
                embedded(below, item, &format!("{path}[{index}]"), causes);
            }
        }
        return;
    };
    if flag(schema, "x-kubernetes-embedded-resource") {
        for field in ["apiVersion", "kind"] {
            if map.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                causes.push(Cause::required(&format!("{path}.{field}"), ""));
            }
        }
    }
    for (name, value) in map {
        let below = schema.get("properties").and_then(|p| p.get(name)).or_else(|| schema.get("additionalProperties"));
        if let Some(below) = below {
            embedded(below, value, &format!("{path}.{name}"), causes);
        }
    }
}

fn replicas(scale: &Scale, new: &Value, causes: &mut Vec<Cause>) {
    let first = scale.spec.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    if let Some(text) = new.get(first).and_then(Value::as_str) {
        let why = format!("{} accessor error: {text} is of the type string, expected map[string]interface{{}}", scale.spec);
        causes.push(Cause::invalid(&scale.spec, &json!(0), &why));
    }
    let Some(count) = table::select(new, &scale.spec).first().and_then(|count| count.as_i64()) else { return };
    if count < 0 {
        causes.push(Cause::invalid(&scale.spec, &count.into(), "should be a non-negative integer"));
    } else if i32::try_from(count).is_err() {
        causes.push(Cause::invalid(&scale.spec, &count.into(), &format!("should be less than or equal to {}", i32::MAX)));
    }
}

/// `x-kubernetes-validations`.
fn rules(structure: &Structure, new: &Value, old: Option<&Value>, status: bool, causes: &mut Vec<Cause>) {
    let Some(compiled) = structure.rules() else { return };
    let Err(errors) = RULES.validate_compiled(compiled, new, old) else { return };
    for error in errors.into_vec() {
        let path = error.field_path.trim_start_matches('.');
        if status != path.starts_with("status") && !path.is_empty() {
            continue;
        }
        let elsewhere = place_of(structure.source(), &error.rule);
        // What the rule looks at, which may be more than what it blames.
        let scope = elsewhere.as_deref().and_then(|below| path.strip_suffix(below)).unwrap_or(path).trim_end_matches('.');
        let within = |object: &Value| object.pointer(&format!("/{}", scope.replace(['.', '['], "/").replace(']', ""))).cloned();
        let at = |object: &Value| object.pointer(&format!("/{}", path.replace(['.', '['], "/").replace(']', ""))).cloned();
        // A rule about the present is not asked again where nothing has changed.
        if !path.is_empty()
            && old.is_some_and(|old| !scope.is_empty() && within(old) == within(new))
            && !error.rule.contains("oldSelf")
        {
            continue;
        }
        let field = if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() };
        let shown = at(new).filter(|value| !path.is_empty() && !value.is_object() && !value.is_array());
        let points_elsewhere = elsewhere.is_some();
        let message = match (&error.kind, shown.filter(|_| !points_elsewhere)) {
            (ErrorKind::ValidationFailure, Some(value)) => format!("{value}: {}", error.message),
            _ => error.message.clone(),
        };
        let (reason, prefix) = match error.reason.as_deref() {
            Some("FieldValueForbidden") => ("FieldValueForbidden", "Forbidden"),
            Some("FieldValueRequired") => ("FieldValueRequired", "Required value"),
            Some("FieldValueDuplicate") => ("FieldValueDuplicate", "Duplicate value"),
            _ => ("FieldValueInvalid", "Invalid value"),
        };
        causes.push(Cause { reason, field, message: format!("{prefix}: {message}") });
    }
}

/// The field that a rule blames, below the one it is written at; then no value is shown.
fn place_of(schema: &Value, rule: &str) -> Option<String> {
    match schema {
        Value::Object(map) => {
            let own = map.get("x-kubernetes-validations").and_then(Value::as_array);
            let mut own = own.into_iter().flatten().filter(|r| text(r, "rule") == rule);
            let place = own.find_map(|r| r.get("fieldPath").and_then(Value::as_str));
            place.map(str::to_owned).or_else(|| map.values().find_map(|below| place_of(below, rule)))
        }
        Value::Array(list) => list.iter().find_map(|below| place_of(below, rule)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
