//! CustomResourceDefinitions: of the landscape kinds, with structural schemas generated from the same types as everything else;
//! of the kinds that espalier itself writes into the garden; and minimal ones of the engines' kinds for a seed where no engine
//! has brought its own.

use serde_json::{Map, Value, json};

use crate::landscape::Kind;

/// A column that `kubectl get` prints: name, type, JSON path, and whether only `-o wide` shows it.
type Column = (&'static str, &'static str, &'static str, bool);

/// The age of an object.
const AGE: Column = ("Age", "date", ".metadata.creationTimestamp", false);

/// The CustomResourceDefinition of a landscape kind. Without a schema its objects are open.
#[must_use]
pub fn definition(kind: Kind, schema: Option<&Value>) -> Value {
    let (group, version) = kind.api_version().split_once('/').unwrap_or(("", kind.api_version()));
    let schema = schema.map_or_else(open, structural);
    let names = Names {
        group,
        version,
        kind: kind.name(),
        plural: kind.plural(),
        short: short_names(kind),
        namespaced: kind.namespaced(),
    };
    crd(&names, schema, columns(kind), Some(json!({})), None)
}

/// Definitions of the kinds that espalier itself writes into the garden beside the landscape's own.
#[must_use]
pub fn written() -> Vec<Value> {
    let core = |kind, plural, short, namespaced| Names {
        group: "core.gardener.cloud",
        version: "v1beta1",
        kind,
        plural,
        short,
        namespaced,
    };
    vec![
        crd(
            &core("BackupBucket", "backupbuckets", &["bbc"], false),
            open(),
            &[
                ("Status", "string", ".status.lastOperation.state", false),
                ("Provider", "string", ".spec.provider.type", false),
                ("Region", "string", ".spec.provider.region", false),
                AGE,
            ],
            Some(json!({})),
            None,
        ),
        crd(
            &core("BackupEntry", "backupentries", &["bec"], true),
            open(),
            &[("Status", "string", ".status.lastOperation.state", false), ("Bucket", "string", ".spec.bucketName", false), AGE],
            Some(json!({})),
            None,
        ),
        crd(
            &core("ControllerInstallation", "controllerinstallations", &["ctrlinst"], false),
            open(),
            &[
                ("Registration", "string", ".spec.registrationRef.name", false),
                ("Seed", "string", ".spec.seedRef.name", false),
                ("Valid", "string", ".status.conditions[?(@.type==\"Valid\")].status", false),
                ("Installed", "string", ".status.conditions[?(@.type==\"Installed\")].status", false),
                ("Healthy", "string", ".status.conditions[?(@.type==\"Healthy\")].status", false),
                ("Progressing", "string", ".status.conditions[?(@.type==\"Progressing\")].status", false),
                AGE,
            ],
            Some(json!({})),
            None,
        ),
        crd(
            &core("InternalSecret", "internalsecrets", &[], true),
            open(),
            &[("Type", "string", ".type", false), AGE],
            None,
            None,
        ),
        crd(&core("ShootState", "shootstates", &[], true), open(), &[AGE], None, None),
    ]
}

/// Definitions of the engines' kinds: identity, scope, subresources and an open schema, nothing more.
#[must_use]
pub fn engines() -> Vec<Value> {
    const STATE: Column = ("Status", "string", ".status.lastOperation.state", false);
    const TYPE: Column = ("Type", "string", ".spec.type", false);
    const REGION: Column = ("Region", "string", ".spec.region", false);
    let extension = |kind, plural, short, namespaced| Names {
        group: "extensions.gardener.cloud",
        version: "v1alpha1",
        kind,
        plural,
        short,
        namespaced,
    };
    let druid =
        |kind, plural| Names { group: "druid.gardener.cloud", version: "v1alpha1", kind, plural, short: &[], namespaced: true };
    let machine =
        |kind, plural, short| Names { group: "machine.sapcloud.io", version: "v1alpha1", kind, plural, short, namespaced: true };
    let status = || Some(json!({}));
    let scale = || Some(json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}));
    let selected = Some(
        json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}),
    );
    let mut all = vec![
        crd(
            &extension("BackupBucket", "backupbuckets", &["bb"], false),
            open(),
            &[TYPE, REGION, ("State", "string", ".status.lastOperation.state", false), AGE],
            status(),
            None,
        ),
        crd(
            &extension("BackupEntry", "backupentries", &["be"], false),
            open(),
            &[
                TYPE,
                REGION,
                ("Bucket", "string", ".spec.bucketName", false),
                ("State", "string", ".status.lastOperation.state", false),
                AGE,
            ],
            status(),
            None,
        ),
        crd(
            &extension("Bastion", "bastions", &[], true),
            open(),
            &[("IP", "string", ".status.ingress.ip", false), ("Hostname", "string", ".status.ingress.hostname", false), AGE],
            status(),
            None,
        ),
        crd(&extension("Cluster", "clusters", &[], false), open(), &[AGE], status(), None),
        crd(&extension("ContainerRuntime", "containerruntimes", &["cr"], true), open(), &[TYPE, STATE, AGE], status(), None),
        crd(
            &extension("ControlPlane", "controlplanes", &["cp"], true),
            open(),
            &[TYPE, ("Purpose", "string", ".spec.purpose", false), STATE, AGE],
            status(),
            None,
        ),
        crd(
            &extension("DNSRecord", "dnsrecords", &["dns"], true),
            open(),
            &[
                TYPE,
                ("Domain Name", "string", ".spec.name", false),
                ("Record Type", "string", ".spec.recordType", false),
                STATE,
                AGE,
            ],
            status(),
            None,
        ),
        crd(&extension("Extension", "extensions", &["ext"], true), open(), &[TYPE, STATE, AGE], status(), None),
        crd(
            &extension("Infrastructure", "infrastructures", &["infra"], true),
            open(),
            &[TYPE, REGION, STATE, AGE],
            status(),
            None,
        ),
        crd(
            &extension("Network", "networks", &[], true),
            open(),
            &[
                TYPE,
                ("Pod CIDR", "string", ".spec.podCIDR", false),
                ("Service CIDR", "string", ".spec.serviceCIDR", false),
                STATE,
                AGE,
            ],
            status(),
            None,
        ),
        crd(
            &extension("OperatingSystemConfig", "operatingsystemconfigs", &["osc"], true),
            open(),
            &[TYPE, ("Purpose", "string", ".spec.purpose", false), STATE, AGE],
            status(),
            None,
        ),
        crd(
            &extension("SelfHostedShootExposure", "selfhostedshootexposures", &["exp"], true),
            open(),
            &[TYPE, STATE, AGE],
            status(),
            None,
        ),
        crd(&extension("Worker", "workers", &[], true), open(), &[TYPE, REGION, STATE, AGE], status(), None),
        crd(
            &druid("Etcd", "etcds"),
            open(),
            &[
                ("Ready", "string", ".status.ready", false),
                ("Quorate", "string", ".status.conditions[?(@.type==\"Ready\")].status", false),
                ("All Members Ready", "string", ".status.conditions[?(@.type==\"AllMembersReady\")].status", false),
                ("Backup Ready", "string", ".status.conditions[?(@.type==\"BackupReady\")].status", false),
                AGE,
                ("Cluster Size", "integer", ".spec.replicas", true),
                ("Current Replicas", "integer", ".status.currentReplicas", true),
                ("Ready Replicas", "integer", ".status.readyReplicas", true),
            ],
            status(),
            selected,
        ),
        crd(&druid("EtcdCopyBackupsTask", "etcdcopybackupstasks"), open(), &[AGE], status(), None),
        crd(&machine("MachineClass", "machineclasses", &["mcc"]), open(), &[AGE], None, None),
        crd(
            &machine("MachineDeployment", "machinedeployments", &["mcd"]),
            open(),
            &[
                ("Ready", "integer", ".status.readyReplicas", false),
                ("Desired", "integer", ".spec.replicas", false),
                ("Up-to-date", "integer", ".status.updatedReplicas", false),
                ("Available", "integer", ".status.availableReplicas", false),
                AGE,
            ],
            status(),
            scale(),
        ),
        crd(
            &machine("MachineSet", "machinesets", &["mcs"]),
            open(),
            &[
                ("Desired", "integer", ".spec.replicas", false),
                ("Current", "integer", ".status.replicas", false),
                ("Ready", "integer", ".status.readyReplicas", false),
                AGE,
            ],
            status(),
            scale(),
        ),
        crd(
            &machine("Machine", "machines", &["mc"]),
            open(),
            &[
                ("Status", "string", ".status.currentStatus.phase", false),
                AGE,
                ("Node", "string", ".metadata.labels.node", false),
            ],
            status(),
            None,
        ),
        crd(
            &Names {
                group: "resources.gardener.cloud",
                version: "v1alpha1",
                kind: "ManagedResource",
                plural: "managedresources",
                short: &["mr"],
                namespaced: true,
            },
            open(),
            &[
                ("Class", "string", ".spec.class", false),
                ("Applied", "string", ".status.conditions[?(@.type==\"ResourcesApplied\")].status", false),
                ("Healthy", "string", ".status.conditions[?(@.type==\"ResourcesHealthy\")].status", false),
                ("Progressing", "string", ".status.conditions[?(@.type==\"ResourcesProgressing\")].status", false),
                AGE,
            ],
            status(),
            None,
        ),
        crd(
            &Names {
                group: "autoscaling.k8s.io",
                version: "v1",
                kind: "VerticalPodAutoscaler",
                plural: "verticalpodautoscalers",
                short: &["vpa"],
                namespaced: true,
            },
            open(),
            &[
                ("Mode", "string", ".spec.updatePolicy.updateMode", false),
                ("CPU", "string", ".status.recommendation.containerRecommendations[0].target.cpu", false),
                ("Mem", "string", ".status.recommendation.containerRecommendations[0].target.memory", false),
                AGE,
            ],
            status(),
            None,
        ),
        crd(
            &Names {
                group: "autoscaling.k8s.io",
                version: "v1",
                kind: "VerticalPodAutoscalerCheckpoint",
                plural: "verticalpodautoscalercheckpoints",
                short: &["vpacheckpoint"],
                namespaced: true,
            },
            open(),
            &[AGE],
            None,
            None,
        ),
    ];
    for definition in &mut all {
        definition["metadata"]["annotations"]["render.espalier.dev/only-if-absent"] = "true".into();
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        if group == "autoscaling.k8s.io" {
            definition["metadata"]["annotations"]["api-approved.kubernetes.io"] =
                "https://github.com/kubernetes/kubernetes/pull/63797".into();
        }
    }
    all
}

