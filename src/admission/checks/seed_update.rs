//! What may not change in a seed once it was accepted.

use super::prelude::*;
use super::seeds::spec_of;

rules! {
    /// Networks, domain and backup of a seed cannot change while it is one (V-282, V-283).
    ///
    /// A backup may be added, and a network of nodes be told later.
    "SEED-IMMUTABLE", "a field of a seed cannot change", Seed | ManagedSeed, fixed;
    /// A seed that has default domains keeps at least one: shoots have their names below them (V-284).
    "SEED-DEFAULTS-REMOVED", "the default domains of a seed are removed", Seed | ManagedSeed, defaults;
    /// A seed stays with its provider and in its region.
    ///
    /// Gardener would accept the change, and everything in the seed would be looked for where it is not.
    "SEED-MOVED", "a seed cannot move", Seed, moved as Espalier;
}

/// Says that a field has changed.
fn same(out: &mut Out, new: &Node<'_>, old: &Node<'_>) {
    if new.alike(old) {
        return;
    }
    let help = if old.is_set() { format!("go back to {}", old.shown()) } else { "remove it".to_owned() };
    out.invalid(new, format!("`{}` cannot change from {} to {}", new.field(), old.shown(), new.shown())).help(help);
}

fn fixed(cx: &Cx<'_>, out: &mut Out) {
    let Some((old, _)) = cx.old.as_ref().and_then(spec_of) else { return };
    let Some((new, _)) = spec_of(&cx.new) else { return };
    for path in ["networks/ipFamilies", "networks/pods", "networks/services"] {
        same(out, &new.at(path), &old.at(path));
    }
    if old.at("networks/nodes").is_set() {
        same(out, &new.at("networks/nodes"), &old.at("networks/nodes"));
    }
    if old.get("ingress").is_set() && new.get("ingress").is_set() {
        same(out, &new.at("ingress/domain"), &old.at("ingress/domain"));
    }
    let (before, after) = (old.get("backup"), new.get("backup"));
    if before.is_set() && after.is_set() {
        same(out, &after.get("provider"), &before.get("provider"));
        same(out, &after.get("region"), &before.get("region"));
    } else if before.is_set() {
        out.invalid(&after, "the backup of a seed cannot be removed").help("go back to what it was");
    }
}

fn defaults(cx: &Cx<'_>, out: &mut Out) {
    let Some((old, _)) = cx.old.as_ref().and_then(spec_of) else { return };
    let Some((new, _)) = spec_of(&cx.new) else { return };
    let (old, new) = (old.at("dns/defaults"), new.at("dns/defaults"));
    if !old.is_empty() && new.is_empty() {
        let domains: Vec<&str> = old.items().iter().map(|d| d.get("domain").str()).collect();
        out.forbidden(&new, format!("default domains cannot be removed altogether: there were {}", listed(domains)));
    }
}

fn moved(cx: &Cx<'_>, out: &mut Out) {
    for path in ["spec/provider/type", "spec/provider/region"] {
        let (new, old) = (cx.new.at(path), cx.before(path));
        if old.is_set() && new.is_set() && !new.same(&old) {
            out.error(&new, format!("`{}` cannot change from {} to {}", new.field(), old.shown(), new.shown()))
                .help(format!("go back to {}", old.shown()));
        }
    }
}
