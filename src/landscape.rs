//! The model: every object of a landscape, typed in Gardener's own shapes and linked by key.
//!
//! [`load`] reads a snapshot's claimed paths (`design` §2). Every document there is an object, or broken, or of unknown identity;
//! none is ignored. Knows nothing of what was accepted before, of clusters, or of which values make sense.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::document::Document;
use crate::finding::{Finding, Findings, On, Place, Pointer};
use crate::snapshot::RepoPath;

pub mod acknowledgement;
mod amend;
pub mod bindings;
pub mod cloud_profile;
mod codes;
pub mod config;
pub mod controller_deployment;
pub mod controller_registration;
mod decode;
pub mod exposure_class;
mod file;
pub mod kubelet;
mod link;
mod load;
pub mod managed_seed;
pub mod meta;
pub mod namespaced_cloud_profile;
pub mod nearest;
pub mod operation;
pub mod order;
pub mod owner;
mod paste;
mod paths;
pub mod project;
pub mod quota;
pub mod schema;
mod secret;
pub mod seed;
pub mod shape;
pub mod shoot;
pub mod shoot_kubernetes;
pub mod shoot_status;
pub mod shoot_worker;
pub mod workload_identity;
mod written;

pub use acknowledgement::Acknowledgement;
pub use amend::{amend, differing_shoots, is_same_document};
pub use bindings::{CredentialsBinding, SecretBinding};
pub use cloud_profile::{CloudProfile, CloudProfileSpec};
pub use codes::CODES;
pub use config::LandscapeConfig;
pub use controller_deployment::ControllerDeployment;
pub use controller_registration::ControllerRegistration;
pub use exposure_class::ExposureClass;
pub use file::read_object;
pub use load::{FileMemo, is_manifest, is_overlay, load};
pub use managed_seed::ManagedSeed;
pub use namespaced_cloud_profile::NamespacedCloudProfile;
pub use operation::Operation;
pub use owner::{Kind, Owner, Target};
pub use project::Project;
pub use quota::Quota;
pub use seed::Seed;
pub use shoot::Shoot;
pub use workload_identity::WorkloadIdentity;
pub use written::written;

/// A typed object together with what it was read from.
#[derive(Debug)]
pub struct Sourced<T> {
    /// The object.
    pub spec: Arc<T>,
    /// The manifest as written, without null fields and without what a server put there.
    pub value: Arc<Value>,
    /// The text.
    pub document: Arc<Document>,
}

impl<T> Clone for Sourced<T> {
    fn clone(&self) -> Self {
        Self { spec: Arc::clone(&self.spec), value: Arc::clone(&self.value), document: Arc::clone(&self.document) }
    }
}

impl<T> Sourced<T> {
    /// The place of a field's value, or of its nearest ancestor.
    #[must_use]
    pub fn place(&self, pointer: &str) -> Place {
        self.document.place(&Pointer::from(pointer), On::Value)
    }

    /// The place of a field's key, or of its nearest ancestor.
    #[must_use]
    pub fn key_place(&self, pointer: &str) -> Place {
        self.document.place(&Pointer::from(pointer), On::Key)
    }
}

