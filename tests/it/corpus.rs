//! The verdict corpus: what real Gardener said about mutated manifests, replayed through the functions that `validate` uses.
//!
//! `ESPALIER_CORPUS` names the folder, else it is `../shared/data/corpus` beside the crate. While working on a rule,
//! `ESPALIER_CORPUS_SHOW=create:Quota` replays only this file and kind and lists what disagrees; `create:Quota:spec.scope` lists
//! what contains a text.
//!
//! An object is judged as an API server judges it. What only espalier minds (the folder of a file, marks pasted from a cluster,
//! policies) is left out: [`Extent::Static`] and [`Extent::Gardener`] are the parts of admission that Gardener has, too.

#![expect(clippy::print_stdout, reason = "the figures are what this test is for")]
#![expect(clippy::disallowed_methods, reason = "a test has no configuration")]

mod compare;
mod exceptions;
mod replay;
mod tally;

use std::path::{Path, PathBuf};

use espalier::admission::Extent;
use serde_json::Value;

use exceptions::Exceptions;
use replay::Corpus;
use tally::Tally;

/// At least this part of all verdicts agrees, in percent; raised as rules land.
const VERDICTS: f64 = 99.9;
/// At least this part of all sets of (type, field) agrees, in percent.
const FIELDS: f64 = 99.9;

/// Kinds that a Git repository never holds.
const LEFT_OUT: &[&str] = &[
    "BackupBucket",
    "BackupEntry",
    "ControllerInstallation",
    "ShootState",
    "InternalSecret",
    "Bastion",
    "Gardenlet",
    "ManagedSeedSet",
];

/// A file of the corpus, and how far its objects go.
const FILES: &[(&str, Extent)] = &[
    ("create", Extent::Static),
    ("update", Extent::Static),
    ("raw", Extent::Static),
    ("gates", Extent::Static),
    ("admission", Extent::Gardener),
    ("mutated", Extent::Gardener),
    ("defaults", Extent::Static),
];

fn folder() -> PathBuf {
    std::env::var_os("ESPALIER_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/corpus"), PathBuf::from)
}

#[test]
fn corpus() {
    let folder = folder();
    if !folder.is_dir() {
        println!("skipped: there is no corpus in {} (ESPALIER_CORPUS names another folder)", folder.display());
        return;
    }
    let corpus = Corpus::open(&folder);
    let exceptions = Exceptions::read();
    if let Ok(wanted) = std::env::var("ESPALIER_CORPUS_SHOW") {
        return show(&corpus, &exceptions, &wanted);
    }
    let mut all = Tally::default();
    let mut left_out = 0;
    for (file, extent) in FILES {
        let outcomes = in_parallel(&corpus.lines(file), |line| corpus.outcome(file, line, *extent));
        let (out, counted): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|o| LEFT_OUT.contains(&o.kind.as_str()));
        left_out += out.len();
        let tally = Tally::of(&counted, &exceptions);
        tally.print(file);
        all.join(tally);
    }
    println!("left out: {left_out} cases of kinds that a repository never holds ({})", LEFT_OUT.join(", "));
    all.print_exceptions(&exceptions);
    let (verdicts, fields, defaults) = all.percentages();
    println!("corpus agreement: verdicts {verdicts:.2} %, fields {fields:.2} %, defaults {defaults:.2} %");
    if std::env::var_os("ESPALIER_CORPUS").is_some() {
        return; // What agreed so far is known of our own corpus only.
    }
    assert!(verdicts >= VERDICTS, "verdicts agree in {verdicts:.2} % of the cases, it was {VERDICTS} % before");
    assert!(fields >= FIELDS, "fields agree in {fields:.2} % of the cases, it was {FIELDS} % before");
}

/// Replays one file and kind, and prints what disagrees: `create:Shoot`, or `create:Shoot:text`.
fn show(corpus: &Corpus, exceptions: &Exceptions, wanted: &str) {
    let mut parts = wanted.splitn(3, ':');
    let (name, kind, text) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    for (file, extent) in FILES.iter().filter(|(file, _)| Some(*file) == name) {
        let lines: Vec<Value> =
            corpus.lines(file).into_iter().filter(|line| kind.is_none_or(|k| corpus.kind(line) == k)).collect();
        let outcomes = in_parallel(&lines, |line| corpus.outcome(file, line, *extent));
        for outcome in outcomes.iter().filter(|outcome| outcome.disagrees() && outcome.text.contains(text)) {
            println!("{}", outcome.text);
        }
        Tally::of(&outcomes, exceptions).print(file);
    }
}

/// Applies a function to every line, on all processors, in order.
fn in_parallel<T: Send>(lines: &[Value], each: impl Fn(&Value) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<(usize, T)> = std::thread::scope(|scope| {
        let share = |first: usize| lines.iter().enumerate().skip(first).step_by(threads);
        let each = &each;
        let workers: Vec<_> =
            (0..threads).map(|n| scope.spawn(move || share(n).map(|(i, line)| (i, each(line))).collect::<Vec<_>>())).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no rule panics")).collect()
    });
    all.sort_by_key(|(i, _)| *i);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}
