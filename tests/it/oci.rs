//! Charts from a registry: a small one of our own, with TLS and a password, asked by the real `helm`. Where there is none on the path
//! (and none named by `HELM`), only what happens without one is seen.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::digest;
use espalier::helm::{Credentials, Helm};
use espalier::render::chart::{Outcome, Reason, Request, Source, split_reference};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use super::extensions::chart;

const NAME: &str = "charts/tiny";
const TAG: &str = "0.1.0";
const PASSWORD: &str = "canary-registry-password";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry that holds one chart.
struct Registry {
    host: String,
    /// Of the chart's manifest.
    digest: String,
    /// Its certificate authority.
    authority: String,
    /// What was asked for, with the status of the answer.
    asked: Arc<Mutex<Vec<String>>>,
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("HELM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join("helm")).find(|file| file.is_file())
}

fn sha(bytes: &[u8]) -> String {
    format!("sha256:{}", digest::of_bytes(bytes).0)
}

/// An authority, and a certificate of it for the loopback address.
fn certified() -> (String, rustls::ServerConfig) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("names").signed_by(&key, &issuer);
    let chain = vec![CertificateDer::from(certificate.expect("a certificate").der().to_vec())];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    (authority.pem(), config.with_no_client_auth().with_single_cert(chain, key).expect("a key that fits"))
}

async fn registry(packed: &str) -> Registry {
    let layer = STANDARD.decode(packed).expect("base64");
    let config = br#"{"apiVersion":"v2","name":"tiny","version":"0.1.0"}"#.to_vec();
    let of_type = |media: &str, bytes: &[u8]| json!({"mediaType": media, "digest": sha(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": of_type("application/vnd.cncf.helm.config.v1+json", &config),
        "layers": [of_type("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let digest = sha(&manifest);
    let mut held: Vec<(String, &str, Vec<u8>)> = Vec::new();
    for blob in [config, layer] {
        held.push((format!("/v2/{NAME}/blobs/{}", sha(&blob)), "application/octet-stream", blob));
    }
    for reference in [TAG, digest.as_str()] {
        held.push((format!("/v2/{NAME}/manifests/{reference}"), MANIFEST, manifest.clone()));
    }
    let (authority, tls) = certified();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let host = listener.local_addr().expect("an address").to_string();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (held, log) = (Arc::new(held), Arc::clone(&asked));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (held, log, acceptor) = (Arc::clone(&held), Arc::clone(&log), acceptor.clone());
            tokio::spawn(async move {
                // Whoever does not trust the certificate goes away here.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(|request| {
                    let answer = answer(&held, &log, &request);
                    async { Ok::<_, std::convert::Infallible>(answer) }
                });
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
            });
        }
    });
    Registry { host, digest, authority, asked }
}

fn answer(
    held: &[(String, &'static str, Vec<u8>)],
    log: &Mutex<Vec<String>>,
    request: &hyper::Request<Incoming>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let expected = format!("Basic {}", STANDARD.encode(format!("puller:{PASSWORD}")));
    let known = request.headers().get("authorization").is_some_and(|said| *said == *expected);
    let found = held.iter().find(|(at, ..)| at == path);
    let status = if known { if found.is_some() { 200 } else { 404 } } else { 401 };
    log.lock().expect("no panic").push(format!("{status} {path}"));
    let mut response = Response::builder().status(status);
    if status == 401 {
        response = response.header("www-authenticate", "Basic realm=\"charts\"");
    }
    let Some((_, media, bytes)) = found.filter(|_| status == 200) else {
        return response.body(Full::default()).expect("a response");
    };
    let response =
        response.header("content-type", *media).header("content-length", bytes.len()).header("docker-content-digest", sha(bytes));
    let body = if request.method() == Method::HEAD { Bytes::new() } else { Bytes::from(bytes.clone()) };
    response.body(Full::new(body)).expect("a response")
}

impl Registry {
    fn credentials(&self, password: Option<&str>, trusted: bool) -> Credentials {
        let secret = |text: String| Zeroizing::new(text.into_bytes());
        let config =
            |password: &str| json!({"auths": {&self.host: {"auth": STANDARD.encode(format!("puller:{password}"))}}}).to_string();
        Credentials { pull: password.map(config).map(secret), authorities: trusted.then(|| secret(self.authority.clone())) }
    }
}

fn request(repository: String, tag: Option<String>) -> Arc<Request> {
    Arc::new(Request {
        seed: "eu1".into(),
        release: "tiny".into(),
        namespace: "extension-tiny".into(),
        source: Source::Registry { repository, tag, pull_secret: None, authorities: None },
        values: json!({"password": "canary-of-the-values"}),
        garden: None,
        kubernetes: Some("v1.34.1".into()),
        digest: digest::of_bytes(b""),
    })
}

fn said(outcome: Outcome) -> String {
    match outcome {
        Ok(text) => text.to_string(),
        Err(refused) => {
            let told = refused.to_string();
            assert!(!told.contains("canary"), "{told}");
            assert_eq!(refused.reason, Reason::OciChartCannotBePulled, "{told}");
            told
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_pulled_by_tag_and_by_digest_with_what_the_registry_asks_for() {
    let Some(program) = program() else {
        println!("no helm on the path: nothing is pulled");
        return;
    };
    let helm = Helm::new(program);
    let dir = tempfile::tempdir().expect("a folder");
    let registry = registry(&chart(dir.path(), 1)).await;
    let host = &registry.host;
    let pull = async |reference: &str, password: Option<&str>, trusted: bool| {
        let (repository, tag) = split_reference(reference);
        said(helm.render(request(repository, tag), registry.credentials(password, trusted)).await)
    };
    for reference in [
        format!("oci://{host}/{NAME}:{TAG}"),
        format!("{host}/{NAME}@{}", registry.digest),
        format!("{host}/{NAME}:{TAG}@{}", registry.digest),
    ] {
        let text = pull(&reference, Some(PASSWORD), true).await;
        assert!(text.contains("namespace: extension-tiny") && text.contains("made-for: v1.34.1"), "{reference}: {text}");
        assert!(text.contains("SEED_NAME"), "{reference}: {text}");
    }
    let asked: Vec<Value> = registry.asked.lock().expect("no panic").iter().map(|line| json!(line)).collect();
    assert!(
        asked.iter().any(|line| line.as_str().is_some_and(|line| line.starts_with("200") && line.contains("/blobs/"))),
        "{asked:?}"
    );

    let fine = format!("{host}/{NAME}:{TAG}");
    for (reference, password, trusted, word) in [
        (fine.clone(), None, true, "credential not found"),
        (fine.clone(), Some("canary-but-wrong"), true, "401"),
        (fine, Some(PASSWORD), false, "certificate"),
        (format!("{host}/{NAME}:9.9.9"), Some(PASSWORD), true, "not found"),
        (format!("{host}/{NAME}@sha256:{}", "0".repeat(64)), Some(PASSWORD), true, "not found"),
    ] {
        let told = pull(&reference, password, trusted).await;
        assert!(told.contains(word), "{reference}: {told}");
    }
}
