//! `sim serve`, killed without warning in a storm of writes: what it acknowledged is there, and nothing is half there.
//!
//! `STORM=100 cargo test --test it storm` runs that many rounds. A killed process keeps what it wrote to the page cache, so this is
//! about order and wholeness, not about whether the disk has it; for that every transaction is synced.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::sync::Semaphore;

/// Clients that write at the same time.
const WRITERS: usize = 8;
/// Objects of each.
const OBJECTS: usize = 6;
/// Dependents of an owner.
const DEPENDENTS: usize = 4;
/// Writes in a round before the kill, at most.
const WRITES: u32 = 400;

fn rounds() -> usize {
    #[allow(clippy::disallowed_methods, reason = "the variable is how a person asks for more rounds")]
    std::env::var("STORM").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

/// A served folder. It is killed when the value goes.
struct Served {
    child: Child,
    _out: BufReader<ChildStdout>,
    kubeconfig: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Served {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_espalier"))
            .args(["sim", "serve", "--no-controllers", "--state-dir"])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("it says where its kubeconfig is");
        Self { child, _out: out, kubeconfig: line.trim_end().into() }
    }

    async fn client(&self) -> kube::Client {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a config");
        // What is not answered is not tried again.
        config.default_retry = false;
        kube::Client::try_from(config).expect("a client")
    }
}

/// What a writer knows of its objects: the number that each was acknowledged to have; no entry: it is gone.
#[derive(Default)]
struct Book {
    acknowledged: BTreeMap<String, u64>,
    /// A write that nobody answered: the object, and the number it gets; `None`: it is deleted.
    asked: Option<(String, Option<u64>)>,
    last: u64,
    /// The largest resourceVersion in an answer.
    version: u64,
}

/// An object that says its number in three places, with something to write in between.
fn object(name: &str, number: u64) -> ConfigMap {
    let text = number.to_string();
    let data = [("first", text.clone()), ("middle", text.repeat(200)), ("second", text.clone())];
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(BTreeMap::from([("number".to_owned(), text)])),
            ..ObjectMeta::default()
        },
        data: Some(data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ..ConfigMap::default()
    }
}

/// The number of an object that is whole.
fn number(object: &ConfigMap) -> u64 {
    let data = object.data.as_ref().expect("data");
    let text = &data["first"];
    let label = &object.metadata.labels.as_ref().expect("labels")["number"];
    assert!(*text == data["second"] && text == label && data["middle"] == text.repeat(200), "half an object: {object:?}");
    text.parse().expect("a number")
}

fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_ref().expect("a version").parse().expect("a number")
}

/// Writes until nobody answers any more.
async fn write(client: kube::Client, writer: usize, mut book: Book, seed: u64, done: Arc<Semaphore>) -> Book {
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        let name = format!("writer-{writer}-{}", random.usize(..OBJECTS));
        book.last += 1;
        let next = book.last;
        let there = book.acknowledged.contains_key(&name);
        let deletes = there && random.u8(..4) == 0;
        book.asked = Some((name.clone(), (!deletes).then_some(next)));
        let answer = if deletes {
            api.delete(&name, &DeleteParams::default()).await.map(|_| None)
        } else if there && random.bool() {
            let applied = object(&name, next);
            let how = PatchParams::apply("storm").force();
            api.patch(
                &name,
                &how,
                &Patch::Apply(json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": applied.metadata, "data": applied.data,
                })),
            )
            .await
            .map(Some)
        } else if there {
            api.replace(&name, &PostParams::default(), &object(&name, next)).await.map(Some)
        } else {
            api.create(&PostParams::default(), &object(&name, next)).await.map(Some)
        };
        match answer {
            Ok(Some(written)) => {
                book.version = book.version.max(version(&written.metadata));
                book.acknowledged.insert(name, next);
            }
            Ok(None) => {
                book.acknowledged.remove(&name);
            }
            Err(kube::Error::Api(status)) => panic!("refused: {status:?}"),
            // The server is gone.
            Err(_) => return book,
        }
        book.asked = None;
        done.add_permits(1);
    }
}

/// The last family: earlier ones are deleted.
#[derive(Default)]
struct Family {
    turn: u64,
    /// Dependents that were acknowledged.
    made: usize,
}

