//! The published types of built-in kinds: fields and what they mean from the Kubernetes API that this program is built with, how
//! lists merge from the types that the server itself works with.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, autoscaling::v2 as autoscaling, batch::v1 as batch,
    certificates::v1 as certificates, coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery,
    events::v1 as events, networking::v1 as networking, node::v1 as node, policy::v1 as policy, rbac::v1 as rbac,
    scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::sim::typed;

/// Where one schema finds another one.
pub(super) const V3: &str = "#/components/schemas/";
/// The type of metadata.
pub(super) const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// What is published.
pub(super) struct Published {
    /// Schemas by name.
    pub(super) schemas: Map<String, Value>,
    /// Names by `group/version/kind`.
    pub(super) kinds: BTreeMap<String, String>,
}

pub(super) static PUBLISHED: LazyLock<Published> = LazyLock::new(publish);

struct Gatherer {
    generator: SchemaGenerator,
    kinds: BTreeMap<String, String>,
}

impl Gatherer {
    fn kind<T: JsonSchema + k8s_openapi::Resource>(&mut self) {
        self.generator.subschema_for::<T>();
        let of = format!("{}/{}/{}", T::GROUP, T::VERSION, T::KIND);
        self.kinds.insert(of, T::schema_name().into_owned());
    }
}

macro_rules! kinds {
    ($all:ident: $($kind:path),* $(,)?) => { $($all.kind::<$kind>();)* };
}

fn publish() -> Published {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = false);
    let mut all = Gatherer { generator: settings.into_generator(), kinds: BTreeMap::new() };
    kinds!(all:
        core::Namespace, core::ConfigMap, core::Secret, core::Service, core::ServiceAccount, core::Pod, core::PodTemplate,
        core::ReplicationController, core::Endpoints, core::Node, core::Event, core::PersistentVolumeClaim,
        core::PersistentVolume, core::ResourceQuota, core::LimitRange, apps::Deployment, apps::StatefulSet, apps::DaemonSet,
        apps::ReplicaSet, apps::ControllerRevision, batch::Job, batch::CronJob, autoscaling::HorizontalPodAutoscaler,
        policy::PodDisruptionBudget, rbac::Role, rbac::RoleBinding, rbac::ClusterRole, rbac::ClusterRoleBinding,
        networking::NetworkPolicy, networking::Ingress, networking::IngressClass, coordination::Lease,
        scheduling::PriorityClass, storage::StorageClass, storage::CSIDriver, storage::CSINode, storage::VolumeAttachment,
        node::RuntimeClass, admission::ValidatingAdmissionPolicy, admission::ValidatingAdmissionPolicyBinding,
        admission::MutatingWebhookConfiguration, admission::ValidatingWebhookConfiguration, discovery::EndpointSlice,
        apiextensions::CustomResourceDefinition, apiregistration::APIService, certificates::CertificateSigningRequest,
        events::Event,
    );
    let mut schemas = all.generator.take_definitions(false);
    for (name, schema) in &mut schemas {
        enrich(name, schema);
        refer(schema);
    }
    for (of, name) in &all.kinds {
        let mut of = of.splitn(3, '/');
        if let (Some(group), Some(version), Some(kind)) = (of.next(), of.next(), of.next())
            && let Some(schema) = schemas.get_mut(name)
        {
            schema["x-kubernetes-group-version-kind"] = json!([{"group": group, "version": version, "kind": kind}]);
        }
    }
    debug_assert!(schemas.contains_key(METADATA), "objects have metadata");
    Published { schemas, kinds: all.kinds }
}

/// The name of a type in the server's own list.
fn short(name: &str) -> &str {
    let prefixes =
        ["io.k8s.api.", "io.k8s.apimachinery.pkg.", "io.k8s.kube-aggregator.pkg.", "io.k8s.apiextensions-apiserver.pkg."];
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// Adds how lists and maps merge, what must be there, and what types the generator does not tell.
fn enrich(name: &str, schema: &mut Value) {
    if name.ends_with(".resource.Quantity") {
        schema["oneOf"] = json!([{"type": "string"}, {"type": "number"}]);
    } else if name.ends_with(".intstr.IntOrString") {
        schema["format"] = "int-or-string".into();
        schema["oneOf"] = json!([{"type": "integer"}, {"type": "string"}]);
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("x-kubernetes-int-or-string");
    }
    let lines = typed::lines(short(name));
    if lines.is_empty() {
        return;
    }
    let mut required = Vec::new();
    for line in lines {
        let mut words = line.split(' ');
        let field = words.next().unwrap_or_default();
        if let Some(field) = field.strip_suffix('!') {
            required.push(field);
        }
        let list = words.next().is_some_and(|of| of.starts_with('['));
        let Some(below) = schema.pointer_mut(&format!("/properties/{}", field.trim_end_matches('!'))) else { continue };
        if list {
            below["x-kubernetes-list-type"] = "atomic".into();
        }
        for word in words {
            match word.split_once('=') {
                Some(("keys", keys)) => {
                    below["x-kubernetes-list-type"] = "map".into();
                    below["x-kubernetes-list-map-keys"] = keys.split(',').collect();
                }
                Some(("merge", key)) => {
                    below["x-kubernetes-patch-strategy"] = "merge".into();
                    if !key.is_empty() {
                        below["x-kubernetes-patch-merge-key"] = key.into();
                    }
                }
                Some(("default", default)) => below["default"] = serde_json::from_str(default).unwrap_or_default(),
                None if word == "set" => below["x-kubernetes-list-type"] = "set".into(),
                None if word == "atomic" => below["x-kubernetes-map-type"] = "atomic".into(),
                None if word == "always" => below["default"] = json!({}),
                _ => {}
            }
        }
    }
    if required.is_empty() {
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("required");
        }
    } else {
        schema["required"] = required.into();
    }
}

/// What is said beside a reference belongs around it.
fn refer(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.len() > 1
                && let Some(reference @ Value::String(_)) = map.remove("$ref")
            {
                map.insert("allOf".into(), json!([{"$ref": reference}]));
            }
            map.values_mut().for_each(refer);
        }
        Value::Array(list) => list.iter_mut().for_each(refer),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schemas that some schemas need, with those that these need.
pub(super) fn needed(of: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    let mut queue: Vec<&Value> = of.values().collect();
    while let Some(value) = queue.pop() {
        match value {
            Value::Object(map) => {
                for (key, below) in map {
                    let name = below.as_str().filter(|_| key == "$ref").and_then(|text| text.strip_prefix(V3));
                    if let Some(name) = name.filter(|name| !found.contains_key(*name))
                        && let Some(schema) = PUBLISHED.schemas.get(name)
                    {
                        found.insert(name.to_owned(), schema.clone());
                        queue.push(schema);
                    }
                    queue.push(below);
                }
            }
            Value::Array(list) => queue.extend(list),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}
