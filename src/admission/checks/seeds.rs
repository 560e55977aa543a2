//! Seeds: provider, taints, volumes, extensions and resources. A managed seed carries the same specification as a template.

use super::prelude::*;
use crate::admission::parts;
use crate::admission::shared::missing;

rules! {
    /// A seed names its provider and region, and each of its zones once (V-264, V-265).
    "SEED-PROVIDER", "provider or region of a seed is missing", Seed | ManagedSeed, provider;
    /// Taints of a seed have keys and are listed once (V-270).
    "SEED-TAINT", "a taint of a seed is not usable", Seed | ManagedSeed, taints;
    /// Volumes of a seed have a smallest size that is not negative, and one provider for each purpose (V-271).
    "SEED-VOLUME", "the volumes of a seed are not usable", Seed | ManagedSeed, volume;
    /// Extensions of a seed are types, once each.
    "SEED-EXTENSION", "an extension of a seed is not usable", Seed | ManagedSeed, extensions;
    /// Resources of a seed are Secrets, ConfigMaps or WorkloadIdentities under names of their own.
    "SEED-RESOURCE", "a resource of a seed is not usable", Seed | ManagedSeed, resources;
}

/// The specification of a seed, and whether it is a template, in which an agent fills in what it finds out by itself. None for
/// a managed seed that brings no configuration.
pub(super) fn spec_of<'a>(manifest: &Node<'a>) -> Option<(Node<'a>, bool)> {
    if manifest.get("kind").str() != "ManagedSeed" {
        return Some((manifest.get("spec"), false));
    }
    let config = manifest.at("spec/gardenlet/config/seedConfig");
    config.is_set().then(|| (config.get("spec"), true))
}

fn provider(cx: &Cx<'_>, out: &mut Out) {
    let Some((spec, template)) = spec_of(&cx.new) else { return };
    if !template {
        missing(out, &spec.at("provider/type"));
        missing(out, &spec.at("provider/region"));
    }
    let zones = spec.at("provider/zones").items();
    let twice = zones.iter().enumerate().find(|(i, zone)| zones[..*i].iter().any(|z| z.str() == zone.str()));
    if let Some((_, zone)) = twice {
        out.duplicate(zone, format!("zone {} is listed twice", zone.shown()));
    }
}

fn taints(cx: &Cx<'_>, out: &mut Out) {
    let Some((spec, _)) = spec_of(&cx.new) else { return };
    let mut seen = Vec::new();
    for taint in spec.get("taints").items() {
        let (key, value) = (taint.get("key"), taint.get("value"));
        missing(out, &key);
        let id = value.text().map_or_else(|| key.str().to_owned(), |value| format!("{}={value}", key.str()));
        if seen.contains(&id) {
            out.duplicate(&taint, format!("the taint `{id}` is listed twice"));
        }
        seen.push(id);
    }
}

fn volume(cx: &Cx<'_>, out: &mut Out) {
    let Some((spec, _)) = spec_of(&cx.new) else { return };
    let size = spec.at("volume/minimumSize");
    parts::amount(out, "minimumSize", &size, &size.field());
    let mut seen = Vec::new();
    for provider in spec.at("volume/providers").items() {
        let purpose = provider.get("purpose");
        missing(out, &purpose);
        missing(out, &provider.get("name"));
        if seen.contains(&purpose.str()) {
            out.duplicate(&purpose, format!("the purpose {} is listed twice", purpose.shown()));
        }
        seen.push(purpose.str());
    }
}

fn extensions(cx: &Cx<'_>, out: &mut Out) {
    if let Some((spec, _)) = spec_of(&cx.new) {
        parts::extensions(out, &spec.get("extensions"));
    }
}

fn resources(cx: &Cx<'_>, out: &mut Out) {
    if let Some((spec, _)) = spec_of(&cx.new) {
        parts::resources(out, &spec.get("resources"));
    }
}
