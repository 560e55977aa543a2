//! Charts of extensions: rendered by `helm`, with what a registry asks for from the garden.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::state::Event;
use crate::cluster::{self, Clusters};
use crate::helm::{Credentials, Helm};
use crate::landscape::Target;
use crate::render::chart::{Reason, Refused, Request, Source};
use crate::secrets::SecretRef;

/// Renders a chart and says what came of it.
pub(super) async fn rendered(clusters: Clusters, helm: Helm, request: Arc<Request>) -> Event {
    let outcome = match credentials(&clusters, &request).await {
        Ok(credentials) => helm.render(Arc::clone(&request), credentials).await,
        Err(refused) => Err(refused),
    };
    Event::Chart(request, outcome)
}

/// What a registry asks for, from the Secrets of the garden that the deployment names.
async fn credentials(clusters: &Clusters, request: &Request) -> Result<Credentials, Refused> {
    let Source::Registry { pull_secret, authorities, .. } = &request.source else { return Ok(Credentials::default()) };
    let address = |name: &Option<String>| name.as_ref().map(|name| SecretRef::secret(Target::Garden, "garden", name.clone()));
    let (pull, authorities) = (address(pull_secret), address(authorities));
    let wanted: BTreeSet<SecretRef> = pull.iter().chain(&authorities).cloned().collect();
    if wanted.is_empty() {
        return Ok(Credentials::default());
    }
    let (mut bodies, _) = cluster::bodies(clusters, &wanted).await;
    let mut take = |address: Option<SecretRef>, key: &str| {
        let Some(address) = address else { return Ok(None) };
        let found = bodies.0.get_mut(&address).and_then(Option::as_mut).and_then(|body| body.remove(key));
        let missing = || format!("key {key} of Secret garden/{} in the garden could not be read", address.name);
        found.map(Some).ok_or_else(|| Refused::new(Reason::OciChartCannotBePulled, missing()))
    };
    Ok(Credentials { pull: take(pull, ".dockerconfigjson")?, authorities: take(authorities, "bundle.crt")? })
}
