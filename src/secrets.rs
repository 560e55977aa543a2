//! Which certificate authorities, certificates, keys and tokens a control plane needs, and which of them are missing.
//!
//! Pure: says what is wanted and what must be made; `apply` makes it, and nothing is used before it was read back. Bodies never
//! enter this module's outputs except as [`Bodies`], which has no `Debug` and is wiped when dropped.

use std::collections::BTreeMap;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::landscape::Target;

mod ensure;
mod name;
mod wanted;
pub mod wildcard;

pub use ensure::{Ensured, ensure};
pub use wanted::{DIGEST_KEY, configs, wanted};

/// One secret that an owner wants to exist, by its configuration name (`ca`, `kube-apiserver`, `service-account-key`, …).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// The configuration name: stable, part of the object's name.
    pub config: String,
    /// What it is.
    pub recipe: Recipe,
    /// Kept through a rotation (two generations).
    pub keep_old: bool,
    /// Label `persist=true`.
    pub persist: bool,
}

/// How a secret is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Recipe {
    /// A certificate authority, ten years. Its bundle is a Secret of its own.
    Authority {
        /// Common name.
        common_name: String,
    },
    /// The bundle of an authority: current and, during a rotation, old certificate under `bundle.crt`.
    Bundle {
        /// Configuration name of the authority (or of `service-account-key`).
        of: String,
    },
    /// A certificate signed by an authority.
    Certificate {
        /// Configuration name of the authority.
        authority: String,
        /// Common name.
        common_name: String,
        /// Organisations (`O`).
        organizations: Vec<String>,
        /// DNS names.
        dns_names: Vec<String>,
        /// IP addresses.
        ip_addresses: Vec<String>,
        /// Server authentication.
        server: bool,
        /// Client authentication.
        client: bool,
    },
    /// A key that signs service-account tokens (`id_rsa`, PKCS#8 or PKCS#1 PEM).
    SigningKey,
    /// 32 random bytes for encryption at rest.
    EncryptionKey,
    /// The `EncryptionConfiguration` file, from the encryption key.
    EncryptionConfiguration {
        /// Resources to encrypt.
        resources: Vec<String>,
    },
    /// `static_tokens.csv` with the health check's token.
    StaticToken,
    /// An SSH key pair for nodes.
    SshKeyPair,
    /// User name and password.
    BasicAuth {
        /// The user.
        user: String,
    },
    /// A static key for VPN.
    VpnAuth,
    /// A kubeconfig that reads its token from a file.
    Kubeconfig {
        /// Cluster, user and context name.
        name: String,
        /// Server URL.
        server: String,
        /// Configuration name of the authority that signed the server.
        authority: String,
    },
    /// A kubeconfig with a client certificate.
    ClientKubeconfig {
        /// Cluster, user and context name.
        name: String,
        /// Server URL.
        server: String,
        /// Configuration name of the authority that signed the server.
        server_authority: String,
        /// Configuration name of the authority that signs the client.
        authority: String,
        /// Common name.
        common_name: String,
        /// Organisations.
        organizations: Vec<String>,
    },
    /// A random key of our own, such as the one for keyed digests.
    RandomKey,
}

/// A secret that must be made before anything that names it can be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Generate {
    /// The cluster.
    pub target: Target,
    /// The namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// What to make.
    pub wanted: Wanted,
    /// Labels of the Secret object as Gardener's secrets manager writes them.
    pub labels: BTreeMap<String, String>,
    /// Names of existing Secrets whose bodies the recipe reads: configuration name to object name; the older of two generations
    /// stands under the configuration name with `.old` at its end. A bundle reads `<of>` and `<of>.old`, a certificate and a client
    /// kubeconfig their authority (`ca.crt`, `ca.key`), a kubeconfig an authority or its bundle under the authority's name.
    pub reads: BTreeMap<String, String>,
    /// Why it is made now.
    pub reason: String,
}

/// The kinds of objects whose bodies are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum BodyKind {
    /// A Secret.
    Secret,
    /// A `ConfigMap` that people keep in the garden, such as an audit policy.
    ConfigMap,
}

impl BodyKind {
    /// The kind's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// The kind's name in paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::ConfigMap => "configmaps",
        }
    }

    /// The kind of an object's key; `None` if bodies of its kind are not read.
    #[must_use]
    pub fn of(group: &str, kind: &str) -> Option<Self> {
        [Self::Secret, Self::ConfigMap].into_iter().find(|known| group.is_empty() && known.name() == kind)
    }
}

/// The address of a Secret (or `ConfigMap`) whose body an evaluation reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SecretRef {
    /// The cluster.
    pub target: Target,
    /// The kind.
    pub kind: BodyKind,
    /// The namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl SecretRef {
    /// The address of a Secret.
    #[must_use]
    pub fn secret(target: Target, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { target, kind: BodyKind::Secret, namespace: namespace.into(), name: name.into() }
    }

    /// The address of a `ConfigMap` of the garden.
    #[must_use]
    pub fn config_map(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { target: Target::Garden, kind: BodyKind::ConfigMap, namespace: namespace.into(), name: name.into() }
    }
}

/// The body of one Secret or `ConfigMap`: data key to bytes.
pub type Body = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Secret bodies fetched for one evaluation and dropped after it. An address with `None` was looked up and does not exist.
///
/// Has no `Debug` and no `Serialize`; wiped when dropped.
#[derive(Clone, Default)]
pub struct Bodies(pub BTreeMap<SecretRef, Option<Body>>);

/// The objects that stand for one configuration name now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Names {
    /// The object to use.
    pub current: String,
    /// The one before, during a rotation.
    pub old: Option<String>,
    /// A checksum that changes whenever the object is another one.
    pub checksum: String,
    /// Whether its body is no secret: the bundle of an authority.
    pub public: bool,
}