/// How a kind is called.
struct Names {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
}

/// A definition with one version.
fn crd(names: &Names, schema: Value, columns: &[Column], status: Option<Value>, scale: Option<Value>) -> Value {
    let columns: Vec<Value> = columns
        .iter()
        .map(|(name, kind, path, wide)| {
            let mut column = json!({"name": name, "type": kind, "jsonPath": path});
            if *wide {
                column["priority"] = 1.into();
            }
            column
        })
        .collect();
    let mut version = json!({
        "name": names.version,
        "served": true,
        "storage": true,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    });
    let mut subresources = Map::new();
    if let Some(status) = status {
        subresources.insert("status".into(), status);
    }
    if let Some(scale) = scale {
        subresources.insert("scale".into(), scale);
    }
    if !subresources.is_empty() {
        version["subresources"] = subresources.into();
    }
    let mut accepted = json!({
        "plural": names.plural,
        "singular": names.kind.to_ascii_lowercase(),
        "kind": names.kind,
        "listKind": format!("{}List", names.kind),
    });
    if !names.short.is_empty() {
        accepted["shortNames"] = json!(names.short);
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{}", names.plural, names.group), "annotations": {}},
        "spec": {
            "group": names.group,
            "scope": if names.namespaced { "Namespaced" } else { "Cluster" },
            "names": accepted,
            "versions": [version],
        },
    })
}

