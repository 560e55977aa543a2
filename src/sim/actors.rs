//! The simulated controllers: who they are and how they run.
//!
//! Each actor stands in for one engine and obeys its contract through the API alone: it reads, writes and is refused by the
//! same server code as an HTTP request. One task per cluster runs all of them from one queue, earliest first, never the same
//! object of the same actor twice at once; given the seed and the order of events, the result is determined. A panic in an
//! actor is that actor's: it is logged, and the object is tried again later.
//!
//! Every actor can be told to fail, by the annotation `sim.espalier.dev/fail` on the object it works on; see [`Fail`] for the modes.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Delays;
use super::cluster::Cluster;
use crate::observed::ObjectKey;

mod backup_bucket;
mod backup_entry;
mod container_runtime;
mod control_plane;
mod cx;
mod daemonset;
mod deployment;
mod dns_record;
mod endpoint_slice;
mod etcd;
mod extension;
mod fail;
mod fluent_operator;
mod handshake;
mod hpa;
mod infrastructure;
mod job;
mod load_balancer;
mod machine;
mod managed_resource;
mod network;
mod object;
mod opentelemetry_operator;
mod operating_system_config;
mod pdb;
mod prometheus_operator;
mod queue;
mod rollout;
mod statefulset;
mod token_requestor;
mod victoria_operator;
mod vpa;
mod worker;

use cx::{Cx, Refused};
use fail::Fail;

/// How long something takes in the world, in seconds; scaled by the cluster's delays.
type Lag = RangeInclusive<u64>;

/// One simulated controller.
trait Actor: Send {
    /// Its name: field manager of its writes, and the name in logs.
    fn name(&self) -> &'static str;
    /// The groups and kinds whose events concern it.
    fn watches(&self) -> &'static [(&'static str, &'static str)];
    /// Which objects to reconcile after an event on `key`; by default that object itself.
    fn concerns(&self, cx: &Cx<'_>, key: &ObjectKey) -> Vec<ObjectKey> {
        let _ = cx;
        vec![key.clone()]
    }
    /// Forgets all that it has in memory, as a process that starts anew.
    fn forget(&mut self) {}
    /// Brings one object forward, as far as it goes now. The object may be gone.
    fn reconcile(&mut self, cx: &mut Cx<'_>, key: &ObjectKey) -> Result<Again, Refused>;
}

/// When to look at an object again, beside events on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Only after an event.
    Done,
    /// After this time at the latest.
    After(Duration),
}

impl Again {
    /// The earlier of two.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::After(a), Self::After(b)) => Self::After(a.min(b)),
            (Self::After(a), Self::Done) | (Self::Done, Self::After(a)) => Self::After(a),
            (Self::Done, Self::Done) => Self::Done,
        }
    }
}

/// The built-in controllers, which every cluster has.
fn builtin() -> Vec<Box<dyn Actor>> {
    vec![
        Box::new(deployment::Deployments),
        Box::new(statefulset::StatefulSets),
        Box::new(daemonset::DaemonSets),
        Box::new(job::Jobs),
        Box::new(hpa::Autoscalers),
        Box::new(pdb::Budgets),
        Box::new(endpoint_slice::EndpointSlices),
        Box::new(load_balancer::LoadBalancers),
    ]
}

/// The engines that run in a seed.
fn engines() -> Vec<Box<dyn Actor>> {
    vec![
        Box::new(etcd::Druid),
        handshake::actor(infrastructure::Infrastructures),
        handshake::actor(control_plane::ControlPlanes),
        handshake::actor(network::Networks),
        handshake::actor(worker::Workers),
        handshake::actor(operating_system_config::OperatingSystemConfigs),
        handshake::actor(container_runtime::ContainerRuntimes),
        handshake::actor(extension::Extensions),
        handshake::actor(dns_record::DnsRecords),
        handshake::actor(backup_bucket::BackupBuckets),
        handshake::actor(backup_entry::BackupEntries),
        Box::new(machine::Machines),
        Box::new(managed_resource::ManagedResources),
        Box::new(token_requestor::TokenRequestor),
        Box::new(vpa::Recommender),
        Box::new(prometheus_operator::PrometheusOperator),
        Box::new(fluent_operator::FluentOperator),
        Box::new(opentelemetry_operator::OpenTelemetryOperator),
        Box::new(victoria_operator::VictoriaOperator),
    ]
}

/// The names of all simulated controllers, each once, in order.
pub(crate) fn names() -> Vec<&'static str> {
    let names: BTreeSet<&str> = builtin().iter().chain(&engines()).map(|actor| actor.name()).collect();
    names.into_iter().collect()
}

/// The controllers of one cluster, at work.
#[derive(Debug)]
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends them, between two objects, and waits until they have ended.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the runner of the simulated controllers did not end well");
        }
    }
}

/// Starts the controllers of a cluster: in a garden only the built-in ones. They begin with whatever is there, and end when
/// nobody else holds the cluster any more.
pub(crate) fn start(cluster: &Cluster, garden: bool, delays: Delays) -> Running {
    let mut actors = builtin();
    if !garden {
        actors.extend(engines());
    }
    let stop = CancellationToken::new();
    let task = tokio::spawn(queue::run(cluster, actors, delays, stop.clone()));
    Running { stop, task }
}
