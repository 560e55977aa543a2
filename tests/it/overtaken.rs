//! What changes while it is being read: whether the answer or the watch comes first makes no difference to the end. The state is driven
//! by hand, with what real watches tell and real reads say, in an order that nobody could wait for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::apply::{self, Limits};
use espalier::cluster::{self, Clusters, Kinds, Signal, Watching};
use espalier::daemon::state::{Effect, Event, Head, Settings, State};
use espalier::daemon::{keep, kinds_of};
use espalier::digest::DigestKey;
use espalier::finding::Findings;
use espalier::landscape::{Kind, Owner, Target};
use espalier::library::Library;
use espalier::observed::{Delta, ObjectKey};
use espalier::plan::{Action, OwnerPlan, settled};
use espalier::secrets::{Bodies, BodyKind, SecretRef};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::fleet::{Fleet, example, explain, now};

const MINI: &str = "projects/shop/shoots/mini.yaml";
const PROJECT: &str = "garden-shop";
const KINDS: [BodyKind; 2] = [BodyKind::Secret, BodyKind::ConfigMap];

fn mini() -> Owner {
    Owner::project(Kind::Shoot, "shop", "mini")
}

/// What people keep in the garden for the shoot.
fn kept(kind: BodyKind) -> SecretRef {
    match kind {
        BodyKind::Secret => SecretRef::secret(Target::Garden, PROJECT, "access"),
        BodyKind::ConfigMap => SecretRef::config_map(PROJECT, "settings"),
    }
}

/// A daemon of which every step is made by hand.
struct Hand<'a> {
    fleet: &'a Fleet,
    clusters: Clusters,
    state: State,
    at: u64,
    signals: mpsc::Receiver<Signal>,
    _watching: Watching,
    keys: Vec<SecretRef>,
    /// What is to be read, and was not yet.
    fetches: VecDeque<(Owner, BTreeSet<SecretRef>)>,
    /// What is to be carried out, and was not yet.
    plans: VecDeque<Arc<OwnerPlan>>,
    /// How often the shoot's things were to be read so far.
    asked: usize,
}

impl<'a> Hand<'a> {
    /// A daemon that has seen everything, and has nothing to do.
    async fn ready(fleet: &'a Fleet, settings: Settings) -> Self {
        let clients = fleet.sims.iter().map(|(target, sim)| (target.clone(), sim.client())).collect();
        let clusters = Clusters::new(clients, Arc::new(now));
        let library = Arc::new(Library::compile(&BTreeMap::new()).0);
        let kinds: Kinds = fleet.sims.keys().map(|target| (target.clone(), kinds_of(&library, target))).collect();
        let (sink, signals) = mpsc::channel(4_096);
        let watching = cluster::watch(&clusters, &kinds, keep(&library), sink);
        let head = Head {
            revision: fleet.head().await,
            landscape: Arc::new(fleet.landscape().await),
            findings: Findings::default(),
            library,
            reverts: None,
        };
        let mut hand = Self {
            fleet,
            clusters,
            state: State::new(settings),
            at: 0,
            signals,
            _watching: watching,
            keys: Vec::new(),
            fetches: VecDeque::new(),
            plans: VecDeque::new(),
            asked: 0,
        };
        for event in
            [Event::StatusTree(None, BTreeMap::new()), Event::Expect(kinds), Event::Head(Box::new(head)), Event::Lease(true)]
        {
            hand.step(event);
        }
        while !fleet.sims.keys().all(|target| hand.state.observed().complete(target)) {
            let signal = hand.signals.recv().await.expect("the watches go on");
            hand.step(Event::Signals(vec![signal]));
        }
        hand.rest().await;
        assert!(hand.is_settled());
        hand
    }

    fn step(&mut self, event: Event) {
        self.at += 10_000;
        for effect in self.state.step(event, now(), self.at) {
            match effect {
                Effect::FetchBodies(owner, wanted) => {
                    self.asked += usize::from(owner == mini());
                    self.fetches.push_back((owner, wanted));
                }
                Effect::FetchDigestKey(secret) => self.keys.push(secret),
                Effect::Execute(plan) => self.plans.push_back(plan),
                // Nothing here depends on what is reported.
                _ => {}
            }
        }
    }

    async fn read(&self, wanted: &BTreeSet<SecretRef>) -> Bodies {
        let (bodies, problems) = cluster::bodies(&self.clusters, wanted).await;
        assert!(problems.is_empty(), "{problems:?}");
        bodies
    }

    async fn carry_out(&mut self, plan: &OwnerPlan) {
        let results = apply::execute(plan, &self.clusters, &Limits::default()).await;
        self.step(Event::Done(plan.owner.clone(), results));
    }

