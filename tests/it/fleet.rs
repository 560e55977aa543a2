//! A repository and simulated clusters for tests of the whole way: commits in, objects and status commits out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use std::time::Duration;

use espalier::cluster::Clusters;
use espalier::daemon::state::Settings;
use espalier::daemon::{self, DaemonError, Ended, Options, View};
use espalier::git::{self, Credentials, Location, Message, Repo};
use espalier::landscape::Target;
use espalier::library;
use espalier::observed::project_namespace;
use espalier::sim::{Delays, Options as SimOptions, Sim};
use espalier::snapshot::{Changes, RepoPath, Revision};
use espalier::status::Standing;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, ObjectList};
use kube::discovery::{ApiCapabilities, ApiGroup, Discovery, verbs};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A simulated cluster without simulated controllers, in memory.
pub(crate) fn options(name: &str) -> SimOptions {
    SimOptions {
        name: name.into(),
        state: None,
        seed: 1,
        actors: false,
        garden: false,
        delays: Delays::None,
        start: "2026-11-21T00:00:00Z".parse().expect("a time"),
    }
}

pub(crate) fn simulated(name: &str) -> Sim {
    Sim::open(options(name)).expect("a simulated cluster")
}

pub(crate) const BRANCH: &str = "refs/heads/landscape/local";
pub(crate) const STATUS: &str = "refs/heads/espalier/status/local";
pub(crate) const NOW: i64 = 1_795_000_000;

pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(NOW).expect("a valid time")
}

/// A repository and its simulated clusters.
pub(crate) struct Fleet {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) repo: Repo,
    pub(crate) sims: BTreeMap<Target, Sim>,
    clock: Arc<Mutex<Wall>>,
    /// When the clocks of the clusters begin.
    start: jiff::Timestamp,
}

/// The wall clock of the daemon: it stands, or goes on since a moment.
#[derive(Clone, Copy)]
struct Wall {
    at: i64,
    since: Option<Instant>,
}

