//! The contexts of the garden itself, of projects and of seeds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Missing, Sources, at, engine, exposure, extension, flag, installation, list, manifest, observability, policy, resource, text,
    texts,
};
use crate::landscape::Kind;
use crate::observed::project_namespace;
use crate::render::crd;

/// What the program ships that the garden gets: read from the library, not from a commit.
#[derive(Debug, Clone, Default)]
pub struct Shipped {
    /// The JSON schemas of the landscape kinds, by lower-case kind name (`shoot`).
    pub schemas: BTreeMap<String, Value>,
    /// The manifests of the admission policies, with their bindings and parameters.
    pub policies: Vec<Value>,
}

/// Who the policies that protect the garden do not bind: us.
const OURSELVES: &str = "!(request.userInfo.username in ['espalier', 'system:serviceaccount:garden:espalier', 'system:serviceaccount:espalier-system:espalier'])";
/// The name of the condition that says so, which a policy may carry itself.
const CONDITION: &str = "not-espalier";

/// The context of the garden.
///
/// # Errors
/// None today; the same type as its siblings.
pub fn garden(sources: &Sources<'_>, shipped: &Shipped) -> Result<Value, Missing> {
    let mut definitions: Vec<Value> =
        Kind::ALL.iter().map(|kind| crd::definition(*kind, shipped.schemas.get(&kind.name().to_ascii_lowercase()))).collect();
    definitions.extend(crd::written());
    let landscape = sources.landscape();
    let name = text(&landscape, "/metadata/name").to_owned();
    Ok(json!({
        "id": {
            "kind": "Landscape",
            "name": name,
            "uid": sources.identity.uid,
            "clusterIdentity": sources.identity.garden_identity.clone().unwrap_or_else(|| format!("espalier-{name}")),
        },
        "landscape": landscape,
        "following": sources.identity.following,
        "crds": definitions,
        "policies": shipped.policies.iter().filter(|p| installed(text(p, "/kind"))).map(policy).collect::<Vec<_>>(),
    }))
}

/// Whether a document of a policy file goes to the garden: policies, bindings, and parameters where they are ConfigMaps.
fn installed(kind: &str) -> bool {
    matches!(kind, "ValidatingAdmissionPolicy" | "ValidatingAdmissionPolicyBinding" | "ConfigMap")
}

/// A policy as installed: it does not bind ourselves, and its test cases stay at home.
fn policy(source: &Value) -> Value {
    let mut policy = source.clone();
    if text(&policy, "/kind") == "ValidatingAdmissionPolicy"
        && let Some(spec) = policy.get_mut("spec").and_then(Value::as_object_mut)
    {
        let conditions = spec.entry("matchConditions").or_insert_with(|| json!([]));
        if let Some(conditions) = conditions.as_array_mut() {
            conditions.retain(|condition| text(condition, "/name") != CONDITION);
            conditions.push(json!({"name": CONDITION, "expression": OURSELVES}));
        }
    }
    policy
}

/// The context of a project.
///
/// # Errors
/// If it is not admitted.
pub fn project(sources: &Sources<'_>) -> Result<Value, Missing> {
    let owner = sources.owner;
    let project = manifest(sources.own()?, owner);
    let landscape = sources.landscape();
    let namespace = project_namespace(&owner.name);
    let mut subjects: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut add = |role: &str, subject: Value| {
        let subjects = subjects.entry(role.to_owned()).or_default();
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    };
    for member in list(&project, "/spec/members") {
        let subject = subject(member, &namespace);
        let mut roles = texts(member, "/roles");
        let role = text(member, "/role");
        if !role.is_empty() && !roles.contains(&role) {
            roles.push(role);
        }
        if roles.is_empty() {
            roles.push("viewer");
        }
        for role in roles {
            add(role, subject.clone());
        }
    }
    let people = at(&project, "/spec/owner");
    if !people.is_null() {
        add("owner", subject(people, &namespace));
    }
    let of = |roles: &[&str]| -> Vec<Value> {
        let mut found: Vec<Value> = Vec::new();
        for subject in roles.iter().filter_map(|role| subjects.get(*role)).flatten() {
            if !found.contains(subject) {
                found.push(subject.clone());
            }
        }
        found
    };
    let extensions: Vec<Value> = subjects
        .iter()
        .filter_map(|(role, subjects)| role.strip_prefix("extension:").map(|name| json!({"name": name, "subjects": subjects})))
        .collect();
    let quota = list(&landscape, "/spec/projectQuotas")
        .iter()
        .find(|entry| selects(at(entry, "/projectSelector"), at(&project, "/metadata/labels")))
        .map(|entry| {
            [at(entry, "/config/spec/hard"), at(entry, "/hard")]
                .into_iter()
                .find(|hard| hard.is_object())
                .cloned()
                .unwrap_or(Value::Null)
        });
    Ok(json!({
        "id": {"kind": "Project", "name": owner.name, "project": owner.name, "projectNamespace": namespace, "uid": sources.identity.uid},
        "following": sources.identity.following,
        "namespace": namespace,
        "keep": namespace == "garden",
        "project": project,
        "members": {
            "owner": of(&["owner"]),
            "uam": of(&["uam"]),
            "member": of(&["admin", "owner"]),
            "viewer": of(&["viewer"]),
            "serviceAccountManager": of(&["serviceaccountmanager", "owner"]),
            "extensions": extensions,
        },
        "quota": quota.unwrap_or(Value::Null),
        "landscape": landscape,
    }))
}

