//! What gardener-resource-manager does for a shoot: tokens for Secrets that ask for one, the content of ManagedResources, and
//! answers to the webhooks that are configured for it.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::document;
use espalier::snapshot::RepoPath;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::pod::{Objects, data};

/// A client from a kubeconfig that does not ask twice.
pub(super) async fn client(kubeconfig: &str) -> kube::Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("fine");
    config.default_retry = false;
    kube::Client::try_from(config).expect("a client")
}

/// The newest Secret of a configuration name.
fn named<'o>(objects: &'o Objects, config: &str) -> &'o Value {
    let is = |object: &&Value| object["kind"] == "Secret" && object["metadata"]["labels"]["name"] == config;
    objects.values().find(is).unwrap_or_else(|| panic!("a secret for {config}"))
}

fn part(object: &Value, key: &str) -> String {
    String::from_utf8(data(object).remove(key).expect("the key")).expect("text")
}

/// With the certificate that lets it in before it has a token.
pub(super) async fn bootstrap(objects: &Objects) -> kube::Client {
    client(&part(named(objects, "shoot-access-gardener-resource-manager-bootstrap"), "kubeconfig")).await
}

/// With the token of an access Secret, as a component has it: the generic kubeconfig, its file of a token read for it. The server is
/// the API server if no other is named.
pub(super) async fn with_token(objects: &Objects, component: &str, server: Option<&str>) -> kube::Client {
    let token = part(&objects[&("Secret".to_owned(), format!("shoot-access-{component}"))], "token");
    let mut kubeconfig: Value =
        serde_yaml::from_str(&part(named(objects, "generic-token-kubeconfig"), "kubeconfig")).expect("a kubeconfig");
    assert_eq!(
        kubeconfig["users"][0]["user"]["tokenFile"], "/var/run/secrets/gardener.cloud/shoot/generic-kubeconfig/token",
        "where components mount it"
    );
    kubeconfig["users"][0]["user"] = json!({ "token": token });
    if let Some(server) = server {
        kubeconfig["clusters"][0]["cluster"]["server"] = server.into();
    }
    client(&kubeconfig.to_string()).await
}

/// Requests every token that is asked for: the number of them.
pub(super) async fn tokens(client: &kube::Client, objects: &mut Objects) -> usize {
    let mut count = 0;
    for object in objects.values_mut() {
        let labels = &object["metadata"]["labels"];
        let asks = labels["resources.gardener.cloud/purpose"] == "token-requestor"
            && labels["resources.gardener.cloud/class"] == "shoot";
        if object["kind"] != "Secret" || !asks {
            continue;
        }
        let annotation = |name: &str| {
            let value = &object["metadata"]["annotations"][format!("serviceaccount.resources.gardener.cloud/{name}")];
            value.as_str().expect("an annotation").to_owned()
        };
        let (namespace, name) = (annotation("namespace"), annotation("name"));
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, "automountServiceAccountToken": false});
        match post(client, &path, &account).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => drop(other.expect("a service account")),
        }
        let wanted = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["gardener"], "expirationSeconds": 43200}});
        let made = post(client, &format!("{path}/{name}/token"), &wanted).await.expect("a token");
        let token = made["status"]["token"].as_str().expect("a token");
        if object["data"].get("kubeconfig").is_some() {
            let mut kubeconfig: Value = serde_yaml::from_str(&part(object, "kubeconfig")).expect("a kubeconfig");
            kubeconfig["users"][0]["user"]["token"] = token.into();
            object["data"]["kubeconfig"] = STANDARD.encode(kubeconfig.to_string()).into();
        } else {
            object["data"]["token"] = STANDARD.encode(token).into();
        }
        count += 1;
    }
    count
}

/// Creates an object.
pub(super) async fn post(client: &kube::Client, path: &str, body: &Value) -> Result<Value, kube::Error> {
    let request = http::Request::post(path).header("content-type", "application/json");
    client.request(request.body(body.to_string().into_bytes()).expect("a request")).await
}

/// What the ManagedResources of a namespace hold, with the labels that they inject.
pub(super) fn packed(objects: &Objects) -> Vec<Value> {
    let mut out = Vec::new();
    for resource in
        objects.values().filter(|o| o["kind"] == "ManagedResource" && o["spec"]["class"].as_str().is_none_or(str::is_empty))
    {
        for reference in resource["spec"]["secretRefs"].as_array().expect("references") {
            let name = reference["name"].as_str().expect("a name").to_owned();
            for bytes in data(&objects[&("Secret".to_owned(), name)]).values() {
                let parsed = document::parse(&RepoPath::from("x.yaml"), bytes, &document::Budget::default());
                assert!(parsed.findings.is_empty(), "{:?}", parsed.findings);
                for found in &parsed.documents {
                    let mut object = found.value().clone();
                    for (label, value) in resource["spec"]["injectLabels"].as_object().into_iter().flatten() {
                        object["metadata"]["labels"][label] = value.clone();
                    }
                    out.push(object);
                }
            }
        }
    }
    out
}

/// Answers webhooks on the address of its Service: it admits everything as it is.
pub(super) async fn serve(objects: &Objects, address: &str) {
    let server = named(objects, "gardener-resource-manager-server");
    let (certificate, key) = (part(server, "tls.crt"), part(server, "tls.key"));
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>().expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).expect("they fit")));
    let listener = TcpListener::bind(address).await.expect("a port");
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = hyper::service::service_fn(answer);
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = match review["kind"].as_str() {
        Some("AdmissionReview") => json!({
            "apiVersion": review["apiVersion"], "kind": "AdmissionReview",
            "response": {"uid": review["request"]["uid"], "allowed": true},
        }),
        // No opinion, as for every request of somebody who is not a node's agent.
        _ => {
            json!({"apiVersion": review["apiVersion"], "kind": review["kind"], "spec": review["spec"], "status": {"allowed": false}})
        }
    };
    let response =
        Response::builder().header("content-type", "application/json").body(Full::new(Bytes::from(answer.to_string())));
    Ok(response.expect("a response"))
}
