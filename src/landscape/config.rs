//! The Landscape: `landscape.yaml`, which says how everything else is to be run.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::meta::{Condition, LabelSelector, LastError, LastOperation, ObjectMeta};
use super::shape::{Duration, Time, shapes};

shapes! {
    /// How a landscape is to be run.
    struct LandscapeConfig {
        /// espalier.dev/v1alpha1
        api_version: String,
        /// Landscape
        kind: String,
        /// Standard object metadata; the name is the landscape's.
        metadata: ObjectMeta,
        /// The settings.
        spec: LandscapeSpec,
        /// What is known of it.
        status: LandscapeStatus,
    }

    /// How a landscape is to be run.
    struct LandscapeSpec {
        /// Domains of clusters.
        domains: Domains,
        /// `sim`, or the kubeconfig contexts of the garden and the seeds.
        clusters: Option<Clusters>,
        /// espalier renders control planes itself; gardener hands Shoots to a Gardener that runs in the garden.
        #[schemars(extend("enum" = ["espalier", "gardener"]))]
        engine: Option<String>,
        /// Limits on what one commit may do.
        guards: Option<Guards>,
        /// Where and how often status is reported.
        status: Option<StatusReporting>,
        /// Where changes come from and how espalier's own go back.
        promotion: Option<Promotion>,
        /// What becomes of changes made by hand: restore or adopt.
        #[schemars(extend("enum" = ["restore", "adopt"]))]
        drift: Option<String>,
        /// Objects that exist and may be taken over, as Kind/name or Kind/namespace/name.
        adopt: Vec<String>,
        /// Container images by their name in the image table, as full references.
        images: BTreeMap<String, String>,
        /// How changes that nobody wrote (new templates, images, policies) are rolled out.
        rollout: Option<Rollout>,
        /// How seeds are chosen.
        scheduling: Option<Scheduling>,
        /// What watches seeds and the control planes of shoots.
        observability: Option<Observability>,
        /// Ways of exposing API servers that exposure classes may name as their handler: a gateway of its own in every seed that
        /// such a class may choose.
        exposure_class_handlers: Vec<ExposureClassHandler>,
        /// How extensions in seeds reach the garden, whose deployments ask for its kubeconfig.
        garden_client_connection: Option<GardenClientConnection>,
        /// Engines that espalier installs in seeds; absent means all of them.
        seed_engines: Option<SeedEngines>,
    }

    /// How the garden is reached from seeds.
    struct GardenClientConnection {
        /// The address of the garden's API server, such as `https://api.garden.example.org`.
        #[schemars(regex(pattern = "^https://[^/?#@ ]+(/[^?# ]*)?$"))]
        garden_cluster_address: String,
        /// The certificate authorities to trust there, PEM in base64; absent means those that a container trusts anyway.
        #[serde(rename = "gardenClusterCACert")]
        garden_cluster_ca_cert: Option<String>,
    }

    /// Engines that espalier installs in seeds. What is false, somebody else has installed there. The vertical pod autoscaler and
    /// the dependency watchdog are switched by each seed's settings.
    struct SeedEngines {
        /// gardener-resource-manager, which applies ManagedResources; absent means yes.
        resource_manager: Option<bool>,
        /// etcd-druid, which runs the etcds of control planes; absent means yes.
        etcd_druid: Option<bool>,
        /// istiod and the gateways that lead to the API servers of shoots; absent means yes.
        istio: Option<bool>,
    }

    /// A way of exposing API servers.
    struct ExposureClassHandler {
        /// The name that exposure classes give as their handler.
        #[schemars(length(max = 34), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
        name: String,
        /// The load balancer in front of it.
        load_balancer_service: Option<HandlerLoadBalancer>,
    }

    /// The load balancer in front of a handler's gateway.
    struct HandlerLoadBalancer {
        /// Annotations of the Service, besides those that the seed has for all.
        annotations: BTreeMap<String, String>,
        /// The load balancer class; absent means that of the seed.
        class: Option<String>,
    }

    /// What watches seeds and the control planes of shoots; those for testing are never watched.
    struct Observability {
        /// Whether there are metrics, alerts and dashboards; absent means yes.
        monitoring: Option<bool>,
        /// Whether there are logs and events; absent means no.
        logging: Option<bool>,
        /// Where logs are kept: in each of these. Absent or empty means in Vali alone. Plutono shows those of Vali only.
        #[schemars(extend("items" = {"type": "string", "enum": ["Vali", "VictoriaLogs"]}))]
        log_backends: Vec<String>,
        /// Whether seeds have the operator of Perses, for those who bring Perses objects; absent means no.
        perses_operator: Option<bool>,
        /// How alerts reach the people whom shoots name; absent means that no mail is sent.
        mail: Option<AlertMail>,
    }

    /// The mail server that alerts are sent through.
    struct AlertMail {
        /// Host and port, such as mail.example.org:587.
        smarthost: String,
        /// The sender's address.
        from: String,
        /// Who signs in.
        username: Option<String>,
        /// For whom, if that is somebody else.
        identity: Option<String>,
        /// The Secret in the garden's namespace `garden` that has the password as `auth_password`.
        secret_name: String,
    }

    /// Domains of clusters.
    struct Domains {
        /// Below it control planes are found from inside the landscape.
        internal: String,
        /// Below it shoots get domains that do not name their own.
        default: Option<String>,
    }

    /// kubeconfig contexts of the garden and the seeds.
    struct ClusterContexts {
        /// A kubeconfig file; absent means KUBECONFIG or the usual place.
        kubeconfig: Option<String>,
        /// The garden's context, or `in-cluster`.
        garden: String,
        /// The context of each seed by the seed's name.
        seeds: BTreeMap<String, String>,
    }

    /// Limits on what one commit may do.
    struct Guards {
        /// The most Shoots, Seeds and Projects together that are deleted in 24 hours.
        max_deletions: Option<i32>,
        /// The most Shoots whose nodes are replaced at once.
        max_rolling: Option<i32>,
        /// The most Shoots that one change may touch; a plan of more is refused.
        #[schemars(range(min = 0))]
        max_changed: Option<i32>,
        /// What a commit must acknowledge in its message before a plan of it passes, such as one-way and deletes.
        #[schemars(extend("items" = {"type": "string", "enum": ["scales", "restarts-kubelet", "restarts-control-plane",
            "workload-stops", "api-downtime", "in-place-nodes", "rolls-nodes", "recreates", "one-way", "deletes"]}))]
        acknowledge: Vec<String>,
        /// Times in which intent is not acted upon; repair goes on.
        freeze: Vec<Freeze>,
        /// Whether commits must be signed by a known key.
        require_signatures: Option<bool>,
    }

    /// A time in which intent is not acted upon.
    struct Freeze {
        /// Why, for status and plans.
        reason: String,
        /// When it begins (RFC 3339); absent means always.
        from: Option<Time>,
        /// When it ends (RFC 3339); absent means until removed.
        until: Option<Time>,
        /// The projects; empty means all.
        projects: Vec<String>,
    }

    /// Where and how often status is reported.
    struct StatusReporting {
        /// The branch; absent means `espalier/status/<name>`.
        branch: Option<String>,
        /// The shortest time between two status commits, such as 30s.
        interval: Option<Duration>,
    }

    /// Where changes come from and how espalier's own go back.
    struct Promotion {
        /// The landscape that changes are promoted from, or several.
        from: Option<Stages>,
        /// Paths that are never promoted, besides `landscape.yaml`, `seeds/**`, `operations/**` and `acknowledgements/**`: glob patterns.
        exclude: Vec<String>,
        /// Fields that are this landscape's own, besides seeds and domains, such as `shoot.spec.provider.workers[*].maximum`.
        owned: Vec<String>,
        /// What must hold before changes are promoted to here.
        gates: Option<Gates>,
        /// How espalier changes intent itself: commit onto the branch, or a proposal branch.
        #[schemars(extend("enum" = ["commit", "proposal"]))]
        changes: Option<String>,
        /// What names of proposal branches begin with.
        branch_prefix: Option<String>,
    }

    /// What must hold before changes are promoted.
    struct Gates {
        /// How long the landscape that they come from must have been ready with them, such as 24h.
        healthy_for: Option<Duration>,
        /// How many people must have approved each commit, by `Approved-by` or `Reviewed-by` lines in its message.
        approvals: Option<i32>,
        /// The most that it may cost here, such as rolls-nodes.
        #[schemars(extend("enum" = ["none", "scales", "restarts-kubelet", "restarts-control-plane", "workload-stops", "api-downtime",
            "in-place-nodes", "rolls-nodes", "recreates", "one-way", "deletes"]))]
        no_mark_above: Option<String>,
    }

    /// How changes that nobody wrote are rolled out.
    struct Rollout {
        /// One after another; what no wave selects comes last.
        waves: Vec<Wave>,
        /// Whether a shoot waits for its maintenance window.
        maintenance_window: Option<bool>,
        /// The most shoots that change at once.
        max_parallel: Option<i32>,
    }

    /// A wave of a rollout.
    struct Wave {
        /// Its name.
        name: String,
        /// Projects that belong to it.
        projects: Vec<String>,
        /// Seeds whose shoots belong to it.
        seeds: Vec<String>,
        /// Purposes of shoots that belong to it.
        purposes: Vec<String>,
        /// Labels of shoots that belong to it.
        selector: Option<LabelSelector>,
        /// How long nothing may go wrong before the next begins, such as 24h.
        soak: Option<Duration>,
    }

    /// How seeds are chosen.
    struct Scheduling {
        /// SameRegion or MinimalDistance.
        #[schemars(extend("enum" = ["SameRegion", "MinimalDistance"]))]
        strategy: Option<String>,
    }

    /// What is known of a landscape.
    struct LandscapeStatus {
        /// Health.
        conditions: Vec<Condition>,
        /// The commit that was last reconciled.
        revision: Option<String>,
        /// The generation that this status is about.
        observed_generation: Option<i64>,
        /// What was last done.
        last_operation: Option<LastOperation>,
        /// Errors of the last pass.
        last_errors: Vec<LastError>,
        /// Operations that were done, by id.
        operations_done: Vec<String>,
    }
}

