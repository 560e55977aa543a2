//! Minimal definitions of the kinds that belong to engines (extensions, etcd-druid, machine-controller-manager, …): what a seed
//! needs so that objects of these kinds can be written before the engine has brought its own definition.

use serde_json::{Value, json};

use super::{AGE, Column, Names, crd, open};

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
        crd(
            &druid("EtcdOpsTask", "etcdopstasks"),
            open(),
            &[("State", "string", ".status.state", false), ("Etcd", "string", ".spec.etcdName", false), AGE],
            status(),
            None,
        ),
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
        crd(
            &Names {
                group: "autoscaling.gardener.cloud",
                version: "v1alpha1",
                kind: "PersistentVolumeClaimAutoscaler",
                plural: "persistentvolumeclaimautoscalers",
                short: &["pvca"],
                namespaced: true,
            },
            open(),
            &[("Target", "string", ".spec.targetRef.name", false), AGE],
            status(),
            None,
        ),
    ];
    all.extend(istio());
    all.extend(monitoring());
    all.extend(perses());
    all.extend(logging());
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

/// What the gateways in front of control planes are told with.
fn istio() -> Vec<Value> {
    let kind = |kind, plural, short| {
        let names = Names { group: "networking.istio.io", version: "v1", kind, plural, short, namespaced: true };
        crd(&names, open(), &[AGE], Some(json!({})), None)
    };
    vec![
        kind("DestinationRule", "destinationrules", &["dr"]),
        kind("Gateway", "gateways", &["gw"]),
        kind("ServiceEntry", "serviceentries", &["se"]),
        kind("VirtualService", "virtualservices", &["vs"]),
        crd(
            &Names {
                group: "networking.istio.io",
                version: "v1alpha3",
                kind: "EnvoyFilter",
                plural: "envoyfilters",
                short: &[],
                namespaced: true,
            },
            open(),
            &[AGE],
            Some(json!({})),
            None,
        ),
    ]
}

/// What watches control planes, as the Prometheus operator has it.
fn monitoring() -> Vec<Value> {
    let names =
        |version, kind, plural, short| Names { group: "monitoring.coreos.com", version, kind, plural, short, namespaced: true };
    let running: [Column; 4] = [
        ("Replicas", "integer", ".spec.replicas", false),
        ("Ready", "integer", ".status.availableReplicas", false),
        ("Available", "string", ".status.conditions[?(@.type == 'Available')].status", false),
        AGE,
    ];
    let scale = |replicas: &str| {
        let (spec, status) = (format!(".spec.{replicas}"), format!(".status.{replicas}"));
        Some(json!({"specReplicasPath": spec, "statusReplicasPath": status, "labelSelectorPath": ".status.selector"}))
    };
    let status = || Some(json!({}));
    vec![
        crd(&names("v1", "Prometheus", "prometheuses", &["prom"]), open(), &running, status(), scale("shards")),
        crd(&names("v1", "Alertmanager", "alertmanagers", &["am"]), open(), &running, status(), scale("replicas")),
        crd(&names("v1alpha1", "AlertmanagerConfig", "alertmanagerconfigs", &["amcfg"]), open(), &[AGE], status(), None),
        crd(&names("v1", "PodMonitor", "podmonitors", &["pmon"]), open(), &[AGE], status(), None),
        crd(&names("v1", "Probe", "probes", &["prb"]), open(), &[AGE], status(), None),
        crd(
            &names("v1alpha1", "PrometheusAgent", "prometheusagents", &["promagent"]),
            open(),
            &running,
            status(),
            scale("shards"),
        ),
        crd(&names("v1", "PrometheusRule", "prometheusrules", &["promrule"]), open(), &[AGE], status(), None),
        crd(&names("v1alpha1", "ScrapeConfig", "scrapeconfigs", &["scfg"]), open(), &[AGE], status(), None),
        crd(&names("v1", "ServiceMonitor", "servicemonitors", &["smon"]), open(), &[AGE], status(), None),
        crd(&names("v1", "ThanosRuler", "thanosrulers", &["ruler"]), open(), &running, status(), scale("replicas")),
    ]
}

/// What shows measurements, as the Perses operator has it: it starts when all its kinds are there.
fn perses() -> Vec<Value> {
    let kind = |kind, plural, short, namespaced| {
        let names = Names { group: "perses.dev", version: "v1alpha2", kind, plural, short, namespaced };
        crd(&names, open(), &[AGE], Some(json!({})), None)
    };
    vec![
        kind("Perses", "perses", &["per"], true),
        kind("PersesDashboard", "persesdashboards", &["perdb"], true),
        kind("PersesDatasource", "persesdatasources", &["perds"], true),
        kind("PersesGlobalDatasource", "persesglobaldatasources", &["pergds"], false),
    ]
}

/// What gathers and keeps logs, as the fluent operator, the OpenTelemetry operator and the VictoriaMetrics operator have it. None of
/// them starts before all the kinds that it is to look after are there.
fn logging() -> Vec<Value> {
    let fluent = |kind, plural, short, namespaced| {
        let names = Names { group: "fluentbit.fluent.io", version: "v1alpha2", kind, plural, short, namespaced };
        crd(&names, open(), &[AGE], None, None)
    };
    let telemetry =
        |version, kind, plural, short| Names { group: "opentelemetry.io", version, kind, plural, short, namespaced: true };
    let status = || Some(json!({}));
    let scaled = json!({
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.scale.replicas",
        "labelSelectorPath": ".status.scale.selector",
    });
    vec![
        fluent("ClusterFilter", "clusterfilters", &["cfbf"], false),
        fluent("ClusterFluentBitConfig", "clusterfluentbitconfigs", &["cfbc"], false),
        fluent("ClusterInput", "clusterinputs", &["cfbi"], false),
        fluent("ClusterMultilineParser", "clustermultilineparsers", &["cfbmp"], false),
        fluent("ClusterOutput", "clusteroutputs", &["cfbo"], false),
        fluent("ClusterParser", "clusterparsers", &["cfbp"], false),
        fluent("Collector", "collectors", &["co"], true),
        fluent("Filter", "filters", &["fbf"], true),
        fluent("FluentBit", "fluentbits", &["fb"], true),
        fluent("FluentBitConfig", "fluentbitconfigs", &["fbc"], true),
        fluent("MultilineParser", "multilineparsers", &["fbmp"], true),
        fluent("Output", "outputs", &["fbo"], true),
        fluent("Parser", "parsers", &["fbp"], true),
        crd(&telemetry("v1alpha1", "Instrumentation", "instrumentations", &["otelinst"]), open(), &[AGE], status(), None),
        crd(&telemetry("v1alpha1", "OpAMPBridge", "opampbridges", &[]), open(), &[AGE], status(), None),
        crd(
            &telemetry("v1beta1", "OpenTelemetryCollector", "opentelemetrycollectors", &["otelcol"]),
            open(),
            &[
                ("Mode", "string", ".spec.mode", false),
                ("Version", "string", ".status.version", false),
                ("Ready", "string", ".status.scale.statusReplicas", false),
                AGE,
                ("Image", "string", ".status.image", true),
            ],
            status(),
            Some(scaled),
        ),
        crd(&telemetry("v1alpha1", "TargetAllocator", "targetallocators", &[]), open(), &[AGE], status(), None),
        crd(
            &Names {
                group: "operator.victoriametrics.com",
                version: "v1",
                kind: "VLSingle",
                plural: "vlsingles",
                short: &[],
                namespaced: true,
            },
            open(),
            &[("Status", "string", ".status.updateStatus", false), AGE],
            status(),
            None,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

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
