//! Who owns what: the identity of a landscape object, and the cluster that something lives in.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $api:literal $plural:literal $scope:ident;)*) => {
        /// The kinds of object that a landscape is made of (`design` §2).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All kinds, in the order in which they are loaded and applied.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The `kind` of the manifest.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)* }
            }

            /// The `apiVersion` of the manifest.
            #[must_use]
            pub const fn api_version(self) -> &'static str {
                match self { $(Self::$kind => $api,)* }
            }

            /// The resource name in URLs.
            #[must_use]
            pub const fn plural(self) -> &'static str {
                match self { $(Self::$kind => $plural,)* }
            }

            /// Whether objects of this kind live in a project's namespace.
            #[must_use]
            pub const fn namespaced(self) -> bool {
                match self { $(Self::$kind => kinds!(@scope $scope),)* }
            }

            /// The kind of a manifest, or `None` if a landscape has no such kind.
            #[must_use]
            pub fn of(api_version: &str, kind: &str) -> Option<Self> {
                match (api_version, kind) {
                    $(($api, stringify!($kind)) => Some(Self::$kind),)*
                    // The version before, which only differs in how it says the same.
                    ("core.gardener.cloud/v1beta1", "ControllerDeployment") => Some(Self::ControllerDeployment),
                    _ => None,
                }
            }
        }
    };
    (@scope cluster) => { false };
    (@scope project) => { true };
}

kinds! {
    /// `landscape.yaml`: name, domains, clusters, guards, status, promotion.
    Landscape "espalier.dev/v1alpha1" "landscapes" cluster;
    /// What a provider offers.
    CloudProfile "core.gardener.cloud/v1beta1" "cloudprofiles" cluster;
    /// How shoots reach their API servers from outside.
    ExposureClass "core.gardener.cloud/v1beta1" "exposureclasses" cluster;
    /// How an extension is installed.
    ControllerDeployment "core.gardener.cloud/v1" "controllerdeployments" cluster;
    /// What an extension is responsible for.
    ControllerRegistration "core.gardener.cloud/v1beta1" "controllerregistrations" cluster;
    /// A cluster that hosts control planes.
    Seed "core.gardener.cloud/v1beta1" "seeds" cluster;
    /// A tenant.
    Project "core.gardener.cloud/v1beta1" "projects" cluster;
    /// A project's variation of a cloud profile.
    NamespacedCloudProfile "core.gardener.cloud/v1beta1" "namespacedcloudprofiles" project;
    /// Limits on what credentials may be used for.
    Quota "core.gardener.cloud/v1beta1" "quotas" project;
    /// An identity that a provider trusts.
    WorkloadIdentity "security.gardener.cloud/v1alpha1" "workloadidentities" project;
    /// Credentials by reference to a Secret.
    SecretBinding "core.gardener.cloud/v1beta1" "secretbindings" project;
    /// Credentials by reference to a Secret or a WorkloadIdentity.
    CredentialsBinding "security.gardener.cloud/v1alpha1" "credentialsbindings" project;
    /// A Kubernetes cluster.
    Shoot "core.gardener.cloud/v1beta1" "shoots" project;
    /// A shoot that is used as a seed.
    ManagedSeed "seedmanagement.gardener.cloud/v1alpha1" "managedseeds" project;
    /// A one-shot request with an id, done at most once.
    Operation "espalier.dev/v1alpha1" "operations" cluster;
}

impl Kind {
    /// The API group.
    #[must_use]
    pub fn group(self) -> &'static str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The identity of one landscape object: what is held, planned, applied, reported and queued as one.
///
/// Prints as `Shoot shop/prod` or `Seed aws-eu1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// The kind.
    pub kind: Kind,
    /// The project's name for namespaced kinds; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// `metadata.name`.
    pub name: String,
}

impl Owner {
    /// The owner of a cluster-scoped kind.
    #[must_use]
    pub fn cluster(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, project: String::new(), name: name.into() }
    }

    /// The owner of a kind that lives in a project.
    #[must_use]
    pub fn project(kind: Kind, project: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, project: project.into(), name: name.into() }
    }

    /// `project/name`, or just `name`.
    #[must_use]
    pub fn key(&self) -> String {
        if self.project.is_empty() { self.name.clone() } else { format!("{}/{}", self.project, self.name) }
    }

    /// The value of the owner label: `shoot.shop.prod`. Unique, and a valid label value as long as names are.
    #[must_use]
    pub fn label(&self) -> String {
        let kind = self.kind.name().to_ascii_lowercase();
        if self.project.is_empty() { format!("{kind}.{}", self.name) } else { format!("{kind}.{}.{}", self.project, self.name) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key())
    }
}

/// The cluster that an object lives in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The garden cluster.
    Garden,
    /// A seed cluster, by the seed's name.
    Seed(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Garden => f.write_str("garden"),
            Self::Seed(name) => write!(f, "seed-{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("seed-") {
            Some(name) if !name.is_empty() => Ok(Self::Seed(name.to_owned())),
            _ if text == "garden" => Ok(Self::Garden),
            _ => Err(format!("`{text}` is neither `garden` nor `seed-<name>`")),
        }
    }
}
