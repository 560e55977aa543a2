//! References between objects that no later stage looks at: from bindings to quotas and identities, from registrations to
//! deployments. What a shoot refers to is resolved by admission, which also knows what was accepted before.

use std::collections::BTreeMap;

use super::nearest::nearest;
use super::{Kind, Landscape, Owner, Shoot};
use crate::finding::{Code, Finding, Findings, On, Pointer};
use crate::observed::{project_namespace, project_of};

/// The profile that a shoot names.
pub(super) fn profile(shoot: &Shoot, project: &str) -> Option<Owner> {
    if let Some(reference) = &shoot.spec.cloud_profile {
        let name = reference.name.clone();
        return Some(match reference.kind.as_str() {
            "NamespacedCloudProfile" => Owner::project(Kind::NamespacedCloudProfile, project, name),
            _ => Owner::cluster(Kind::CloudProfile, name),
        });
    }
    shoot.spec.cloud_profile_name.clone().map(|name| Owner::cluster(Kind::CloudProfile, name))
}

/// A reference: who refers, where, and to what.
struct Reference {
    from: Owner,
    at: Pointer,
    to: Owner,
}

/// Reports dangling references; whoever has one is broken.
pub(super) fn check(landscape: &mut Landscape) -> Findings {
    let mut findings: BTreeMap<Owner, Findings> = BTreeMap::new();
    for reference in references(landscape) {
        if landscape.has(&reference.to) {
            continue;
        }
        let Some(document) = landscape.document(&reference.from) else { continue };
        let known = landscape.names(reference.to.kind, &reference.to.project);
        let mut finding = Finding::error(Code::new("REF-MISSING"), format!("there is no {}", reference.to))
            .at(document.place(&reference.at, On::Value))
            .of(&reference.from);
        if let Some(near) = nearest(&reference.to.name, known.iter().copied()) {
            finding = finding.help(format!("did you mean `{near}`?"));
        } else if !known.is_empty() && known.len() <= 12 {
            finding = finding.help(format!("there is {}", known.join(", ")));
        }
        findings.entry(reference.from).or_default().push(finding);
    }
    let mut all = Findings::default();
    for (owner, own) in findings {
        landscape.remove(&owner);
        landscape.broken.insert(owner, own.clone());
        all.extend(own);
    }
    all
}

fn references(landscape: &Landscape) -> Vec<Reference> {
    let mut out = Vec::new();
    for (owner, registration) in &landscape.controller_registrations {
        let refs = registration.spec.spec.deployment.iter().flat_map(|deployment| &deployment.deployment_refs);
        for (index, deployment) in refs.enumerate() {
            out.push(Reference {
                from: owner.clone(),
                at: Pointer::from("/spec/deployment/deploymentRefs").index(index).key("name"),
                to: Owner::cluster(Kind::ControllerDeployment, deployment.name.clone()),
            });
        }
    }
    let quotas = landscape
        .secret_bindings
        .iter()
        .map(|(owner, binding)| (owner, &binding.spec.quotas))
        .chain(landscape.credentials_bindings.iter().map(|(owner, binding)| (owner, &binding.spec.quotas)));
    for (owner, quotas) in quotas {
        for (index, quota) in quotas.iter().enumerate() {
            let at = Pointer::from("/quotas").index(index).key("name");
            out.extend(reference(owner, at, Kind::Quota, quota.namespace.as_deref(), quota.name.as_deref()));
        }
    }
    for (owner, binding) in &landscape.credentials_bindings {
        let target = &binding.spec.credentials_ref;
        if target.kind.as_deref() == Some(Kind::WorkloadIdentity.name()) {
            let at = Pointer::from("/credentialsRef/name");
            out.extend(reference(owner, at, Kind::WorkloadIdentity, target.namespace.as_deref(), target.name.as_deref()));
        }
    }
    out
}

/// A reference to a namespaced object; none where the name is missing or the namespace is no project's.
fn reference(from: &Owner, at: Pointer, kind: Kind, namespace: Option<&str>, name: Option<&str>) -> Option<Reference> {
    let namespace = namespace.filter(|n| !n.is_empty()).map_or_else(|| project_namespace(&from.project), str::to_owned);
    let project = project_of(&namespace)?;
    let name = name.filter(|n| !n.is_empty())?;
    Some(Reference { from: from.clone(), at, to: Owner::project(kind, project, name) })
}
