//! The defaults of every kind but the shoot (`defaults.md` §3).

use serde_json::{Value, json};

use super::super::capable;
use super::super::node::{Node, fill, list, put, section};
use super::super::syntax;
use super::relational::set_labels;
use super::shoot::tolerate;
use crate::landscape::{Kind, Owner};
use crate::observed::project_namespace;

/// Fills in what is absent. Doing it twice changes nothing.
pub(super) fn fill_in(manifest: &mut Value, owner: &Owner) {
    match owner.kind {
        Kind::CloudProfile | Kind::NamespacedCloudProfile => profile(manifest, owner.kind),
        Kind::Seed => seed(manifest),
        Kind::Project => project(manifest),
        Kind::SecretBinding => binding(manifest, owner, "secretRef"),
        Kind::CredentialsBinding => binding(manifest, owner, "credentialsRef"),
        Kind::ControllerRegistration => registration(manifest),
        Kind::ManagedSeed => managed_seed(manifest),
        Kind::Landscape
        | Kind::ExposureClass
        | Kind::ControllerDeployment
        | Kind::Quota
        | Kind::WorkloadIdentity
        | Kind::Shoot
        | Kind::Operation => {}
    }
}

/// Adds what Gardener's admission plugins add without looking at other objects. Doing it twice changes nothing.
pub(super) fn admitted(manifest: &mut Value, owner: &Owner) {
    let root = Node::root(manifest);
    let text = |path: &str| root.at(path).str().to_owned();
    match owner.kind {
        Kind::CloudProfile | Kind::NamespacedCloudProfile => {
            let provider = text("spec/type");
            set_labels(manifest, vec![("provider", provider)]);
        }
        Kind::Seed => seed_labels(manifest, &owner.name),
        Kind::Project => {
            fill(manifest, "spec/namespace", project_namespace(&owner.name));
            owner_is_member(manifest);
        }
        Kind::SecretBinding | Kind::CredentialsBinding => {
            let providers = text("provider/type");
            set_labels(manifest, providers.split(',').map(|p| ("provider", p.trim().to_owned())).collect());
        }
        _ => {}
    }
}

fn profile(profile: &mut Value, kind: Kind) {
    let spec = Node::root(profile).get("spec");
    let known = capable::architectures(&spec);
    // What a namespaced profile says of architectures is only known after the merge with its parent.
    let plain = kind == Kind::CloudProfile && spec.get("machineCapabilities").is_empty();
    for image in list(profile, "spec/machineImages") {
        if kind == Kind::CloudProfile {
            fill(image, "updateStrategy", "major");
        }
        for version in list(image, "versions") {
            if plain {
                fill_list(version, "architectures", json!(["amd64"]));
            }
            if kind == Kind::CloudProfile {
                fill_list(version, "cri", json!([{"name": "containerd"}]));
            }
            let own = capable::of_image(&Node::root(version), &known);
            if !own.is_empty() {
                fill_list(version, "architectures", json!(own));
            }
        }
    }
    for machine in list(profile, "spec/machineTypes") {
        if plain {
            fill(machine, "architecture", "amd64");
        }
        fill(machine, "usable", true);
        if let [own] = capable::of_machine(&Node::root(machine), &known).as_slice() {
            fill(machine, "architecture", own.as_str());
        }
    }
    for volume in list(profile, "spec/volumeTypes") {
        fill(volume, "usable", true);
    }
}

/// Sets the list at `path` if there is none, or an empty one.
fn fill_list(manifest: &mut Value, path: &str, value: Value) {
    if Node::root(manifest).at(path).is_empty() {
        put(manifest, path, value);
    }
}

/// Sets a whole section if there is none.
fn section_if_absent(manifest: &mut Value, path: &str, value: Value) {
    if !Node::root(manifest).at(path).is_set() {
        put(manifest, path, value);
    }
}

fn seed(seed: &mut Value) {
    fill_list(seed, "spec/networks/ipFamilies", json!(["IPv4"]));
    for (label, key) in [("seed.gardener.cloud/provider", "type"), ("seed.gardener.cloud/region", "region")] {
        place_label(seed, label, key);
    }
    if Node::root(seed).at("spec/settings/excessCapacityReservation/enabled").flag() != Some(false) {
        let configs = json!([{"resources": {"cpu": "2", "memory": "6Gi"}}]);
        fill_list(seed, "spec/settings/excessCapacityReservation/configs", configs);
    }
    for (path, value) in [
        ("scheduling", json!({"visible": true})),
        ("loadBalancerServices/zonalIngress", json!({"enabled": true})),
        ("verticalPodAutoscaler", json!({"enabled": true})),
        ("persistentVolumeClaimAutoscaler", json!({"enabled": false})),
        ("dependencyWatchdog/weeder", json!({"enabled": true})),
        ("dependencyWatchdog/prober", json!({"enabled": true})),
        ("topologyAwareRouting", json!({"enabled": false})),
    ] {
        section_if_absent(seed, &format!("spec/settings/{path}"), value);
    }
}

