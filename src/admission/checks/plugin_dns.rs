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
    /// No two shoots have the same domain, and none has one below another's (V-350).
    ///
    /// Whoever has a domain keeps it: only new and changed domains are compared. Of two new shoots neither gets it.
    "SHOOT-DNS-TAKEN", "the domain is another shoot's", Shoot, taken as Plugin("ShootValidator");
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

fn taken(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/dns/domain");
    if node.is_empty() || node.same(&cx.before("spec/dns/domain")) {
        return;
    }
    let Some((other, theirs)) = cx.claimed(node.str()) else { return };
    let help = "choose a domain that is neither another shoot's, nor below or above one";
    if theirs == node.str() {
        out.duplicate(&node, format!("{other} has the domain {} already", node.shown())).help(help);
    } else {
        let way = if theirs.len() < node.str().len() { "below" } else { "above" };
        out.forbidden(&node, format!("the domain {} is {way} `{theirs}`, which {other} has", node.shown())).help(help);
    }
}
