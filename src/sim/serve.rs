//! Simulated clusters for others to talk to: one HTTPS listener on loopback, one path prefix per cluster, a token for each.
//!
//! The certificate authority and the tokens are kept in a folder, so that a kubeconfig goes on working when the clusters are
//! served again. Whoever has no token is not let in.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ApiError;
use super::{Sim, SimError, rest};

/// The user that a token of the kubeconfig stands for.
const USER: &str = "kubectl";
/// What a listener may negotiate.
const PROTOCOL: &[u8] = b"http/1.1";
/// How long a client may take to agree on a key.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Clusters being served. They stop being served when this is dropped or [`Serving::stop`] is called.
#[derive(Debug)]
pub struct Serving {
    /// Where the listener is.
    pub address: SocketAddr,
    /// A kubeconfig with one context per cluster, named after it.
    pub kubeconfig: String,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Serving {
    /// Stops serving and waits until every connection is closed.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What a folder keeps between two servings.
struct Identity {
    authority: String,
    key: KeyPair,
    tokens: BTreeMap<String, String>,
}

/// A cluster and the token that opens it.
struct Door {
    sim: Sim,
    token: String,
}

/// Serves clusters by name on a listener. With a folder, authority and tokens are kept there.
pub async fn serve(sims: BTreeMap<String, Sim>, listener: TcpListener, dir: Option<&Path>) -> Result<Serving, SimError> {
    let problem = |error: &dyn std::fmt::Display| SimError::Serve(error.to_string());
    let address = listener.local_addr().map_err(|error| problem(&error))?;
    let identity = identify(dir, sims.keys())?;
    let acceptor = acceptor(&identity, address)?;
    let kubeconfig = kubeconfig(&identity, address, &sims.keys().collect::<Vec<_>>());
    let doors: BTreeMap<String, Door> = sims
        .into_iter()
        .map(|(name, sim)| {
            let token = identity.tokens.get(&name).cloned().expect("identify() makes a token for each cluster");
            (name, Door { sim, token })
        })
        .collect();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(accept(listener, acceptor, Arc::new(doors), stop.clone(), tasks.clone()));
    Ok(Serving { address, kubeconfig, stop, tasks })
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    doors: Arc<BTreeMap<String, Door>>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "a connection to the simulated clusters could not be accepted");
                    // Out of file descriptors, usually: give others the time to close theirs.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (acceptor, doors, stop) = (acceptor.clone(), Arc::clone(&doors), stop.clone());
        tasks.spawn(async move {
            let connection = async {
                let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let doors = Arc::clone(&doors);
                    async move { enter(&doors, request).await }
                });
                let mut http = hyper::server::conn::http1::Builder::new();
                let served = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection to a simulated cluster ended");
                }
            };
            tokio::select! {
                () = connection => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Finds the cluster that a path names, asks for its token, and passes the request on without the prefix.
async fn enter(doors: &BTreeMap<String, Door>, request: Request<Incoming>) -> Result<Response<rest::Body>, rest::Broken> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let (name, inner) = match path.strip_prefix("/clusters/") {
        Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        None => ("", path),
    };
    let inner = if inner.starts_with('/') { inner.to_owned() } else { format!("/{inner}") };
    // What anybody may know, of every cluster alike.
    if parts.method == Method::GET && matches!(inner.as_str(), "/healthz" | "/livez" | "/readyz" | "/version") {
        return Ok(rest::public(&inner));
    }
    let given =
        parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let unauthorized = ApiError::new(401, "Unauthorized", "Unauthorized");
    let Some(door) = doors.get(name).filter(|door| given.is_some_and(|given| same(given, &door.token))) else {
        return Ok(rest::refuse(&unauthorized));
    };
    match inner.parse::<Uri>() {
        Ok(uri) => parts.uri = uri,
        Err(error) => return Ok(rest::refuse(&ApiError::bad_request(error.to_string()))),
    }
    rest::handle(Arc::clone(&door.sim.shared), USER, Request::from_parts(parts, body)).await
}

/// Compares in a time that does not tell how much was right.
fn same(given: &str, wanted: &str) -> bool {
    given.len() == wanted.len() && given.bytes().zip(wanted.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// The authority and the tokens: those of the folder, new ones where there are none.
fn identify<'a>(dir: Option<&Path>, names: impl Iterator<Item = &'a String>) -> Result<Identity, SimError> {
    let kept = match dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|error| SimError::State { path: dir.to_owned(), why: error.to_string() })?;
            (read(&dir.join("ca.crt"))?, read(&dir.join("ca.key"))?, read(&dir.join("tokens.json"))?)
        }
        None => (None, None, None),
    };
    let wrong = |error: rcgen::Error| SimError::Serve(format!("certificate authority: {error}"));
    let (authority, key) = if let (Some(authority), Some(key)) = (kept.0, kept.1) {
        (authority, KeyPair::from_pem(&key).map_err(wrong)?)
    } else {
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "espalier simulated clusters");
        (params.self_signed(&key).map_err(wrong)?.pem(), key)
    };
    let mut tokens: BTreeMap<String, String> = kept.2.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    for name in names {
        if !tokens.contains_key(name) {
            tokens.insert(name.clone(), token()?);
        }
    }
    if let Some(dir) = dir {
        write(&dir.join("ca.crt"), &authority)?;
        write(&dir.join("ca.key"), &key.serialize_pem())?;
        write(&dir.join("tokens.json"), &serde_json::to_string_pretty(&tokens).unwrap_or_default())?;
    }
    Ok(Identity { authority, key, tokens })
}

