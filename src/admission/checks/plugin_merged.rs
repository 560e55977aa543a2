//! What a namespaced cloud profile and its parent are together.

use std::collections::BTreeSet;

use serde_json::Value;

use super::prelude::*;
use crate::admission::check::Raised;
use crate::admission::judge;

rules! {
    /// A namespaced profile merged over its parent is a cloud profile that follows the rules for cloud profiles (V-262).
    ///
    /// What the namespaced profile or its parent does wrong by itself is said there.
    "NAMESPACED-MERGED", "a namespaced profile does not go together with its parent", NamespacedCloudProfile, merged as Plugin("NamespacedCloudProfileValidator");
    /// A profile does not begin to offer an image that a namespaced profile of it has under the same name, nor give up a capability
    /// that one uses (V-263).
    "PROFILE-CHILD", "a namespaced profile of this one would not fit any more", CloudProfile, children as Plugin("ResourceReferenceManager");
}

/// What static validation says about a profile, as if it had been accepted as it is.
fn problems(cx: &Cx<'_>, profile: &Value) -> Vec<Raised> {
    let owner = Owner::cluster(Kind::CloudProfile, profile.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default());
    let node = Node::root(profile);
    judge::statically(&Cx { owner: &owner, new: node.clone(), written: node.clone(), old: Some(node), now: cx.now, world: cx.world, noted: cx.noted })
}

/// A namespaced profile merged over a profile, as a profile.
fn together(parent: &Value, child: &Value) -> Value {
    let mut all = parent.clone();
    if let (Some(all), Some(spec)) = (all.as_object_mut(), offer::merged(parent, child).get("spec")) {
        all.insert("spec".to_owned(), spec.clone());
    }
    all
}

fn merged(cx: &Cx<'_>, out: &mut Out) {
    let owner = Owner::cluster(Kind::CloudProfile, cx.new.at("spec/parent/name").str());
    let (Some(parent), Some(child)) = (cx.object(&owner).manifest(), cx.new.value()) else { return };
    let said: BTreeSet<String> = out.raised.iter().chain(&problems(cx, parent)).map(|raised| raised.message.clone()).collect();
    let spec = cx.new.get("spec");
    let mut found = problems(cx, &together(parent, child));
    found.retain(|raised| !said.contains(&raised.message));
    for raised in found {
        let field = raised.cause().map(|cause| cause.field).unwrap_or_default();
        let one = out.refused(&spec, format!("together with {owner}, `{field}` cannot be used: {}", raised.message));
        one.help = raised.help;
    }
}

/// The namespaced profiles of this one.
fn namespaced<'a>(cx: &Cx<'a>) -> Vec<(&'a Owner, Node<'a>)> {
    let all = cx.others(Kind::NamespacedCloudProfile).map(|(owner, manifest)| (owner, Node::root(manifest)));
    all.filter(|(_, child)| child.at("spec/parent/name").str() == cx.owner.name).collect()
}

fn children(cx: &Cx<'_>, out: &mut Out) {
    if cx.is_new() {
        return;
    }
    let (images, before) = (cx.new.at("spec/machineImages"), cx.before("spec/machineImages"));
    let new: Vec<Node<'_>> = images.items().iter().map(|image| image.get("name")).filter(|name| offer::entry(&before, name.str()).is_none()).collect();
    let (kept, had) = (cx.new.at("spec/machineCapabilities"), cx.before("spec/machineCapabilities"));
    let gone: Vec<String> = had.items().iter().flat_map(|old| lost(old, &kept)).collect();
    if new.is_empty() && gone.is_empty() {
        return;
    }
    for (owner, child) in namespaced(cx) {
        let own = child.at("spec/machineImages");
        for name in new.iter().filter(|name| offer::entry(&own, name.str()).is_some()) {
            out.refused(name, format!("{owner} has a machine image {} of its own", name.shown()))
                .help("remove it there first, or give one of the two another name");
        }
        let used = used(&child);
        for capability in gone.iter().filter(|capability| used.contains(*capability)) {
            out.refused(&kept, format!("the capability `{capability}` is removed, but still used by {owner}")).help("change its images and machine types first");
        }
    }
}

/// Which values of a capability a profile does not define any more, as `name=value`.
fn lost(old: &Node<'_>, kept: &Node<'_>) -> Vec<String> {
    let name = old.get("name").str();
    let now = offer::entry(kept, name).map(|definition| definition.get("values").items()).unwrap_or_default();
    let values = old.get("values").items();
    values.iter().filter(|value| !now.iter().any(|n| n.same(value))).map(|value| format!("{name}={}", value.str())).collect()
}

/// Which values of capabilities the machine types and images of a profile name, as `name=value`.
fn used(profile: &Node<'_>) -> BTreeSet<String> {
    let versions = profile.at("spec/machineImages").items().into_iter().flat_map(|image| image.get("versions").items());
    let flavors = versions.flat_map(|version| version.get("capabilityFlavors").items());
    let types = profile.at("spec/machineTypes").items().into_iter().map(|machine| machine.get("capabilities"));
    let named = flavors.chain(types).flat_map(|map| map.entries());
    named.flat_map(|(name, values)| values.items().into_iter().map(move |value| format!("{name}={}", value.str()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_profile_and_its_child_are_one_profile() {
        let parent = json!({"kind": "CloudProfile", "metadata": {"name": "p"}, "spec": {"type": "aws", "machineTypes": [{"name": "a"}]}});
        let child = json!({"kind": "NamespacedCloudProfile", "metadata": {"name": "c"}, "spec": {"machineTypes": [{"name": "b"}]}});
        let all = together(&parent, &child);
        assert_eq!(all["metadata"]["name"], "p");
        assert_eq!(all["spec"]["machineTypes"], json!([{"name": "a"}, {"name": "b"}]));
    }
}
