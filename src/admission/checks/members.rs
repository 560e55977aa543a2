//! Who owns a project and who belongs to it, and in which roles.

use std::collections::BTreeSet;

use super::prelude::*;
use super::projects::intrudes;
use crate::admission::shared;

rules! {
    /// Owner and members are users, groups or service accounts with a name (V-291).
    "PROJECT-SUBJECT", "a person or group cannot be understood", Project, subjects;
    /// Nobody is a member twice, and names of service accounts are whole (V-292).
    "PROJECT-MEMBER", "a member of a project is not usable", Project, members;
    /// Roles are known ones, and each is given once (V-293).
    "PROJECT-ROLE", "a role of a member is not usable", Project, roles;
    /// One member has the role `owner`, and it is the owner (V-294).
    "PROJECT-OWNER-ROLE", "the role of the owner is given to somebody else", Project, second, other as Espalier;
}

const ROLES: [&str; 5] = ["owner", "admin", "viewer", "uam", "serviceaccountmanager"];
const EXTENSION: &str = "extension:";
/// Names of roles of extensions become part of the names of ClusterRoles.
const LONGEST: usize = 20;

/// A name that a user has who is a service account, and whether namespace and name are in it.
fn account(subject: &Node<'_>) -> Option<bool> {
    let name = subject.get("name").str();
    (subject.get("kind").str() == "User" && name.starts_with("system:serviceaccount:")).then(|| name.split(':').count() > 3)
}

/// The members whose names can be understood.
fn understood<'a>(list: &Node<'a>) -> Vec<Node<'a>> {
    list.items().into_iter().filter(|member| account(member) != Some(false)).collect()
}

fn subjects(cx: &Cx<'_>, out: &mut Out) {
    if intrudes(cx) {
        return;
    }
    let spec = cx.new.get("spec");
    let single = [spec.get("owner"), spec.get("createdBy")].into_iter().filter(Node::is_set);
    for subject in single.chain(understood(&spec.get("members"))) {
        one(out, &subject);
    }
}

fn one(out: &mut Out, subject: &Node<'_>) {
    let (kind, name, namespace, group) = (subject.get("kind"), subject.get("name"), subject.get("namespace"), subject.get("apiGroup"));
    let named = !shared::missing(out, &name);
    match kind.str() {
        "User" | "Group" => {
            if group.str() != "rbac.authorization.k8s.io" {
                out.not_supported(&group, format!("{} is not the group of users", group.shown())).help("write `apiGroup: rbac.authorization.k8s.io`");
            }
            if !namespace.is_empty() {
                out.forbidden(&namespace, "users and groups have no namespace").help("remove it");
            }
        }
        "ServiceAccount" => {
            if named && let Err(why) = syntax::subdomain(name.str()) {
                out.invalid(&name, format!("{} is no service account: {why}", name.shown()));
            }
            if !group.is_empty() {
                out.not_supported(&group, "a service account has no API group").help("remove it");
            }
            if !shared::missing(out, &namespace)
                && let Err(why) = syntax::label(namespace.str())
            {
                out.invalid(&namespace, format!("{} is no namespace: {why}", namespace.shown()));
            }
        }
        _ => {
            out.not_supported(&kind, format!("{} cannot be a member", kind.shown())).help("use `User`, `Group` or `ServiceAccount`");
        }
    }
}

/// Who a subject is, however it is written.
fn identity(subject: &Node<'_>) -> (String, String, String, String) {
    let text = |key: &str| subject.get(key).str().to_owned();
    if account(subject) == Some(true) {
        let parts: Vec<&str> = subject.get("name").str().split(':').collect();
        let part = |n: usize| parts.get(n).map(|p| (*p).to_owned()).unwrap_or_default();
        return (String::new(), "ServiceAccount".to_owned(), part(2), part(3));
    }
    (text("apiGroup"), text("kind"), text("namespace"), text("name"))
}

fn members(cx: &Cx<'_>, out: &mut Out) {
    if intrudes(cx) {
        return;
    }
    let mut seen = BTreeSet::new();
    for member in cx.new.at("spec/members").items() {
        let name = member.get("name");
        if account(&member) == Some(false) {
            out.invalid(&name, format!("{} is no whole name of a service account", name.shown()))
                .help("write `system:serviceaccount:<namespace>:<name>`, or use the kind `ServiceAccount`");
        } else if !seen.insert(identity(&member)) {
            out.duplicate(&member, format!("{} is a member twice", name.shown())).help("give one entry all roles");
        }
    }
}

/// The roles of a member in Gardener's order, `role` before `roles`, with Gardener's fields.
fn given<'a>(member: &Node<'a>) -> Vec<(Node<'a>, String)> {
    let first = member.get("role");
    let others = member.get("roles").items().into_iter().filter(|role| first.is_empty() || role.str() != first.str());
    let all = std::iter::once(first.clone()).filter(|role| !role.is_empty()).chain(others);
    all.enumerate().map(|(n, role)| (role, format!("{}.roles[{n}]", member.field()))).collect()
}

fn roles(cx: &Cx<'_>, out: &mut Out) {
    if intrudes(cx) {
        return;
    }
    for member in understood(&cx.written.at("spec/members")) {
        let mut seen = BTreeSet::new();
        for (role, field) in given(&member) {
            if !seen.insert(role.str()) {
                out.duplicate(&role, format!("the role {} is given twice", role.shown())).field(field.clone());
            }
            let Some(extension) = role.str().strip_prefix(EXTENSION) else {
                if !ROLES.contains(&role.str()) {
                    let help = format!("possible are {} and `{EXTENSION}…`", listed(ROLES));
                    out.not_supported(&role, format!("{} is no role", role.shown())).field(field).help(help);
                }
                continue;
            };
            if extension.len() > LONGEST {
                let help = format!("at most {LONGEST} characters behind `{EXTENSION}`");
                out.too_long(&role, format!("the role {} is too long", role.shown())).field(field.clone()).help(help);
            }
            if matches!(extension, "." | "..") || extension.contains(['/', '%']) {
                out.invalid(&role, format!("{} cannot be part of the name of a ClusterRole", role.shown()))
                    .field(field)
                    .help("leave out `/` and `%`");
            }
        }
    }
}

fn second(cx: &Cx<'_>, out: &mut Out) {
    if intrudes(cx) {
        return;
    }
    let all: Vec<_> = understood(&cx.written.at("spec/members")).iter().flat_map(given).collect();
    let mut owners = all.into_iter().filter(|(role, _)| role.str() == "owner");
    let first = owners.next();
    for (role, field) in owners {
        let raised = out.forbidden(&role, "the role `owner` is given twice").field(field);
        if let Some((first, _)) = &first {
            raised.and(first, "first given here").help("a project has one owner");
        }
    }
}

fn other(cx: &Cx<'_>, out: &mut Out) {
    let owner = cx.written.at("spec/owner");
    let members = cx.written.at("spec/members").items();
    let member = members.iter().find(|member| given(member).iter().any(|(role, _)| role.str() == "owner"));
    let same = |member: &Node<'_>| ["kind", "name", "namespace"].iter().all(|key| member.get(key).same(&owner.get(key)));
    if let Some(member) = member.filter(|member| owner.is_set() && !same(member)) {
        let (name, theirs) = (owner.get("name"), member.get("name"));
        out.warning(&name, format!("the owner is {}, but the role is given to {}", name.shown(), theirs.shown()))
            .and(member, "this member")
            .help("give the role to the owner: it is taken from everybody else");
    }
}
