//! espalier: a GitOps reconciler for Gardener landscapes. (The architecture page; see the module list.)

pub mod cluster;
pub mod digest;
pub mod document;
pub mod facts;
pub mod finding;
pub mod git;
pub mod graph;
pub mod health;
pub mod landscape;
pub mod memo;
pub mod observed;
pub mod plan;
pub mod render;
pub mod secrets;
pub mod snapshot;
pub mod status;
pub mod value;
