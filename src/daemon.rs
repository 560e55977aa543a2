//! The daemon: performs what [`state::State`] decides and feeds back what came of it. Makes no decision of its own beyond what can
//! be read, watched and written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::apply;
use crate::cluster::{self, ClusterError, Clusters, KindRef, Kinds, Lease, Watching, lease::LeaseSettings};
use crate::digest::DigestKey;
use crate::finding::Findings;
use crate::git::{self, GitError, Message, Repo};
use crate::helm::Helm;
use crate::landscape::{self, Owner, Target};
use crate::library::Library;
use crate::plan::{OwnerPlan, Step, StepResult};
use crate::snapshot::{Changes, RepoPath, Revision};

mod charts;
mod looked_at;
pub mod queue;
mod report;
pub mod reverts;
pub mod state;
pub mod turns;
pub mod view;

pub use looked_at::{keep, kinds_of};
use queue::Millis;
use reverts::Reverts;
use state::{Counts, Effect, Event, Head, Settings, State};
pub use view::View;

/// Makes the client of a cluster when the landscape names it.
pub type Connect = Box<dyn Fn(Target, Option<Value>) -> BoxFuture<'static, Result<Client, String>> + Send + Sync>;

/// What a daemon is made of.
pub struct Options {
    /// The repository.
    pub repo: Repo,
    /// The branch that is watched, as a full reference name.
    pub branch: String,
    /// The one commit to carry out, wherever the branch goes meanwhile; `None` to follow the branch.
    pub pinned: Option<Revision>,
    /// Where the landscape is on the branch; empty for its root.
    pub root: String,
    /// The name of the landscape: names its status branch and its lease.
    pub landscape: String,
    /// The clusters; clients are added as the landscape names them.
    pub clusters: Clusters,
    /// How a cluster is reached.
    pub connect: Connect,
    /// How often a remote repository is asked for news.
    pub poll: Duration,
    /// Return when everything wanted is ready, held or failed.
    pub once: bool,
    /// Follow a rewritten history to where the branch is now: an explicit human reset.
    pub accept_rewrite: bool,
    /// Who we are, for the lease.
    pub identity: String,
    /// Settings of the state machine.
    pub settings: Settings,
    /// Who renders the charts of extensions; `None` where extensions are somebody else's, such as simulated ones.
    pub helm: Option<Helm>,
    /// Where the picture for people and metrics is published.
    pub view: watch::Sender<Arc<View>>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The last picture.
    pub view: Arc<View>,
    /// Counters.
    pub counts: Counts,
    /// The tip of the status branch.
    pub status: Option<Revision>,
    /// Whether it ended because it was told to.
    pub stopped: bool,
}

/// Why a daemon could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Git at the start; later troubles are waited out.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A cluster at the start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The branch does not exist.
    #[error("there is no branch `{0}`")]
    NoBranch(String),
    /// The landscape cannot be read at all.
    #[error("{0}")]
    Landscape(String),
    /// Something else reconciles this garden.
    #[error("refusing to run beside a Gardener: {0}")]
    Gardener(String),
    /// A cluster that the landscape names cannot be reached as configured.
    #[error("{target}: {why}")]
    Connect {
        /// Which.
        target: Target,
        /// Why.
        why: String,
    },
}

/// The pause before a key is asked for again that could not be read.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Milliseconds between two pictures while things move.
const PICTURE_EVERY: Millis = 100;

/// Where and how the shell stands.
struct Shell {
    options: Options,
    state: State,
    began: Instant,
    events: mpsc::UnboundedSender<Event>,
    tasks: JoinSet<()>,
    watching: Option<Watching>,
    signals: mpsc::Sender<cluster::Signal>,
    following: Kinds,
    documents: landscape::FileMemo,
    library: Option<(Overlays, Arc<Library>)>,
    head: Option<Revision>,
    status: Option<Revision>,
    limits: apply::Limits,
    /// Kinds that earlier libraries wrote: in the garden or not, apiVersion, kind.
    remembered: BTreeSet<(bool, String, String)>,
    /// Seeds to reach that the landscape names no more.
    left_behind: BTreeSet<Target>,
    /// When the next picture is due.
    published: Option<Millis>,
    /// Whether something happened since the last picture.
    unseen: bool,
}

/// What a repository lays over the built-in templates, policies and images.
type Overlays = BTreeMap<RepoPath, Arc<str>>;

