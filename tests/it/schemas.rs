//! The committed JSON Schemas say what the types say, and accept what the reader accepts.

use std::fs;
use std::path::Path;

use espalier::landscape::{Kind, acknowledgement, schema};
use espalier::print::json::published::ANSWERS;
use serde_json::{Value, json};

/// The schema of a kind that is no object of a landscape.
const ACKNOWLEDGEMENT: &str = "acknowledgement.json";

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

/// The answers of commands whose shape is published.
fn answers() -> Vec<(&'static str, Value)> {
    ANSWERS.iter().map(|(name, schema)| (*name, schema())).collect()
}

/// Checks what a command wrote against its published schema.
pub(crate) fn conforms(name: &str, answer: &Value) {
    let (_, schema) = ANSWERS.iter().find(|(known, _)| *known == name).expect("its schema is published");
    let schema = schema();
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is valid");
    let wrong: Vec<String> = validator.iter_errors(answer).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{name}: {wrong:#?}\n{answer:#}");
}

#[test]
fn committed_schemas_are_those_of_the_types() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    let mut all: Vec<(String, Value)> =
        answers().into_iter().map(|(name, schema)| (format!("cli/{name}.json"), schema)).collect();
    for kind in Kind::ALL {
        all.push((schema::file_name(*kind), schema::json_schema(*kind)));
    }
    all.push((ACKNOWLEDGEMENT.to_owned(), acknowledgement::json_schema()));
    for (name, schema) in all {
        let mut wanted = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
        wanted.push('\n');
        let path = folder().join(&name);
        if fs::read_to_string(&path).ok().as_deref() != Some(&wanted) {
            if update {
                fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
                fs::write(&path, wanted).expect("the schema can be written");
            } else {
                stale.push(name);
            }
        }
    }
    assert!(stale.is_empty(), "schemas/{{{}}} are stale: run UPDATE=1 cargo test", stale.join(","));
}

#[test]
fn there_is_no_schema_without_a_kind() {
    for entry in fs::read_dir(folder()).expect("schemas/ is committed").flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(
            name == ACKNOWLEDGEMENT || Kind::ALL.iter().any(|kind| schema::file_name(*kind) == name),
            "schemas/{name} belongs to no kind"
        );
    }
}

#[test]
fn every_schema_is_one_of_draft_2020_12_with_a_title_and_descriptions() {
    for kind in Kind::ALL {
        let schema = schema::json_schema(*kind);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{kind}");
        assert_eq!(schema["title"], kind.name());
        jsonschema::draft202012::new(&schema).expect("the schema is valid");
        undescribed(&schema, kind.name());
    }
}

#[test]
fn answers_have_the_fields_that_are_described_and_no_other() {
    for (name, schema) in answers() {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert_eq!(schema["properties"]["apiVersion"]["const"], "espalier.dev/cli/v1", "{name}");
        jsonschema::draft202012::new(&schema).expect("the schema is valid");
        undescribed(&schema, name);
        let mut open = vec![("/".to_owned(), &schema)];
        while let Some((at, value)) = open.pop() {
            if let Value::Object(map) = value {
                if map.get("type") == Some(&json!("object")) && map.contains_key("properties") {
                    assert_eq!(map.get("additionalProperties"), Some(&json!(false)), "{name} {at}");
                    for (field, property) in map["properties"].as_object().expect("fields") {
                        let said = property.get("description").or(property.get("const"));
                        assert!(said.is_some(), "{name} {at}: {field} is not described");
                    }
                }
                open.extend(map.iter().map(|(key, value)| (format!("{at}/{key}"), value)));
            } else if let Value::Array(list) = value {
                open.extend(list.iter().enumerate().map(|(i, value)| (format!("{at}/{i}"), value)));
            }
        }
    }
    // The folder has no file that nobody writes.
    for entry in fs::read_dir(folder().join("cli")).expect("schemas/cli is committed").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(answers().iter().any(|(known, _)| format!("{known}.json") == name), "schemas/cli/{name} is of no answer");
    }
}

/// Every field that a person can write is described.
fn undescribed(schema: &Value, at: &str) {
    let mut objects = vec![(at.to_owned(), schema)];
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        objects.push((format!("{at}/{name}"), definition));
    }
    for (at, object) in objects {
        for (name, property) in object["properties"].as_object().into_iter().flatten() {
            if at.contains('/') {
                assert!(property["description"].is_string(), "{at}.{name} has no description");
            }
        }
    }
}

#[test]
fn schemas_agree_with_the_reader() {
    let shoot = jsonschema::draft202012::new(&schema::json_schema(Kind::Shoot)).expect("the schema is valid");
    let valid = json!({
        "apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot", "metadata": { "name": "a" },
        "spec": { "region": "eu", "provider": { "type": "aws", "infrastructureConfig": { "any": ["thing"] },
            "workers": [{ "name": "w", "machine": { "type": "t" }, "maxSurge": "25%", "minimum": 1,
                "kubernetes": { "kubelet": { "podPidsLimit": 4096, "containerLogMaxSize": "5Mi" } } }] } },
    });
    assert!(shoot.is_valid(&valid));
    for (pointer, wrong) in [
        ("/spec/region", json!(5)),
        ("/spec/provider/workers/0/minimum", json!("1")),
        ("/spec/provider/workers/0/kubernetes/kubelet", json!({ "podPIDsLimit": 1 })),
        ("/kind", json!("Seed")),
        ("/spec", json!({ "regoin": "eu" })),
    ] {
        let mut invalid = valid.clone();
        *invalid.pointer_mut(pointer).expect("the field is there") = wrong;
        assert!(!shoot.is_valid(&invalid), "{pointer}");
    }
}