/// `sim`, or the contexts of real clusters. The two are never mixed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Clusters {
    /// A word; `sim` is the only one that is known.
    Word(String),
    /// Contexts of real clusters.
    Contexts(ClusterContexts),
}

impl Clusters {
    /// Whether the clusters are simulated.
    #[must_use]
    pub fn is_sim(&self) -> bool {
        matches!(self, Self::Word(word) if word == "sim")
    }
}

impl JsonSchema for Clusters {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Clusters".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let contexts = generator.subschema_for::<ClusterContexts>();
        json_schema!({
            "description": "The word sim, or the kubeconfig contexts of the garden and the seeds.",
            "anyOf": [{ "type": "string", "enum": ["sim"] }, contexts],
        })
    }
}

/// The name of a landscape, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Stages {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Promotion {
    /// The landscapes that changes are promoted from; empty if nothing is said.
    #[must_use]
    pub fn stages(&self) -> &[String] {
        match &self.from {
            None => &[],
            Some(Stages::One(name)) => std::slice::from_ref(name),
            Some(Stages::Several(names)) => names,
        }
    }
}

/// What an engine does with Shoots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Renders control planes itself.
    Espalier,
    /// Hands Shoots to a Gardener that runs in the garden.
    Gardener,
}

impl LandscapeSpec {
    /// The engine; `espalier` unless said otherwise.
    #[must_use]
    pub fn engine(&self) -> Engine {
        if self.engine.as_deref() == Some("gardener") { Engine::Gardener } else { Engine::Espalier }
    }

    /// Whether the garden and the seeds are simulated.
    #[must_use]
    pub fn is_sim(&self) -> bool {
        self.clusters.as_ref().is_some_and(Clusters::is_sim)
    }

    /// Whether changes made by hand become intent instead of being undone.
    #[must_use]
    pub fn adopts_drift(&self) -> bool {
        self.drift.as_deref() == Some("adopt")
    }
}

impl LandscapeConfig {
    /// The branch that status is committed to.
    #[must_use]
    pub fn status_branch(&self) -> String {
        self.spec
            .status
            .as_ref()
            .and_then(|status| status.branch.clone())
            .unwrap_or_else(|| format!("espalier/status/{}", self.metadata.name))
    }
}
