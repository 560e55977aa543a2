//! What may not change once it was accepted.

use super::prelude::*;

rules! {
    /// The namespace of a project and who created it cannot change (V-289).
    "PROJECT-IMMUTABLE", "a field of a project cannot change", Project, project;
    /// A binding refers to the same credentials, quotas and provider for as long as it exists (V-301).
    "BINDING-IMMUTABLE", "a binding cannot change", SecretBinding, secret_binding;
    /// A binding refers to the same credentials, quotas and provider for as long as it exists (V-304).
    "CREDENTIALSBINDING-IMMUTABLE", "a binding cannot change", CredentialsBinding, credentials_binding;
    /// Handler and scheduling of an exposure class cannot change (V-309).
    "EXPOSURE-IMMUTABLE", "an exposure class cannot change", ExposureClass, exposure;
}

/// Says that a field has changed, where it was set before.
fn fixed(cx: &Cx<'_>, out: &mut Out, path: &str, even_from_nothing: bool) {
    let (new, old) = (cx.new.at(path), cx.before(path));
    if cx.is_new() || new.same(&old) || (!old.is_set() && !even_from_nothing) {
        return;
    }
    let field = new.field();
    let was = if old.map().is_some() || old.value().is_some_and(serde_json::Value::is_array) { "what it was".to_owned() } else { old.shown() };
    let raised = out.invalid(&new, format!("`{field}` cannot change from {was} to {}", if new.map().is_some() { "something else".to_owned() } else { new.shown() }));
    raised.help(if old.is_set() { format!("go back to {was}") } else { format!("remove `{field}`") });
}

fn project(cx: &Cx<'_>, out: &mut Out) {
    fixed(cx, out, "spec/namespace", false);
    fixed(cx, out, "spec/createdBy", false);
}

fn secret_binding(cx: &Cx<'_>, out: &mut Out) {
    fixed(cx, out, "secretRef", true);
    fixed(cx, out, "quotas", true);
    fixed(cx, out, "provider", false);
}

fn credentials_binding(cx: &Cx<'_>, out: &mut Out) {
    fixed(cx, out, "credentialsRef", true);
    fixed(cx, out, "quotas", true);
    fixed(cx, out, "provider", true);
}

fn exposure(cx: &Cx<'_>, out: &mut Out) {
    fixed(cx, out, "handler", true);
    fixed(cx, out, "scheduling", true);
}
