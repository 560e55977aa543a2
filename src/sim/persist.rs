//! Durability: a writer thread that gathers changes into transactions of a redb file, each synced to disk. A request is answered
//! once everything it has seen is on disk; several wait for the same transaction, and no request is split over two.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;
use tokio::sync::watch;

use super::SimError;
use super::builtin::{CRDS, EXTENSIONS};
use super::crd;
use super::store::{Place, Record};
use super::verbs::Server;

/// Objects by `group/plural/namespace/name`.
const OBJECTS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("objects");
/// Counters by name.
const COUNTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("counters");
/// The resourceVersion counter.
const VERSION: &str = "resourceVersion";
/// With so many changes a transaction takes no further request.
const BATCH: usize = 4096;

/// What the server knows of its writer.
#[derive(Debug)]
pub(crate) struct Journal {
    durable: watch::Receiver<Progress>,
    writer: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// How far the writer is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    At(u64),
    Failed(String),
}

impl Journal {
    /// Waits until everything up to `version` is on disk.
    pub(crate) async fn durable(&self, version: u64) -> Result<(), String> {
        let mut durable = self.durable.clone();
        let reached = durable
            .wait_for(|progress| match progress {
                Progress::At(at) => *at >= version,
                Progress::Failed(_) => true,
            })
            .await;
        match reached.as_deref() {
            Ok(Progress::At(_)) => Ok(()),
            Ok(Progress::Failed(why)) => Err(why.clone()),
            Err(_) => Err("the writer has ended".to_owned()),
        }
    }

    /// Waits until the writer, whose channel was closed, has written everything and let go of the file.
    pub(crate) fn join(&self) {
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has reported failure to everyone who waited.
            drop(writer.join());
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.join();
    }
}

fn failed(path: &Path, error: impl std::fmt::Display) -> SimError {
    SimError::State { path: path.to_owned(), why: error.to_string() }
}

/// Opens or creates the file, restores what it holds, and starts the writer.
pub(crate) fn open(path: &Path, server: &mut Server) -> Result<Journal, SimError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(path, error))?;
    }
    let database = Database::create(path).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => SimError::Held { path: path.to_owned() },
        error => failed(path, error),
    })?;
    let version = restore(&database, server).map_err(|error| failed(path, error))?;
    server.store.resume(version);
    let (sender, receiver) = mpsc::channel();
    let (progress, durable) = watch::channel(Progress::At(server.store.version));
    server.store.journal(sender);
    let writer = std::thread::Builder::new()
        .name(format!("sim-{}", server.name))
        .spawn(move || write_all(&database, &receiver, &progress))
        .map_err(|error| failed(path, error))?;
    Ok(Journal { durable, writer: std::sync::Mutex::new(Some(writer)) })
}

fn restore(database: &Database, server: &mut Server) -> Result<u64, redb::Error> {
    let setup = database.begin_write()?;
    setup.open_table(OBJECTS)?;
    let version = setup.open_table(COUNTERS)?.get(VERSION)?.map_or(0, |v| v.value());
    setup.commit()?;
    let read = database.begin_read()?;
    let objects = read.open_table(OBJECTS)?;
    let definitions = format!("{EXTENSIONS}/{CRDS}/");
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    for entry in objects.range(definitions.as_str()..)? {
        let (key, value) = entry?;
        if !key.value().starts_with(&definitions) {
            break;
        }
        crd::establish(server, &parse(value.value()));
    }
    for entry in objects.iter()? {
        let (key, value) = entry?;
        let object = parse(value.value());
        let mut parts = key.value().splitn(4, '/');
        let (group, plural) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let version =
            object.pointer("/metadata/resourceVersion").and_then(Value::as_str).and_then(|v| v.parse().ok()).unwrap_or(0);
        if let Some(kind) = server.store.kinds.plural(group, plural).cloned() {
            server.store.restore(&kind, &object, version);
        }
    }
    Ok(version)
}

/// What a file holds: the last resourceVersion, and the objects in the order of their keys.
pub(crate) fn load(path: &Path) -> Result<(u64, Vec<Value>), SimError> {
    let read = || -> Result<_, redb::Error> {
        let read = Database::open(path)?.begin_read()?;
        let version = read.open_table(COUNTERS)?.get(VERSION)?.map_or(0, |v| v.value());
        let mut objects = Vec::new();
        for entry in read.open_table(OBJECTS)?.iter()? {
            objects.push(serde_json::from_slice::<Value>(entry?.1.value()));
        }
        Ok((version, objects))
    };
    let (version, objects) = read().map_err(|error| match error {
        redb::Error::DatabaseAlreadyOpen => SimError::Held { path: path.to_owned() },
        error => failed(path, error),
    })?;
    let objects: Result<_, _> = objects.into_iter().collect();
    Ok((version, objects.map_err(|error| failed(path, error))?))
}

/// Makes a file that holds this, and nothing else.
pub(crate) fn store(path: &Path, version: u64, objects: &BTreeMap<String, &Value>) -> Result<(), SimError> {
    let write = || -> Result<(), redb::Error> {
        let database = Database::create(path)?;
        let transaction = database.begin_write()?;
        {
            let mut table = transaction.open_table(OBJECTS)?;
            for (key, object) in objects {
                let bytes = serde_json::to_vec(object).expect("a JSON value can be written");
                table.insert(key.as_str(), bytes.as_slice())?;
            }
            transaction.open_table(COUNTERS)?.insert(VERSION, version)?;
        }
        transaction.commit()?;
        Ok(())
    };
    write().map_err(|error| failed(path, error))
}

fn write_all(database: &Database, receiver: &mpsc::Receiver<Vec<Record>>, progress: &watch::Sender<Progress>) {
    while let Ok(first) = receiver.recv() {
        let mut batch = first;
        while batch.len() < BATCH
            && let Ok(next) = receiver.try_recv()
        {
            batch.extend(next);
        }
        match write(database, &batch) {
            Ok(version) => {
                progress.send_replace(Progress::At(version));
            }
            Err(error) => {
                progress.send_replace(Progress::Failed(format!("failed to write the state of the simulated cluster: {error}")));
                // Nothing is acknowledged any more; take what still comes until the store lets go.
                receiver.iter().for_each(drop);
                return;
            }
        }
    }
}

fn write(database: &Database, batch: &[Record]) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let mut version = 0;
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        for record in batch {
            let key = key(&record.place);
            match &record.json {
                Some(json) => objects.insert(key.as_str(), &**json)?,
                None => objects.remove(key.as_str())?,
            };
            version = version.max(record.version);
        }
        transaction.open_table(COUNTERS)?.insert(VERSION, version)?;
    }
    transaction.commit()?;
    Ok(version)
}

fn key(place: &Place) -> String {
    format!("{}/{}/{}/{}", place.group, place.plural, place.namespace, place.name)
}
