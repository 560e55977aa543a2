//! How extensions in seeds reach the garden.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::prelude::*;

rules! {
    /// The certificate authorities of the garden are PEM in base64, as in a kubeconfig.
    "LANDSCAPE-GARDEN-CA", "the garden's certificate authorities cannot be read", Landscape, authorities;
}

fn authorities(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/gardenClientConnection/gardenClusterCACert");
    let is_readable = || STANDARD.decode(node.str()).is_ok_and(|bytes| syntax::is_certificate(&bytes));
    if node.is_set() && !is_readable() {
        out.invalid(&node, "these are no certificates").help("PEM in base64, as `certificate-authority-data` of a kubeconfig has it");
    }
}