impl Wall {
    fn now(self) -> jiff::Timestamp {
        let at = jiff::Timestamp::from_second(self.at).expect("a valid time");
        at + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Fleet {
    /// Sets the daemon's wall clock, and lets it stand there or go on.
    pub(crate) fn set_clock(&self, time: &str, goes: bool) {
        let at = time.parse::<jiff::Timestamp>().expect("a time").as_second();
        *self.clock.lock().expect("no panic") = Wall { at, since: goes.then(Instant::now) };
    }

    /// The shipped example, with the shoots whose names are given; all if none are.
    pub(crate) async fn local(shoots: &[&str]) -> Self {
        let mut files = example();
        if !shoots.is_empty() {
            files.retain(|path, _| {
                !path.as_str().contains("/shoots/")
                    || shoots.iter().any(|s| path.as_str().ends_with(&format!("/shoots/{s}.yaml")))
            });
        }
        Self::of(files).await
    }

    pub(crate) async fn of(files: BTreeMap<RepoPath, Vec<u8>>) -> Self {
        Self::starting(files, now()).await
    }

    /// The same with clusters whose clocks begin later: the daemon's may be set to a time before that.
    pub(crate) async fn ahead(shoot: &str, start: &str) -> Self {
        let mut files = example();
        files.retain(|path, _| !path.as_str().contains("/shoots/") || path.as_str().ends_with(&format!("/shoots/{shoot}.yaml")));
        Self::starting(files, start.parse().expect("a time")).await
    }

    /// Clusters whose clocks begin then.
    pub(crate) async fn starting(files: BTreeMap<RepoPath, Vec<u8>>, start: jiff::Timestamp) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("repo");
        let message = Message { subject: "Describe the landscape".into(), ..Message::default() };
        git::create(&path, "landscape/local", files, message, NOW).await.expect("a repository");
        // Nobody has the branch checked out, so tests may move it.
        git2::Repository::open(&path).expect("it opens").set_head("refs/heads/elsewhere").expect("a head");
        let repo = Repo::open(Location::Path(path), dir.path(), Credentials::default()).await.expect("it opens");
        let clock = Arc::new(Mutex::new(Wall { at: NOW, since: None }));
        let mut fleet = Self { dir, repo, sims: BTreeMap::new(), clock, start };
        fleet.open_clusters(false).await;
        fleet
    }

    pub(crate) async fn landscape(&self) -> espalier::landscape::Landscape {
        let head = self.head().await;
        let snapshot = self.repo.snapshot(&head, "").await.expect("a snapshot");
        espalier::landscape::load(&snapshot, &mut espalier::landscape::FileMemo::default()).0
    }

    pub(crate) async fn open_clusters(&mut self, on_disk: bool) {
        let landscape = self.landscape().await;
        let seeds = landscape.seeds.keys().map(|owner| Target::Seed(owner.name.clone()));
        for target in std::iter::once(Target::Garden).chain(seeds) {
            let state = on_disk.then(|| self.dir.path().join(format!("{target}.redb")));
            let sim = self.cluster(&target, 7, state);
            self.sims.insert(target, sim);
        }
    }

    fn cluster(&self, target: &Target, seed: u64, state: Option<PathBuf>) -> Sim {
        Sim::open(SimOptions {
            name: target.to_string(),
            state,
            seed,
            actors: true,
            garden: *target == Target::Garden,
            delays: Delays::None,
            start: self.start,
        })
        .expect("a simulated cluster")
    }

    /// Puts an empty garden in place of the one that is there, as after the loss of its etcd; its uids are others.
    pub(crate) fn lose_garden(&mut self) {
        let empty = self.cluster(&Target::Garden, 8, None);
        self.sims.insert(Target::Garden, empty);
    }

    /// Puts the credentials that the landscape refers to into the garden as soon as their namespaces are there; faults of the
    /// garden hit people too, so a test that injects some calls this when they are over.
    pub(crate) async fn credentials(&self) {
        let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
        for (owner, value, _) in self.landscape().await.objects() {
            let own = if owner.kind.namespaced() { project_namespace(&owner.project) } else { "garden".to_owned() };
            references(value, &own, &mut wanted);
        }
        let secret = |(namespace, name): (String, String)| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name}, "stringData": {"key": CANARY},
            })
        };
        self.furnish(wanted.into_iter().map(secret).collect());
    }

    /// Puts Secrets and ConfigMaps into the garden as soon as their namespaces are there; only to be called on a runtime.
    pub(crate) fn furnish(&self, wanted: Vec<Value>) {
        self.furnish_in(&Target::Garden, wanted);
    }

    /// Puts Secrets and ConfigMaps into a cluster as soon as their namespaces are there; only to be called on a runtime.
    pub(crate) fn furnish_in(&self, target: &Target, wanted: Vec<Value>) {
        let cluster = self.sims[target].client_of("people");
        tokio::spawn(async move {
            let namespaces: Api<Namespace> = Api::all(cluster.clone());
            let mut appearing = watcher(namespaces, watcher::Config::default()).touched_objects().boxed();
            while let Some(namespace) = appearing.next().await {
                let Some(there) = namespace.ok().and_then(|n| n.metadata.name) else { continue };
                for object in wanted.iter().filter(|object| object["metadata"]["namespace"] == there.as_str()) {
                    let kind = object["kind"].as_str().expect("a kind").to_lowercase();
                    let request = http::Request::post(format!("/api/v1/namespaces/{there}/{kind}s"));
                    let request = request.header("content-type", "application/json");
                    let request = request.body(object.to_string().into_bytes()).expect("a request");
                    match cluster.request::<Value>(request).await {
                        Err(kube::Error::Api(status)) if status.code != 409 => panic!("{}: {status}", name_of(object)),
                        _ => {}
                    }
                }
            }
        });
    }

    pub(crate) async fn head(&self) -> Revision {
        self.repo.resolve(BRANCH).await.expect("git works").expect("the branch is there")
    }

    pub(crate) async fn commit(&self, changes: Changes) -> Revision {
        let head = self.head().await;
        let message = Message { subject: "Change".into(), ..Message::default() };
        self.repo.commit(BRANCH, Some(&head), changes, message, NOW).await.expect("a commit")
    }

    /// Replaces text in a file.
    pub(crate) async fn edit(&self, path: &str, from: &str, to: &str) -> Revision {
        let text = self.repo.read_tree(BRANCH).await.expect("git works").remove(path).expect("the file is there");
        assert!(text.contains(from), "{path} does not contain {from:?}");
        self.commit(Changes::from([(path.into(), Some(text.replacen(from, to, 1)))])).await
    }

    pub(crate) fn options(&self, once: bool, view: watch::Sender<Arc<View>>) -> Options {
        let clients: BTreeMap<Target, kube::Client> = self.sims.iter().map(|(t, s)| (t.clone(), s.client())).collect();
        let clock = Arc::clone(&self.clock);
        Options {
            repo: self.repo.clone(),
            branch: BRANCH.into(),
            root: String::new(),
            landscape: "local".into(),
            clusters: Clusters::new(BTreeMap::new(), Arc::new(move || clock.lock().expect("no panic").now())),
            connect: Box::new(move |target, _| {
                let client = clients.get(&target).cloned().ok_or_else(|| format!("no cluster {target}"));
                async move { client }.boxed()
            }),
            poll: Duration::from_hours(1),
            once,
            accept_rewrite: false,
            pinned: None,
            identity: "test".into(),
            settings: Settings { status_every: 500, ..Settings::default() },
            helm: None,
            view,
        }
    }

    pub(crate) async fn pass(&self) -> Ended {
        self.pass_with(|_| ()).await
    }

    /// The same with other options.
    pub(crate) async fn pass_with(&self, change: impl FnOnce(&mut Options)) -> Ended {
        let (view, seen) = watch::channel(Arc::<View>::default());
        let (_stop, told) = watch::channel(false);
        let mut options = self.options(true, view);
        change(&mut options);
        let run = daemon::run(options, told);
        if let Ok(ended) = tokio::time::timeout(PATIENCE, run).await {
            return ended.expect("a pass works");
        }
        let view = seen.borrow().clone();
        panic!("the pass did not end: {:?} {:?}\n{}", view.incomplete, view.counts, rows(&view));
    }

    pub(crate) fn writes(&self) -> u64 {
        self.sims.values().map(|sim| sim.counters().writes("espalier")).sum()
    }

    pub(crate) async fn status_tip(&self) -> Option<Revision> {
        self.repo.resolve(STATUS).await.expect("git works")
    }
}

