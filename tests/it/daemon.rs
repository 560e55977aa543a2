//! The whole way: commits in, simulated clusters, status commits out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use espalier::cluster::Clusters;
use espalier::daemon::state::Settings;
use espalier::daemon::{self, Ended, Options, View};
use espalier::git::{self, Credentials, Location, Message, Repo};
use espalier::landscape::{Kind, Owner, Target};
use espalier::library;
use espalier::observed::project_namespace;
use espalier::sim::{Delays, Options as SimOptions, Sim};
use espalier::snapshot::{Changes, RepoPath, Revision};
use espalier::status::Standing;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use tokio::sync::watch;

const BRANCH: &str = "refs/heads/landscape/local";
const STATUS: &str = "refs/heads/espalier/status/local";
const NOW: i64 = 1_795_000_000;

fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(NOW).expect("a valid time")
}

/// A repository and its simulated clusters.
struct Fleet {
    dir: tempfile::TempDir,
    repo: Repo,
    sims: BTreeMap<Target, Sim>,
}

impl Fleet {
    /// The shipped example, with the shoots whose names are given; all if none are.
    async fn local(shoots: &[&str]) -> Self {
        let mut files = example();
        if !shoots.is_empty() {
            files.retain(|path, _| {
                !path.as_str().contains("/shoots/")
                    || shoots.iter().any(|s| path.as_str().ends_with(&format!("/shoots/{s}.yaml")))
            });
        }
        Self::of(files).await
    }

    async fn of(files: BTreeMap<RepoPath, Vec<u8>>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("repo");
        let message = Message { subject: "Describe the landscape".into(), ..Message::default() };
        git::create(&path, "landscape/local", files, message, NOW).await.expect("a repository");
        let repo = Repo::open(Location::Path(path), dir.path(), Credentials::default()).await.expect("it opens");
        let mut fleet = Self { dir, repo, sims: BTreeMap::new() };
        fleet.open_clusters(false).await;
        fleet
    }

    async fn landscape(&self) -> espalier::landscape::Landscape {
        let head = self.head().await;
        let snapshot = self.repo.snapshot(&head, "").await.expect("a snapshot");
        espalier::landscape::load(&snapshot, &mut espalier::landscape::FileMemo::default()).0
    }

    async fn open_clusters(&mut self, on_disk: bool) {
        let landscape = self.landscape().await;
        let seeds = landscape.seeds.keys().map(|owner| Target::Seed(owner.name.clone()));
        for target in std::iter::once(Target::Garden).chain(seeds) {
            let sim = Sim::open(SimOptions {
                name: target.to_string(),
                state: on_disk.then(|| self.dir.path().join(format!("{target}.redb"))),
                seed: 7,
                actors: true,
                garden: target == Target::Garden,
                delays: Delays::None,
                start: now(),
            })
            .expect("a simulated cluster");
            self.sims.insert(target, sim);
        }
    }

    /// Puts the credentials that the landscape refers to into the garden as soon as their namespaces are there.
    async fn credentials(&self) {
        let garden = self.sims[&Target::Garden].client_of("people");
        let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
        for (owner, value, _) in self.landscape().await.objects() {
            let own = if owner.kind.namespaced() { project_namespace(&owner.project) } else { "garden".to_owned() };
            references(value, &own, &mut wanted);
        }
        tokio::spawn(async move {
            let namespaces: Api<Namespace> = Api::all(garden.clone());
            let mut appearing = watcher(namespaces, watcher::Config::default()).touched_objects().boxed();
            while let Some(Ok(namespace)) = appearing.next().await {
                let there = namespace.metadata.name.unwrap_or_default();
                for (_, name) in wanted.iter().filter(|(namespace, _)| *namespace == there) {
                    let secret = json!({"metadata": {"name": name}, "stringData": {"key": CANARY}});
                    let secrets: Api<Secret> = Api::namespaced(garden.clone(), &there);
                    drop(secrets.create(&PostParams::default(), &serde_json::from_value(secret).expect("a secret")).await);
                }
            }
        });
    }

    async fn head(&self) -> Revision {
        self.repo.resolve(BRANCH).await.expect("git works").expect("the branch is there")
    }

    async fn commit(&self, changes: Changes) -> Revision {
        let head = self.head().await;
        let message = Message { subject: "Change".into(), ..Message::default() };
        self.repo.commit(BRANCH, Some(&head), changes, message, NOW).await.expect("a commit")
    }

    /// Replaces text in a file.
    async fn edit(&self, path: &str, from: &str, to: &str) -> Revision {
        let text = self.repo.read_tree(BRANCH).await.expect("git works").remove(path).expect("the file is there");
        assert!(text.contains(from), "{path} does not contain {from:?}");
        self.commit(Changes::from([(path.into(), Some(text.replacen(from, to, 1)))])).await
    }

