//! What it costs a shoot that nobody changed when its manifests are rendered otherwise: by the kinds of the objects that differ.

use std::borrow::Cow;

use serde_json::Value;

use super::{Certainty, Impact, Mark};

/// One line of the table.
struct Row {
    kind: &'static str,
    mark: fn(bool) -> Mark,
    certainty: Certainty,
    why: &'static str,
    source: &'static str,
}

/// By kind; the mark follows from whether the control plane survives the failure of a node or a zone.
const ROWS: [Row; 6] = [
    Row {
        kind: "Etcd",
        mark: |available| if available { Mark::RestartsControlPlane } else { Mark::ApiDowntime },
        certainty: Certainty::Likely,
        why: "etcd may restart; without high availability the API server cannot answer meanwhile",
        source: "control-plane-objects.md, etcd",
    },
    Row {
        kind: "Worker",
        mark: |_| Mark::RollsNodes,
        certainty: Certainty::Likely,
        why: "nodes may be replaced: the provider decides which of its settings do that",
        source: "extension-contract.md, Worker",
    },
    Row {
        kind: "Deployment",
        mark: |_| Mark::RestartsControlPlane,
        certainty: Certainty::Likely,
        why: "a deployment of the control plane rolls, if its pods differ",
        source: "control-plane-objects.md",
    },
    Row {
        kind: "StatefulSet",
        mark: |_| Mark::RestartsControlPlane,
        certainty: Certainty::Likely,
        why: "a stateful set of the control plane rolls, if its pods differ",
        source: "control-plane-objects.md",
    },
    Row {
        kind: "ControlPlane",
        mark: |_| Mark::RestartsControlPlane,
        certainty: Certainty::Likely,
        why: "the provider's controllers may restart",
        source: "extension-contract.md, ControlPlane",
    },
    Row {
        kind: "OperatingSystemConfig",
        mark: |_| Mark::RestartsKubelet,
        certainty: Certainty::Likely,
        why: "nodes apply another configuration, which may restart the kubelet",
        source: "extension-contract.md, OperatingSystemConfig",
    },
];

/// What follows from other content of objects of these kinds in the seed, worst first. `shoot` is the manifest with its defaults.
#[must_use]
pub fn of_kinds<'a>(kinds: impl IntoIterator<Item = &'a str>, shoot: &Value) -> Vec<Impact> {
    let available = shoot.pointer("/spec/controlPlane/highAvailability/failureTolerance/type").is_some();
    let kinds: std::collections::BTreeSet<&str> = kinds.into_iter().collect();
    let told = ROWS.iter().filter(|row| kinds.contains(row.kind)).map(|row| Impact {
        mark: (row.mark)(available),
        certainty: row.certainty,
        why: Cow::Borrowed(row.why),
        source: Cow::Borrowed(row.source),
        pools: Vec::new(),
    });
    let mut all: Vec<Impact> = told.collect();
    all.sort_by_key(|impact| std::cmp::Reverse(impact.mark));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn etcd_interrupts_only_where_it_is_alone() {
        let alone = json!({"spec": {}});
        let available = json!({"spec": {"controlPlane": {"highAvailability": {"failureTolerance": {"type": "node"}}}}});
        let marks =
            |shoot: &Value| of_kinds(["Deployment", "Etcd", "ConfigMap"], shoot).iter().map(|i| i.mark).collect::<Vec<_>>();
        assert_eq!(marks(&alone), [Mark::ApiDowntime, Mark::RestartsControlPlane]);
        assert_eq!(marks(&available), [Mark::RestartsControlPlane, Mark::RestartsControlPlane]);
        assert!(of_kinds(["Secret"], &alone).is_empty());
    }
}
