//! The model: every object of a landscape, typed in Gardener's own shapes and linked by key.

pub mod bindings;
pub mod cloud_profile;
pub mod config;
pub mod controller_deployment;
pub mod controller_registration;
pub mod exposure_class;
pub mod kubelet;
pub mod managed_seed;
pub mod meta;
pub mod namespaced_cloud_profile;
pub mod operation;
pub mod owner;
pub mod project;
pub mod quota;
pub mod seed;
pub mod shape;
pub mod shoot;
pub mod shoot_kubernetes;
pub mod shoot_status;
pub mod shoot_worker;
pub mod workload_identity;

pub use bindings::{CredentialsBinding, SecretBinding};
pub use cloud_profile::CloudProfile;
pub use config::LandscapeConfig;
pub use controller_deployment::ControllerDeployment;
pub use controller_registration::ControllerRegistration;
pub use exposure_class::ExposureClass;
pub use managed_seed::ManagedSeed;
pub use namespaced_cloud_profile::NamespacedCloudProfile;
pub use operation::Operation;
pub use owner::{Kind, Owner, Target};
pub use project::Project;
pub use quota::Quota;
pub use seed::Seed;
pub use shoot::Shoot;
pub use workload_identity::WorkloadIdentity;