/// Gardener's short names.
fn short_names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::CloudProfile => &["cprofile", "cprofiles"],
        Kind::NamespacedCloudProfile => &["ncpfl"],
        Kind::ControllerDeployment => &["ctrldeploy"],
        Kind::ControllerRegistration => &["ctrlreg"],
        Kind::SecretBinding => &["sb"],
        Kind::CredentialsBinding => &["cb", "cbs"],
        Kind::Quota => &["squota"],
        Kind::WorkloadIdentity => &["wi", "wis"],
        Kind::ManagedSeed => &["ms"],
        _ => &[],
    }
}

/// Gardener's columns.
fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Shoot => &[
            ("CloudProfile", "string", ".spec.cloudProfile.name", false),
            ("Provider", "string", ".spec.provider.type", false),
            ("Region", "string", ".spec.region", false),
            ("K8S Version", "string", ".spec.kubernetes.version", false),
            ("Hibernation", "boolean", ".status.isHibernated", false),
            ("Last Operation", "string", ".status.lastOperation.state", false),
            ("Status", "string", ".metadata.labels.shoot\\.gardener\\.cloud/status", false),
            AGE,
            ("Purpose", "string", ".spec.purpose", true),
            ("Seed", "string", ".spec.seedName", true),
            ("Gardener Version", "string", ".status.gardener.version", true),
            ("APIServer", "string", ".status.conditions[?(@.type==\"APIServerAvailable\")].status", true),
            ("Control", "string", ".status.conditions[?(@.type==\"ControlPlaneHealthy\")].status", true),
            ("Observability", "string", ".status.conditions[?(@.type==\"ObservabilityComponentsHealthy\")].status", true),
            ("Nodes", "string", ".status.conditions[?(@.type==\"EveryNodeReady\")].status", true),
            ("System", "string", ".status.conditions[?(@.type==\"SystemComponentsHealthy\")].status", true),
        ],
        Kind::Seed => &[
            ("Status", "string", ".status.conditions[?(@.type==\"GardenletReady\")].status", false),
            ("Last Operation", "string", ".status.lastOperation.state", false),
            ("Provider", "string", ".spec.provider.type", false),
            ("Region", "string", ".spec.provider.region", false),
            AGE,
            ("Version", "string", ".status.gardener.version", false),
            ("K8S Version", "string", ".status.kubernetesVersion", false),
        ],
        Kind::Project => &[
            ("Namespace", "string", ".spec.namespace", false),
            ("Status", "string", ".status.phase", false),
            ("Owner", "string", ".spec.owner.name", false),
            ("Creator", "string", ".spec.createdBy.name", false),
            AGE,
        ],
        Kind::CloudProfile => &[("Type", "string", ".spec.type", false), AGE],
        Kind::NamespacedCloudProfile => &[("CloudProfile", "string", ".spec.parent.name", false), AGE],
        Kind::SecretBinding | Kind::CredentialsBinding => &[("Provider", "string", ".provider.type", false), AGE],
        Kind::Quota => &[("Scope", "string", ".spec.scope.kind", false), AGE],
        Kind::WorkloadIdentity => {
            &[("Type", "string", ".spec.targetSystem.type", false), ("Sub", "string", ".status.sub", false), AGE]
        }
        Kind::ExposureClass => &[("Handler", "string", ".handler", false), AGE],
        Kind::ManagedSeed => &[
            ("Status", "string", ".status.conditions[?(@.type==\"SeedRegistered\")].status", false),
            ("Shoot", "string", ".spec.shoot.name", false),
            AGE,
        ],
        Kind::Operation => &[("State", "string", ".status.state", false), AGE],
        Kind::Landscape => {
            &[("Revision", "string", ".status.revision", false), ("Result", "string", ".status.result", false), AGE]
        }
        _ => &[AGE],
    }
}

