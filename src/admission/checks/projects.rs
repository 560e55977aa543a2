//! Projects: who owns them and who belongs to them.

use std::collections::BTreeSet;

use super::prelude::*;

rules! {
    /// The namespace of a project is `garden` or begins with `garden-` (V-288).
    "PROJECT-NAMESPACE", "the namespace of a project is not usable", Project, namespace;
    /// Owner and members are users, groups or service accounts with a name (V-291).
    "PROJECT-SUBJECT", "a person or group cannot be understood", Project, subjects;
    /// Nobody is a member twice, and roles are known ones (V-292, V-293).
    "PROJECT-MEMBER", "a member of a project is not usable", Project, members;
    /// A project has one owner, who cannot be removed again (V-290, V-294).
    ///
    /// Gardener makes whoever creates a project its owner. A file in Git has many authors, so the owner is to be named.
    "PROJECT-OWNER", "a project does not have one owner", Project, owner;
    /// Description and purpose say something (V-295).
    "PROJECT-TEXT", "a text is empty", Project, texts;
    /// Tolerations that every shoot gets are on the whitelist (V-296).
    "PROJECT-TOLERATION", "a default toleration is not on the whitelist", Project, tolerations;
    /// Deletion by two persons is a matter of shoots (V-297).
    "PROJECT-APPROVAL", "dual approval cannot be understood", Project, approval;
}

const ROLES: [&str; 5] = ["owner", "admin", "viewer", "uam", "serviceaccountmanager"];

fn namespace(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/namespace");
    let taken = ["gardener-system-seed-lease", "gardener-system-shoot-issuer", "gardener-system-public"];
    if node.is_set() && (taken.contains(&node.str()) || !(node.str() == "garden" || node.str().starts_with("garden-"))) {
        out.invalid(&node, format!("{} is no namespace for a project", node.shown())).help(format!("for example `garden-{}`", cx.owner.name));
    }
}

fn subjects(cx: &Cx<'_>, out: &mut Out) {
    let spec = cx.new.get("spec");
    let single = [spec.get("owner"), spec.get("createdBy")].into_iter().filter(Node::is_set);
    for subject in single.chain(spec.get("members").items()) {
        let (kind, name, namespace, group) = (subject.get("kind"), subject.get("name"), subject.get("namespace"), subject.get("apiGroup"));
        if name.is_empty() {
            out.required(&name, "a name is missing");
        }
        match kind.str() {
            "User" | "Group" => {
                if group.is_set() && group.str() != "rbac.authorization.k8s.io" {
                    out.not_supported(&group, format!("{} is not the group of users", group.shown())).help("use `rbac.authorization.k8s.io`, or leave it out");
                }
                if !namespace.is_empty() {
                    out.forbidden(&namespace, "users and groups have no namespace").help("remove it");
                }
            }
            "ServiceAccount" => {
                if namespace.is_empty() {
                    out.required(&namespace, "a service account has a namespace");
                }
                if !group.is_empty() {
                    out.not_supported(&group, "a service account has no API group").help("remove it");
                }
            }
            _ => {
                out.not_supported(&kind, format!("{} cannot be a member", kind.shown())).help("use `User`, `Group` or `ServiceAccount`");
            }
        }
    }
}

/// Who a subject is, however it is written.
fn identity(subject: &Node<'_>) -> (String, String) {
    let (kind, name) = (subject.get("kind").str(), subject.get("name").str());
    if kind == "ServiceAccount" {
        return ("User".to_owned(), format!("system:serviceaccount:{}:{name}", subject.get("namespace").str()));
    }
    (kind.to_owned(), name.to_owned())
}

fn roles<'a>(member: &Node<'a>) -> Vec<Node<'a>> {
    std::iter::once(member.get("role")).filter(Node::is_set).chain(member.get("roles").items()).collect()
}

fn members(cx: &Cx<'_>, out: &mut Out) {
    let mut seen = BTreeSet::new();
    for member in cx.new.at("spec/members").items() {
        if !seen.insert(identity(&member)) {
            out.duplicate(&member.get("name"), format!("{} is a member twice", member.get("name").shown())).help("give one entry all roles");
        }
        let mut given = BTreeSet::new();
        for role in roles(&member) {
            let extension = role.str().strip_prefix("extension:");
            if extension.is_none() && !ROLES.contains(&role.str()) {
                out.not_supported(&role, format!("{} is no role", role.shown())).help(format!("possible are {} and `extension:…`", listed(ROLES)));
            } else if extension.is_some_and(|e| e.len() > 20) {
                out.too_long(&role, format!("the role {} is too long", role.shown())).help("at most 20 characters behind `extension:`");
            }
            if !given.insert(role.str()) {
                out.duplicate(&role, format!("the role {} is given twice", role.shown()));
            }
        }
    }
}

fn owner(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/owner");
    if !node.is_set() {
        let help = "add `owner: {kind: User, name: …}`, or a member with the role `owner`";
        if cx.before("spec/owner").is_set() {
            out.invalid(&node, "the owner of a project cannot be removed").help(help);
        } else {
            out.warning(&node, "the project has no owner").help(help);
        }
    }
    let members = cx.new.at("spec/members").items();
    let owners: Vec<&Node<'_>> = members.iter().filter(|m| roles(m).iter().any(|r| r.str() == "owner")).collect();
    if let [first, second, ..] = owners[..] {
        out.invalid(&second.get("name"), format!("{} is a second owner", second.get("name").shown())).and(first, "the first one").help("a project has one owner");
    } else if let ([only], true) = (&owners[..], node.is_set())
        && identity(only) != identity(&node)
    {
        out.invalid(&node.get("name"), format!("the owner is {}, but the role is given to {}", node.get("name").shown(), only.get("name").shown())).and(only, "this member");
    }
}

fn texts(cx: &Cx<'_>, out: &mut Out) {
    for what in ["description", "purpose"] {
        let node = cx.new.at("spec").get(what);
        if node.text() == Some("") {
            out.invalid(&node, format!("the {what} is empty")).help("write something, or leave it out");
        }
    }
}

fn tolerations(cx: &Cx<'_>, out: &mut Out) {
    let tolerations = cx.new.at("spec/tolerations");
    let allowed = tolerations.get("whitelist").items();
    for default in tolerations.get("defaults").items() {
        let covers = |a: &Node<'_>| a.get("key").same(&default.get("key")) && (!a.get("value").is_set() || a.get("value").same(&default.get("value")));
        if !allowed.iter().any(covers) {
            out.invalid(&default, format!("the toleration {} is not on the whitelist", default.get("key").shown())).and(&tolerations.get("whitelist"), "the whitelist");
        }
    }
}

fn approval(cx: &Cx<'_>, out: &mut Out) {
    for entry in cx.new.at("spec/dualApprovalForDeletion").items() {
        let node = entry.get("resource");
        if node.str() != "shoots" {
            out.invalid(&node, format!("{} cannot be protected by dual approval", node.shown())).help("use `shoots`");
        }
    }
}
