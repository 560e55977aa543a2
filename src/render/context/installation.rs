//! The extensions that are installed on a seed: `installations` of its context, and the charts that they are made of
//! (`extension-contract.md` §4, `seed-and-garden.md` §3.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Sources, at, entries, flag, list, text};
use crate::digest;
use crate::document;
use crate::landscape::controller_deployment::modernise;
use crate::landscape::{Kind, Owner};
use crate::render::chart::{GARDEN_MOUNT, Request, Source, split_reference};

/// The version of Gardener whose contract is spoken: that of its components in `templates/images.yaml`.
pub const GARDENER: &str = "v1.149.0";

/// An extension as it was decided for a seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installation {
    /// The registration.
    pub registration: String,
    /// Whether it is to be there; if not, it is on its way out.
    pub wanted: bool,
    /// Whether somebody on the seed needs it.
    pub needed: bool,
    /// Why.
    pub why: String,
}

/// The name of a `ControllerInstallation`. Gardener draws the end at random; here the same seed gives the same name.
#[must_use]
pub fn name(registration: &str, seed: &str) -> String {
    let end = &digest::of_bytes(format!("{registration}\n{seed}").as_bytes()).0[..5];
    format!("{registration}-{end}")
}

/// The namespace that an installation lives in.
#[must_use]
pub fn namespace(name: &str) -> String {
    format!("extension-{name}")
}

/// The `ControllerDeployment` that a registration names.
#[must_use]
pub fn deployment_of(registration: &Value) -> Option<Owner> {
    let name = text(registration, "/spec/deployment/deploymentRefs/0/name");
    (!name.is_empty()).then(|| Owner::cluster(Kind::ControllerDeployment, name))
}

/// Whether a deployment is one that we carry out.
#[must_use]
pub fn is_chart(deployment: &Value) -> bool {
    at(deployment, "/helm").is_object() || is_of_before(deployment)
}

/// Whether it says so in the words of the version before.
fn is_of_before(deployment: &Value) -> bool {
    text(deployment, "/type") == "helm"
}

/// The deployment in the words of the current version.
fn current(deployment: &Arc<Value>) -> Arc<Value> {
    if !is_of_before(deployment) {
        return Arc::clone(deployment);
    }
    let mut deployment = deployment.as_ref().clone();
    modernise(&mut deployment);
    Arc::new(deployment)
}

/// `installations` of a seed's context.
pub(super) fn list_of(sources: &Sources<'_>, seed: &Value) -> Vec<Value> {
    let installations = &sources.identity.installations;
    let hash = |value: &Value| digest::of_value(value).0[..16].to_owned();
    let requests = requests(sources, seed);
    let landscape = sources.landscape();
    installations
        .iter()
        .map(|installation| {
            let nothing = Value::Null;
            let owner = Owner::cluster(Kind::ControllerRegistration, installation.registration.clone());
            let registration = sources.get(&owner).unwrap_or(&nothing);
            let deployment = deployment_of(registration);
            let body = deployment.as_ref().and_then(|owner| sources.get(owner)).unwrap_or(&nothing);
            let name = name(&installation.registration, &sources.owner.name);
            json!({
                "name": installation.registration,
                "wanted": installation.wanted,
                "why": installation.why,
                "installation": name,
                "namespace": namespace(&name),
                "deployment": deployment.map(|owner| owner.name),
                "podSecurity": text(registration, "/metadata/annotations/security.gardener.cloud~1pod-security-enforce"),
                "hashes": {
                    "registration-spec-hash": hash(at(registration, "/spec")),
                    "seed-spec-hash": hash(at(seed, "/spec")),
                    "deployment-hash": hash(&json!([at(body, "/type"), at(body, "/providerConfig"), at(body, "/helm")])),
                },
                "garden": garden_of(&landscape, body),
                "chart": requests.get(&installation.registration).map(|request| request.digest.as_str()),
            })
        })
        .collect()
}

