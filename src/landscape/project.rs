//! The Project: a tenant with its members and its namespace.

use super::meta::{LabelSelector, ObjectMeta, Toleration};
use super::shape::shapes;

shapes! {
    /// A tenant.
    struct Project {
        /// core.gardener.cloud/v1beta1
        api_version: String,
        /// Project
        kind: String,
        /// Standard object metadata.
        metadata: ObjectMeta,
        /// What is wanted.
        spec: ProjectSpec,
        /// What is.
        status: ProjectStatus,
    }

    /// What is wanted of a project.
    struct ProjectSpec {
        /// Who made it.
        created_by: Option<Subject>,
        /// What it is.
        description: Option<String>,
        /// Who is responsible.
        owner: Option<Subject>,
        /// What it is for.
        purpose: Option<String>,
        /// Who may do what.
        members: Vec<ProjectMember>,
        /// The namespace. Cannot be changed.
        namespace: Option<String>,
        /// Taints that its shoots may tolerate.
        tolerations: Option<ProjectTolerations>,
        /// Resources whose deletion two people must agree on.
        dual_approval_for_deletion: Vec<DualApprovalForDeletion>,
    }

    /// A user, group or service account.
    struct Subject {
        /// The API group of users and groups.
        api_group: Option<String>,
        /// User, Group or ServiceAccount.
        #[schemars(extend("enum" = ["User", "Group", "ServiceAccount"]))]
        kind: String,
        /// Its name.
        name: String,
        /// The namespace of a service account.
        namespace: Option<String>,
    }

    /// Who may do what.
    struct ProjectMember {
        /// The API group of users and groups.
        api_group: Option<String>,
        /// User, Group or ServiceAccount.
        #[schemars(extend("enum" = ["User", "Group", "ServiceAccount"]))]
        kind: String,
        /// Its name.
        name: String,
        /// The namespace of a service account.
        namespace: Option<String>,
        /// The first role; use roles.
        role: String,
        /// owner, admin, viewer, uam, serviceaccountmanager or `extension:<name>`.
        roles: Vec<String>,
    }

    /// Taints that a project's shoots may tolerate.
    struct ProjectTolerations {
        /// Tolerations that every shoot gets.
        defaults: Vec<Toleration>,
        /// Tolerations that shoots may ask for.
        whitelist: Vec<Toleration>,
    }

    /// Resources whose deletion two people must agree on.
    struct DualApprovalForDeletion {
        /// The resource, in the plural.
        resource: String,
        /// Which of them.
        selector: LabelSelector,
        /// Whether deletions by service accounts need it too.
        include_service_accounts: Option<bool>,
    }

    /// What is known of a project.
    struct ProjectStatus {
        /// The generation that this status is about.
        observed_generation: Option<i64>,
        /// Pending, Ready, Failed or Terminating.
        phase: Option<String>,
        /// When an unused project goes.
        stale_auto_delete_timestamp: Option<String>,
        /// Since when it is unused.
        stale_since_timestamp: Option<String>,
        /// When it was last used.
        last_activity_timestamp: Option<String>,
    }
}