/// Runs until `stop` turns true, or until all is settled if that was asked for.
pub async fn run(options: Options, mut stop: watch::Receiver<bool>) -> Result<Ended, DaemonError> {
    let (events, mut incoming) = mpsc::unbounded_channel();
    let (signals, mut from_clusters) = mpsc::channel(4_096);
    let state = State::new(Settings { installs: options.helm.is_some(), ..options.settings.clone() });
    let mut shell = Shell {
        state,
        began: Instant::now(),
        events,
        tasks: JoinSet::new(),
        watching: None,
        signals,
        following: Kinds::default(),
        documents: landscape::FileMemo::default(),
        library: None,
        head: None,
        status: None,
        limits: apply::Limits::default(),
        remembered: BTreeSet::new(),
        left_behind: BTreeSet::new(),
        published: None,
        unseen: false,
        options,
    };
    shell.read_status().await?;
    shell.take_head(true).await?;
    if let Some(found) = cluster::running_gardener(&shell.options.clusters).await? {
        return Err(DaemonError::Gardener(found));
    }

    let settings = LeaseSettings::of(&shell.options.landscape, shell.options.identity.clone());
    let lease = Lease::new(&shell.options.clusters, &Target::Garden, settings)?;
    shell.options.clusters.fence(lease.fence());
    let (held, mut lease_changes) = watch::channel(false);
    let keeper = tokio::spawn(lease.keep(held));

    let mut git_watch = shell.options.repo.watch().await?;
    let mut poll = tokio::time::interval(shell.options.poll);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    let mut stopped = *stop.borrow();
    while !stopped {
        let at = shell.at();
        let wake = [shell.state.wake_at(), shell.unseen.then_some(shell.published).flatten()].into_iter().flatten().min();
        let wake = wake.map(|at| shell.began + Duration::from_millis(at));
        tokio::select! {
            biased;
            changed = stop.changed() => stopped = changed.is_err() || *stop.borrow(),
            changed = lease_changes.changed() => {
                if changed.is_ok() {
                    let held = *lease_changes.borrow_and_update();
                    shell.step(Event::Lease(held));
                }
            }
            Some(event) = incoming.recv() => shell.step(event),
            count = from_clusters.recv_many(&mut batch, 4_096) => {
                if count > 0 {
                    shell.step(Event::Signals(std::mem::take(&mut batch)));
                }
            }
            () = moved(&mut git_watch) => shell.look_at_git().await,
            _ = poll.tick() => shell.look_at_git().await,
            () = sleep_until(wake) => shell.step(Event::Tick),
            // What it had to say was heard before; a pass ends with the last of them.
            Some(_) = shell.tasks.join_next() => {}
        }
        while shell.tasks.try_join_next().is_some() {}
        if !shell.left_behind.is_empty() {
            shell.connect_left_behind().await;
        }
        if shell.options.once && shell.tasks.is_empty() && incoming.is_empty() && shell.state.is_settled(at) {
            break;
        }
    }
    shell.drain(&mut incoming).await;
    drop(lease_changes);
    if tokio::time::timeout(Duration::from_secs(10), keeper).await.is_err() {
        tracing::warn!("the lease was not given up in time and will expire");
    }
    let view = shell.publish();
    Ok(Ended { view, counts: shell.state.counts.clone(), status: shell.status.clone(), stopped })
}

