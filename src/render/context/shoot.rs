//! The context of a shoot: its manifest, what it refers to, and everything derived from both (`control-plane-objects.md` §1).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::extension::{self, On};
use super::pool::{self, Shared, at_least, minor};
use super::{
    Missing, Sources, apiserver, at, autoscaling, effective_profile, exposure, flag, kube_proxy, list, manifest, network,
    node_local_dns, observability, plain, policy, resource, text, texts, vpn,
};
use crate::landscape::{Kind, Owner};
use crate::observed::{project_namespace, project_of};

/// The context of a shoot.
///
/// # Errors
/// If it is not admitted, refers to something that is not, or the garden has not yet given it a uid, a technical id and a seed.
pub fn shoot(sources: &Sources<'_>) -> Result<Value, Missing> {
    let (owner, identity) = (sources.owner, sources.identity);
    let known =
        |value: &Option<String>, what: &str| value.clone().ok_or_else(|| Missing(format!("{what} of {owner} is not known yet")));
    let (uid, technical_id) = (known(&identity.uid, "the uid")?, known(&identity.technical_id, "the technical id")?);
    let seed_name = known(&identity.seed, "the seed")?;
    let mut own = manifest(sources.own()?, owner);
    if let Some(spec) = own.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("seedName".into(), seed_name.clone().into());
        for (section, empty) in [("networking", json!({})), ("provider", json!({})), ("kubernetes", json!({}))] {
            spec.entry(section).or_insert(empty);
        }
    }
    let shoot = &own;
    let absent = |what: &str| Missing(format!("{what} of {owner} is not admitted"));
    let seed_owner = Owner::cluster(Kind::Seed, seed_name.clone());
    let mut seed = manifest(sources.get(&seed_owner).ok_or_else(|| absent("the seed"))?, &seed_owner);
    let project_owner = Owner::cluster(Kind::Project, owner.project.clone());
    let project = manifest(sources.get(&project_owner).ok_or_else(|| absent("the project"))?, &project_owner);
    let profile = effective_profile(sources, shoot).ok_or_else(|| absent("the cloud profile"))?;
    let landscape = sources.landscape();

    let workerless = list(shoot, "/spec/provider/workers").is_empty();
    let hibernated = flag(shoot, "/spec/hibernation/enabled");
    let version = text(shoot, "/spec/kubernetes/version");
    let networks = network::networks(shoot, identity);
    let domain = network::domains(shoot, &seed, &landscape, &owner.project, &owner.name);
    let pools = pool::pools(&Shared { shoot, profile: &profile, status: &identity.status, networks: &networks });
    let ha = Some(text(shoot, "/spec/controlPlane/highAvailability/failureTolerance/type")).filter(|t| !t.is_empty());
    let cluster_identity = identity
        .cluster_identity
        .clone()
        .unwrap_or_else(|| format!("{technical_id}-{uid}-{}", identity.garden_identity.as_deref().unwrap_or("garden")));
    let id = json!({
        "kind": "Shoot",
        "name": owner.name,
        "project": owner.project,
        "projectNamespace": project_namespace(&owner.project),
        "technicalID": technical_id,
        "uid": uid,
        "objectUID": identity.object_uid.as_ref().unwrap_or(&uid),
        "seed": seed_name,
        "clusterIdentity": cluster_identity,
        "seedIdentity": identity.seed_identity.clone().unwrap_or_else(|| seed_name.clone()),
        "shootKey": format!("{}--{}", owner.project, owner.name),
    });
    let api = apiserver::api_server(shoot, &domain, &networks, workerless);
    let encrypted: Vec<&str> = texts(&api, "/encryptedResources");
    let on = extension::on(shoot, sources);
    let purpose = Some(text(shoot, "/spec/purpose")).filter(|p| !p.is_empty()).unwrap_or("evaluation");
    let watched = observability::Watched { shoot, seed: &seed, landscape: &landscape, id: &id, workerless, purpose };
    let observability = observability::settings(&watched);
    let namespace = namespace(shoot, &seed, ha, &uid, workerless, &on);
    let class = match text(shoot, "/spec/exposureClassName") {
        "" => None,
        name => {
            let class = Owner::cluster(Kind::ExposureClass, name);
            Some(sources.get(&class).ok_or_else(|| absent("the exposure class"))?)
        }
    };
    let exposure = exposure::gateway(&seed, &landscape, class, text(&namespace, "/zones")).map_err(|name| {
        Missing(format!("handler {name} of the exposure class, which landscape.yaml does not name in exposureClassHandlers"))
    })?;
    let mut context = json!({
        "extensions": extension::phases(&on),
        "containerRuntimes": extension::runtimes(shoot),
        "nodeLocalDNS": node_local_dns::settings(shoot, &networks),
        "vpaSettings": autoscaling::vertical(at(shoot, "/spec/kubernetes/verticalPodAutoscaler")),
        "clusterAutoscaler": autoscaling::cluster(shoot, &profile, &networks),
        "vpn": vpn::settings(shoot, &seed, &networks, ha.is_some(), &technical_id),
        // Whether clients prefer servers in their own zone.
        "topologyAware": flag(&seed, "/spec/settings/topologyAwareRouting/enabled"),
        "networkPolicies": policy::of_shoot(&seed, &networks),
        "watchdog": at(&seed, "/spec/settings/dependencyWatchdog/prober/enabled").as_bool() != Some(false),
        "addons": addons(shoot),
        "exposure": exposure,
        "resources": resource::resources(sources, shoot, &owner.project),
        "tolerationSeconds": toleration_seconds(shoot),
        "ha": {"enabled": ha.is_some(), "type": ha.unwrap_or("")},
        "hibernated": hibernated,
        "following": identity.following,
        "workerless": workerless,
        "sshAccess": !workerless && at(shoot, "/spec/provider/workersSettings/sshAccess/enabled").as_bool() != Some(false),
        "purpose": purpose,
        "monitoring": observability["monitoring"],
        "kubernetes": {"version": version, "minor": minor(version)},
        "region": text(shoot, "/spec/region"),
        "provider": {
            "type": text(shoot, "/spec/provider/type"),
            "infrastructureConfig": at(shoot, "/spec/provider/infrastructureConfig"),
            "controlPlaneConfig": at(shoot, "/spec/provider/controlPlaneConfig"),
        },
        "credentials": credentials(sources, shoot),
        "controllerManager": apiserver::controller_manager(shoot, &networks, workerless),
        "scheduler": apiserver::scheduler(shoot),
        "kubeProxy": kube_proxy::proxy(shoot, &networks),
        "coreDNS": core_dns(shoot, &networks),
        "vpa": flag(shoot, "/spec/kubernetes/verticalPodAutoscaler/enabled"),
        "etcd": etcd(shoot, &uid),
        "backup": backup(&seed, &technical_id, &uid),
        "maintenance": {
            "begin": text(shoot, "/spec/maintenance/timeWindow/begin"),
            "end": text(shoot, "/spec/maintenance/timeWindow/end"),
        },
        "system": {
            "zones": system_zones(shoot),
            "info": info(shoot, &networks, &domain, &id, identity.status.pointer("/networking/egressCIDRs")),
            "denyAll": at_least(version, 33),
            "readOnlyRules": read_only(&encrypted),
            "tolerations": tolerations(shoot),
        },
        "seedInfo": {
            "provider": text(&seed, "/spec/provider/type"),
            "region": text(&seed, "/spec/provider/region"),
            "zones": list(&seed, "/spec/provider/zones"),
            "minimumVolume": Some(text(&seed, "/spec/volume/minimumSize")).filter(|s| !s.is_empty()).unwrap_or("1Gi"),
            "ingressNamespace": exposure::namespace(None, None),
            "ingressLabels": exposure::labels(None, None),
            "ingressDomain": text(&seed, "/spec/ingress/domain"),
        },
    });
    // What a Cluster carries is complete.
    own["status"] = status(&id, &identity.status);
    own["metadata"]["uid"] = id["uid"].clone();
    seed["status"] = json!({"clusterIdentity": id["seedIdentity"]});
    if let Some(context) = context.as_object_mut() {
        // They are large: moved, and not written once more.
        let whole = [
            ("id", id),
            ("domain", domain),
            ("observability", observability),
            ("namespace", namespace),
            ("apiServer", api),
            ("pools", pools.into()),
            ("networks", networks),
            ("shoot", own),
            ("seed", seed),
            ("profile", profile),
            ("project", project),
            ("landscape", landscape),
        ];
        context.extend(whole.map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(context)
}

/// What the garden says of a shoot, as far as extensions look at it.
fn status(id: &Value, decided: &Value) -> Value {
    let mut status = json!({
        "technicalID": id["technicalID"],
        "uid": id["uid"],
        "seedName": id["seed"],
        "clusterIdentity": id["clusterIdentity"],
    });
    for field in ["networking", "credentials"] {
        if let Some(value) = decided.get(field).filter(|value| !value.is_null()) {
            status[field] = value.clone();
        }
    }
    status
}

/// For how long pods stay on nodes that are not ready, or not reachable.
fn toleration_seconds(shoot: &Value) -> Value {
    let seconds = |field: &str| match at(shoot, &format!("/spec/kubernetes/kubeAPIServer/{field}")) {
        Value::Null => json!(300),
        said => said.clone(),
    };
    json!({
        "notReady": seconds("defaultNotReadyTolerationSeconds"),
        "unreachable": seconds("defaultUnreachableTolerationSeconds"),
    })
}

/// Ranks choices by a hash of an identity, so that what Gardener draws at random is drawn the same way each time.
fn draw(identity: &str, choice: &str) -> [u8; 32] {
    Sha256::digest(format!("{identity}/{choice}")).into()
}

/// Labels and annotations of the shoot's namespace.
fn namespace(shoot: &Value, seed: &Value, ha: Option<&str>, uid: &str, workerless: bool, on: &BTreeMap<String, On>) -> Value {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |key: &str, value: &str| {
        if !value.is_empty() {
            labels.insert(key.to_owned(), value.to_owned());
        }
    };
    let seed_type = text(seed, "/spec/provider/type");
    set("gardener.cloud/role", "shoot");
    set("seed.gardener.cloud/provider", seed_type);
    set("shoot.gardener.cloud/provider", text(shoot, "/spec/provider/type"));
    if !workerless {
        set("networking.shoot.gardener.cloud/provider", text(shoot, "/spec/networking/type"));
    }
    let backup = text(seed, "/spec/backup/provider");
    set("backup.gardener.cloud/provider", if backup.is_empty() { seed_type } else { backup });
    set("pod-security.kubernetes.io/enforce", "privileged");
    set("high-availability-config.resources.gardener.cloud/consider", "true");
    for kind in on.keys() {
        set(&format!("extensions.gardener.cloud/{kind}"), "true");
    }
    let mut zones = texts(seed, "/spec/provider/zones");
    zones.sort_by_key(|zone| draw(uid, zone));
    zones.truncate(if ha == Some("zone") { 3 } else { 1 });
    zones.sort_unstable();
    json!({"labels": labels, "zones": zones.join(","), "failureTolerance": ha.unwrap_or("")})
}

/// Where the cloud credentials live: `{kind, namespace, name, provider}`, or `Null`.
fn credentials(sources: &Sources<'_>, shoot: &Value) -> Value {
    let (kind, name) = match text(shoot, "/spec/credentialsBindingName") {
        "" => (Kind::SecretBinding, text(shoot, "/spec/secretBindingName")),
        name => (Kind::CredentialsBinding, name),
    };
    let Some(binding) = sources.get(&Owner::project(kind, &sources.owner.project, name)) else { return Value::Null };
    // Both kinds have their fields at the top level.
    let reference = match kind {
        Kind::CredentialsBinding => at(binding, "/credentialsRef"),
        _ => at(binding, "/secretRef"),
    };
    let own = project_namespace(&sources.owner.project);
    let kind = Some(text(reference, "/kind")).filter(|k| !k.is_empty()).unwrap_or("Secret");
    let namespace = Some(text(reference, "/namespace")).filter(|ns| !ns.is_empty()).unwrap_or(&own);
    let name = text(reference, "/name");
    let identity = (kind == "WorkloadIdentity")
        .then(|| resource::workload_identity(sources, project_of(namespace).unwrap_or("garden"), name));
    json!({
        "kind": kind,
        "namespace": namespace,
        "name": name,
        "provider": text(binding, "/provider/type"),
        "workloadIdentity": identity,
    })
}

/// Settings of both etcds that follow from the shoot.
fn etcd(shoot: &Value, uid: &str) -> Value {
    let (hour, minute) = begin(text(shoot, "/spec/maintenance/timeWindow/begin"));
    let minute_of = |what: &str| u32::from(draw(uid, what)[0]) % 60;
    let schedule = |what: &str| {
        let at = hour * 60 + minute + minute_of(what);
        format!("{} {} * * *", at % 60, at / 60 % 24)
    };
    let minimum = |role: &str, resource: &str| {
        let value = at(shoot, &format!("/spec/kubernetes/etcd/{role}/autoscaling/minAllowed/{resource}"));
        if value.is_null() { Value::Null } else { plain(value).into() }
    };
    let purpose = text(shoot, "/spec/purpose");
    let steady = purpose == "production"
        || purpose == "infrastructure"
        || text(shoot, "/metadata/annotations/alpha.control-plane.scaling.shoot.gardener.cloud~1scale-down-disabled") == "true";
    json!({
        "main": {"minCPU": minimum("main", "cpu"), "minMemory": minimum("main", "memory"), "defragmentation": schedule("defragmentation-main"), "evictNever": steady},
        "events": {"minCPU": minimum("events", "cpu"), "minMemory": minimum("events", "memory"), "defragmentation": schedule("defragmentation-events"), "evictNever": false},
        "snapshot": schedule("snapshot"),
    })
}

/// Hour and minute in UTC at which a maintenance window begins (`HHMMSS+ZZZZ`).
fn begin(window: &str) -> (u32, u32) {
    let number = |range: std::ops::Range<usize>| window.get(range).and_then(|part| part.parse::<i64>().ok()).unwrap_or(0);
    let offset = number(7..9) * 60 + number(9..11);
    let offset = if window.get(6..7) == Some("-") { -offset } else { offset };
    let minutes = (number(0..2) * 60 + number(2..4) - offset).rem_euclid(24 * 60);
    let minutes = u32::try_from(minutes).unwrap_or(0);
    (minutes / 60, minutes % 60)
}

/// The seed's backup, and the entry of this shoot in it; `Null` without one.
fn backup(seed: &Value, technical_id: &str, uid: &str) -> Value {
    let backup = at(seed, "/spec/backup");
    if backup.is_null() {
        return Value::Null;
    }
    let region = Some(text(backup, "/region")).filter(|r| !r.is_empty()).unwrap_or_else(|| text(seed, "/spec/provider/region"));
    let reference =
        [at(backup, "/credentialsRef"), at(backup, "/secretRef")].into_iter().find(|r| !r.is_null()).unwrap_or(&Value::Null);
    json!({
        "provider": text(backup, "/provider"),
        "region": region,
        "providerConfig": at(backup, "/providerConfig"),
        "entry": format!("{technical_id}--{uid}"),
        "secret": {"namespace": text(reference, "/namespace"), "name": text(reference, "/name")},
    })
}

/// Optional parts that run inside the cluster.
fn addons(shoot: &Value) -> Value {
    let (dashboard, nginx) = (at(shoot, "/spec/addons/kubernetesDashboard"), at(shoot, "/spec/addons/nginxIngress"));
    let or = |value: &Value, pointer: &str, fallback: &str| {
        Some(text(value, pointer)).filter(|t| !t.is_empty()).unwrap_or(fallback).to_owned()
    };
    let mut config = json!({"server-name-hash-bucket-size": "256", "use-proxy-protocol": "false", "worker-processes": "2"});
    if let (Some(all), Some(own)) = (config.as_object_mut(), at(nginx, "/config").as_object()) {
        all.extend(own.iter().map(|(key, value)| (key.clone(), plain(value).into())));
    }
    json!({
        "dashboard": {"enabled": flag(dashboard, "/enabled"), "authenticationMode": or(dashboard, "/authenticationMode", "token")},
        "nginx": {
            "enabled": flag(nginx, "/enabled"),
            "config": config,
            "externalTrafficPolicy": or(nginx, "/externalTrafficPolicy", "Cluster"),
            "sourceRanges": list(nginx, "/loadBalancerSourceRanges"),
        },
    })
}

/// Settings of CoreDNS.
fn core_dns(shoot: &Value, networks: &Value) -> Value {
    let settings = at(shoot, "/spec/systemComponents/coreDNS");
    let zones: BTreeSet<&str> = list(shoot, "/spec/provider/workers").iter().flat_map(|worker| texts(worker, "/zones")).collect();
    json!({
        "proportional": text(settings, "/autoscaling/mode") == "cluster-proportional",
        "maxReplicas": (2 * zones.len()).max(5),
        "corefile": corefile(&texts(settings, "/rewriting/commonSuffixes")),
        "dualStackService": flag(networks, "/dualStack") && list(networks, "/dnsIPs").len() > 1,
        "clusterIPs": list(networks, "/dnsIPs"),
    })
}

/// A rewriting of names and of the answers to them.
fn rewrite(asked: &str, name: &str, answered: &str, answer: &str) -> String {
    format!(
        "  rewrite stop {{\n    name regex {asked} {name}\n    answer name {answered} {answer}\n    answer value {answered} {answer}\n  }}\n"
    )
}

/// The configuration of CoreDNS.
fn corefile(suffixes: &[&str]) -> String {
    let mut rewrites = rewrite(
        r"(^(?:[^\.]+\.)+)svc\.cluster\.local\.svc\.cluster\.local",
        "{1}svc.cluster.local",
        r"(^(?:[^\.]+\.)+)svc\.cluster\.local",
        "{1}svc.cluster.local.svc.cluster.local",
    );
    for suffix in suffixes {
        let bare = suffix.trim_start_matches('.');
        let pattern = bare.replace('.', r"\.");
        rewrites.push_str(&rewrite(
            &format!(r"(.*)\.{pattern}\.svc\.cluster\.local"),
            &format!("{{1}}.{bare}"),
            &format!(r"(.*)\.{pattern}"),
            &format!("{{1}}.{bare}.svc.cluster.local"),
        ));
    }
    let head = ".:8053 {\n  health {\n    lameduck 15s\n  }\n  ready\n";
    let tail = "  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 30
  }
  prometheus :9153
  loop
  import custom/*.override
  errors
  log . {
    class error
  }
  forward . /etc/resolv.conf
  cache 30
  reload
  loadbalance round_robin
}
import custom/*.server
";
    format!("{head}{rewrites}{tail}")
}

/// Zones of the pools that run system components.
fn system_zones(shoot: &Value) -> String {
    let zones: BTreeSet<&str> = list(shoot, "/spec/provider/workers")
        .iter()
        .filter(|worker| {
            at(worker, "/systemComponents/allow").as_bool() != Some(false) && at(worker, "/maximum").as_u64().unwrap_or(0) > 0
        })
        .flat_map(|worker| texts(worker, "/zones"))
        .collect();
    zones.into_iter().collect::<Vec<_>>().join(",")
}

/// Tolerations that system components need for the taints of pools.
fn tolerations(shoot: &Value) -> Vec<Value> {
    let taints: BTreeSet<(String, String, String)> = list(shoot, "/spec/provider/workers")
        .iter()
        .filter(|worker| at(worker, "/systemComponents/allow").as_bool() != Some(false))
        .flat_map(|worker| list(worker, "/taints"))
        .map(|taint| (text(taint, "/key").to_owned(), text(taint, "/value").to_owned(), text(taint, "/effect").to_owned()))
        .collect();
    taints
        .into_iter()
        .map(|(key, value, effect)| {
            if value.is_empty() {
                json!({"key": key, "operator": "Exists", "effect": effect})
            } else {
                json!({"key": key, "operator": "Equal", "value": value, "effect": effect})
            }
        })
        .collect()
}

/// The data of ConfigMap `shoot-info`.
fn info(shoot: &Value, networks: &Value, domain: &Value, id: &Value, egress: Option<&Value>) -> Value {
    let mut data: BTreeMap<&str, String> = BTreeMap::new();
    let extensions: BTreeSet<&str> =
        list(shoot, "/spec/extensions").iter().filter(|e| !flag(e, "/disabled")).map(|e| text(e, "/type")).collect();
    for (key, value) in [
        ("projectName", text(id, "/project")),
        ("shootName", text(id, "/name")),
        ("shootNamespace", text(id, "/projectNamespace")),
        ("provider", text(shoot, "/spec/provider/type")),
        ("region", text(shoot, "/spec/region")),
        ("kubernetesVersion", text(shoot, "/spec/kubernetes/version")),
        ("uid", text(id, "/uid")),
        ("statusUID", text(id, "/uid")),
        ("maintenanceBegin", text(shoot, "/spec/maintenance/timeWindow/begin")),
        ("maintenanceEnd", text(shoot, "/spec/maintenance/timeWindow/end")),
    ] {
        data.insert(key, value.to_owned());
    }
    data.insert("extensions", extensions.into_iter().collect::<Vec<_>>().join(","));
    if let Some(external) = domain["external"].as_str() {
        data.insert("domain", external.to_owned());
    }
    for (one, many, pointer) in [
        ("podNetwork", "podNetworks", "/pods"),
        ("nodeNetwork", "nodeNetworks", "/nodes"),
        ("serviceNetwork", "serviceNetworks", "/services"),
    ] {
        let ranges = texts(networks, pointer);
        if let Some(first) = ranges.first() {
            data.insert(one, (*first).to_owned());
            data.insert(many, ranges.join(","));
        }
    }
    let egress: Vec<&str> = egress.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if !egress.is_empty() {
        data.insert("egressCIDRs", egress.join(","));
    }
    json!(data)
}

/// The readable resources of a cluster by API group.
const READABLE: [(&str, &[&str]); 14] = [
    (
        "",
        &[
            "bindings",
            "componentstatuses",
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "namespaces",
            "nodes",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "pods/log",
            "podtemplates",
            "replicationcontrollers",
            "resourcequotas",
            "secrets",
            "serviceaccounts",
            "services",
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            "mutatingwebhookconfigurations",
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            "validatingwebhookconfigurations",
        ],
    ),
    ("apiextensions.k8s.io", &["customresourcedefinitions"]),
    ("apiregistration.k8s.io", &["apiservices"]),
    ("apps", &["controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"]),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("certificates.k8s.io", &["certificatesigningrequests"]),
    ("coordination.k8s.io", &["leases"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("networking.k8s.io", &["ingressclasses", "ingresses", "ipaddresses", "networkpolicies", "servicecidrs"]),
    ("policy", &["poddisruptionbudgets"]),
    ("rbac.authorization.k8s.io", &["clusterrolebindings", "clusterroles", "rolebindings", "roles"]),
    ("storage.k8s.io", &["csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"]),
];

/// Rules of the read-only role: everything that is not encrypted at rest.
fn read_only(encrypted: &[&str]) -> Vec<Value> {
    let hidden = |group: &str, resource: &str| {
        encrypted.iter().any(|entry| match entry.split_once('.') {
            _ if *entry == resource => group.is_empty(),
            Some((name, of)) => name == resource && of == group,
            None => false,
        })
    };
    READABLE
        .iter()
        .map(|(group, resources)| {
            let resources: Vec<&str> = resources.iter().copied().filter(|resource| !hidden(group, resource)).collect();
            json!({"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]})
        })
        .filter(|rule| !list(rule, "/resources").is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_in_utc() {
        assert_eq!(begin("220000+0100"), (21, 0));
        assert_eq!(begin("003000+0200"), (22, 30));
        assert_eq!(begin("230000-0300"), (2, 0));
        assert_eq!(begin(""), (0, 0));
    }

    #[test]
    fn what_is_encrypted_is_not_read() {
        let rules = read_only(&["secrets", "leases.coordination.k8s.io"]);
        let all = json!(rules).to_string();
        assert!(!all.contains("\"secrets\"") && !all.contains("leases") && all.contains("pods/log"));
    }
}
