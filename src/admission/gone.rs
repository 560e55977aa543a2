//! Owners that were accepted and are in Git no more: absence is not deletion.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::check::{Out, listed};
use super::node::Node;
use super::policy::{Policies, Request};
use super::{Accepted, Admitted, CONFIRMATION, Gone, Held, offer};
use crate::finding::{Code, Finding, Findings, Severity};
use crate::landscape::{Kind, Landscape, Owner};
use crate::observed::project_namespace;

/// Decides about every owner that is gone, and says what is missing where it may not be deleted.
pub(super) fn decide(
    landscape: &Landscape,
    accepted: &Accepted,
    absent: &[Owner],
    policies: &Policies,
    admitted: &mut Admitted,
    findings: &mut Findings,
) {
    let unbroken = absent.iter().filter(|owner| !landscape.broken.contains_key(*owner));
    let missing: BTreeMap<&Owner, &Arc<Value>> = unbroken.filter_map(|owner| accepted.0.get_key_value(owner)).collect();
    let (roots, missing): (BTreeMap<_, _>, BTreeMap<_, _>) =
        missing.into_iter().partition(|(owner, _)| owner.kind == Kind::Landscape);
    for owner in roots.into_keys() {
        let said = without_file(owner);
        // Of a document with another name it is said there.
        if landscape.name.is_empty() {
            findings.push(said.clone());
        }
        admitted.held.insert(owner.clone(), Held { findings: vec![said] });
    }
    if missing.is_empty() {
        return;
    }
    // Whoever is deleted in the same pass does not keep what it uses.
    for (owner, manifest) in &missing {
        let confirmed = !needs_confirmation(owner.kind) || is_confirmed(manifest);
        let refused = if confirmed { refusals(owner, manifest, policies) } else { vec![unconfirmed(owner)] };
        settle(owner, refused, admitted, findings);
    }
    let users = users(admitted);
    for (owner, by) in users {
        if missing.contains_key(&owner) && admitted.gone.get(&owner) == Some(&Gone::Confirmed) {
            let message = format!("{owner} is gone from Git, but used by {}", listed(by.iter().map(ToString::to_string)));
            let finding = Finding::error(Code::new("DELETE-IN-USE"), message)
                .of(&owner)
                .help("restore its file, or first move its users elsewhere");
            admitted.gone.remove(&owner);
            settle(&owner, vec![finding], admitted, findings);
        }
    }
    for owner in missing.into_keys() {
        if admitted.gone.get(owner) == Some(&Gone::Confirmed) {
            admitted.objects.remove(owner);
        }
    }
}

fn settle(owner: &Owner, refused: Vec<Finding>, admitted: &mut Admitted, findings: &mut Findings) {
    let held: Vec<Finding> = refused.iter().filter(|f| f.severity == Severity::Error).cloned().collect();
    admitted.gone.insert(owner.clone(), if held.is_empty() { Gone::Confirmed } else { Gone::Unconfirmed });
    if !held.is_empty() {
        admitted.held.insert(owner.clone(), Held { findings: held });
    }
    findings.extend(Findings(refused));
}

/// Whether objects of a kind go only when their deletion was confirmed.
pub(crate) fn needs_confirmation(kind: Kind) -> bool {
    matches!(kind, Kind::Shoot | Kind::Seed | Kind::Project)
}

/// Whether a manifest confirms its own deletion.
pub(crate) fn is_confirmed(manifest: &Value) -> bool {
    Node::root(manifest).at("metadata/annotations").get(CONFIRMATION).text() == Some("true")
}

/// A landscape is there for as long as anybody runs it: what its file said stays.
fn without_file(owner: &Owner) -> Finding {
    Finding::error(
        Code::new("LANDSCAPE-GONE"),
        format!("{owner} is in no file that can be read; its settings stay as they were accepted"),
    )
    .of(owner)
    .help("mend or restore landscape.yaml")
}

fn unconfirmed(owner: &Owner) -> Finding {
    let code = match owner.kind {
        Kind::Seed => "SEED-DELETE-UNCONFIRMED",
        Kind::Project => "PROJECT-DELETE-UNCONFIRMED",
        _ => "SHOOT-DELETE-UNCONFIRMED",
    };
    Finding::error(Code::new(code), format!("{owner} is gone from Git, but its deletion was never confirmed; it stays as it is"))
        .of(owner)
        .help(format!("restore its file with the annotation `{CONFIRMATION}: \"true\"`, and remove it in a later commit"))
}

/// What policies say about a deletion. There is no document to point into.
fn refusals(owner: &Owner, manifest: &Value, policies: &Policies) -> Vec<Finding> {
    let mut out = Out::new(Code::new("INTERNAL-ERROR"));
    policies.judge(&Request { owner, object: None, old: Some(manifest) }, &mut out);
    out.raised
        .into_iter()
        .map(|raised| {
            let mut finding =
                Finding::new(raised.severity, raised.code, format!("{owner} is gone from Git: {}", raised.message)).of(owner);
            finding.help = raised.help;
            finding
        })
        .collect()
}

/// Which objects that stay refer to which others.
fn users(admitted: &Admitted) -> BTreeMap<Owner, Vec<Owner>> {
    let mut users: BTreeMap<Owner, Vec<Owner>> = BTreeMap::new();
    for (owner, manifest) in &admitted.objects {
        if admitted.gone.get(owner) == Some(&Gone::Confirmed) {
            continue;
        }
        for used in references(owner, manifest) {
            users.entry(used).or_default().push(owner.clone());
        }
    }
    users
}

/// The landscape objects that a manifest refers to.
fn references(owner: &Owner, manifest: &Value) -> Vec<Owner> {
    let node = Node::root(manifest);
    let mut out = Vec::new();
    if owner.kind.namespaced() {
        out.push(Owner::cluster(Kind::Project, &owner.project));
    }
    let named = |path: &'static str| node.at(path).text().filter(|n| !n.is_empty());
    match owner.kind {
        Kind::Shoot => {
            out.extend(offer::profile_of(&node, &owner.project));
            out.extend(offer::binding_of(&node, &owner.project).map(|(binding, _)| binding));
            out.extend(named("spec/seedName").map(|name| Owner::cluster(Kind::Seed, name)));
            out.extend(named("spec/exposureClassName").map(|name| Owner::cluster(Kind::ExposureClass, name)));
        }
        Kind::NamespacedCloudProfile => {
            out.extend(named("spec/parent/name").map(|name| Owner::cluster(Kind::CloudProfile, name)));
        }
        Kind::ControllerRegistration => {
            let deployments = node.at("spec/deployment/deploymentRefs").items();
            out.extend(deployments.iter().map(|d| Owner::cluster(Kind::ControllerDeployment, d.get("name").str())));
        }
        Kind::ManagedSeed => out.extend(named("spec/shoot/name").map(|name| Owner::project(Kind::Shoot, &owner.project, name))),
        Kind::SecretBinding | Kind::CredentialsBinding => {
            let own = project_namespace(&owner.project);
            let here = |n: &Node<'_>| !n.get("namespace").is_set() || n.get("namespace").str() == own;
            let quotas = node.get("quotas").items();
            out.extend(
                quotas.iter().filter(|q| here(q)).map(|q| Owner::project(Kind::Quota, &owner.project, q.get("name").str())),
            );
            let credentials = node.get("credentialsRef");
            if credentials.get("kind").str() == "WorkloadIdentity" && here(&credentials) {
                out.push(Owner::project(Kind::WorkloadIdentity, &owner.project, credentials.get("name").str()));
            }
        }
        _ => {}
    }
    out
}
