//! The parts that many kinds share: object metadata, references, selectors, taints, conditions and operations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::{Amount, shapes};

shapes! {
    /// Standard object metadata.
    struct ObjectMeta {
        /// The name, unique among objects of its kind in its namespace.
        name: String,
        /// The namespace; follows from the path and may be left out.
        namespace: Option<String>,
        /// Key-value pairs that selectors see.
        labels: BTreeMap<String, String>,
        /// Key-value pairs for people and tools.
        annotations: BTreeMap<String, String>,
        /// A prefix from which a server makes a name; a landscape needs names.
        generate_name: Option<String>,
        /// Set by the server.
        uid: Option<String>,
        /// Set by the server.
        resource_version: Option<String>,
        /// Set by the server.
        generation: Option<i64>,
        /// Set by the server.
        creation_timestamp: Option<String>,
        /// Set by the server once deletion was asked for.
        deletion_timestamp: Option<String>,
        /// Set by the server once deletion was asked for.
        deletion_grace_period_seconds: Option<i64>,
        /// Who must act before the object may go.
        finalizers: Vec<String>,
        /// Objects that this one goes with.
        owner_references: Vec<OwnerReference>,
        /// Set by the server: who owns which field.
        managed_fields: Vec<Value>,
        /// Set by old servers.
        self_link: Option<String>,
    }

    /// Names an object that this one goes with.
    struct OwnerReference {
        /// API group and version of the owner.
        api_version: String,
        /// Kind of the owner.
        kind: String,
        /// Name of the owner.
        name: String,
        /// UID of the owner.
        uid: String,
        /// Whether this is the owner that manages the object.
        controller: Option<bool>,
        /// Whether the owner may not go before the object.
        block_owner_deletion: Option<bool>,
    }

    /// Names any object.
    struct ObjectReference {
        /// API group and version.
        api_version: Option<String>,
        /// Kind.
        kind: Option<String>,
        /// Namespace; empty for the namespace of the object that refers.
        namespace: Option<String>,
        /// Name.
        name: Option<String>,
        /// UID.
        uid: Option<String>,
        /// A resourceVersion that the reference was made at.
        resource_version: Option<String>,
        /// A part of the object.
        field_path: Option<String>,
    }

    /// Names an object in the same namespace.
    struct LocalObjectReference {
        /// Name.
        name: String,
    }

    /// Names a Secret.
    struct SecretReference {
        /// Name.
        name: Option<String>,
        /// Namespace; empty for the namespace of the object that refers.
        namespace: Option<String>,
    }

    /// Names an object of a given kind in the same namespace.
    struct CrossVersionObjectReference {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
        /// API group and version.
        api_version: Option<String>,
    }

    /// A name under which extension configurations may refer to an object.
    struct NamedResourceReference {
        /// The name used in configurations.
        name: String,
        /// The object.
        resource_ref: CrossVersionObjectReference,
    }

    /// Selects objects by their labels; empty selects all.
    struct LabelSelector {
        /// Labels that must have exactly these values.
        match_labels: BTreeMap<String, String>,
        /// Conditions that must all hold.
        match_expressions: Vec<LabelSelectorRequirement>,
    }

    /// One condition of a selector.
    struct LabelSelectorRequirement {
        /// The label.
        key: String,
        /// In, NotIn, Exists or DoesNotExist.
        #[schemars(extend("enum" = ["In", "NotIn", "Exists", "DoesNotExist"]))]
        operator: String,
        /// The values; none for Exists and DoesNotExist.
        values: Vec<String>,
    }

    /// Selects seeds by labels and provider types.
    struct SeedSelector {
        /// Labels that must have exactly these values.
        match_labels: BTreeMap<String, String>,
        /// Conditions that must all hold.
        match_expressions: Vec<LabelSelectorRequirement>,
        /// Provider types that are allowed beside the shoot's own; `*` allows all.
        provider_types: Vec<String>,
    }

    /// Lets a shoot be placed on seeds with a taint.
    struct Toleration {
        /// The taint's key.
        key: String,
        /// The taint's value; absent tolerates all values.
        value: Option<String>,
    }

    /// Lets a pod run on nodes with a taint.
    struct PodToleration {
        /// The taint's key; absent matches all keys.
        key: Option<String>,
        /// Exists or Equal.
        operator: Option<String>,
        /// The taint's value.
        value: Option<String>,
        /// The taint's effect; absent matches all effects.
        effect: Option<String>,
        /// For how long a NoExecute taint is tolerated.
        toleration_seconds: Option<i64>,
    }

    /// Keeps pods off a node unless they tolerate it.
    struct Taint {
        /// The taint's key.
        key: String,
        /// The taint's value.
        value: Option<String>,
        /// NoSchedule, PreferNoSchedule or NoExecute.
        #[schemars(extend("enum" = ["NoSchedule", "PreferNoSchedule", "NoExecute"]))]
        effect: String,
        /// When a NoExecute taint was added.
        time_added: Option<String>,
    }

    /// Turns on an extension.
    struct Extension {
        /// The extension's type.
        #[serde(rename = "type")]
        kind: String,
        /// Configuration that only the extension understands.
        provider_config: Option<Value>,
        /// Turns an extension off that is otherwise on for everyone.
        disabled: Option<bool>,
    }

    /// A restriction that a region or seed fulfils.
    struct AccessRestriction {
        /// The restriction's name.
        name: String,
    }

    /// A restriction that a shoot demands.
    struct AccessRestrictionWithOptions {
        /// The restriction's name.
        name: String,
        /// Options of the restriction.
        options: BTreeMap<String, String>,
    }

    /// Where backups go.
    struct Backup {
        /// Provider of the object store.
        provider: String,
        /// Configuration that only the provider understands.
        provider_config: Option<Value>,
        /// Region of the object store.
        region: Option<String>,
        /// The Secret or WorkloadIdentity to access it with.
        credentials_ref: Option<ObjectReference>,
    }

    /// One aspect of an object's state.
    struct Condition {
        /// The aspect.
        #[serde(rename = "type")]
        kind: String,
        /// True, False, Unknown or Progressing.
        status: String,
        /// When the status last changed.
        last_transition_time: Option<String>,
        /// When it was last looked at.
        last_update_time: Option<String>,
        /// A word for machines.
        reason: String,
        /// A sentence for people.
        message: String,
        /// Well-known error codes.
        codes: Vec<String>,
    }

    /// What was last done.
    struct LastOperation {
        /// A sentence for people.
        description: String,
        /// When this was last updated.
        last_update_time: Option<String>,
        /// How far it came, in percent.
        progress: Option<i32>,
        /// Processing, Succeeded, Error, Failed, Pending or Aborted.
        state: String,
        /// Create, Reconcile, Delete, Migrate or Restore.
        #[serde(rename = "type")]
        kind: String,
    }

    /// An error that happened during the last operation.
    struct LastError {
        /// A sentence for people.
        description: String,
        /// The task that failed.
        #[serde(rename = "taskID")]
        task_id: Option<String>,
        /// Well-known error codes.
        codes: Vec<String>,
        /// When it was last seen.
        last_update_time: Option<String>,
    }

    /// Who last acted on an object.
    struct Gardener {
        /// An identifier of the process.
        id: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    }
}

/// Resource names to quantities.
pub type ResourceList = BTreeMap<String, Amount>;