    /// Answers whatever is asked until nothing is, as the daemon does.
    async fn rest(&mut self) {
        loop {
            while let Ok(signal) = self.signals.try_recv() {
                self.step(Event::Signals(vec![signal]));
            }
            if let Some(secret) = self.keys.pop() {
                let body = self.read(&BTreeSet::from([secret.clone()])).await.0.remove(&secret).flatten().expect("a key");
                self.step(Event::DigestKey(DigestKey(body.into_values().next().expect("a key"))));
            } else if let Some((owner, wanted)) = self.fetches.pop_front() {
                let bodies = self.read(&wanted).await;
                self.step(Event::Bodies(owner, Ok(bodies)));
            } else if let Some(plan) = self.plans.pop_front() {
                self.carry_out(&plan).await;
            } else if self.state.wake_at().is_some_and(|wake| wake <= self.at + 10_000) && !self.is_settled() {
                self.step(Event::Tick);
            } else if self.is_settled() {
                return;
            } else {
                // Somebody else's turn: a controller has something to say.
                let signal = self.signals.recv().await.expect("the watches go on");
                self.step(Event::Signals(vec![signal]));
            }
        }
    }

    /// Lets time pass until something is to be read or carried out.
    fn go_on(&mut self) {
        for _ in 0..100 {
            if !self.fetches.is_empty() || !self.plans.is_empty() {
                return;
            }
            self.step(Event::Tick);
        }
        panic!("nothing is to be done");
    }

    fn is_settled(&self) -> bool {
        let world = self.state.world().expect("a commit");
        let plans = self.state.plans();
        let all = world.owners().iter().all(|owner| plans.get(owner).is_some_and(|plan| settled(plan)));
        all && self.fetches.is_empty() && self.plans.is_empty()
    }

    /// Somebody changes what they keep in the garden: what the watch tells of it.
    async fn changed(&mut self, kind: BodyKind, text: &str) -> Signal {
        let SecretRef { target, namespace, name, .. } = kept(kind);
        let data = match kind {
            BodyKind::Secret => json!({"data": {"key": STANDARD.encode(text)}}),
            BodyKind::ConfigMap => json!({"data": {"key": text}}),
        };
        self.fleet.by_hand(&target, "PATCH", &format!("/api/v1/namespaces/{namespace}/{}/{name}", kind.plural()), &data).await;
        self.told(&target, &ObjectKey::new("", kind.name(), &namespace, &name)).await
    }

    /// Waits for the watch to tell of an object, and keeps that back.
    async fn told(&mut self, target: &Target, key: &ObjectKey) -> Signal {
        loop {
            let signal = self.signals.recv().await.expect("the watches go on");
            let is_it = matches!(&signal, Signal::Changed { target: of, delta } if of == target && match delta {
                Delta::Applied(object) => object.key == *key,
                Delta::Deleted { key: gone, .. } => gone == key,
            });
            if is_it {
                return signal;
            }
            self.step(Event::Signals(vec![signal]));
        }
    }

    /// The read that is under way, which is one of the shoot's and includes what changed.
    fn fetch(&mut self, kind: BodyKind) -> BTreeSet<SecretRef> {
        let (owner, wanted) = self.fetches.pop_front().expect("it is to be read");
        assert_eq!((owner, self.fetches.len()), (mini(), 0));
        assert!(wanted.contains(&kept(kind)), "{wanted:?}");
        wanted
    }

    /// The text that the copy for the shoot is to have, if anything is to be written.
    fn to_write(&self, kind: BodyKind) -> Option<String> {
        let copies: Vec<String> = self.plans.iter().filter_map(|plan| copy(plan, kind)).collect();
        assert!(copies.len() <= 1, "{copies:?}");
        copies.into_iter().next()
    }
}

/// The text that a plan gives to the copy for the shoot.
fn copy(plan: &OwnerPlan, kind: BodyKind) -> Option<String> {
    let written = plan.components.iter().flat_map(|component| &component.steps).filter_map(|step| match &step.action {
        Action::Create { body, .. } | Action::Update { body, .. } => Some(body),
        _ => None,
    });
    let packed = written.filter_map(|body| body.pointer("/data/data.yaml")?.as_str());
    let objects = packed.flat_map(|data| {
        let text = STANDARD.decode(data).expect("base64");
        let documents = serde_yaml::Deserializer::from_slice(&text).map(|d| serde::Deserialize::deserialize(d).expect("YAML"));
        documents.collect::<Vec<Value>>()
    });
    let name = format!("ref-{}", kept(kind).name);
    let copy = objects.into_iter().find(|object| object["kind"] == kind.name() && object["metadata"]["name"] == name.as_str())?;
    let text = copy["data"]["key"].as_str().expect("a text");
    Some(match kind {
        BodyKind::Secret => String::from_utf8(STANDARD.decode(text).expect("base64")).expect("text"),
        BodyKind::ConfigMap => text.to_owned(),
    })
}

