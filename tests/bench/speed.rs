//! How long `validate` takes, by part: `cargo run --release --example speed -- [SHOOTS]…` (default 1000 and 10000).
//!
//! Everything is generated in memory; `read` is what hashing the files costs. `schema` is reading YAML and checking fields against
//! types, `defaults` and `checks` are what admission does without policies, `policies` is what the shipped ones add. Warm: one
//! file has changed since; the median of eleven such changes. Instructions for one shoot: `perf stat -e instructions:u target/release/examples/speed --one N`, for two
//! values of N, and the difference by N (N judgements of the same shoot, with policies).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use espalier::admission::policy::Policies;
use espalier::admission::{Accepted, Admitted, Memory, admit};
use espalier::landscape::{FileMemo, Landscape, load};
use espalier::snapshot::{Blob, BlobId, EntryKind, RepoPath, Revision, Snapshot, Verdict};

#[path = "generate.rs"]
#[expect(dead_code, reason = "the generator's own way in from the command line is not used here")]
mod generate;

const NOW: i64 = 1_795_219_200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--one") {
        one(arguments.get(1).map_or(Ok(1_000), |n| n.parse())?);
        return Ok(());
    }
    if arguments.is_empty() {
        arguments = vec!["1000".to_owned(), "10000".to_owned()];
    }
    for argument in arguments {
        measure(argument.parse()?);
    }
    Ok(())
}

fn blob(text: &str) -> Blob {
    let id = espalier::digest::of_bytes(text.as_bytes());
    Blob { id: BlobId(Arc::from(id.as_str())), kind: EntryKind::File, bytes: Arc::from(text.as_bytes()) }
}

fn snapshot(files: &BTreeMap<String, String>) -> Snapshot {
    Snapshot {
        revision: Revision("0".repeat(40)),
        committed: NOW,
        author: String::new(),
        subject: String::new(),
        verdict: Verdict::Unchecked,
        files: files.iter().map(|(path, text)| (RepoPath::from(path.as_str()), blob(text))).collect(),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is a stopwatch")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = work();
    (done, began.elapsed())
}

#[expect(clippy::print_stdout, reason = "this prints what it measured")]
fn line(shoots: usize, part: &str, took: Duration) {
    println!("{shoots:>6} shoots  {part:<34} {:>9.1} ms", took.as_secs_f64() * 1_000.0);
}

fn pass(landscape: &Landscape, accepted: &Accepted, policies: &Policies, memory: &mut Memory) -> Admitted {
    let (admitted, findings) = admit(landscape, accepted, policies, NOW, memory);
    assert!(!findings.has_errors(), "what is generated is sound");
    admitted
}

fn measure(shoots: usize) {
    let mut files = generate::landscape(shoots, 1);
    let (snapshot_of, read) = timed(|| snapshot(&files));
    line(shoots, "read (hash)", read);
    let mut memo = FileMemo::default();
    let ((landscape, _), schema) = timed(|| load(&snapshot_of, &mut memo));
    line(shoots, "schema (YAML, fields, types)", schema);
    let none = Policies::default();
    let (_, checks) = timed(|| pass(&landscape, &Accepted::default(), &none, &mut Memory::default()));
    line(shoots, "defaults and checks", checks);
    let (policies, compiled) = timed(|| Policies::compile(&BTreeMap::new()).0);
    line(shoots, "policies, compiled once", compiled);
    let (admitted, all) = timed(|| pass(&landscape, &Accepted::default(), &policies, &mut Memory::default()));
    line(shoots, "policies (beyond checks)", all.saturating_sub(checks));
    line(shoots, "cold, without policies", read + schema + checks);
    line(shoots, "cold, with policies", read + schema + compiled + all);

    // Everything was accepted before; one file changes, time and again.
    let accepted = Accepted(Arc::new(admitted.objects));
    let mut memory = Memory::default();
    pass(&landscape, &accepted, &policies, &mut memory);
    let (mut read, mut judged) = (Vec::new(), Vec::new());
    let mut changed = snapshot_of;
    for turn in 0..WARM {
        let shoot = shoots * turn / WARM;
        let path = format!("projects/p{}/shoots/c{shoot}.yaml", shoot / 25);
        if let Some(text) = files.get_mut(&path) {
            *text = text.replace("purpose: development", "purpose: testing").replace("team: ", "team: x-");
        }
        changed.files.insert(RepoPath::from(path.as_str()), blob(&files[&path]));
        let ((landscape, _), schema) = timed(|| load(&changed, &mut memo));
        let (admitted, all) = timed(|| pass(&landscape, &accepted, &policies, &mut memory));
        assert!(admitted.evaluated <= 2, "{} were evaluated", admitted.evaluated);
        read.push(schema);
        judged.push(all);
    }
    let (schema, all) = (median(read), median(judged));
    line(shoots, "warm: schema", schema);
    line(shoots, "warm: admission", all);
    line(shoots, "warm, with policies", schema + all);
}

/// How often one file changes.
const WARM: usize = 11;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Judges one shoot so many times, each time as if it were new.
fn one(times: usize) {
    let files = generate::landscape(1, 1);
    let policies = Policies::compile(&BTreeMap::new()).0;
    for _ in 0..times {
        let (landscape, _) = load(&snapshot(&files), &mut FileMemo::default());
        pass(&landscape, &Accepted::default(), &policies, &mut Memory::default());
    }
}