/// A schema that lets everything through.
fn open() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// The structural OpenAPI v3 form of a JSON schema: references inlined, `null` alternatives turned into `nullable`, formats and
/// keywords that CustomResourceDefinitions refuse left out, untyped values opened.
#[must_use]
pub fn structural(schema: &Value) -> Value {
    let definitions =
        schema.get("$defs").or_else(|| schema.get("definitions")).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut root = convert(schema, &definitions, &mut Vec::new());
    if let Some(map) = root.as_object_mut() {
        map.insert("type".into(), "object".into());
        map.remove("nullable");
        // What everyone may write at the root is checked by the API server itself.
        if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("apiVersion".into(), json!({"type": "string"}));
            properties.insert("kind".into(), json!({"type": "string"}));
            properties.insert("metadata".into(), json!({"type": "object"}));
            properties.insert("status".into(), open());
        }
        if let Some(required) = map.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|field| !matches!(field.as_str(), Some("apiVersion" | "kind" | "metadata" | "status")));
            if required.is_empty() {
                map.remove("required");
            }
        }
    }
    root
}

/// Keywords that may be copied as they are.
const COPIED: [&str; 12] = [
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
    "enum",
    "required",
    "title",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
];

/// One subschema. `path` holds the references that are being followed, so that recursive types end in an open schema.
fn convert(schema: &Value, definitions: &Map<String, Value>, path: &mut Vec<String>) -> Value {
    let Some(map) = schema.as_object() else { return anything() };
    if let Some(name) = map.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next()) {
        if path.iter().any(|known| known == name) {
            return anything();
        }
        path.push(name.to_owned());
        let mut resolved = definitions.get(name).map_or_else(anything, |target| convert(target, definitions, path));
        path.pop();
        describe(&mut resolved, map);
        return resolved;
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        if let Some(choices) = map.get(keyword).and_then(Value::as_array) {
            let mut resolved = choose(keyword, choices, definitions, path);
            describe(&mut resolved, map);
            return resolved;
        }
    }
    let mut out = Map::new();
    let (kind, nullable) = kind_of(map);
    if nullable {
        out.insert("nullable".into(), true.into());
    }
    if let Some(text) = map.get("description") {
        out.insert("description".into(), text.clone());
    }
    for keyword in COPIED {
        if let Some(value) = map.get(keyword) {
            out.insert(keyword.into(), value.clone());
        }
    }
    if let Some(value) = map.get("const") {
        out.insert("enum".into(), json!([value]));
    }
    match kind.as_deref() {
        Some("object") => {
            out.insert("type".into(), "object".into());
            let properties = map.get("properties").and_then(Value::as_object).filter(|p| !p.is_empty());
            if let Some(properties) = properties {
                let converted: Map<String, Value> =
                    properties.iter().map(|(name, sub)| (name.clone(), convert(sub, definitions, path))).collect();
                out.insert("properties".into(), converted.into());
            }
            match map.get("additionalProperties") {
                Some(sub @ Value::Object(_)) if properties.is_none() => {
                    out.insert("additionalProperties".into(), convert(sub, definitions, path));
                }
                _ if properties.is_none() => {
                    out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
                }
                _ => {}
            }
        }
        Some("array") => {
            out.insert("type".into(), "array".into());
            out.insert("items".into(), map.get("items").map_or_else(anything, |items| convert(items, definitions, path)));
        }
        Some(simple) => {
            out.insert("type".into(), simple.into());
            if let Some(format) = map
                .get("format")
                .and_then(Value::as_str)
                .filter(|f| matches!(*f, "int32" | "int64" | "float" | "double" | "date-time" | "byte"))
            {
                out.insert("format".into(), format.into());
            }
        }
        None if out.contains_key("x-kubernetes-int-or-string") => {}
        None => {
            out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        }
    }
    out.into()
}