/// The charts that are to be rendered for a seed, by registration.
#[must_use]
pub fn requests(sources: &Sources<'_>, seed: &Value) -> BTreeMap<String, Arc<Request>> {
    let wanted = sources.identity.installations.iter().filter(|installation| installation.wanted);
    let landscape = sources.landscape();
    wanted
        .filter_map(|installation| {
            let owner = Owner::cluster(Kind::ControllerRegistration, installation.registration.clone());
            let deployment = sources.objects.get(&deployment_of(sources.get(&owner)?)?).filter(|d| is_chart(d))?;
            let request = request(sources, seed, &landscape, &installation.registration, &current(deployment));
            Some((installation.registration.clone(), Arc::new(request)))
        })
        .collect()
}

fn request(sources: &Sources<'_>, seed: &Value, landscape: &Value, registration: &str, deployment: &Arc<Value>) -> Request {
    let namespace = namespace(&name(registration, &sources.owner.name));
    let (source, says) = source(deployment);
    let garden = garden_of(landscape, deployment).map(|garden| garden.secret);
    let values = values(sources, seed, landscape, at(deployment, "/helm/values"), garden.as_deref());
    let kubernetes = sources.identity.kubernetes.clone();
    let digest = digest::of_value(&json!([registration, namespace, says, values, kubernetes, garden]));
    let seed = sources.owner.name.clone();
    Request { seed, release: registration.to_owned(), namespace, source, values, garden, kubernetes, digest }
}

/// Where a deployment's chart is, and what of the deployment says so.
fn source(deployment: &Arc<Value>) -> (Source, &Value) {
    let registry = at(deployment, "/helm/ociRepository");
    if registry.is_null() {
        return (Source::Packed(Arc::clone(deployment)), at(deployment, "/helm/rawChart"));
    }
    let some = |pointer: &str| Some(text(registry, pointer).to_owned()).filter(|text| !text.is_empty());
    let (repository, tag) = if let Some(reference) = some("/ref") {
        split_reference(&reference)
    } else {
        let (repository, _) = split_reference(text(registry, "/repository"));
        match some("/digest") {
            Some(digest) => (format!("{repository}@{digest}"), None),
            None => (repository, some("/tag")),
        }
    };
    let (pull_secret, authorities) = (some("/pullSecretRef/name"), some("/caBundleSecretRef/name"));
    (Source::Registry { repository, tag, pull_secret, authorities }, registry)
}

/// A chart's own values with what the contract mixes in; `gardener` is ours alone.
fn values(sources: &Sources<'_>, seed: &Value, landscape: &Value, own: &Value, kubeconfig: Option<&str>) -> Value {
    let mut values = own.as_object().cloned().unwrap_or_else(Map::new);
    let identity = sources.identity;
    let cluster = identity.garden_identity.clone().unwrap_or_else(|| format!("espalier-{}", text(landscape, "/metadata/name")));
    let mut garden = json!({"clusterIdentity": cluster});
    if let Some(kubeconfig) = kubeconfig {
        garden["genericKubeconfigSecretName"] = kubeconfig.into();
    }
    let taints = list(seed, "/spec/taints");
    let visible = at(seed, "/spec/settings/scheduling/visible").as_bool() != Some(false);
    values.insert(
        "gardener".to_owned(),
        json!({
            "version": GARDENER,
            "garden": garden,
            "seed": {
                "name": sources.owner.name,
                "clusterIdentity": identity.cluster_identity.clone().unwrap_or_else(|| sources.owner.name.clone()),
                "annotations": written(seed, "/metadata/annotations"),
                "labels": written(seed, "/metadata/labels"),
                "provider": text(seed, "/spec/provider/type"),
                "region": text(seed, "/spec/provider/region"),
                "volumeProvider": text(seed, "/spec/volume/providers/0/name"),
                "volumeProviders": list(seed, "/spec/volume/providers"),
                "ingressDomain": text(seed, "/spec/ingress/domain"),
                "protected": taints.iter().any(|taint| text(taint, "/key") == "seed.gardener.cloud/protected"),
                "visible": visible,
                "taints": taints,
                "networks": at(seed, "/spec/networks"),
                "blockCIDRs": list(seed, "/spec/networks/blockCIDRs"),
                "spec": at(seed, "/spec"),
            },
            "gardenlet": {"featureGates": {}},
        }),
    );
    Value::Object(values)
}

