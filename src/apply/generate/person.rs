//! A kubeconfig for a person: a client certificate that soon ends, signed by the authority that a control plane trusts. It is
//! stored nowhere, and cannot be taken back before it ends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::pki::{self, Subject};
use super::recipe::MakeError;
use crate::pipeline::wildcard::ADDRESS;
use crate::secrets::Body;

/// The shortest validity that Gardener gives.
pub const SHORTEST: SignedDuration = SignedDuration::from_mins(10);
/// The longest (`numbers.md`, the API server's usual maximum).
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// What a person may do in a shoot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read everything but what is encrypted at rest.
    Viewer,
    /// Everything.
    Admin,
}

impl Role {
    /// The group that every shoot binds to this role; the same as Gardener's for operators.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::Viewer => "gardener.cloud:system:viewers",
            Self::Admin => "gardener.cloud:system:admins",
        }
    }

    /// How people call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// What clusters, contexts and the user are called, such as `garden-shop--store`.
    pub name: &'a str,
    /// Who asks: what the shoot's audit log will show.
    pub user: &'a str,
    /// What they may do.
    pub role: Role,
    /// How long, between [`SHORTEST`] and [`LONGEST`].
    pub lifetime: SignedDuration,
    /// The API server's addresses: what each is called and its URL. The first is the current context.
    pub servers: &'a [(String, String)],
    /// The authorities that signed the API server, as PEM.
    pub trust: &'a str,
}

/// Makes the kubeconfig (`v1` `Config`), with a context per address. It holds a private key.
///
/// `authority` is the body of the client authority (`ca.crt`, `ca.key`).
pub fn kubeconfig(ask: &Ask<'_>, authority: &Body, now: Timestamp) -> Result<Value, MakeError> {
    let part = |key| authority.get(key).ok_or_else(|| MakeError::Lacks { config: "ca-client".to_owned(), key });
    let groups = [ask.role.group().to_owned()];
    let subject = Subject {
        common_name: ask.user,
        organizations: &groups,
        client: true,
        lifetime: Some(ask.lifetime),
        ..Subject::default()
    };
    let pair = pki::leaf(&subject, part("ca.crt")?, part("ca.key")?, now)?;
    let trust = STANDARD.encode(ask.trust);
    let called = |address: &str| format!("{}-{address}", ask.name);
    let cluster = |address: &str, url: &str| {
        // What everybody trusts, no authority of the shoot has signed.
        if address == ADDRESS { json!({ "server": url }) } else { json!({ "server": url, "certificate-authority-data": trust }) }
    };
    let clusters: Vec<Value> =
        ask.servers.iter().map(|(address, url)| json!({ "name": called(address), "cluster": cluster(address, url) })).collect();
    let contexts: Vec<Value> = ask
        .servers
        .iter()
        .map(|(address, _)| json!({ "name": called(address), "context": { "cluster": called(address), "user": ask.name } }))
        .collect();
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": ask.servers.first().map(|(address, _)| called(address)),
        "clusters": clusters,
        "contexts": contexts,
        "users": [{ "name": ask.name, "user": {
            "client-certificate-data": STANDARD.encode(pair.certificate.as_slice()),
            "client-key-data": STANDARD.encode(pair.key.as_slice()),
        } }],
    }))
}
