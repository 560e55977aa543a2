//! Against real Kubernetes binaries, from the folder that `KUBEBUILDER_ASSETS` names; without it, each test says why it is skipped.
//! The conformance cases also run without them: against what the real API server answered when they were recorded.

mod boot;
mod claims;
mod conformance;
mod controllers;
mod differ;
#[path = "../it/fleet.rs"]
#[allow(dead_code, reason = "shared with the other integration tests")]
mod fleet;
mod kubectl;
mod quotas;
mod rendered;
mod roles;
mod server;
mod settled;
mod taken;
mod types;