/// A map of texts as people wrote it.
fn written(value: &Value, pointer: &str) -> Value {
    let people = entries(value, pointer).filter(|(key, _)| !key.contains("espalier.dev/"));
    people.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The way to the garden that an extension is given: no secret, since its token is in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Garden {
    /// The Secret with the kubeconfig: its name is made of what is in it, so that whoever mounts it is rolled when that changes.
    secret: String,
    /// The kubeconfig, as YAML.
    kubeconfig: String,
}

/// The way to the garden for the extension of a deployment: that asks for it, and the landscape says where the garden is.
fn garden_of(landscape: &Value, deployment: &Value) -> Option<Garden> {
    let client = at(landscape, "/spec/gardenClientConnection");
    let address = Some(text(client, "/gardenClusterAddress")).filter(|address| !address.is_empty())?;
    if !flag(deployment, "/injectGardenKubeconfig") {
        return None;
    }
    let mut cluster = json!({"server": address});
    let authorities = text(client, "/gardenClusterCACert");
    if !authorities.is_empty() {
        cluster["certificate-authority-data"] = authorities.into();
    }
    let kubeconfig = document::to_yaml(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "garden", "cluster": cluster}],
        "users": [{"name": "extension", "user": {"tokenFile": format!("{GARDEN_MOUNT}/token")}}],
        "contexts": [{"name": "garden", "context": {"cluster": "garden", "user": "extension"}}],
        "current-context": "garden",
    }));
    let hash = &digest::of_bytes(kubeconfig.as_bytes()).0[..8];
    Some(Garden { secret: format!("generic-garden-kubeconfig-{hash}"), kubeconfig })
}