/// A value of which nothing is known.
fn anything() -> Value {
    json!({"x-kubernetes-preserve-unknown-fields": true})
}

/// The one type of a schema, and whether it may also be null.
fn kind_of(map: &Map<String, Value>) -> (Option<String>, bool) {
    match map.get("type") {
        Some(Value::String(kind)) => (Some(kind.clone()), false),
        Some(Value::Array(kinds)) => {
            let named: Vec<&str> = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            (
                match named.as_slice() {
                    [one] => Some((*one).to_owned()),
                    _ => None,
                },
                kinds.len() > named.len(),
            )
        }
        _ if map.contains_key("properties") || map.contains_key("additionalProperties") => (Some("object".into()), false),
        _ => (None, false),
    }
}

/// Alternatives: with `null`, of string constants, of a number and a string; anything else is left open.
fn choose(keyword: &str, choices: &[Value], definitions: &Map<String, Value>, path: &mut Vec<String>) -> Value {
    let null = |choice: &&Value| choice.get("type").and_then(Value::as_str) == Some("null");
    let rest: Vec<&Value> = choices.iter().filter(|choice| !null(choice)).collect();
    let nullable = rest.len() < choices.len();
    let mut resolved = match rest.as_slice() {
        [one] => convert(one, definitions, path),
        many => {
            let converted: Vec<Value> = many.iter().map(|choice| convert(choice, definitions, path)).collect();
            let kinds: Vec<&str> = converted.iter().filter_map(|c| c.get("type").and_then(Value::as_str)).collect();
            let strings = kinds.len() == converted.len() && kinds.iter().all(|kind| *kind == "string");
            let numbers = kinds.len() == converted.len()
                && kinds.contains(&"string")
                && kinds.iter().all(|kind| matches!(*kind, "string" | "integer"));
            if keyword == "allOf" {
                converted.into_iter().next().unwrap_or_else(anything)
            } else if strings {
                let constants: Vec<Value> =
                    converted.iter().filter_map(|c| c.get("enum").and_then(Value::as_array)).flatten().cloned().collect();
                let closed = converted.iter().all(|c| c.get("enum").is_some());
                if closed { json!({"type": "string", "enum": constants}) } else { json!({"type": "string"}) }
            } else if numbers {
                json!({"x-kubernetes-int-or-string": true})
            } else {
                anything()
            }
        }
    };
    if nullable
        && let Some(map) = resolved.as_object_mut()
        && (map.contains_key("type") || map.contains_key("x-kubernetes-int-or-string"))
    {
        map.insert("nullable".into(), true.into());
    }
    resolved
}

