//! The wire to a forge: JSON over HTTP, with a token that goes nowhere else.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

/// A forge that does not answer within this time does not answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer has at most so many bytes.
const MOST: usize = 32 << 20;

/// A client of one forge. Redirects are not followed: the token is for this host alone.
pub(super) struct Client {
    inner: Legacy<HttpsConnector<HttpConnector>, Full<Bytes>>,
    header: (&'static str, HeaderValue),
}

impl Client {
    /// A client for the API at this address, with the header that carries the token.
    pub(super) fn new(api: &str, header: (&'static str, String)) -> anyhow::Result<Self> {
        let uri: Uri = api.parse().with_context(|| format!("`{api}` is no address of an API"))?;
        let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let builder = HttpsConnectorBuilder::new();
        let builder = match uri.scheme_str() {
            Some("https") => builder
                .with_provider_and_native_roots(ring::default_provider())
                .context("no certificate authorities of this machine can be read")?,
            Some("http") if local => {
                let none = ClientConfig::builder_with_provider(ring::default_provider().into())
                    .with_safe_default_protocol_versions()
                    .context("no TLS")?;
                builder.with_tls_config(none.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
            }
            _ => bail!("`{api}` is not https: a token is not sent in the clear"),
        };
        let connector = builder.https_or_http().enable_http1().build();
        let mut value = HeaderValue::from_str(&header.1).map_err(|_| anyhow!("the token has characters that no token has"))?;
        value.set_sensitive(true);
        Ok(Self { inner: Legacy::builder(TokioExecutor::new()).build(connector), header: (header.0, value) })
    }

    /// Asks; gives the status and what was answered, null if that is not JSON.
    pub(super) async fn ask(&self, method: &Method, url: &str, body: Option<&Value>) -> anyhow::Result<(StatusCode, Value)> {
        let failed = || format!("{method} {url} failed");
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("user-agent", concat!("espalier/", env!("CARGO_PKG_VERSION")))
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header(self.header.0, &self.header.1)
            .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
            .with_context(failed)?;
        let answer = async {
            let response = self.inner.request(request).await.map_err(|error| anyhow!(told(&error)))?;
            let status = response.status();
            let bytes = Limited::new(response.into_body(), MOST).collect().await.map_err(|error| anyhow!(error))?.to_bytes();
            anyhow::Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer.map_err(|_| anyhow!("no answer within {} s", PATIENCE.as_secs())).flatten().with_context(failed)
    }

    /// Asks for what must succeed.
    pub(super) async fn must(&self, method: &Method, url: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let (status, answer) = self.ask(method, url, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        let said = ["message", "error"].iter().find_map(|key| answer[*key].as_str()).unwrap_or_default();
        let said: String = said.escape_debug().take(200).collect();
        bail!("{method} {url}: the forge answers {status}{}{said}", if said.is_empty() { "" } else { ": " })
    }
}

/// An error with its causes, which this client does not tell by itself.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
