//! What in Gardener needs a right of its own, whoever may write the rest of the object.
//!
//! The answer is [`crate::admission::Authority`]'s: by default, whoever can merge a change may do all of it.

use std::collections::BTreeSet;

use super::prelude::*;
use crate::admission::Deed;

rules! {
    /// Choosing the seed of a new shoot needs the right to bind shoots (V-322).
    ///
    /// In Git, whoever may merge to the shoot's path has it, unless the landscape's authority says otherwise.
    "SHOOT-BIND-RIGHT", "the seed may not be chosen", Shoot, bind as Plugin("ShootValidator");
    /// Another binding of credentials needs the right to read the credentials before and after (V-332).
    ///
    /// In Git, whoever may merge to the shoot's path has it, unless the landscape's authority says otherwise.
    "SHOOT-CREDENTIALS-RIGHT", "the credentials may not be changed", Shoot, credentials as Plugin("ShootValidator");
    /// A shoot that hosts its own control plane needs the right `mark-self-hosted` (V-375).
    ///
    /// In Git, whoever may merge to the shoot's path has it, unless the landscape's authority says otherwise.
    "SHOOT-SELFHOSTED-RIGHT", "the shoot may not host its own control plane", Shoot, hosts as Plugin("CustomVerbAuthorizer");
    /// The whitelist of tolerations and the people of a project need rights of their own (V-375).
    ///
    /// They are `modify-spec-tolerations-whitelist` and `manage-members`; the owner can always be added. In Git, whoever may merge
    /// to the project's path has them, unless the landscape's authority says otherwise.
    "PROJECT-RIGHT", "a part of the project may not be changed", Project, whitelist as Plugin("CustomVerbAuthorizer"), members as Plugin("CustomVerbAuthorizer");
    /// Versions, images and the provider's configuration of a namespaced profile need rights of their own (V-375).
    ///
    /// They are `modify-spec-kubernetes`, `modify-spec-machineimages` and `modify-spec-providerconfig`. In Git, whoever may merge
    /// to the profile's path has them, unless the landscape's authority says otherwise.
    "NAMESPACED-RIGHT", "a part of the profile may not be changed", NamespacedCloudProfile, profile as Plugin("CustomVerbAuthorizer");
}

/// Says that something is not allowed.
fn ask(cx: &Cx<'_>, out: &mut Out, deed: Deed, node: &Node<'_>) {
    if let Err(why) = cx.may(deed) {
        out.refused(node, format!("`{}` may not be {} by whoever changed it: {why}", node.field(), node.shown()))
            .help(format!("let somebody who has the right `{}` change it", deed.verb()));
    }
}

fn bind(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/seedName");
    if cx.is_new() && !node.is_empty() {
        ask(cx, out, Deed::Bind, &node);
    }
}

fn credentials(cx: &Cx<'_>, out: &mut Out) {
    let (new, old) = (cx.new.at("spec/credentialsBindingName"), cx.before("spec/credentialsBindingName"));
    if !cx.is_new() && !new.is_empty() && !old.is_empty() && !new.same(&old) {
        ask(cx, out, Deed::ReadCredentials, &new);
    }
}

/// The pool that hosts the control plane.
fn own<'a>(shoot: &Node<'a>) -> Option<Node<'a>> {
    shoot.at("spec/provider/workers").items().iter().map(|pool| pool.get("controlPlane")).find(Node::is_set)
}

fn hosts(cx: &Cx<'_>, out: &mut Out) {
    if let (Some(node), None) = (own(&cx.new), cx.old.as_ref().and_then(own)) {
        ask(cx, out, Deed::MarkSelfHosted, &node);
    }
}

fn whitelist(cx: &Cx<'_>, out: &mut Out) {
    let (new, old) = (cx.new.at("spec/tolerations/whitelist"), cx.before("spec/tolerations/whitelist"));
    if !new.alike(&old) {
        ask(cx, out, Deed::ModifyTolerationsWhitelist, &new);
    }
}

/// The people among the members, but for the owner.
fn people<'a>(members: &Node<'a>, owner: &Node<'a>) -> BTreeSet<&'a str> {
    let person = |member: &Node<'_>| member.get("kind").str() == "User" && !member.get("name").str().starts_with("system:serviceaccount:");
    members.items().iter().filter(|member| person(member)).map(|member| member.get("name").str()).filter(|name| *name != owner.get("name").str()).collect()
}

fn members(cx: &Cx<'_>, out: &mut Out) {
    let (node, owner) = (cx.new.at("spec/members"), cx.new.at("spec/owner"));
    if people(&node, &owner) != people(&cx.before("spec/members"), &owner) {
        ask(cx, out, Deed::ManageMembers, &node);
    }
}

fn profile(cx: &Cx<'_>, out: &mut Out) {
    let parts = [
        ("spec/kubernetes", Deed::ModifyKubernetes),
        ("spec/machineImages", Deed::ModifyMachineImages),
        ("spec/providerConfig", Deed::ModifyProviderConfig),
    ];
    for (path, deed) in parts {
        let (new, old) = (cx.new.at(path), cx.before(path));
        if !new.alike(&old) {
            ask(cx, out, deed, &new);
        }
    }
}