/// Makes families and deletes them by their owner, until nobody answers any more.
async fn families(client: kube::Client, before: u64) -> Family {
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let mut family = Family { turn: before, made: 0 };
    loop {
        family = Family { turn: family.turn + 1, made: 0 };
        let name = format!("family-{}", family.turn);
        let Ok(owner) = api.create(&PostParams::default(), &object(&name, family.turn)).await else { return family };
        for nth in 0..DEPENDENTS {
            let mut dependent = object(&format!("{name}-{nth}"), family.turn);
            let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": owner.metadata.uid}]);
            dependent.metadata.owner_references = serde_json::from_value(reference).expect("a reference");
            if api.create(&PostParams::default(), &dependent).await.is_err() {
                return family;
            }
            family.made += 1;
        }
        if api.delete(&name, &DeleteParams::background()).await.is_err() {
            return family;
        }
    }
}

/// Compares what is there with what was acknowledged, and takes over what came of the writes that nobody answered.
async fn check(client: &kube::Client, books: &mut [Book], last: &Family, round: usize) {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let list = api.list(&ListParams::default()).await.expect("a list");
    let listed: u64 = list.metadata.resource_version.as_ref().expect("a version").parse().expect("a number");
    let found: BTreeMap<String, u64> =
        list.items.iter().map(|object| (object.metadata.name.clone().expect("a name"), number(object))).collect();
    for (writer, book) in books.iter_mut().enumerate() {
        assert!(listed >= book.version, "round {round}: resourceVersion {listed} is before {}", book.version);
        for nth in 0..OBJECTS {
            let name = format!("writer-{writer}-{nth}");
            let (now, acknowledged) = (found.get(&name).copied(), book.acknowledged.get(&name).copied());
            let asked = book.asked.as_ref().filter(|(of, _)| *of == name).map(|(_, number)| *number);
            assert!(
                now == acknowledged || Some(now) == asked,
                "round {round}: {name} is {now:?}; acknowledged {acknowledged:?}, asked {asked:?}"
            );
            match now {
                Some(number) => book.acknowledged.insert(name, number),
                None => book.acknowledged.remove(&name),
            };
        }
        book.asked = None;
    }
    // A family is there as a whole or not at all; those before the last one are gone.
    let name = format!("family-{}", last.turn);
    let left: Vec<&String> = found.keys().filter(|name| name.starts_with("family-")).collect();
    assert!(left.iter().all(|of| **of == name || of.starts_with(&format!("{name}-"))), "round {round}: {left:?} after {name}");
    if found.contains_key(&name) {
        assert!(left.len() > last.made, "round {round}: of {name} and {} dependents there are {left:?}", last.made);
        api.delete(&name, &DeleteParams::background()).await.expect("deleted");
    } else {
        assert!(left.is_empty(), "round {round}: {left:?} outlive their owner");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_served_cluster_is_killed_in_a_storm() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut books: Vec<Book> = (0..WRITERS).map(|_| Book::default()).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut family, mut total, mut unanswered) = (Family::default(), 0, 0);
    let rounds = rounds();
    for round in 0..rounds {
        let mut served = tokio::task::block_in_place(|| Served::start(dir.path()));
        check(&served.client().await, &mut books, &family, round).await;
        let done = Arc::new(Semaphore::new(0));
        let mut writers = Vec::new();
        for (writer, book) in books.drain(..).enumerate() {
            let (client, seed) = (served.client().await, random.u64(..));
            writers.push(tokio::spawn(write(client, writer, book, seed, Arc::clone(&done))));
        }
        let making = tokio::spawn(families(served.client().await, family.turn));
        let wanted = random.u32(1..WRITES);
        let reached = tokio::time::timeout(Duration::from_mins(2), done.acquire_many(wanted)).await;
        reached
            .unwrap_or_else(|_| panic!("round {round}: {} writes and no more", done.available_permits()))
            .expect("open")
            .forget();
        served.child.kill().expect("SIGKILL");
        for writer in writers {
            books.push(writer.await.expect("a writer"));
        }
        family = making.await.expect("a writer");
        total += wanted as usize + done.available_permits();
        unanswered += books.iter().filter(|book| book.asked.is_some()).count();
    }
    let served = tokio::task::block_in_place(|| Served::start(dir.path()));
    check(&served.client().await, &mut books, &family, rounds).await;
    println!("{rounds} kills, {total} writes acknowledged, {unanswered} unanswered, {} families", family.turn);
    assert!(unanswered > 0, "it was killed while it wrote");
}
