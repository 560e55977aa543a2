//! The types of the kinds that Kubernetes brings: fields, their types, how lists and maps merge.
//!
//! `types.txt` is what a real API server publishes of them, without descriptions, one type after another; the test
//! `real::types` writes it anew. A type's name begins a line, then ` kind=GROUP/VERSION/KIND` if objects are of it; its fields
//! follow, indented: name (`!`: required), type (`[T]` a list, `{T}` a map), how it merges, `always` for an object and `zero` for a
//! number or a truth value that is written even if nobody gave it.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use super::structure::{ListKind, Structure, Type};

/// What is not written if it is zero, by type: Go has no pointer there. The server does not publish it.
const OMITTED: &[(&str, &[&str])] = &[
    ("Container", &["stdin", "stdinOnce", "tty"]),
    ("ContainerPort", &["hostPort"]),
    ("DaemonSetSpec", &["minReadySeconds"]),
    ("DaemonSetStatus", &["numberAvailable", "numberUnavailable", "observedGeneration", "updatedNumberScheduled"]),
    ("DeploymentSpec", &["minReadySeconds", "paused"]),
    (
        "DeploymentStatus",
        &["availableReplicas", "observedGeneration", "readyReplicas", "replicas", "unavailableReplicas", "updatedReplicas"],
    ),
    ("DeploymentCondition", &["message", "reason"]),
    ("EnvVar", &["value"]),
    ("JobStatus", &["active", "failed", "succeeded"]),
    ("PersistentVolumeClaimVolumeSource", &["readOnly"]),
    ("PodSpec", &["hostIPC", "hostNetwork", "hostPID"]),
    ("Probe", &["failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds"]),
    ("ReplicaSetSpec", &["minReadySeconds"]),
    ("ReplicaSetStatus", &["availableReplicas", "fullyLabeledReplicas", "observedGeneration", "readyReplicas"]),
    ("ServicePort", &["nodePort"]),
    ("ServiceSpec", &["healthCheckNodePort", "publishNotReadyAddresses"]),
    ("StatefulSetSpec", &["minReadySeconds"]),
    ("StatefulSetStatus", &["currentReplicas", "observedGeneration", "readyReplicas", "updatedReplicas"]),
    ("VolumeMount", &["readOnly"]),
];

/// A type as it is written.
struct Written {
    atomic: bool,
    fields: Vec<&'static str>,
}

/// Everything in the file.
struct Types {
    types: HashMap<&'static str, Written>,
    /// By `group/version/kind`: the type's name, and what came of it.
    kinds: HashMap<&'static str, (&'static str, OnceLock<Structure>)>,
    metadata: OnceLock<Structure>,
    inner: OnceLock<Structure>,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut types: HashMap<&'static str, Written> = HashMap::new();
    let mut kinds = HashMap::new();
    let mut current = "";
    for line in include_str!("types.txt").lines() {
        if let Some(field) = line.strip_prefix(' ') {
            if let Some(written) = types.get_mut(current) {
                written.fields.push(field);
            }
            continue;
        }
        let mut words = line.split(' ');
        current = words.next().unwrap_or_default();
        let mut atomic = false;
        for word in words {
            match word.strip_prefix("kind=") {
                Some(kind) => {
                    kinds.insert(kind, (current, OnceLock::new()));
                }
                None => atomic |= word == "atomic",
            }
        }
        types.insert(current, Written { atomic, fields: Vec::new() });
    }
    Types { types, kinds, metadata: OnceLock::new(), inner: OnceLock::new() }
});

/// The structure of a built-in kind; `None` if there is no such kind.
pub(crate) fn of(api_version: &str, kind: &str) -> Option<&'static Structure> {
    let (name, structure) = TYPES.kinds.get(format!("{api_version}/{kind}").as_str())?;
    Some(structure.get_or_init(|| object(name, &mut Vec::new())))
}

