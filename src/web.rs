//! What the daemon serves: `/healthz`, `/readyz` and `/metrics`. Reads the published picture and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::daemon::View;
use crate::landscape::Kind;
use crate::status::Standing;

/// Serves until the process ends; gives the address that was bound.
pub async fn serve(address: SocketAddr, view: watch::Receiver<Arc<View>>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router(view)).await {
            tracing::error!(%error, "the web server ended");
        }
    });
    Ok(bound)
}

/// The routes over a picture.
pub fn router(view: watch::Receiver<Arc<View>>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(view)
}

/// Ready once a commit was taken up and every cluster was listed completely.
async fn ready(State(view): State<watch::Receiver<Arc<View>>>) -> impl IntoResponse {
    let view = view.borrow().clone();
    if view.revision.is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "no commit was read yet\n".to_owned());
    }
    if let Some((target, why)) = view.incomplete.first_key_value() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{target}: {why}\n"));
    }
    (StatusCode::OK, "ok\n".to_owned())
}

async fn metrics(State(view): State<watch::Receiver<Arc<View>>>) -> impl IntoResponse {
    let view = view.borrow().clone();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&view))
}

/// The metrics in Prometheus' text format.
#[must_use]
pub fn text(view: &View) -> String {
    let mut out = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, value) in samples {
            out.push_str(&format!("{name}{labels} {value}\n"));
        }
    };
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let counts = &view.counts;
    metric("espalier_commits_taken_up_total", "counter", "Commits of the landscape taken up.", &[(String::new(), counts.heads)]);
    metric("espalier_reverts_total", "counter", "Commits that took others back.", &[(String::new(), counts.reverts)]);
    metric(
        "espalier_waits_cancelled_total",
        "counter",
        "Owners whose wait ended because what they waited for was taken back.",
        &[(String::new(), counts.waits_cancelled)],
    );
    metric("espalier_evaluations_total", "counter", "Owners evaluated.", &[(String::new(), counts.evaluated)]);
    metric(
        "espalier_executions_total",
        "counter",
        "Owners for which something was carried out.",
        &[(String::new(), counts.executed)],
    );
    metric("espalier_steps_total", "counter", "Steps carried out.", &[(String::new(), counts.steps)]);
    metric("espalier_steps_failed_total", "counter", "Steps that failed.", &[(String::new(), counts.failed)]);
    metric("espalier_status_commits_total", "counter", "Commits on the status branch.", &[(String::new(), counts.commits)]);
    let since = [
        ("{what=\"evaluated\"}".to_owned(), count(counts.evaluated_since_head.len())),
        ("{what=\"written\"}".to_owned(), count(counts.written_since_head.len())),
    ];
    metric("espalier_owners_since_commit", "gauge", "Distinct owners touched since the latest commit was taken up.", &since);
    let requests: Vec<(String, u64)> =
        view.requests.iter().map(|((target, verb), n)| (format!("{{cluster=\"{target}\",verb=\"{verb}\"}}"), *n)).collect();
    metric("espalier_requests_total", "counter", "Requests to API servers.", &requests);
    let mut standings = Vec::new();
    for kind in Kind::ALL {
        let found = view.standings(*kind);
        for standing in [Standing::Ready, Standing::Progressing, Standing::Deleting, Standing::Held, Standing::Failed] {
            let n = found.get(&standing).copied().unwrap_or(0);
            if n > 0 {
                standings.push((format!("{{kind=\"{kind}\",standing=\"{}\"}}", standing.word()), count(n)));
            }
        }
    }
    metric("espalier_owners", "gauge", "Landscape objects by kind and standing.", &standings);
    let findings: Vec<(String, u64)> = ["error", "warning", "note"]
        .iter()
        .zip(view.findings)
        .map(|(severity, n)| (format!("{{severity=\"{severity}\"}}"), count(n)))
        .collect();
    metric("espalier_findings", "gauge", "Findings of the commit.", &findings);
    let trouble = u64::from(view.git_trouble.is_some());
    metric("espalier_git_trouble", "gauge", "Whether Git cannot be followed at the moment.", &[(String::new(), trouble)]);
    out
}