/// A shoot that is ready, and refers to a Secret and a ConfigMap.
async fn fleet() -> Fleet {
    let mut files = example();
    files.retain(|path, _| !path.as_str().contains("/shoots/") || path.as_str() == MINI);
    let text = String::from_utf8(files[MINI].clone()).expect("text");
    let resource = |kind: BodyKind| {
        let name = kept(kind).name;
        format!("    - name: {name}\n      resourceRef: {{apiVersion: v1, kind: {}, name: {name}}}\n", kind.name())
    };
    let refers = format!("\nspec:\n  resources:\n{}", KINDS.map(resource).concat());
    files.insert(MINI.into(), text.replacen("\nspec:\n", &refers, 1).into_bytes());
    let fleet = Fleet::of(files).await;
    let object = |kind: BodyKind, data: &str| {
        let metadata = json!({"namespace": PROJECT, "name": kept(kind).name});
        json!({"apiVersion": "v1", "kind": kind.name(), "metadata": metadata, data: {"key": "zero"}})
    };
    fleet.furnish(vec![object(BodyKind::Secret, "stringData"), object(BodyKind::ConfigMap, "data")]);
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_it_is_being_read_is_read_again() {
    let fleet = fleet().await;
    let mut hand = Hand::ready(&fleet, Settings::default()).await;
    for kind in KINDS {
        let change = hand.changed(kind, "first").await;
        hand.step(Event::Signals(vec![change]));
        let wanted = hand.fetch(kind);
        let old = hand.read(&wanted).await;
        // It has been read, and before the answer is heard the watch tells of the next change.
        let change = hand.changed(kind, "second").await;
        hand.step(Event::Signals(vec![change]));
        assert!(hand.fetches.is_empty(), "it is being read");
        hand.step(Event::Bodies(mini(), Ok(old)));
        assert_eq!(hand.to_write(kind), None, "what was read is old");
        let wanted = hand.fetch(kind);
        let new = hand.read(&wanted).await;
        hand.step(Event::Bodies(mini(), Ok(new)));
        assert_eq!(hand.to_write(kind).as_deref(), Some("second"));
        hand.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_after_it_was_read_and_before_it_was_used_is_read_again() {
    let fleet = fleet().await;
    let mut hand = Hand::ready(&fleet, Settings { parallel: 1, ..Settings::default() }).await;
    for kind in KINDS {
        let change = hand.changed(kind, "first").await;
        hand.step(Event::Signals(vec![change]));
        let wanted = hand.fetch(kind);
        let old = hand.read(&wanted).await;
        // The one who could use it is busy with somebody else.
        let role = ObjectKey::new("rbac.authorization.k8s.io", "RoleBinding", PROJECT, "gardener.cloud:system:project-member");
        let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{PROJECT}/rolebindings/{}", role.name);
        fleet.by_hand(&Target::Garden, "DELETE", &path, &Value::Null).await;
        let gone = hand.told(&Target::Garden, &role).await;
        hand.step(Event::Signals(vec![gone]));
        hand.go_on();
        let busy = hand.plans.pop_front().expect("it is to be made again");
        hand.step(Event::Bodies(mini(), Ok(old)));
        assert!(hand.plans.is_empty() && hand.fetches.is_empty());
        let change = hand.changed(kind, "second").await;
        hand.step(Event::Signals(vec![change]));
        hand.carry_out(&busy).await;
        hand.go_on();
        assert_eq!(hand.to_write(kind), None, "what was read is old");
        let wanted = hand.fetch(kind);
        let new = hand.read(&wanted).await;
        hand.step(Event::Bodies(mini(), Ok(new)));
        hand.go_on();
        assert_eq!(hand.to_write(kind).as_deref(), Some("second"));
        hand.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_once_is_read_once() {
    let fleet = fleet().await;
    let mut hand = Hand::ready(&fleet, Settings::default()).await;
    for kind in KINDS {
        let before = hand.asked;
        let change = hand.changed(kind, "first").await;
        hand.step(Event::Signals(vec![change.clone()]));
        let wanted = hand.fetch(kind);
        // Told twice, it is no other change.
        hand.step(Event::Signals(vec![change]));
        let read = hand.read(&wanted).await;
        hand.step(Event::Bodies(mini(), Ok(read)));
        assert_eq!(hand.to_write(kind).as_deref(), Some("first"));
        hand.rest().await;
        assert_eq!(hand.asked - before, 1, "{kind:?}");
    }
}