/// The description nearest to the use wins.
fn describe(resolved: &mut Value, outer: &Map<String, Value>) {
    if let (Some(text), Some(map)) = (outer.get("description"), resolved.as_object_mut()) {
        map.insert("description".into(), text.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_nulls_and_choices_become_structural() {
        let schema = json!({
            "$defs": {
                "Size": {"type": "string", "pattern": "^[0-9]+$"},
                "Tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/Tree"}}},
                "Mode": {"oneOf": [{"const": "A", "type": "string", "description": "a"}, {"const": "B", "type": "string"}]},
            },
            "type": "object",
            "required": ["apiVersion", "spec"],
            "properties": {"spec": {
                "type": "object",
                "properties": {
                    "size": {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]},
                    "tree": {"$ref": "#/$defs/Tree"},
                    "mode": {"$ref": "#/$defs/Mode"},
                    "either": {"anyOf": [{"type": "integer", "format": "uint32"}, {"type": "string"}]},
                    "opaque": true,
                    "count": {"type": ["integer", "null"], "format": "int32"},
                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            }},
        });
        let got = structural(&schema);
        let spec = &got["properties"]["spec"]["properties"];
        assert_eq!(spec["size"], json!({"type": "string", "pattern": "^[0-9]+$", "nullable": true}));
        assert_eq!(spec["tree"]["properties"]["child"], json!({"x-kubernetes-preserve-unknown-fields": true}));
        assert_eq!(spec["mode"], json!({"type": "string", "enum": ["A", "B"]}));
        assert_eq!(spec["either"], json!({"x-kubernetes-int-or-string": true}));
        assert_eq!(spec["opaque"], json!({"x-kubernetes-preserve-unknown-fields": true}));
        assert_eq!(spec["count"], json!({"type": "integer", "format": "int32", "nullable": true}));
        assert_eq!(spec["map"]["additionalProperties"], json!({"type": "string"}));
        assert_eq!(got["required"], json!(["spec"]));
        assert!(!got.to_string().contains("$ref"));
    }

    #[test]
    fn every_engine_kind_is_open_and_only_if_absent() {
        for definition in engines() {
            assert_eq!(definition["metadata"]["annotations"]["render.espalier.dev/only-if-absent"], "true");
            assert_eq!(
                definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-preserve-unknown-fields"],
                true
            );
        }
    }
}