async fn moved(watch: &mut Option<git::Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Shell {
    fn at(&self) -> Millis {
        Millis::try_from(self.began.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    fn now(&self) -> Timestamp {
        self.options.clusters.now()
    }

    fn step(&mut self, event: Event) {
        match &event {
            Event::Committed(Ok(revision)) => self.status = Some(revision.clone()),
            Event::StatusTree(tip, _) => self.status.clone_from(tip),
            _ => {}
        }
        let (now, at) = (self.now(), self.at());
        for effect in self.state.step(event, now, at) {
            self.perform(effect);
        }
        // A picture costs a look at every owner: often enough for people is often enough.
        if self.published.is_none_or(|due| at >= due) || self.state.is_settled(at) {
            let began = Instant::now();
            self.unseen = false;
            self.publish();
            // Of a large landscape the more seldom.
            let took = Millis::try_from(began.elapsed().as_millis()).unwrap_or(Millis::MAX);
            self.published = Some(at.saturating_add(PICTURE_EVERY.max(took.saturating_mul(30))));
        } else {
            self.unseen = true;
        }
    }

    fn publish(&mut self) -> Arc<View> {
        let view = Arc::new(View::of(&self.state, self.status.clone(), self.options.clusters.counters().snapshot()));
        self.options.view.send_replace(view.clone());
        view
    }

    fn spawn(&mut self, work: impl Future<Output = Event> + Send + 'static) {
        let events = self.events.clone();
        self.tasks.spawn(async move {
            if events.send(work.await).is_err() {
                tracing::debug!("an answer came after the end");
            }
        });
    }

    fn perform(&mut self, effect: Effect) {
        let clusters = self.options.clusters.clone();
        match effect {
            Effect::FetchBodies(owner, wanted) => self.spawn(async move {
                let (bodies, problems) = cluster::bodies(&clusters, &wanted).await;
                let problem = problems.into_iter().next().map(|(target, why)| format!("{target}: {why}"));
                Event::Bodies(owner, problem.map_or(Ok(bodies), Err))
            }),
            Effect::FetchDigestKey(secret) => self.spawn(async move {
                let wanted = BTreeSet::from([secret.clone()]);
                let (mut bodies, problems) = cluster::bodies(&clusters, &wanted).await;
                let body = bodies.0.remove(&secret).flatten();
                if let Some(key) = body.and_then(|body| body.into_values().next()) {
                    return Event::DigestKey(DigestKey(key));
                }
                for (target, why) in problems {
                    tracing::warn!(%target, %why, "the key of digests could not be read");
                }
                // It is asked for again as soon as this is heard.
                tokio::time::sleep(ASK_AGAIN).await;
                Event::NoDigestKey
            }),
            Effect::Execute(plan) => {
                let (owner, limits) = (plan.owner.clone(), self.limits.clone());
                for secret in &plan.generate {
                    tracing::info!(%owner, target = %secret.target, secret = %secret.name, reason = %secret.reason, "generate");
                }
                for step in plan.components.iter().flat_map(|c| &c.steps) {
                    tracing::info!(%owner, target = %step.target, object = %step.key, reason = %step.reason, "{}", step.action.verb());
                }
                self.spawn(async move {
                    let results = apply::execute(&plan, &clusters, &limits).await;
                    Event::Done(owner, results)
                });
            }
            Effect::PatchStatus(patches) => {
                let limits = self.limits.clone();
                self.spawn(async move { Event::StatusDone(patch(&clusters, &limits, patches).await) });
            }
            Effect::Commit { changes, subject, trailers } => self.commit(changes, subject, trailers),
            Effect::RenderChart(request) => {
                if let Some(helm) = self.options.helm.clone() {
                    self.spawn(charts::rendered(clusters, helm, request));
                }
            }
            Effect::ReadHeartbeats(target) => self.spawn(async move {
                let beats = cluster::heartbeats(&clusters, &target).await.map_err(|e| e.to_string());
                Event::Heartbeats(target, beats)
            }),
            Effect::ReadStatus => self.reread_status(),
            Effect::Connect(targets) => self.left_behind.extend(targets),
            Effect::Follow(more) => {
                self.remembered.extend(more);
                if let Some((_, library)) = self.library.clone() {
                    self.follow(&library);
                }
            }
        }
    }

    fn commit(&mut self, changes: Changes, subject: String, trailers: Vec<(String, String)>) {
        let (repo, reference) = (self.options.repo.clone(), git::status_reference(&self.options.landscape));
        let (expected, now) = (self.status.clone(), self.now().as_second());
        let message = Message { subject, trailers, ..Message::default() };
        self.spawn(async move {
            let moved = repo.commit(&reference, expected.as_ref(), changes, message, now).await;
            Event::Committed(moved.map_err(|e| e.to_string()))
        });
    }

    fn reread_status(&mut self) {
        let (repo, reference) = (self.options.repo.clone(), git::status_reference(&self.options.landscape));
        self.spawn(async move {
            if let Err(e) = repo.fetch().await {
                tracing::warn!(error = %e, "the repository could not be fetched");
            }
            let tip = repo.resolve(&reference).await;
            let files = repo.read_tree(&reference).await;
            match (tip, files) {
                (Ok(tip), Ok(files)) => Event::StatusTree(tip, files),
                (Err(e), _) | (_, Err(e)) => Event::StatusUnreadable(e.to_string()),
            }
        });
    }

    async fn read_status(&mut self) -> Result<(), DaemonError> {
        self.options.repo.fetch().await?;
        let reference = git::status_reference(&self.options.landscape);
        let tip = self.options.repo.resolve(&reference).await?;
        let files = self.options.repo.read_tree(&reference).await?;
        self.step(Event::StatusTree(tip, files));
        Ok(())
    }

    /// Looks whether the branch moved. Troubles are told and waited out: last state kept.
    async fn look_at_git(&mut self) {
        if let Err(e) = self.options.repo.fetch().await {
            self.step(Event::GitTrouble(e.to_string()));
            return;
        }
        match self.take_head(false).await {
            Ok(()) => {}
            Err(e) => self.step(Event::GitTrouble(e.to_string())),
        }
    }

    async fn take_head(&mut self, first: bool) -> Result<(), DaemonError> {
        let repo = self.options.repo.clone();
        let found = match &self.options.pinned {
            Some(pinned) => Some(pinned.clone()),
            None => repo.resolve(&self.options.branch).await?,
        };
        let Some(revision) = found else {
            return Err(DaemonError::NoBranch(self.options.branch.clone()));
        };
        if self.head.as_ref() == Some(&revision) {
            self.step(Event::GitFine);
            return Ok(());
        }
        if let Some(old) = &self.head
            && !self.options.accept_rewrite
            && !repo.is_ancestor(old, &revision).await?
        {
            return Err(DaemonError::Landscape(rewritten(&repo, &self.options.branch, old, &revision).await?));
        }
        let reverts = match &self.head {
            Some(old) => reverts(&repo, old, &revision, &self.options.root).await?,
            None => None,
        };
        let snapshot = repo.snapshot(&revision, &self.options.root).await?;
        if !snapshot.files.contains_key(LANDSCAPE) {
            let stays = if first { "nothing is begun" } else { "everything stays as it is" };
            let path = format!("{}/{LANDSCAPE}", self.options.root.trim_matches('/'));
            let path = path.trim_start_matches('/');
            return Err(DaemonError::Landscape(format!(
                "there is no {path} at {}: {stays}; bring it back, as by `git revert`",
                revision.short()
            )));
        }
        let (landscape, mut findings) = landscape::load(&snapshot, &mut self.documents);
        let library = self.library(&landscape.overlays, &mut findings);
        self.connect(&landscape, first).await?;
        self.follow(&library);
        self.head = Some(revision.clone());
        let head = Head { revision, landscape: Arc::new(landscape), findings, library, reverts };
        self.step(Event::Head(Box::new(head)));
        self.step(Event::GitFine);
        Ok(())
    }

    /// The library with the repository's overlays. A broken overlay is held: the last good one serves on.
    fn library(&mut self, overlays: &Overlays, findings: &mut Findings) -> Arc<Library> {
        if let Some((known, library)) = &self.library
            && known == overlays
        {
            return library.clone();
        }
        let (compiled, found) = Library::compile(overlays);
        let broken = found.has_errors();
        findings.extend(found);
        match (&self.library, broken) {
            (Some((_, good)), true) => good.clone(),
            (None, true) => {
                // Nothing was good before: the built-in library serves until the overlay is mended.
                let (built_in, _) = Library::compile(&BTreeMap::new());
                Arc::new(built_in)
            }
            (_, false) => {
                let library = Arc::new(compiled);
                self.library = Some((overlays.clone(), library.clone()));
                library
            }
        }
    }

    /// Makes clients for clusters that the landscape names and we do not know yet.
    async fn connect(&mut self, landscape: &landscape::Landscape, first: bool) -> Result<(), DaemonError> {
        let mut wanted: BTreeSet<Target> = landscape.seeds.keys().map(|seed| Target::Seed(seed.name.clone())).collect();
        wanted.insert(Target::Garden);
        self.reach(wanted, landscape.settings().cloned(), first).await
    }

    /// The same for those that the landscape names no more.
    async fn connect_left_behind(&mut self) {
        let wanted = std::mem::take(&mut self.left_behind);
        let settings = self.state.world().and_then(|world| world.landscape.settings().cloned());
        if let Err(error) = self.reach(wanted, settings, false).await {
            tracing::error!(%error, "cluster cannot be reached as configured");
        }
        if let Some((_, library)) = self.library.clone() {
            self.follow(&library);
        }
    }

    async fn reach(&mut self, wanted: BTreeSet<Target>, settings: Option<Value>, first: bool) -> Result<(), DaemonError> {
        let known = self.options.clusters.targets();
        for target in wanted.difference(&known) {
            match (self.options.connect)(target.clone(), settings.clone()).await {
                Ok(client) => self.options.clusters.insert(target.clone(), client),
                // A kubeconfig that is missing is an error at the start, never an empty cluster; a seed that is added later and
                // cannot be reached only holds itself.
                Err(why) if first => return Err(DaemonError::Connect { target: target.clone(), why }),
                Err(why) => tracing::error!(%target, %why, "cluster cannot be reached as configured"),
            }
        }
        Ok(())
    }

    /// Watches every kind that the library may write, in every cluster.
    fn follow(&mut self, library: &Library) {
        let mut kinds = Kinds::default();
        for target in self.options.clusters.targets() {
            let wanted = kinds_of(library, &target);
            let remembered = self.remembered.iter().filter(|(in_garden, ..)| *in_garden == (target == Target::Garden));
            let remembered: Vec<KindRef> = remembered.map(|(_, api, kind)| KindRef::new(api, kind)).collect();
            kinds.insert(target, wanted.into_iter().chain(remembered).collect());
        }
        if let Some(watching) = &mut self.watching {
            watching.keep(keep(library));
        }
        if kinds == self.following {
            return;
        }
        self.following = kinds.clone();
        self.step(Event::Expect(kinds.clone()));
        match &mut self.watching {
            Some(watching) => watching.ensure(&kinds),
            None => {
                self.watching = Some(cluster::watch(&self.options.clusters, &kinds, keep(library), self.signals.clone()));
            }
        }
    }

    /// Lets what was begun end, and takes in what came of it.
    async fn drain(&mut self, incoming: &mut mpsc::UnboundedReceiver<Event>) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.tasks.is_empty() {
            if tokio::time::timeout_at(deadline, self.tasks.join_next()).await.is_err() {
                tracing::warn!(left = self.tasks.len(), "work was cut off at the end; it is repeated at the next start");
                self.tasks.abort_all();
                break;
            }
        }
        while let Ok(event) = incoming.try_recv() {
            if let Event::Committed(Ok(revision)) = &event {
                self.status = Some(revision.clone());
            }
        }
    }
}

/// The file without which a tree is no landscape, however many others there are.
const LANDSCAPE: &str = "landscape.yaml";

/// Why a branch that does not follow where it was is not followed.
async fn rewritten(repo: &Repo, branch: &str, from: &Revision, to: &Revision) -> Result<String, GitError> {
    let (old, new) = (from.short(), to.short());
    if repo.is_ancestor(to, from).await? {
        let commits = repo.log(from, Some(to), LOOK_BACK).await?.len();
        let more = if commits < LOOK_BACK { "" } else { " or more" };
        return Ok(format!(
            "`{branch}` was moved back from {old} to {new}, by {commits}{more} commits: everything stays as it is; revert them \
             instead (`espalier rollback`), or start with --accept-rewrite to go there"
        ));
    }
    Ok(format!("`{branch}` was rewritten: {new} does not follow {old}; start with --accept-rewrite to go there"))
}

/// So many commits are read to find out whether a move of the branch takes something back.
const LOOK_BACK: usize = 500;

/// What a branch takes back by moving from one commit to another.
async fn reverts(repo: &Repo, from: &Revision, to: &Revision, root: &str) -> Result<Option<Reverts>, GitError> {
    let mut news = Vec::new();
    for commit in repo.log(to, Some(from), LOOK_BACK).await? {
        let changed = match commit.parents.first() {
            Some(parent) if !reverts::said(&commit).is_empty() => {
                repo.changed_paths(Some(parent), &commit.revision, root).await?.into_iter().collect()
            }
            _ => BTreeSet::new(),
        };
        news.push((commit, changed));
    }
    // Where nothing of the landscape changed it is as it was a moment ago, and nothing is taken back.
    let back_to = repo.same_as(to, from, root, LOOK_BACK).await?.filter(|back_to| back_to != from);
    Ok(Reverts::of(&news, back_to))
}

async fn patch(clusters: &Clusters, limits: &apply::Limits, patches: Vec<(Owner, Step)>) -> Vec<(Owner, StepResult)> {
    let mut out = Vec::new();
    for (owner, step) in patches {
        let plan = OwnerPlan::status(owner.clone(), step);
        out.extend(apply::execute(&plan, clusters, limits).await.into_iter().map(|result| (owner.clone(), result)));
    }
    out
}

/// Where state that is not the landscape's lives: caches of remote repositories.
#[must_use]
pub fn cache_dir(state: Option<&PathBuf>) -> PathBuf {
    state.map_or_else(|| std::env::temp_dir().join("espalier-cache"), |dir| dir.join("git"))
}