/// Labels a seed by where it is. What is no value of a label is left to the rules about labels and seeds.
fn place_label(seed: &mut Value, label: &str, key: &str) {
    let root = Node::root(seed);
    let value = root.at("spec/provider").get(key).str().to_owned();
    let before = root.at("metadata/labels").get(label).str();
    if syntax::label_value(&value).is_ok()
        && syntax::label_value(before).is_ok()
        && let Some(labels) = section(seed, "metadata/labels")
    {
        labels.insert(label.to_owned(), value.into());
    }
}

fn seed_labels(seed: &mut Value, name: &str) {
    let root = Node::root(seed);
    let mut wanted = vec![
        ("provider", root.at("spec/provider/type").str().to_owned()),
        ("provider", root.at("spec/backup/provider").str().to_owned()),
        ("dnsrecord", root.at("spec/dns/provider/type").str().to_owned()),
        ("dnsrecord", root.at("spec/dns/internal/type").str().to_owned()),
    ];
    wanted.extend(root.at("spec/dns/defaults").items().iter().map(|d| ("dnsrecord", d.get("type").str().to_owned())));
    wanted.extend(root.at("spec/extensions").items().iter().map(|e| ("extensions", e.get("type").str().to_owned())));
    set_labels(seed, wanted);
    if let Some(labels) = section(seed, "metadata/labels") {
        labels.insert(format!("name.seed.gardener.cloud/{name}"), "true".into());
    }
}

fn project(project: &mut Value) {
    if let Some(owner) = project.pointer_mut("/spec/owner") {
        api_group(owner);
    }
    let owner = Node::root(project).at("spec/owner").value().cloned();
    for member in list(project, "spec/members") {
        api_group(member);
        roles(member, owner.as_ref());
    }
    if Node::root(project).at("spec/namespace").str() == "garden" {
        for what in ["defaults", "whitelist"] {
            let mut wrapped = json!({"spec": {"tolerations": Node::root(project).at("spec/tolerations").get(what).value().cloned().unwrap_or_else(|| json!([]))}});
            tolerate(&mut wrapped, &json!({"key": "seed.gardener.cloud/protected"}));
            put(project, &format!("spec/tolerations/{what}"), wrapped["spec"]["tolerations"].take());
        }
    }
}

fn api_group(subject: &mut Value) {
    let kind = Node::root(subject).get("kind").str().to_owned();
    if matches!(kind.as_str(), "User" | "Group") {
        fill_empty(subject, "apiGroup", "rbac.authorization.k8s.io");
    }
}

/// A member has a first role, which is not among the others. Where the project has an owner, the role `owner` is theirs alone.
fn roles(member: &mut Value, owner: Option<&Value>) {
    let node = Node::root(member);
    let first = node.get("role").value().cloned().filter(|role| role != "");
    // Equal roles that were both in the list are a mistake, and stay one.
    let mut all: Vec<Value> = node.get("roles").items().iter().filter_map(Node::value).cloned().collect();
    match first {
        Some(role) => {
            all.retain(|other| *other != role);
            all.insert(0, role);
        }
        None if all.is_empty() => all.push("viewer".into()),
        None => {}
    }
    if let Some(owner) = owner {
        let same = |key: &str| member.get(key).unwrap_or(&Value::Null) == owner.get(key).unwrap_or(&Value::Null);
        if !["name", "apiGroup", "kind"].into_iter().all(same) {
            all.retain(|role| role != "owner");
        } else if !all.iter().any(|role| role == "owner") {
            all.push("owner".into());
        }
    }
    let others = all.split_off(all.len().min(1));
    let Some(map) = member.as_object_mut() else { return };
    map.remove("roles");
    map.insert("role".to_owned(), all.pop().unwrap_or_else(|| "".into()));
    if !others.is_empty() {
        map.insert("roles".to_owned(), others.into());
    }
}

/// Sets the value at `path` if nothing or something empty stands there.
fn fill_empty(manifest: &mut Value, path: &str, value: impl Into<Value>) {
    if Node::root(manifest).at(path).is_empty() {
        put(manifest, path, value);
    }
}