fn token() -> Result<String, SimError> {
    let mut bytes = [0; 24];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| SimError::Serve("the system has no random numbers".to_owned()))?;
    let mut token = String::new();
    for byte in bytes {
        token.push_str(&format!("{byte:02x}"));
    }
    Ok(token)
}

fn read(path: &Path) -> Result<Option<String>, SimError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SimError::State { path: path.to_owned(), why: error.to_string() }),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), SimError> {
    use std::io::Write as _;
    let problem = |error: std::io::Error| SimError::State { path: path.to_owned(), why: error.to_string() };
    let draft = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&draft).map_err(problem)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(problem)?;
    std::fs::rename(&draft, path).map_err(problem)
}

/// A certificate for the listener, signed by the authority.
fn acceptor(identity: &Identity, address: SocketAddr) -> Result<TlsAcceptor, SimError> {
    let wrong = |error: rcgen::Error| SimError::Serve(format!("serving certificate: {error}"));
    let issuer = Issuer::from_ca_cert_pem(&identity.authority, &identity.key).map_err(wrong)?;
    let key = KeyPair::generate().map_err(wrong)?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), address.ip().to_string()];
    let mut params = CertificateParams::new(names).map_err(wrong)?;
    params.distinguished_name.push(DnType::CommonName, "simulated API server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &issuer).map_err(wrong)?;
    let authority =
        CertificateDer::from_pem_slice(identity.authority.as_bytes()).map_err(|error| SimError::Serve(error.to_string()))?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| SimError::Serve(error.to_owned()))?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SimError::Serve(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone(), authority], private)
        .map_err(|error| SimError::Serve(error.to_string()))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn kubeconfig(identity: &Identity, address: SocketAddr, names: &[&String]) -> String {
    let authority = STANDARD.encode(&identity.authority);
    let first = names.iter().find(|name| name.as_str() == "garden").or(names.first()).map_or("", |name| name.as_str());
    // Whoever listens everywhere is reached on loopback from here.
    let address = match address {
        SocketAddr::V4(at) if at.ip().is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, at.port())),
        SocketAddr::V6(at) if at.ip().is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, at.port())),
        given => given,
    };
    let mut text = format!("apiVersion: v1\nkind: Config\ncurrent-context: {first}\nclusters:\n");
    for name in names {
        text.push_str(&format!(
            "- name: {name}\n  cluster:\n    server: https://{address}/clusters/{name}\n    certificate-authority-data: {authority}\n"
        ));
    }
    text.push_str("users:\n");
    for (name, token) in identity.tokens.iter().filter(|(name, _)| names.contains(name)) {
        text.push_str(&format!("- name: {name}\n  user:\n    token: {token}\n"));
    }
    text.push_str("contexts:\n");
    for name in names {
        text.push_str(&format!("- name: {name}\n  context:\n    cluster: {name}\n    user: {name}\n"));
    }
    text
}
