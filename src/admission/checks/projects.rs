//! Projects: what they are called, what they are for, and what their shoots may do. Who belongs to them is looked at with members.

use super::prelude::*;
use crate::admission::shared;

rules! {
    /// The namespace of a project is `garden` or begins with `garden-` (V-288).
    "PROJECT-NAMESPACE", "the namespace of a project is not usable", Project, namespace;
    /// The owner of a project cannot be removed again (V-290).
    ///
    /// Gardener makes whoever creates a project its owner. A file in Git has many authors, so the owner is to be named.
    "PROJECT-OWNER", "a project does not have one owner", Project, owner, named as Espalier;
    /// Description and purpose say something, in letters, digits, spaces and `.,:-_/\` (V-295).
    "PROJECT-TEXT", "a text is empty or not usable", Project, texts;
    /// Tolerations of a project are named once, with keys and values of labels.
    "PROJECT-TOLERATION-FORMAT", "a toleration of a project is not usable", Project, tolerations;
    /// Tolerations that every shoot gets are on the whitelist (V-296).
    "PROJECT-TOLERATION", "a default toleration is not on the whitelist", Project, whitelist;
    /// Deletion by two persons is a matter of shoots (V-297).
    "PROJECT-APPROVAL", "dual approval cannot be understood", Project, approval;
    /// A namespace is of one project (V-371).
    "PROJECT-NAMESPACE-TAKEN", "the namespace is another project's", Project, taken as Plugin("ResourceReferenceManager");
}

/// Namespaces that Gardener has for itself.
const TAKEN: [&str; 3] = ["gardener-system-seed-lease", "gardener-system-shoot-issuer", "gardener-system-public"];

/// Whether the project claims a namespace of Gardener's own. Nothing else is looked at then.
pub(super) fn intrudes(cx: &Cx<'_>) -> bool {
    TAKEN.contains(&cx.written.at("spec/namespace").str())
}

fn namespace(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.written.at("spec/namespace");
    let Some(name) = node.text() else { return };
    let ours = name == "garden" || name.starts_with("garden-");
    let why = match syntax::label(name) {
        _ if TAKEN.contains(&name) => "it is taken".to_owned(),
        _ if !ours => "it begins with something else than `garden-`".to_owned(),
        Err(why) => why,
        Ok(()) => return,
    };
    out.invalid(&node, format!("{} is no namespace for a project: {why}", node.shown())).help(format!("for example `garden-{}`", cx.owner.name));
}

fn owner(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/owner");
    if !node.is_set() && cx.before("spec/owner").is_set() {
        out.invalid(&node, "the owner of a project cannot be removed").help("add `owner: {kind: User, name: …}`");
    }
}

fn named(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/owner");
    if !node.is_set() && !cx.before("spec/owner").is_set() {
        out.warning(&node, "the project has no owner").help("add `owner: {kind: User, name: …}`, or a member with the role `owner`");
    }
}

fn texts(cx: &Cx<'_>, out: &mut Out) {
    if intrudes(cx) {
        return;
    }
    for what in ["description", "purpose"] {
        let (node, before) = (cx.new.at("spec").get(what), cx.before("spec").get(what));
        let Some(text) = node.text() else { continue };
        if text.is_empty() {
            out.required(&node, format!("the {what} is empty")).help("write something, or leave it out");
        }
        if let Some(wrong) = text.chars().find(|c| !is_plain(*c))
            && (cx.is_new() || !node.same(&before))
        {
            out.forbidden(&node, format!("`{wrong}` is not possible in a {what}")).help("use letters, digits, spaces and `.,:-_/\\`");
        }
    }
}

/// Whether a character is a letter, a digit, a space, or one of a few signs. Numbers that are no digits are none of it.
fn is_plain(c: char) -> bool {
    let raised = matches!(c, '²' | '³' | '¹' | '¼'..='¾' | '\u{2070}'..='\u{2189}' | '\u{2460}'..='\u{24ff}' | '\u{2776}'..='\u{2793}');
    c.is_alphabetic() || (c.is_numeric() && !raised) || c.is_whitespace() || ".,:-_/\\".contains(c)
}

fn tolerations(cx: &Cx<'_>, out: &mut Out) {
    for what in ["defaults", "whitelist"] {
        if !intrudes(cx) {
            shared::tolerations(out, &cx.new.at("spec/tolerations").get(what));
        }
    }
}

fn whitelist(cx: &Cx<'_>, out: &mut Out) {
    if intrudes(cx) {
        return;
    }
    let tolerations = cx.new.at("spec/tolerations");
    let allowed = tolerations.get("whitelist").items();
    for default in tolerations.get("defaults").items() {
        let covers = |a: &Node<'_>| {
            a.get("key").str() == default.get("key").str()
                && (a.get("value").text().is_none() || a.get("value").text() == default.get("value").text())
        };
        if !allowed.iter().any(covers) {
            out.forbidden(&default, format!("the toleration {} is not on the whitelist", default.get("key").shown()))
                .and(&tolerations.get("whitelist"), "the whitelist")
                .help("put it on the whitelist, too");
        }
    }
}

fn approval(cx: &Cx<'_>, out: &mut Out) {
    if intrudes(cx) {
        return;
    }
    let mut seen = Vec::new();
    for entry in cx.new.at("spec/dualApprovalForDeletion").items() {
        let node = entry.get("resource");
        if !shared::missing(out, &node) {
            if node.str() != "shoots" {
                out.not_supported(&node, format!("{} cannot be protected by dual approval", node.shown())).help("use `shoots`");
            }
            if seen.contains(&node.str()) {
                out.duplicate(&node, format!("{} are protected twice", node.shown())).help("join the two selectors");
            }
            seen.push(node.str());
        }
        shared::selector(out, &entry.get("selector"));
    }
}

fn taken(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.written.at("spec/namespace");
    let name = node.str();
    // A project's own namespace cannot be another's unless that one says so, and is looked at for it.
    if name.is_empty() || name == crate::observed::project_namespace(&cx.owner.name) || node.same(&cx.before("spec/namespace")) {
        return;
    }
    let theirs = |owner: &Owner, manifest| {
        let written = Node::root(manifest).at("spec/namespace");
        written.text().map_or_else(|| crate::observed::project_namespace(&owner.name) == name, |written| written == name)
    };
    if let Some((other, _)) = cx.others(Kind::Project).find(|(owner, manifest)| theirs(owner, *manifest)) {
        out.refused(&node, format!("the namespace {} is of {other}", node.shown())).help(format!("for example `garden-{}`", cx.owner.name));
    }
}
