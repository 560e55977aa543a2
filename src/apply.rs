//! The only hand that changes clusters: carries out one owner's frontier and tells what came of each step.
//!
//! Everything is server-side apply by manager `espalier`, except: fields that are set once (manager `espalier-once`), decisions
//! (`espalier-decisions`), the extension handshake, tokens and statuses (merge patches), deletions (with preconditions), and secrets
//! that are made here ([`generate`]) and POSTed. No choice is made here that the plan did not make: an object that turns out not to be
//! as planned is a conflict, and the next pass plans anew. Steps of a component run in order and stop at its first failure;
//! components of one frontier do not depend on each other and run side by side; deletions come last. Only transient failures
//! are tried again.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};

use crate::cluster::{ClusterError, Clusters};
use crate::landscape::Target;
use crate::observed::{Object, ObjectKey};
use crate::plan::{Action, ComponentPlan, ErrorClass, OwnerPlan, Step, StepError, StepResult};
use crate::render::ComponentId;

pub mod generate;
mod redact;
mod step;
mod token;

pub use redact::redact;

/// How hard to try.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How often a step is tried before its transient failure is reported.
    pub attempts: u32,
    /// Pause before the second attempt; doubles from then on.
    pub pause: Duration,
    /// Components of one owner at once. Requests at once per cluster are limited by [`Clusters`].
    pub components: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts: 4, pause: Duration::from_millis(200), components: 8 }
    }
}

/// A server may ask for more patience than this; then the step fails and its owner is queued for later.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Carries out what can be done now for one owner: secrets first, then creations and updates, then deletions. One result per
/// step, in the order of the plan; steps that were not tried, because an earlier one of their component failed, have none.
pub async fn execute(plan: &OwnerPlan, clusters: &Clusters, limits: &Limits) -> Vec<StepResult> {
    let mut results = generate::execute(&plan.generate, clusters, limits).await;

    let mut failed = vec![false; plan.components.len()];
    for phase in [Phase::Write, Phase::Delete] {
        // Boxed, or the compiler cannot see that this is `Send` for every lifetime.
        let runs: Vec<BoxFuture<'_, (usize, Vec<StepResult>)>> = plan
            .components
            .iter()
            .enumerate()
            .filter(|(at, _)| !failed[*at])
            .map(|(at, component)| run(component, phase, clusters, limits).map(move |steps| (at, steps)).boxed())
            .collect();
        let done: Vec<(usize, Vec<StepResult>)> = stream::iter(runs).buffered(limits.components.max(1)).collect().await;
        for (at, steps) in done {
            failed[at] |= steps.iter().any(|step| step.result.is_err());
            results.extend(steps);
        }
    }
    results
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Write,
    Delete,
}

fn phase(action: &Action) -> Phase {
    match action {
        Action::Delete { .. } => Phase::Delete,
        Action::Create { .. }
        | Action::Update { .. }
        | Action::Recreate { .. }
        | Action::Trigger
        | Action::Renew { .. }
        | Action::Adopt { .. }
        | Action::Decide { .. }
        | Action::Mark { .. }
        | Action::Status { .. }
        | Action::Hold => Phase::Write,
    }
}

async fn run(component: &ComponentPlan, wanted: Phase, clusters: &Clusters, limits: &Limits) -> Vec<StepResult> {
    let mut results = Vec::new();
    for step in component.steps.iter().filter(|step| phase(&step.action) == wanted) {
        let outcome = attempt(clusters, &step.target, limits, || step::perform(step, clusters)).await;
        let failed = outcome.is_err();
        results.push(result(step, Some(component.id.clone()), outcome));
        if failed {
            break;
        }
    }
    results
}

/// What a successful write brought.
pub(crate) struct Written {
    /// Whether it can have changed anything.
    pub(crate) changed: bool,
    /// The object as returned.
    pub(crate) object: Option<Arc<Object>>,
}

fn result(step: &Step, component: Option<ComponentId>, outcome: Result<Written, ClusterError>) -> StepResult {
    finished(component, &step.target, &step.key, step.action.verb(), outcome)
}

fn finished(
    component: Option<ComponentId>,
    target: &Target,
    key: &ObjectKey,
    verb: &'static str,
    outcome: Result<Written, ClusterError>,
) -> StepResult {
    let (result, object) = match outcome {
        Ok(written) => (Ok(written.changed), written.object),
        Err(e) => (Err(explain(&e, key)), None),
    };
    if let Err(error) = &result {
        tracing::debug!(%target, %key, verb, class = ?error.class, message = error.message, "a step failed");
    }
    StepResult { component, target: target.clone(), key: key.clone(), verb, result, object }
}

/// An error that may be printed.
fn explain(error: &ClusterError, key: &ObjectKey) -> StepError {
    let message = match error {
        ClusterError::Answer { message, .. } => message.clone(),
        other => other.to_string(),
    };
    StepError { class: error.class(), message: redact(key, &message), status: error.status(), retry_after: error.retry_after() }
}

/// Tries until success, a failure that repetition does not mend, or the limit. Holds a place among the cluster's writers only
/// while trying, not while pausing.
async fn attempt<F>(
    clusters: &Clusters,
    target: &Target,
    limits: &Limits,
    perform: impl Fn() -> F,
) -> Result<Written, ClusterError>
where
    F: Future<Output = Result<Written, ClusterError>>,
{
    let cluster = clusters.cluster(target)?;
    let mut pause = limits.pause;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let outcome = {
            let _permit = cluster.writes.acquire().await.expect("the semaphore is never closed");
            perform().await
        };
        let error = match outcome {
            Ok(written) => return Ok(written),
            Err(e) => e,
        };
        // Nothing is sent without the lease, so waiting here would only hold the owner up.
        let again = error.class() == ErrorClass::Transient && error != ClusterError::Fenced;
        let told = error.retry_after().map(|s| Duration::from_secs(u64::from(s)));
        if !again || attempts >= limits.attempts || told.is_some_and(|t| t > MAX_PAUSE) {
            return Err(error);
        }
        let wait = told.unwrap_or(pause).min(MAX_PAUSE);
        tokio::time::sleep(wait.mul_f64(1.0 + fastrand::f64() / 4.0)).await;
        pause = pause.saturating_mul(2);
    }
}