/// The owner is the member with that role, else who created the project; and a member with the roles admin and owner.
fn owner_is_member(project: &mut Value) {
    let root = Node::root(project);
    let members = root.at("spec/members").items();
    let has_role = |member: &Node<'_>, role: &str| {
        member.get("role").str() == role || member.get("roles").items().iter().any(|r| r.str() == role)
    };
    let subject = |node: &Node<'_>| {
        let keys = ["apiGroup", "kind", "name", "namespace"];
        let entries = keys.iter().filter_map(|k| Some(((*k).to_owned(), node.get(k).value()?.clone())));
        Value::Object(entries.collect())
    };
    let found = members.iter().find(|m| has_role(m, "owner")).map(subject);
    let created = root.at("spec/createdBy").map().map(|_| subject(&root.at("spec/createdBy")));
    if let Some(owner) = found.or(created) {
        fill(project, "spec/owner", owner);
    }
    let root = Node::root(project);
    let owner = root.at("spec/owner");
    if !owner.is_set() {
        return;
    }
    let same = |m: &Value| ["kind", "name", "namespace"].iter().all(|k| Node::root(m).get(k).same(&owner.get(k)));
    let index = root.at("spec/members").items().iter().position(|m| m.value().is_some_and(same));
    let mut member = subject(&owner);
    if let Some(index) = index {
        let listed = list(project, "spec/members");
        let Some(member) = listed.get_mut(index) else { return };
        if !has_role(&Node::root(member), "owner") {
            let mut roles: Vec<Value> = Node::root(member).get("roles").items().iter().filter_map(Node::value).cloned().collect();
            roles.push("owner".into());
            put(member, "roles", roles);
        }
    } else {
        fill(&mut member, "role", "admin");
        fill(&mut member, "roles", json!(["owner"]));
        if let Some(spec) = section(project, "spec")
            && let Value::Array(members) = spec.entry("members").or_insert_with(|| json!([]))
        {
            members.push(member);
        }
    }
}

fn binding(binding: &mut Value, owner: &Owner, reference: &str) {
    let own = Node::root(binding).at("metadata/namespace").str().to_owned();
    let namespace = if own.is_empty() && !owner.project.is_empty() { project_namespace(&owner.project) } else { own };
    fill_empty(binding, &format!("{reference}/namespace"), namespace.clone());
    for quota in list(binding, "quotas") {
        fill_empty(quota, "namespace", namespace.clone());
    }
}

fn registration(registration: &mut Value) {
    for resource in list(registration, "spec/resources") {
        fill(resource, "primary", true);
        match Node::root(resource).get("kind").str().to_owned().as_str() {
            "Extension" => {
                fill_empty(resource, "clusterCompatibility", json!(["shoot"]));
                fill(resource, "reconcileTimeout", "3m0s");
                fill(resource, "lifecycle/reconcile", "AfterKubeAPIServer");
                fill(resource, "lifecycle/delete", "BeforeKubeAPIServer");
                fill(resource, "lifecycle/migrate", "BeforeKubeAPIServer");
            }
            "SelfHostedShootExposure" => fill(resource, "continuousEndpointUpdate", true),
            _ => {}
        }
    }
    if Node::root(registration).at("spec/deployment").is_set() {
        fill(registration, "spec/deployment/policy", "OnDemand");
    }
}

fn managed_seed(seed: &mut Value) {
    let gardenlet = "spec/gardenlet";
    fill(seed, &format!("{gardenlet}/bootstrap"), "BootstrapToken");
    fill(seed, &format!("{gardenlet}/mergeWithParent"), true);
    fill(seed, &format!("{gardenlet}/deployment/replicaCount"), 2);
    fill(seed, &format!("{gardenlet}/deployment/revisionHistoryLimit"), 2);
    let latest = Node::root(seed).at(&format!("{gardenlet}/deployment/image/tag")).str() == "latest";
    fill(seed, &format!("{gardenlet}/deployment/image/pullPolicy"), if latest { "Always" } else { "IfNotPresent" });
    fill(seed, &format!("{gardenlet}/deployment/enableHealthProbes"), true);
    let config = format!("{gardenlet}/config");
    if !Node::root(seed).at(&config).is_set() {
        put(seed, &config, json!({"apiVersion": "gardenlet.config.gardener.cloud/v1alpha1", "kind": "GardenletConfiguration"}));
    }
    fill(seed, &format!("{config}/resources/capacity/shoots"), "250");
}
