//! From configured access to clients. A kubeconfig may name a server, an authority, and a token or client certificate, all
//! inline; everything by which it could run programs, read files or weaken TLS is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use zeroize::Zeroizing;

use super::{Clock, ClusterError, Clusters};
use crate::landscape::Target;

/// How to reach a cluster. Has no `Debug`: kubeconfigs contain credentials.
pub enum Access {
    /// The text of a kubeconfig and the context to use; its current one if `None`.
    Kubeconfig {
        /// The text.
        text: Zeroizing<String>,
        /// The context.
        context: Option<String>,
    },
    /// The service account of the Pod that we run in.
    InCluster,
    /// A client that exists already (`sim`).
    Client(Client),
}

/// Makes clients for all clusters. No cluster is contacted yet.
pub async fn connect(accesses: BTreeMap<Target, Access>, clock: Clock) -> Result<Clusters, ClusterError> {
    let mut clients = BTreeMap::new();
    for (target, access) in accesses {
        let client = client(&target, access).await?;
        clients.insert(target, client);
    }
    Ok(Clusters::new(clients, clock))
}

/// Makes the client of one cluster.
pub async fn client(target: &Target, access: Access) -> Result<Client, ClusterError> {
    let failed = |reason: String| ClusterError::Access { target: target.clone(), reason };
    let mut config = match access {
        Access::Client(client) => return Ok(client),
        Access::InCluster => Config::incluster().map_err(|e| failed(e.to_string()))?,
        Access::Kubeconfig { text, context } => {
            // The parser's own words may quote the text.
            let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|_| failed("it cannot be parsed".to_owned()))?;
            let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
            check(&kubeconfig, context.as_deref()).map_err(failed)?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|e| failed(e.to_string()))?
        }
    };
    config.connect_timeout = Some(Duration::from_secs(5));
    // Retries are ours: they must respect the lease.
    config.default_retry = false;
    config.proxy_url = None;
    Client::try_from(config).map_err(|e| failed(e.to_string()))
}

/// Refuses a context that asks for more than a server and inline credentials.
fn check(kubeconfig: &Kubeconfig, context: Option<&str>) -> Result<(), String> {
    let name = context.or(kubeconfig.current_context.as_deref()).ok_or("it names no current context")?;
    let context = kubeconfig.contexts.iter().find(|c| c.name == name).and_then(|c| c.context.as_ref());
    let context = context.ok_or_else(|| format!("it has no context `{name}`"))?;
    let cluster = kubeconfig.clusters.iter().find(|c| c.name == context.cluster).and_then(|c| c.cluster.as_ref());
    let cluster = cluster.ok_or_else(|| format!("it has no cluster `{}`", context.cluster))?;
    let user_name = context.user.as_deref().unwrap_or_default();
    let user = kubeconfig.auth_infos.iter().find(|u| u.name == user_name).and_then(|u| u.auth_info.as_ref());
    let user = user.ok_or_else(|| format!("it has no user `{user_name}`"))?;

    let refused = [
        (!cluster.server.as_deref().is_some_and(|s| s.starts_with("https://")), "its server is not an https URL"),
        (cluster.insecure_skip_tls_verify == Some(true), "it asks not to verify the server (`insecure-skip-tls-verify`)"),
        (cluster.proxy_url.is_some(), "it names a proxy (`proxy-url`)"),
        (cluster.certificate_authority.is_some(), "it names a file (`certificate-authority`); put the data inline"),
        (user.exec.is_some(), "it wants to run a program (`exec`)"),
        (user.auth_provider.is_some(), "it wants an `auth-provider`"),
        (user.token_file.is_some(), "it names a file (`tokenFile`); put the token inline"),
        (user.client_certificate.is_some(), "it names a file (`client-certificate`); put the data inline"),
        (user.client_key.is_some(), "it names a file (`client-key`); put the data inline"),
        (user.username.is_some() || user.password.is_some(), "it uses a password, which API servers no longer accept"),
        (
            user.impersonate.is_some() || user.impersonate_groups.is_some() || user.impersonate_uid.is_some(),
            "it acts as somebody else (`as`)",
        ),
    ];
    match refused.iter().find(|(is, _)| *is) {
        Some((_, reason)) => Err((*reason).to_owned()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
        )
    }

    fn verdict(cluster: &str, user: &str) -> Result<(), String> {
        check(&Kubeconfig::from_yaml(&text(cluster, user)).expect("parses"), None)
    }

    #[test]
    fn only_inline_credentials_are_accepted() {
        let server = "server: 'https://x'";
        assert_eq!(verdict(server, "token: t"), Ok(()));
        for (cluster, user, word) in [
            (server, "exec: {command: sh, apiVersion: v1}", "exec"),
            (server, "auth-provider: {name: gcp, config: {}}", "auth-provider"),
            (server, "tokenFile: /etc/shadow", "tokenFile"),
            (server, "client-key: /a", "client-key"),
            (server, "token: t, as: root", "as"),
            ("server: 'https://x', insecure-skip-tls-verify: true", "token: t", "insecure-skip-tls-verify"),
            ("server: 'https://x', proxy-url: 'http://p'", "token: t", "proxy-url"),
            ("server: 'https://x', certificate-authority: /a", "token: t", "certificate-authority"),
            ("server: 'http://x'", "token: t", "https"),
        ] {
            let reason = verdict(cluster, user).expect_err(word);
            assert!(reason.contains(word), "{reason}");
        }
        let missing = Kubeconfig::from_yaml(&text(server, "token: t")).expect("parses");
        assert!(check(&missing, Some("b")).expect_err("no such context").contains("`b`"));
    }
}