/// Distances of regions to regions.
pub type Distances = BTreeMap<String, BTreeMap<String, i64>>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $field:ident: $type:ty;)*) => {
        /// Every object of a landscape.
        ///
        /// An owner is in the map of its kind, or in `broken`, never in both.
        #[derive(Debug, Clone, Default)]
        pub struct Landscape {
            /// The landscape's name; empty while `landscape.yaml` is missing or does not say.
            pub name: String,
            /// `landscape.yaml`.
            pub landscape: Option<Sourced<LandscapeConfig>>,
            $($(#[$doc])* pub $field: BTreeMap<Owner, Sourced<$type>>,)*
            /// Objects whose identity is known and whose content is unusable, with the errors. Whoever was accepted and is
            /// neither here nor in a map is gone; a broken owner that was never accepted may be a renamed one.
            pub broken: BTreeMap<Owner, Findings>,
            /// Documents without a known identity: nothing may be deleted while there is any.
            pub unknown: Vec<Place>,
            /// Files of `policies/`, `templates/` and `schemas/`, to be laid over those built into the program.
            pub overlays: BTreeMap<RepoPath, Arc<str>>,
            /// What changes cost, accepted in words, in the order of their files.
            pub acknowledgements: Vec<Sourced<Acknowledgement>>,
            /// Encrypted Secrets by project and name.
            pub credentials: BTreeMap<(String, String), Place>,
            /// Region distances by the name of the cloud profile that they are for.
            pub distances: BTreeMap<String, Distances>,
        }

        /// A typed object of any kind.
        #[derive(Debug, Clone)]
        pub(crate) enum Object {
            Landscape(Sourced<LandscapeConfig>),
            $($kind(Sourced<$type>),)*
        }

        impl Object {
            /// Decodes a value that passed the check of its shape.
            fn decode(owner: &Owner, value: &Arc<Value>, document: &Arc<Document>) -> Result<Self, Box<Finding>> {
                match owner.kind {
                    Kind::Landscape => Ok(Self::Landscape(sourced(owner, value, document)?)),
                    $(Kind::$kind => Ok(Self::$kind(sourced(owner, value, document)?)),)*
                }
            }

            /// The manifest.
            fn value(&self) -> &Arc<Value> {
                match self {
                    Self::Landscape(object) => &object.value,
                    $(Self::$kind(object) => &object.value,)*
                }
            }
        }

        impl Landscape {
            fn put(&mut self, owner: Owner, object: Object) {
                match object {
                    Object::Landscape(object) => {
                        self.name.clone_from(&owner.name);
                        self.landscape = Some(object);
                    }
                    $(Object::$kind(object) => drop(self.$field.insert(owner, object)),)*
                }
            }

            fn remove(&mut self, owner: &Owner) {
                match owner.kind {
                    Kind::Landscape => self.landscape = None,
                    $(Kind::$kind => drop(self.$field.remove(owner)),)*
                }
            }

            /// Every typed object of every kind, in the order of kinds and names.
            pub fn objects(&self) -> impl Iterator<Item = (Owner, &Arc<Value>, &Arc<Document>)> {
                let config = self.landscape.iter().map(|o| (Owner::cluster(Kind::Landscape, self.name.clone()), &o.value, &o.document));
                let mut all: Vec<(Owner, &Arc<Value>, &Arc<Document>)> = config.collect();
                $(all.extend(self.$field.iter().map(|(owner, o)| (owner.clone(), &o.value, &o.document)));)*
                all.into_iter()
            }

            fn source(&self, owner: &Owner) -> Option<(&Arc<Value>, &Arc<Document>)> {
                match owner.kind {
                    Kind::Landscape => {
                        self.landscape.as_ref().filter(|_| self.name == owner.name).map(|o| (&o.value, &o.document))
                    }
                    $(Kind::$kind => self.$field.get(owner).map(|o| (&o.value, &o.document)),)*
                }
            }

            /// The names of a kind in a project (empty for cluster-scoped kinds).
            fn names(&self, kind: Kind, project: &str) -> Vec<&str> {
                match kind {
                    Kind::Landscape => vec![self.name.as_str()],
                    $(Kind::$kind => self.$field.keys().filter(|o| o.project == project).map(|o| o.name.as_str()).collect(),)*
                }
            }
        }
    };
}

kinds! {
    /// What providers offer.
    CloudProfile cloud_profiles: CloudProfile;
    /// How API servers are exposed.
    ExposureClass exposure_classes: ExposureClass;
    /// How extensions are installed.
    ControllerDeployment controller_deployments: ControllerDeployment;
    /// What extensions are responsible for.
    ControllerRegistration controller_registrations: ControllerRegistration;
    /// Clusters that host control planes.
    Seed seeds: Seed;
    /// Tenants.
    Project projects: Project;
    /// Projects' variations of cloud profiles.
    NamespacedCloudProfile namespaced_cloud_profiles: NamespacedCloudProfile;
    /// Limits on what credentials are used for.
    Quota quotas: Quota;
    /// Identities that providers trust.
    WorkloadIdentity workload_identities: WorkloadIdentity;
    /// Credentials by reference to a Secret.
    SecretBinding secret_bindings: SecretBinding;
    /// Credentials by reference to a Secret or a WorkloadIdentity.
    CredentialsBinding credentials_bindings: CredentialsBinding;
    /// Kubernetes clusters.
    Shoot shoots: Shoot;
    /// Shoots that are used as seeds.
    ManagedSeed managed_seeds: ManagedSeed;
    /// One-shot requests.
    Operation operations: Operation;
}

fn sourced<T: serde::de::DeserializeOwned>(
    owner: &Owner,
    value: &Arc<Value>,
    document: &Arc<Document>,
) -> Result<Sourced<T>, Box<Finding>> {
    let spec = decode::typed(owner, value, document)?;
    Ok(Sourced { spec: Arc::new(spec), value: Arc::clone(value), document: Arc::clone(document) })
}

impl Landscape {
    /// `landscape.yaml` as it is written.
    #[must_use]
    pub fn settings(&self) -> Option<&Value> {
        self.landscape.as_ref().map(|landscape| landscape.value.as_ref())
    }

    /// The manifest of an object.
    #[must_use]
    pub fn value(&self, owner: &Owner) -> Option<&Arc<Value>> {
        self.source(owner).map(|(value, _)| value)
    }

    /// The text of an object.
    #[must_use]
    pub fn document(&self, owner: &Owner) -> Option<&Arc<Document>> {
        self.source(owner).map(|(_, document)| document)
    }

    /// Whether the repository has something for an owner, usable or not.
    #[must_use]
    pub fn has(&self, owner: &Owner) -> bool {
        self.broken.contains_key(owner) || self.source(owner).is_some()
    }

    /// What the profile that a shoot names offers: a CloudProfile, or a NamespacedCloudProfile together with its parent. `None` if
    /// a link of the chain is missing or broken.
    #[must_use]
    pub fn cloud_profile_of(&self, shoot: &Shoot, project: &str) -> Option<Arc<CloudProfileSpec>> {
        let owner = link::profile(shoot, project)?;
        if owner.kind == Kind::CloudProfile {
            return self.cloud_profiles.get(&owner).map(|profile| Arc::new(profile.spec.spec.clone()));
        }
        let variation = &self.namespaced_cloud_profiles.get(&owner)?.spec.spec;
        let parent = self.cloud_profiles.get(&Owner::cluster(Kind::CloudProfile, variation.parent.name.clone()))?;
        Some(Arc::new(namespaced_cloud_profile::effective(&parent.spec.spec, variation)))
    }
}