/// The name of the type of a built-in kind.
pub(crate) fn name(api_version: &str, kind: &str) -> Option<&'static str> {
    TYPES.kinds.get(format!("{api_version}/{kind}").as_str()).map(|(name, _)| *name)
}

/// The fields of a type and the types of those.
pub(crate) fn fields(name: &str) -> Option<HashMap<&'static str, &'static str>> {
    let split = |line: &&'static str| {
        let mut words = line.split(' ');
        Some((words.next()?.trim_end_matches('!'), words.next()?))
    };
    Some(TYPES.types.get(name)?.fields.iter().filter_map(split).collect())
}

/// The lines of a type as they are written, for those who publish them.
pub(crate) fn lines(name: &str) -> &'static [&'static str] {
    TYPES.types.get(name).map_or(&[], |written| &written.fields)
}

/// The structure of metadata.
pub(crate) fn metadata() -> &'static Structure {
    TYPES.metadata.get_or_init(|| Structure { always: true, ..object("apis.meta.v1.ObjectMeta", &mut Vec::new()) })
}

/// The structure of the metadata of an object inside of another one.
pub(crate) fn inner_metadata() -> &'static Structure {
    TYPES.inner.get_or_init(|| object("apis.meta.v1.ObjectMeta", &mut Vec::new()))
}

fn object(name: &'static str, above: &mut Vec<&'static str>) -> Structure {
    let short = name.rsplit('.').next().unwrap_or_default();
    let mut structure = Structure { of: Type::Object, name: short.into(), ..Structure::default() };
    let Some(written) = TYPES.types.get(name) else { return structure };
    structure.atomic_map = written.atomic;
    if above.contains(&name) {
        // Schemas inside of schemas go down without end; what is below the second is not looked at.
        structure.preserve = true;
        return structure;
    }
    above.push(name);
    for field in &written.fields {
        let mut words = field.split(' ');
        let name = words.next().unwrap_or_default();
        let mut below = value(words.next().unwrap_or_default(), above);
        for word in words {
            match word.split_once('=') {
                Some(("keys", keys)) => below.list = ListKind::Keys(keys.split(',').map(str::to_owned).collect()),
                Some(("merge", key)) => below.merge_key = Some(key.into()),
                Some(("default", default)) => below.default = serde_json::from_str(default).ok(),
                None if word == "set" => below.list = ListKind::Set,
                None if word == "atomic" => below.atomic_map = true,
                None if word == "always" => below.always = true,
                None if word == "zero" => below.zero = true,
                _ => {}
            }
        }
        // The rules of a role are always written, though they are not said to be required.
        below.required = name.ends_with('!') || (name == "rules" && matches!(short, "Role" | "ClusterRole"));
        below.omitted = OMITTED.iter().any(|(of, fields)| *of == short && fields.contains(&name));
        structure.properties.insert(name.trim_end_matches('!').to_owned(), below);
    }
    above.pop();
    structure
}

fn value(text: &'static str, above: &mut Vec<&'static str>) -> Structure {
    if let Some(items) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Structure { of: Type::Array, items: Some(Box::new(value(items, above))), ..Structure::default() };
    }
    if let Some(values) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return Structure { of: Type::Object, additional: Some(Box::new(value(values, above))), ..Structure::default() };
    }
    let (of, format) = match text {
        "any" => return Structure { preserve: true, atomic_map: true, ..Structure::default() },
        "string" => (Type::String, ""),
        "byte" => (Type::String, "byte"),
        "time" | "microtime" => (Type::String, "date-time"),
        "quantity" => (Type::Quantity, ""),
        "int-or-string" => (Type::IntOrString, ""),
        "int" | "int64" => (Type::Integer, "int64"),
        "int32" => (Type::Integer, "int32"),
        "number" => (Type::Number, ""),
        "bool" => (Type::Boolean, ""),
        name => return object(name, above),
    };
    Structure { of, format: format.into(), ..Structure::default() }
}