    fn options(&self, once: bool, view: watch::Sender<Arc<View>>) -> Options {
        let clients: BTreeMap<Target, kube::Client> = self.sims.iter().map(|(t, s)| (t.clone(), s.client())).collect();
        Options {
            repo: self.repo.clone(),
            branch: BRANCH.into(),
            root: String::new(),
            landscape: "local".into(),
            clusters: Clusters::new(BTreeMap::new(), Arc::new(now)),
            connect: Box::new(move |target, _| {
                let client = clients.get(&target).cloned().ok_or_else(|| format!("no cluster {target}"));
                async move { client }.boxed()
            }),
            poll: Duration::from_hours(1),
            once,
            accept_rewrite: false,
            identity: "test".into(),
            settings: Settings { status_every: 500, ..Settings::default() },
            view,
        }
    }

    async fn pass(&self) -> Ended {
        let (view, seen) = watch::channel(Arc::<View>::default());
        let (_stop, told) = watch::channel(false);
        let run = daemon::run(self.options(true, view), told);
        if let Ok(ended) = tokio::time::timeout(Duration::from_secs(45), run).await {
            return ended.expect("a pass works");
        }
        let view = seen.borrow().clone();
        panic!("the pass did not end: {:?} {:?}\n{}", view.incomplete, view.counts, rows(&view));
    }

    fn writes(&self) -> u64 {
        self.sims.values().map(|sim| sim.counters().writes("espalier")).sum()
    }

    async fn status_tip(&self) -> Option<Revision> {
        self.repo.resolve(STATUS).await.expect("git works")
    }
}

fn example() -> BTreeMap<RepoPath, Vec<u8>> {
    library::example("local").into_iter().map(|(path, text)| (path, text.as_bytes().to_vec())).collect()
}

const CANARY: &str = "canary-c0ffee-must-never-be-seen";

fn references(value: &Value, own: &str, out: &mut BTreeSet<(String, String)>) {
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

fn explain(ended: &Ended) -> String {
    rows(&ended.view)
}

fn rows(view: &View) -> String {
    let behind = view.owners.iter().filter(|(_, row)| row.standing != Standing::Ready);
    let lines = behind.map(|(owner, row)| format!("{owner}: {} {}% {}", row.standing.word(), row.progress, row.note));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_becomes_clusters_and_a_status_commit() {
    let fleet = Fleet::local(&[]).await;
    fleet.credentials().await;
    let ended = fleet.pass().await;
    assert_eq!(explain(&ended), "", "everything is ready");
    let shoots = ended.view.standings(Kind::Shoot);
    assert!(shoots[&Standing::Ready] >= 6, "{shoots:?}");

    // The status branch: a file per object, the page, trailers that name the commit.
    let tree = fleet.repo.read_tree(STATUS).await.expect("git works");
    assert!(tree.contains_key("STATUS.md"));
    for owner in ended.view.owners.keys() {
        let name = format!("{}.status.yaml", owner.name);
        let found =
            tree.keys().any(|p| p.as_str().ends_with(&name)) || tree.values().any(|t| t.contains(&format!("for: {owner}")));
        assert!(found, "{owner} has no status file among {:?}", tree.keys());
    }
    let tip = fleet.status_tip().await.expect("there is a status branch");
    let commits = fleet.repo.log(&tip, None, 1).await.expect("git works");
    let head = fleet.head().await;
    let trailer = |key: &str| commits[0].trailers.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    assert_eq!(trailer("Reconciled"), Some(head.to_string()));
    assert_eq!(trailer("Landscape").as_deref(), Some("local"));

    // No secret value anywhere a person looks.
    for (path, text) in &tree {
        assert!(!text.contains(CANARY), "{path} shows a secret");
    }

    // Nothing changed: nothing is written, nothing is committed.
    let before = fleet.writes();
    let again = fleet.pass().await;
    assert_eq!(explain(&again), "");
    let lease_only = fleet.writes() - before;
    assert!(lease_only <= 3, "{lease_only} writes in a pass in which nothing changed");
    assert_eq!(fleet.status_tip().await, Some(tip), "no status commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_one_shoot_touches_that_shoot_only() {
    let fleet = Fleet::local(&["mini", "api"]).await;
    fleet.credentials().await;
    let (view, mut seen) = watch::channel(Arc::<View>::default());
    let (stop, told) = watch::channel(false);
    let running = tokio::spawn(daemon::run(fleet.options(false, view), told));
    let ready = |view: &View| {
        view.revision.is_some() && view.owners.len() > 10 && view.owners.values().all(|row| row.standing == Standing::Ready)
    };
    tokio::time::timeout(Duration::from_mins(1), seen.wait_for(|v| ready(v))).await.expect("in time").expect("running");
    let before = seen.borrow().status.clone();
    let shoot = Owner::project(Kind::Shoot, "shop", "mini");
    let commit = fleet.edit("projects/shop/shoots/mini.yaml", "1.34.3", "1.34.4").await;
    let done = |view: &View| {
        view.revision.as_ref() == Some(&commit)
            && ready(view)
            && view.status != before
            && !view.counts.written_since_head.is_empty()
    };
    let view = tokio::time::timeout(Duration::from_mins(1), seen.wait_for(|v| done(v)))
        .await
        .expect("in time")
        .expect("running")
        .clone();
    assert_eq!(view.counts.evaluated_since_head, BTreeSet::from([shoot.clone()]));
    assert_eq!(view.counts.written_since_head, BTreeSet::from([shoot]));
    stop.send_replace(true);
    running.await.expect("no panic").expect("it ended well");
}
