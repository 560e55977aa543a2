//! Node pools: what replaces nodes, what moves bounds, and what nodes get as they are.

use super::{Case, rows};

rows! {
    "spec.provider.workers[]" Recreates Sure Own when "the pool goes" Case::goes;
        "the pool goes: its nodes are drained together, not one by one", "F-080";
    "spec.provider.workers[]" Scales Sure Own when "the pool is new" Case::comes;
        "a pool comes: its nodes are added", "F-080";
    "spec.provider.workers[].machine.type" RollsNodes Sure Own;
        "nodes become machines of another type", "F-080";
    "spec.provider.workers[].machine.architecture" RollsNodes Sure Own;
        "nodes become machines of another architecture", "F-080";
    "spec.provider.workers[].machine.image.name" RollsNodes Sure Own;
        "nodes start from another image", "F-080";
    "spec.provider.workers[].machine.image.version" RollsNodes Sure Own;
        "nodes start from another version of the image", "F-080";
    "spec.provider.workers[].machine.image.providerConfig" RollsNodes Likely Own;
        "the extension of the operating system decides whether nodes are replaced", "extension-contract.md, Worker";
    "spec.provider.workers[].volume.size" RollsNodes Sure Own;
        "nodes get another root disk", "F-080";
    "spec.provider.workers[].volume.type" RollsNodes Sure Own;
        "nodes get another root disk", "F-080";
    "spec.provider.workers[].volume.**" RollsNodes Likely Own;
        "nodes get another root disk, if the provider minds", "extension-contract.md, Worker";
    "spec.provider.workers[].dataVolumes.**" RollsNodes Likely Own;
        "nodes get other data disks, if the provider minds", "extension-contract.md, Worker";
    "spec.provider.workers[].kubeletDataVolumeName" RollsNodes Likely Own;
        "the kubelet's data moves to another disk", "extension-contract.md, Worker";
    "spec.provider.workers[].cri.name" RollsNodes Sure Own;
        "nodes run another container runtime", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].cri.containerRuntimes.**" None Likely Own;
        "further runtimes are installed on running nodes", "extension-contract.md, ContainerRuntime";
    "spec.provider.workers[].providerConfig" RollsNodes Likely Own;
        "the provider chooses which of its settings replace nodes", "extension-contract.md, Worker";
    "spec.provider.workers[].minimum" Scales Sure Own;
        "the autoscaler's lower bound moves", "F-080";
    "spec.provider.workers[].maximum" Scales Sure Own;
        "the autoscaler's upper bound moves", "F-080";
    "spec.provider.workers[].zones" OneWay Sure No when "zones are added" Case::gains;
        "a zone cannot be taken away again", "F-084";
    "spec.provider.workers[].zones" Scales Sure Own when "zones are added" Case::gains;
        "the pool spreads over the new zones", "F-084";
    "spec.provider.workers[].zones" Forbidden Likely No when "zones are removed" Case::loses;
        "providers refuse to take a zone from a pool", "F-084";
    "spec.provider.workers[].name" Recreates Sure Own;
        "renamed, it is another pool: its nodes drain together", "F-080";
    "spec.provider.workers[].updateStrategy" Forbidden Sure No when "rolling becomes in-place or the other way round" strategy_changes;
        "a pool cannot change between replacing its nodes and keeping them", "V-211";
    "spec.provider.workers[].labels.**" None Sure No;
        "nodes get the labels as they are", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].annotations.**" None Sure No;
        "nodes get the annotations as they are", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].taints.**" None Sure No;
        "nodes get the taints as they are; NoExecute evicts pods that do not tolerate it", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].caBundle" None Likely No;
        "nodes trust further authorities", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].sysctls.**" None Likely No;
        "nodes set the parameters as they are", "extension-contract.md, OperatingSystemConfig";
    "spec.provider.workers[].maxSurge" None Sure No;
        "the pace of later replacements", "F-081";
    "spec.provider.workers[].maxUnavailable" None Sure No;
        "the pace of later replacements", "F-081";
    "spec.provider.workers[].priority" None Sure No;
        "which pool the autoscaler prefers from now on", "F-060";
    "spec.provider.workers[].machineControllerManager.**" None Sure No;
        "how machines are watched from now on", "F-067";
    "spec.provider.workers[].clusterAutoscaler.**" None Sure No;
        "how the pool is scaled from now on", "F-060";
    "spec.provider.workers[].systemComponents.**" None Sure No;
        "where system components may run from now on", "extension-contract.md, Worker";
    "spec.provider.workers[].controlPlane.**" RestartsControlPlane Likely No;
        "the cluster hosts its own control plane on these nodes", "V-213";
    "spec.provider.workersSettings.sshAccess.enabled" None Sure No;
        "access by SSH is opened or closed on each node", "F-135";
}

fn strategy_changes(case: &Case<'_>) -> bool {
    let in_place =
        |value: Option<&serde_json::Value>| value.and_then(|v| v.as_str()).is_some_and(|s| s.ends_with("InPlaceUpdate"));
    in_place(case.was) != in_place(case.is)
}
