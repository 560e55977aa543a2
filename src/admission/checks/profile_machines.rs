//! Machine types of cloud profiles, the capabilities that they are matched by, and volume types.

use std::collections::BTreeSet;

use super::prelude::*;
use super::profile_images::{ARCHITECTURES, capabilities, definitions};
use crate::admission::capable::texts;
use crate::admission::parts::{self, child, plain_name};
use crate::admission::shared::missing;

rules! {
    /// Machine types have names, once each, and amounts that are not negative (V-250, V-251).
    "PROFILE-MACHINE-TYPE", "a machine type of a profile is not usable", CloudProfile | NamespacedCloudProfile, types;
    /// The architecture of a machine type is known, and its capabilities are those that the profile defines (V-248, V-250).
    "PROFILE-MACHINE-CAPABILITY", "a machine type cannot be matched with images", CloudProfile | NamespacedCloudProfile, capable;
    /// Capabilities have names and values, once each, and one of them is the architecture (V-249).
    ///
    /// They are behind Gardener's feature gate `CloudProfileCapabilities`, which is on unless somebody switches it off.
    "PROFILE-CAPABILITY", "a capability of a profile is not usable", CloudProfile, defined_well;
    /// Volume types have names, once each, classes, and a smallest size that is not negative (V-252).
    "PROFILE-VOLUME-TYPE", "a volume type of a profile is not usable", CloudProfile | NamespacedCloudProfile, volumes;
}

fn named(out: &mut Out, node: &Node<'_>, what: &str) {
    if node.is_empty() {
        out.required(node, format!("a {what} is missing"));
    } else if let Err(why) = plain_name(node.str()) {
        out.invalid(node, format!("{} is no {what}: {why}", node.shown()));
    }
}

fn amounts(out: &mut Out, node: &Node<'_>, keys: &[&str]) {
    for key in keys {
        let amount = node.get(key);
        parts::amount(out, key, &amount, &amount.field());
    }
}

fn types(cx: &Cx<'_>, out: &mut Out) {
    let list = cx.new.at("spec/machineTypes");
    if cx.owner.kind == Kind::CloudProfile {
        missing(out, &list);
    }
    let mut seen = BTreeSet::new();
    for machine in list.items() {
        let (name, storage) = (machine.get("name"), machine.get("storage"));
        named(out, &name, "name of a machine type");
        if !seen.insert(name.str()) {
            out.duplicate(&name, format!("{} is listed twice", name.shown()));
            continue;
        }
        amounts(out, &machine, &["cpu", "gpu", "memory"]);
        if !storage.is_set() {
            continue;
        }
        if storage.get("size").is_set() == storage.get("minSize").is_set() {
            out.invalid(&storage, format!("the disk of {} has either a size or a smallest size", name.shown()))
                .help("write `size` or `minSize`, not both");
        } else {
            amounts(out, &storage, &["size", "minSize"]);
        }
    }
}

fn capable(cx: &Cx<'_>, out: &mut Out) {
    let definitions = definitions(cx);
    let full = cx.owner.kind == Kind::CloudProfile;
    let mut seen = BTreeSet::new();
    for (i, machine) in cx.new.at("spec/machineTypes").items().iter().enumerate() {
        let (architecture, own) = (machine.get("architecture"), machine.get("capabilities"));
        if full && definitions.is_empty() {
            if architecture.is_empty() {
                out.required(&architecture, format!("the architecture of {} is missing", machine.get("name").shown()));
            }
            if !own.is_empty() {
                out.forbidden(&own, "the profile defines no capabilities").help("define them under `spec.machineCapabilities`");
            }
        }
        if !seen.insert(machine.get("name").str()) {
            continue;
        }
        let by_capability = texts(&own.get("architecture"));
        // What follows from the capabilities alone contradicts nothing.
        let written = cx.written.at("spec/machineTypes").items().get(i).is_some_and(|machine| !machine.get("architecture").is_empty());
        if !definitions.is_empty() {
            if by_capability.len() > 1 {
                out.invalid(&own.get("architecture"), "a machine type has one architecture").help("make one machine type for each");
            }
            if let [one] = by_capability.as_slice()
                && written
                && *one != architecture.str()
            {
                out.invalid(&architecture, format!("the architecture {} contradicts the capability `{one}`", architecture.shown()))
                    .and(&own.get("architecture"), "the capability");
            }
            capabilities(out, &own, &definitions);
        }
        if !architecture.is_empty() && !ARCHITECTURES.contains(&architecture.str()) {
            out.not_supported(&architecture, format!("{} is no architecture", architecture.shown())).help("use `amd64` or `arm64`");
        }
    }
}

fn defined_well(cx: &Cx<'_>, out: &mut Out) {
    let list = cx.new.at("spec/machineCapabilities");
    if list.is_empty() {
        return;
    }
    if !cx.gate("CloudProfileCapabilities") {
        out.forbidden(&list, "capabilities are behind the feature gate `CloudProfileCapabilities`, which is off");
    }
    let items = list.items();
    for (i, definition) in items.iter().enumerate() {
        let name = definition.get("name");
        let later = items[i + 1..].iter().any(|other| other.get("name").str() == name.str());
        if items[..i].iter().any(|other| other.get("name").str() == name.str()) {
            out.duplicate(&name, format!("the capability {} is defined twice", name.shown()));
        }
        if name.str().starts_with("gardener-") {
            out.forbidden(&name, format!("names such as {} are Gardener's own", name.shown()));
        }
        // Of two definitions of one name the later counts.
        if !later {
            definition_well(out, &list, definition);
        }
    }
    if !items.iter().any(|definition| definition.get("name").str() == "architecture") {
        out.required(&list, "the capability `architecture` is missing").field(child(&list.field(), "architecture")).help(
            "write `- name: architecture` with the values `amd64` or `arm64`",
        );
    }
}

/// Name and values of one capability.
fn definition_well(out: &mut Out, list: &Node<'_>, definition: &Node<'_>) {
    let (name, values) = (definition.get("name"), definition.get("values"));
    let field = child(&list.field(), name.str());
    if name.is_empty() {
        out.required(&name, "a capability has no name").field(list.field());
    } else if let Err(why) = plain_name(name.str()) {
        out.invalid(&name, format!("{} is no name of a capability: {why}", name.shown())).field(list.field());
    }
    if values.is_empty() {
        out.required(&values, format!("the capability {} has no values", name.shown())).field(field.clone());
    }
    for (i, value) in values.items().iter().enumerate() {
        if value.is_empty() {
            out.required(value, format!("a value of the capability {} is empty", name.shown())).field(format!("{field}[{i}]"));
        } else if let Err(why) = plain_name(value.str()) {
            out.invalid(value, format!("{} is no value of a capability: {why}", value.shown())).field(format!("{field}[{i}]"));
        }
        if name.str() == "architecture" && !ARCHITECTURES.contains(&value.str()) {
            out.invalid(value, format!("{} is no architecture", value.shown())).field(field.clone()).help("use `amd64` or `arm64`");
        }
    }
}

fn volumes(cx: &Cx<'_>, out: &mut Out) {
    let mut seen = BTreeSet::new();
    for volume in cx.new.at("spec/volumeTypes").items() {
        let name = volume.get("name");
        named(out, &name, "name of a volume type");
        if !seen.insert(name.str()) {
            out.duplicate(&name, format!("{} is listed twice", name.shown()));
            // A server looks no further.
            return;
        }
        named(out, &volume.get("class"), "class of a volume type");
        amounts(out, &volume, &["minSize"]);
    }
}
