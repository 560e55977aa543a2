//! Capabilities of machines: what a profile defines, and the architectures that follow from it for images and machine types.

use std::collections::BTreeMap;

use super::node::Node;

/// The texts of a list.
pub(crate) fn texts<'a>(list: &Node<'a>) -> Vec<&'a str> {
    list.items().iter().map(Node::str).collect()
}

/// Capabilities that a profile defines, with their values; of two definitions of one name the later counts.
pub(crate) fn defined<'a>(spec: &Node<'a>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let read = |definition: Node<'a>| (definition.get("name").str(), texts(&definition.get("values")));
    spec.get("machineCapabilities").items().into_iter().map(read).collect()
}

/// The architectures that a profile defines as a capability; none if it defines no capabilities.
pub(crate) fn architectures(spec: &Node<'_>) -> Vec<String> {
    defined(spec).get("architecture").into_iter().flatten().map(|&a| a.to_owned()).collect()
}

/// The architectures of the flavors of an image version, of those that its profile defines.
///
/// A flavor that names none has all of them, and so has an image without flavors.
pub(crate) fn of_image(version: &Node<'_>, defined: &[String]) -> Vec<String> {
    let flavors = version.get("capabilityFlavors").items();
    let mut named: Vec<&str> = Vec::new();
    for flavor in &flavors {
        let own = texts(&flavor.get("architecture"));
        if own.is_empty() {
            return defined.to_vec();
        }
        named.extend(own);
    }
    if flavors.is_empty() {
        return defined.to_vec();
    }
    defined.iter().filter(|a| named.contains(&a.as_str())).cloned().collect()
}

/// The architectures of a machine type, of those that its profile defines; all of them if it names none.
pub(crate) fn of_machine(machine: &Node<'_>, defined: &[String]) -> Vec<String> {
    let own = texts(&machine.at("capabilities/architecture"));
    if own.is_empty() {
        return defined.to_vec();
    }
    defined.iter().filter(|a| own.contains(&a.as_str())).cloned().collect()
}