/// What a deployment asks for that cannot be done: said, rather than left out in silence.
#[must_use]
pub fn left_out(deployment: &Value, landscape: Option<&Value>) -> Option<&'static str> {
    let asks = flag(deployment, "/injectGardenKubeconfig");
    (asks && landscape.and_then(|landscape| garden_of(landscape, deployment)).is_none())
        .then_some("injectGardenKubeconfig: it is given no way to the garden, since nobody says where that is")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Library;
    use crate::render::context::Identity;

    fn requested(deployment: Value) -> Request {
        requested_for(deployment, None)
    }

    fn requested_for(deployment: Value, kubernetes: Option<&str>) -> Request {
        let seed = Owner::cluster(Kind::Seed, "eu1");
        let objects = [
            (
                seed.clone(),
                json!({"metadata": {"name": "eu1", "labels": {"a": "b"}}, "spec": {"provider": {"type": "aws", "region": "eu"}}}),
            ),
            (
                Owner::cluster(Kind::ControllerRegistration, "calico"),
                json!({"spec": {"deployment": {"deploymentRefs": [{"name": "calico"}]}}}),
            ),
            (Owner::cluster(Kind::ControllerDeployment, "calico"), deployment),
        ];
        let objects = objects.into_iter().map(|(owner, value)| (owner, Arc::new(value))).collect();
        let installation =
            Installation { registration: "calico".into(), wanted: true, needed: true, why: "Network/calico for a/one".into() };
        let identity =
            Identity { installations: vec![installation], kubernetes: kubernetes.map(str::to_owned), ..Identity::default() };
        let sources = Sources { objects: &objects, owner: &seed, identity: &identity };
        let mut requests = requests(&sources, &objects[&seed]);
        Arc::unwrap_or_clone(requests.remove("calico").expect("a chart is asked for"))
    }

    #[test]
    fn values_are_the_charts_own_with_what_the_seed_is_mixed_in() {
        let request = requested(json!({"helm": {"rawChart": "AA==", "values": {"replicas": 2, "gardener": {"seed": "forged"}}}}));
        assert_eq!((request.release.as_str(), &request.values["replicas"]), ("calico", &json!(2)));
        assert_eq!(request.namespace, namespace(&name("calico", "eu1")));
        let seed = &request.values["gardener"]["seed"];
        assert_eq!(
            (&seed["name"], &seed["labels"], &seed["region"], &seed["visible"]),
            (&json!("eu1"), &json!({"a": "b"}), &json!("eu"), &json!(true))
        );
        let other = requested(json!({"helm": {"rawChart": "AA==", "values": {"replicas": 3}}}));
        assert_ne!(request.digest, other.digest);
        let upgraded = requested_for(
            json!({"helm": {"rawChart": "AA==", "values": {"replicas": 2, "gardener": {"seed": "forged"}}}}),
            Some("1.34.1"),
        );
        assert_eq!((upgraded.kubernetes.as_deref(), &upgraded.values), (Some("1.34.1"), &request.values));
        assert_ne!(request.digest, upgraded.digest);
    }

    #[test]
    fn the_way_to_the_garden_is_for_those_who_ask_where_the_landscape_knows_it() {
        let landscape = json!({"spec": {"gardenClientConnection": {
            "gardenClusterAddress": "https://api.garden.example.org", "gardenClusterCACert": "QUFB",
        }}});
        let asks = json!({"helm": {"rawChart": "AA=="}, "injectGardenKubeconfig": true});
        let plain = json!({"helm": {"rawChart": "AA=="}});
        let garden = garden_of(&landscape, &asks).expect("a way");
        let read: Value = serde_yaml::from_str(&garden.kubeconfig).expect("YAML");
        assert_eq!(
            read["clusters"][0]["cluster"],
            json!({"server": "https://api.garden.example.org", "certificate-authority-data": "QUFB"})
        );
        assert_eq!(read["users"][0]["user"], json!({"tokenFile": format!("{GARDEN_MOUNT}/token")}));
        let mut moved = landscape.clone();
        moved["spec"]["gardenClientConnection"]["gardenClusterAddress"] = "https://api.other.example.org".into();
        assert_ne!(garden_of(&moved, &asks).expect("a way").secret, garden.secret, "whoever mounts it is rolled");
        assert_eq!(garden_of(&landscape, &plain), None);
        assert_eq!(garden_of(&json!({"spec": {}}), &asks), None);
        assert_eq!((left_out(&asks, Some(&landscape)), left_out(&plain, None)), (None, None));
        assert!(left_out(&asks, Some(&json!({}))).is_some());
    }

    #[test]
    fn a_chart_is_where_its_deployment_says_in_either_version() {
        let place = |deployment: Value| match requested(deployment).source {
            Source::Packed(deployment) => format!("packed {}", text(&deployment, "/helm/rawChart")),
            Source::Registry { repository, tag, pull_secret, .. } => {
                format!("{repository} {} {}", tag.unwrap_or_default(), pull_secret.unwrap_or_default())
            }
        };
        assert_eq!(place(json!({"helm": {"rawChart": "AA=="}})), "packed AA==");
        let before = json!({"apiVersion": "core.gardener.cloud/v1beta1", "type": "helm", "providerConfig": {"chart": "AA=="}});
        assert_eq!(place(before), "packed AA==");
        let registry = json!({"repository": "oci://r.io/a", "tag": "v1", "pullSecretRef": {"name": "pull"}});
        assert_eq!(place(json!({"helm": {"ociRepository": registry}})), "r.io/a v1 pull");
        let registry = json!({"repository": "r.io/a", "tag": "v1", "digest": "sha256:abc"});
        assert_eq!(place(json!({"helm": {"ociRepository": registry}})), "r.io/a@sha256:abc  ");
    }

    #[test]
    fn the_contract_is_that_of_the_components_beside() {
        let (library, findings) = Library::compile(&BTreeMap::new());
        assert!(!findings.has_errors());
        let image = library.images().pick("gardener-resource-manager", "").expect("it is in the table");
        assert!(image.ends_with(&format!(":{GARDENER}")), "{image}");
    }
}
