//! Every family of semantic rules, one file each.
//!
//! To add a family, write its file and its name below; to add a rule, write one function and its line in the family's
//! `rules!`. What stands above that line is what `explain` prints.

use super::check::Rule;

macro_rules! checks {
    ($($family:ident),+ $(,)?) => {
        $(mod $family;)+

        /// The rules of all families, in the order in which they look at an object.
        pub(super) static FAMILIES: &[&[Rule]] = &[$($family::RULES),+];
    };
}

checks! {
    metadata, names, references, placement, networks, versions, machines, workers, pool_settings, self_hosted, workerless, kubernetes,
    api_server, api_plugins, feature_gates, autoscaler, kubelet, addons, hibernation, maintenance, dns, immutable, deletion,
    profiles, profile_images, profile_machines, profile_namespaced, profile_versions,
    seeds, seed_dns, seed_networks, seed_settings, seed_update, projects, bindings, not_yet,
    annotations, authority, finalizers, members, quotas, exposure_classes, registrations, deployments, landscape, workload_identities, managed_seeds, agents, operations,
    update_spec, update_versions, update_pools, update_control_plane, update_operations,
    plugin_references, plugin_namespaces, plugin_extensions, plugin_tolerations, plugin_dns, plugin_quota, plugin_scheduling, plugin_moving, plugin_shoot,
    plugin_seeds, plugin_managed_seed, plugin_merged,
}

pub(crate) use not_yet::is_idle;

mod prelude {
    pub(super) use super::super::check::{Cx, Elsewhere, Out, Seen, listed, rules};
    pub(super) use super::super::node::Node;
    pub(super) use super::super::source::Source::{Espalier, Mutation, Plugin};
    pub(super) use super::super::{offer, syntax};
    pub(super) use crate::landscape::{Kind, Owner};
}
