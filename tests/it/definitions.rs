//! What is rendered for engines fits the engines' own definitions.
//!
//! `ESPALIER_CRDS` names the folder with them, else it is `../shared/data/crds` beside the crate; without it there is nothing to
//! compare with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;

use super::matrix;

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("ESPALIER_CRDS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/crds"), PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

/// The schemas in a folder, by apiVersion and kind.
fn schemas(folder: &Path) -> BTreeMap<(String, String), Value> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        for document in serde_yaml::Deserializer::from_str(&text) {
            let definition = Value::deserialize(document).expect("YAML");
            let of = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            for version in definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten() {
                let name = version["name"].as_str().expect("a name");
                let schema = version["schema"]["openAPIV3Schema"].clone();
                out.insert((format!("{}/{name}", of("/spec/group")), of("/spec/names/kind")), schema);
            }
        }
    }
    out
}

/// The first field that a schema does not know, which an API server would drop.
fn dropped(value: &Value, schema: &Value, path: &str) -> Option<String> {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return None;
    }
    match value {
        Value::Object(map) => map.iter().find_map(|(key, below)| {
            let here = format!("{path}/{key}");
            match (schema["properties"].get(key), schema.get("additionalProperties")) {
                (Some(known), _) => dropped(below, known, &here),
                (None, Some(known)) if known.is_object() => dropped(below, known, &here),
                (None, Some(known)) if known == true => None,
                // Standard metadata has no schema of its own.
                _ if path == "/metadata" => None,
                _ => Some(here),
            }
        }),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(n, item)| dropped(item, &schema["items"], &format!("{path}/{n}")))
        }
        _ => None,
    }
}

#[test]
fn what_engines_get_fits_their_definitions() {
    let Some(folder) = folder() else { return };
    let schemas = schemas(&folder);
    let validators: BTreeMap<&(String, String), jsonschema::Validator> =
        schemas.iter().map(|(kind, schema)| (kind, jsonschema::draft202012::new(schema).expect("a schema"))).collect();
    let (mut tried, mut kinds, mut wrong) = (0, BTreeSet::new(), BTreeSet::new());
    for (shape, manifest) in matrix::manifests() {
        let of = |field: &str| manifest[field].as_str().unwrap_or_default().to_owned();
        let kind = (of("apiVersion"), of("kind"));
        let Some(schema) = schemas.get(&kind) else { continue };
        tried += 1;
        kinds.insert(kind.clone());
        let name = format!("{} {}", kind.1, manifest["metadata"]["name"]);
        if let Some(path) = dropped(&manifest, schema, "") {
            wrong.insert(format!("{shape}: {name}: {path} is not known"));
        }
        for error in validators[&kind].iter_errors(&manifest) {
            wrong.insert(format!("{shape}: {name}: {}: {error}", error.instance_path()));
        }
    }
    println!("{tried} objects of {} kinds tried, {} wrong", kinds.len(), wrong.len());
    assert!(tried > 1000 && kinds.len() > 20, "{tried} {kinds:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