/// Whether a label selector without expressions selects labels; none selects everything.
fn selects(selector: &Value, labels: &Value) -> bool {
    super::entries(selector, "/matchLabels").all(|(key, value)| labels.get(key) == Some(value))
}

/// A member as a subject of a binding.
fn subject(member: &Value, namespace: &str) -> Value {
    let (kind, name) = (text(member, "/kind"), text(member, "/name"));
    if let Some((ns, account)) = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        return json!({"kind": "ServiceAccount", "namespace": ns, "name": account});
    }
    if kind == "ServiceAccount" {
        let ns = Some(text(member, "/namespace")).filter(|ns| !ns.is_empty()).unwrap_or(namespace);
        return json!({"kind": kind, "namespace": ns, "name": name});
    }
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
}

/// The context of a seed.
///
/// # Errors
/// If it is not admitted.
pub fn seed(sources: &Sources<'_>) -> Result<Value, Missing> {
    let owner = sources.owner;
    let seed = manifest(sources.own()?, owner);
    let backup = at(&seed, "/spec/backup");
    let reference =
        [at(backup, "/credentialsRef"), at(backup, "/secretRef")].into_iter().find(|r| !r.is_null()).unwrap_or(&Value::Null);
    let region = Some(text(backup, "/region")).filter(|r| !r.is_empty()).unwrap_or_else(|| text(&seed, "/spec/provider/region"));
    let classes: Vec<&Value> = sources.of_kind(Kind::ExposureClass).collect();
    let landscape = sources.landscape();
    let gateways = exposure::gateways(&seed, &landscape, classes.iter().copied());
    let engines = engine::engines(&seed, &landscape);
    let on = extension::of_seed(&seed, sources.of_kind(Kind::ControllerRegistration));
    let installations = installation::list_of(sources, &seed);
    let uid = sources.identity.uid.clone().ok_or_else(|| Missing(format!("the uid of {owner} is not known yet")))?;
    Ok(json!({
        "id": {
            "kind": "Seed",
            "name": owner.name,
            "uid": uid,
            "objectUID": sources.identity.object_uid.as_ref().unwrap_or(&uid),
            "clusterIdentity": sources.identity.cluster_identity.clone().unwrap_or_else(|| owner.name.clone()),
        },
        "following": sources.identity.following,
        "backup": if backup.is_null() { Value::Null } else { json!({
            "provider": text(backup, "/provider"),
            "region": region,
            "providerConfig": at(backup, "/providerConfig"),
            "secret": {
                "namespace": Some(text(reference, "/namespace")).filter(|ns| !ns.is_empty()).unwrap_or("garden"),
                "name": text(reference, "/name"),
                "kind": Some(text(reference, "/kind")).filter(|k| !k.is_empty()).unwrap_or("Secret"),
                "apiVersion": Some(text(reference, "/apiVersion")).filter(|v| !v.is_empty()).unwrap_or("v1"),
            },
        }) },
        "networkPolicies": policy::of_seed(&seed, &gateways, flag(&engines, "/istio")),
        "gateways": gateways,
        "zones": texts(&seed, "/spec/provider/zones").join(","),
        "provider": text(&seed, "/spec/provider/type"),
        // Whether clients prefer servers in their own zone.
        "topologyAware": flag(&seed, "/spec/settings/topologyAwareRouting/enabled"),
        "engines": engines,
        "extensions": on.iter().map(|(of_type, config)| json!({"type": of_type, "providerConfig": config})).collect::<Vec<_>>(),
        "resources": resource::resources(sources, &seed, "garden"),
        "protected": list(&seed, "/spec/taints").iter().any(|taint| text(taint, "/key") == "seed.gardener.cloud/protected"),
        "visible": !flag(&json!({"v": at(&seed, "/spec/settings/scheduling/visible") == &json!(false)}), "/v"),
        // What watches the seed and its control planes.
        "monitoring": observability::is_monitored(&landscape),
        "observability": observability::of_seed(&seed, &landscape),
        "ingressDns": ingress_dns(&seed),
        "gardenAccess": installations.iter().any(|installation| installation["garden"].is_object()),
        "installations": installations,
        "minimumVolume": Some(text(&seed, "/spec/volume/minimumSize")).filter(|s| !s.is_empty()).unwrap_or("1Gi"),
        "crds": crd::engines(),
        "seed": seed,
        "landscape": landscape,
    }))
}

/// Where the record of a seed's ingress domain is kept, and with what: `{provider, name, secret}`. `Null` if nobody keeps it.
fn ingress_dns(seed: &Value) -> Value {
    let provider = at(seed, "/spec/dns/provider");
    let reference =
        [at(provider, "/credentialsRef"), at(provider, "/secretRef")].into_iter().find(|r| !r.is_null()).unwrap_or(&Value::Null);
    let (domain, kind) = (text(seed, "/spec/ingress/domain"), text(reference, "/kind"));
    if provider.is_null() || reference.is_null() || domain.is_empty() || !matches!(kind, "" | "Secret") {
        return Value::Null;
    }
    json!({
        "provider": text(provider, "/type"),
        "name": format!("*.{domain}"),
        "secret": {
            "namespace": Some(text(reference, "/namespace")).filter(|ns| !ns.is_empty()).unwrap_or("garden"),
            "name": text(reference, "/name"),
        },
    })
}