pub(crate) fn example() -> BTreeMap<RepoPath, Vec<u8>> {
    library::example("local").into_iter().map(|(path, text)| (path, text.as_bytes().to_vec())).collect()
}

pub(crate) const CANARY: &str = "canary-c0ffee-must-never-be-seen";

pub(crate) fn references(value: &Value, own: &str, out: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let secret = value.get("kind").and_then(Value::as_str).unwrap_or("Secret") == "Secret";
                if matches!(key.as_str(), "secretRef" | "credentialsRef")
                    && secret
                    && let Some(name) = value.get("name").and_then(Value::as_str)
                {
                    let namespace = value.get("namespace").and_then(Value::as_str).unwrap_or(own);
                    out.insert((namespace.to_owned(), name.to_owned()));
                } else {
                    references(value, own, out);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, own, out)),
        _ => {}
    }
}

pub(crate) fn explain(ended: &Ended) -> String {
    rows(&ended.view)
}

pub(crate) fn rows(view: &View) -> String {
    let behind = view.owners.iter().filter(|(_, row)| row.standing != Standing::Ready);
    let lines = behind.map(|(owner, row)| format!("{owner}: {} {}% {}", row.standing.word(), row.progress, row.note));
    lines.collect::<Vec<_>>().join("\n")
}

/// A daemon that goes on.
pub(crate) struct Running {
    pub(crate) seen: watch::Receiver<Arc<View>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<Ended, DaemonError>>,
}

impl Running {
    /// Waits for a picture.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&View) -> bool) -> Arc<View> {
        let waited = async { self.seen.wait_for(|view| wanted(view)).await.expect("the daemon goes on").clone() };
        if let Ok(view) = tokio::time::timeout(PATIENCE, waited).await {
            return view;
        }
        let view = self.seen.borrow().clone();
        panic!("{what} did not come true: {:?} {:?}\n{}\n{:#?}", view.incomplete, view.counts, rows(&view), view.owners)
    }

    /// Waits until something is so in the clusters.
    pub(crate) async fn comes_true(&mut self, what: &str, within: Duration, mut is: impl AsyncFnMut() -> bool) {
        let waited = tokio::time::timeout(within, async {
            loop {
                self.seen.borrow_and_update();
                if is().await {
                    return;
                }
                // What is so may have come about after the last picture.
                if let Ok(seen) = tokio::time::timeout(Duration::from_millis(200), self.seen.changed()).await {
                    seen.expect("the daemon goes on");
                }
            }
        });
        assert!(waited.await.is_ok(), "{what} did not come true: {:#?}", self.seen.borrow().owners);
    }

    /// Waits until everything is ready at a commit.
    pub(crate) async fn ready_at(&mut self, commit: &Revision) -> Arc<View> {
        self.until("ready", |view| {
            view.revision.as_ref() == Some(commit)
                && !view.owners.is_empty()
                && view.owners.values().all(|row| row.standing == Standing::Ready)
        })
        .await
    }

    /// Waits for a status tree, and for a picture that shows all that it tells of.
    pub(crate) async fn reported(
        &mut self,
        fleet: &Fleet,
        what: &str,
        wanted: impl Fn(&BTreeMap<RepoPath, String>) -> bool,
    ) -> BTreeMap<RepoPath, String> {
        let mut last = BTreeMap::new();
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let seen = self.seen.borrow_and_update().status.clone();
                last = fleet.repo.read_tree(STATUS).await.expect("git works");
                // The branch may be ahead of the picture, and may have moved while it was read.
                if wanted(&last) && seen == fleet.status_tip().await {
                    return;
                }
                self.seen.changed().await.expect("the daemon goes on");
            }
        });
        if waited.await.is_err() {
            let text: Vec<String> = last.iter().map(|(path, text)| format!("--- {path}\n{text}")).collect();
            let text = text.join("\n");
            panic!("{what} was not reported\n{}\n{text}", rows(&self.seen.borrow()));
        }
        last
    }

    pub(crate) async fn stop(self) -> Ended {
        self.stop.send_replace(true);
        self.end().await.expect("it ended well")
    }

    /// Waits until it ends by itself.
    pub(crate) async fn end(self) -> Result<Ended, DaemonError> {
        self.task.await.expect("no panic")
    }
}

