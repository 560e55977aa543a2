//! Quotas: what they limit, and for whom.

use super::prelude::*;
use crate::admission::shared::alike;

rules! {
    /// A quota limits a project or credentials, in known measures, for at least a day (V-306, V-307, V-308).
    "QUOTA", "a quota cannot be understood", Quota, scope, days, metrics;
}

const SCOPES: [(&str, &str); 3] =
    [("core.gardener.cloud/v1beta1", "Project"), ("v1", "Secret"), ("security.gardener.cloud/v1alpha1", "WorkloadIdentity")];
const MEASURES: [&str; 6] = ["cpu", "gpu", "memory", "storage.standard", "storage.premium", "loadbalancer"];

fn scope(cx: &Cx<'_>, out: &mut Out) {
    let scope = cx.new.at("spec/scope");
    if !SCOPES.contains(&(scope.get("apiVersion").str(), scope.get("kind").str())) {
        out.not_supported(&scope, "the scope of the quota is unknown").help("a `Project`, a `Secret` or a `WorkloadIdentity`");
    }
    if !cx.is_new() && !alike(scope.value(), cx.before("spec/scope").value()) {
        out.invalid(&scope, "the scope of a quota cannot change");
    }
}

fn days(cx: &Cx<'_>, out: &mut Out) {
    let days = cx.new.at("spec/clusterLifetimeDays");
    if days.int().is_some_and(|d| d < 1) {
        out.invalid(&days, format!("clusters cannot live {} days", days.shown())).help("at least 1");
    }
}

fn metrics(cx: &Cx<'_>, out: &mut Out) {
    for (measure, amount) in cx.new.at("spec/metrics").entries() {
        if !MEASURES.contains(&measure) {
            out.invalid(&amount, format!("`{measure}` cannot be limited")).on_key().keyed().help(format!("possible are {}", listed(MEASURES)));
        } else if !syntax::is_amount(&amount) {
            out.invalid(&amount, format!("{} is no amount", amount.shown())).keyed();
        }
    }
}
