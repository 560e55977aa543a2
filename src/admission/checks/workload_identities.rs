//! Workload identities: whom their tokens are for, and whether tokens can name them.

use super::prelude::*;
use crate::admission::shared::missing;

rules! {
    /// A workload identity has audiences, each once, and one target system, which stays (V-305).
    "WORKLOADIDENTITY-INCOMPLETE", "a workload identity is incomplete", WorkloadIdentity, audiences, system;
    /// The subject of tokens is made of namespace, name and UID, has at most 255 ASCII characters, and stays (V-305).
    "WORKLOADIDENTITY-SUBJECT", "tokens cannot name a workload identity", WorkloadIdentity, subject;
}

const PREFIX: &str = "gardener.cloud:workloadidentity:";
/// The length of a UID.
const UID: usize = 36;
const LONGEST: usize = 255;

fn audiences(cx: &Cx<'_>, out: &mut Out) {
    let list = cx.new.at("spec/audiences");
    missing(out, &list);
    let mut seen = Vec::new();
    for audience in list.items() {
        if audience.is_empty() {
            out.required(&audience, "an audience is empty");
        }
        if seen.contains(&audience.str()) {
            out.duplicate(&audience, format!("the audience {} is listed twice", audience.shown()));
        }
        seen.push(audience.str());
    }
}

fn system(cx: &Cx<'_>, out: &mut Out) {
    let (node, before) = (cx.new.at("spec/targetSystem/type"), cx.before("spec/targetSystem/type"));
    missing(out, &node);
    if node.str().contains(',') {
        out.invalid(&node, "a workload identity is for one system").help("make one identity for each");
    }
    if !cx.is_new() && node.str() != before.str() {
        out.invalid(&node, format!("the target system cannot change from {}", before.shown()));
    }
}

fn subject(cx: &Cx<'_>, out: &mut Out) {
    let (node, namespace) = (cx.new.at("metadata/name"), cx.namespace());
    let mut refuse = |why: String| {
        out.invalid(&node, why).field("status.sub").help("choose another name");
    };
    if !cx.is_new() && !node.same(&cx.before("metadata/name")) {
        refuse("the subject of tokens has the name in it, and cannot change".to_owned());
    }
    if !namespace.is_ascii() || !node.str().is_ascii() {
        refuse(format!("the subject of tokens has only ASCII characters, not those of {}", node.shown()));
    }
    let length = PREFIX.len() + namespace.len() + 1 + node.str().len() + 1 + UID;
    if length > LONGEST {
        refuse(format!("the subject of tokens would have {length} characters, at most {LONGEST} are possible"));
    }
}
