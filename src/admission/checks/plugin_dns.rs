//! Domains of shoots below the landscape's own.

use super::prelude::*;
use crate::admission::default::placed;

rules! {
    /// A domain below a default domain is the shoot's own: `<shoot>.<project>.<default domain>` (V-360).
    ///
    /// Nobody can take a name that is somebody else's.
    "SHOOT-DNS-DEFAULT", "a domain below a default domain is not the shoot's", Shoot, scheme as Plugin("ShootDNS");
    /// Below a default domain the landscape manages DNS; the shoot has no primary provider of its own (V-359).
    "SHOOT-DNS-DEFAULT-PROVIDER", "a primary provider for a default domain", Shoot, provider as Plugin("ShootDNS");
}

/// The default domain below which the shoot's domain is.
fn below(cx: &Cx<'_>) -> Option<String> {
    let domain = cx.new.at("spec/dns/domain").text()?;
    placed::default_domains(cx, cx.new.at("spec/seedName").str()).into_iter().find(|base| domain.ends_with(&format!(".{base}")))
}

/// Whether somebody else manages DNS.
fn is_unmanaged(shoot: &Node<'_>) -> bool {
    shoot.at("spec/dns/providers").items().iter().any(|provider| provider.get("type").str() == "unmanaged")
}

fn scheme(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/dns/domain");
    let first = cx.is_new() || !cx.before("spec/seedName").is_set() || !cx.before("spec/dns/domain").is_set();
    let Some(base) = below(cx).filter(|_| first && !is_unmanaged(&cx.new)) else { return };
    let generated = cx.owner.name.is_empty() && !cx.new.at("metadata/generateName").is_empty();
    let wanted = format!("{}.{}.{base}", cx.owner.name, cx.owner.project);
    let fits = if generated { node.str().ends_with(&format!(".{}.{base}", cx.owner.project)) } else { node.str() == wanted };
    if !fits {
        out.invalid(&node, format!("{} is below the default domain `{base}`, but not the shoot's", node.shown()))
            .help(format!("leave it out, or write `{wanted}`"));
    }
}

fn provider(cx: &Cx<'_>, out: &mut Out) {
    let Some(base) = below(cx) else { return };
    for provider in cx.new.at("spec/dns/providers").items() {
        if provider.get("primary").flag() == Some(true) {
            out.invalid(&provider.get("primary"), format!("the domain is below the default domain `{base}`, which the landscape manages"))
                .help("remove the provider");
            return;
        }
    }
}