/// After so long a test hangs; none of them waits for time.
const PATIENCE: Duration = Duration::from_mins(10);

/// Every object of the clusters, short of what no two runs have in common.
pub(crate) type Dump = BTreeMap<String, Value>;

impl Fleet {
    #[allow(clippy::unused_async, reason = "spawns: only to be called on a runtime")]
    pub(crate) async fn start(&self) -> Running {
        self.start_with(|_| ())
    }

    /// The same with other settings; only to be called on a runtime.
    pub(crate) fn start_with(&self, change: impl FnOnce(&mut Settings)) -> Running {
        self.start_as(|options| change(&mut options.settings))
    }

    /// The same with other options.
    pub(crate) fn start_as(&self, change: impl FnOnce(&mut Options)) -> Running {
        let (view, seen) = watch::channel(Arc::<View>::default());
        let (stop, told) = watch::channel(false);
        let mut options = self.options(false, view);
        change(&mut options);
        let task = tokio::spawn(daemon::run(options, told));
        Running { seen, stop, task }
    }

    /// One object, by its path in the API.
    pub(crate) async fn get(&self, target: &Target, path: &str) -> Option<Value> {
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        match self.sims[target].client_of("people").request::<Value>(request).await {
            Ok(value) => Some(value),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(e) => panic!("GET {path}: {e}"),
        }
    }

    /// Does something by hand.
    pub(crate) async fn by_hand(&self, target: &Target, method: &str, path: &str, body: &Value) -> Value {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = request.body(body).expect("a request");
        match self.sims[target].client_of("people").request::<Value>(request).await {
            Ok(value) => value,
            Err(e) => panic!("{method} {path}: {e}"),
        }
    }

    /// Has the simulated controller of an object begin and not end, or go on.
    pub(crate) async fn stick(&self, target: &Target, path: &str, sticks: bool) {
        let mode = if sticks { json!("stuck") } else { Value::Null };
        let patch = json!({"metadata": {"annotations": {"sim.espalier.dev/fail": mode}}});
        self.by_hand(target, "PATCH", path, &patch).await;
    }

    /// All objects, by cluster, kind, namespace and name, without what the server and the clock add.
    pub(crate) async fn dump(&self) -> Dump {
        let mut out = Dump::new();
        for (target, sim) in &self.sims {
            for mut value in objects(sim).await {
                let key = format!("{target} {}", name_of(&value));
                forget_server(&mut value);
                out.insert(key, value);
            }
        }
        out
    }
}

/// What the server adds to every object.
const SERVERS: &[&str] = &["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"];

/// Takes off what the server added to an object.
pub(crate) fn forget_server(object: &mut Value) {
    object["metadata"].as_object_mut().expect("metadata").retain(|field, _| !SERVERS.contains(&field.as_str()));
}

/// `Kind namespace/name`.
pub(crate) fn name_of(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}/{}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// Everything in a cluster, as `kubectl get` would show it, kind by kind, each in the most stable of its versions.
pub(crate) async fn objects(sim: &Sim) -> Vec<Value> {
    let client = sim.client_of("people");
    let found = Discovery::new(client.clone()).run().await.expect("discovery");
    let mut kinds: Vec<_> = found.groups().flat_map(ApiGroup::resources_by_stability).collect();
    kinds.sort_by(|(a, _), (b, _)| (&a.group, &a.kind).cmp(&(&b.group, &b.kind)));
    listed(&client, kinds).await.into_iter().map(|(_, object)| object).collect()
}

/// Every object of the kinds that can be listed, each with its kind.
pub(crate) async fn listed(
    client: &kube::Client,
    kinds: impl IntoIterator<Item = (ApiResource, ApiCapabilities)>,
) -> Vec<(ApiResource, Value)> {
    let mut out = Vec::new();
    for (resource, _) in kinds.into_iter().filter(|(_, capabilities)| capabilities.supports_operation(verbs::LIST)) {
        let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for object in list(&all).await {
            let mut value = serde_json::to_value(&object).expect("an object");
            value["kind"] = json!(resource.kind);
            value["apiVersion"] = json!(resource.api_version);
            out.push((resource.clone(), value));
        }
    }
    out
}

/// A server that has just learnt of a kind asks for patience.
async fn list(all: &Api<DynamicObject>) -> ObjectList<DynamicObject> {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        match all.list(&ListParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 429 => {}
            listed => return listed.expect("a list"),
        }
    }
}
