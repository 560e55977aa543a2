//! Random sequences of requests, sent to a real API server and to a simulated one: every answer must be the same, and so must the
//! objects at the end with all their owners.
//!
//! `SEQUENCES=20000 SEED=7 cargo test --test real differ` runs as many as one likes. A sequence that is answered otherwise is cut
//! down to what it takes and printed as a case, to be added to `conformance/cases` once the simulated server is mended.

use std::collections::BTreeMap;
use std::path::Path;

use futures::StreamExt as _;
use tokio::time::Instant;

use super::conformance::{run, variable};
use super::fleet::simulated;
use super::server::{Server, assets};
use pair::Pair;

mod bodies;
mod generate;
mod pair;
mod patches;
mod shrink;

/// How many sequences everybody runs.
const FEW: u64 = 300;
/// How many sequences are under way at a time.
const AT_ONCE: usize = 12;
/// How many sequences that differ are cut down; the others are only counted.
const SHOWN: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn differ() {
    let Some(assets) = assets() else { return };
    let number = |name: &str| variable(name).map(|text| text.parse::<u64>().expect("a number"));
    let (count, seed) = (number("SEQUENCES").unwrap_or(FEW), number("SEED").unwrap_or(1));
    let server = Server::start(&assets).await;
    let sim = simulated("differ");
    sim.leave_to_controllers();
    let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/conformance/definitions");
    for client in [server.client(), sim.client()] {
        run::furnish(&client, &definitions).await;
    }
    let pair = Pair::new(server.client(), sim.client());
    let start = Instant::now();
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    let mut different = Vec::new();
    let mut unsteady = 0;
    let pair = &pair;
    let mut runs = futures::stream::iter(0..count)
        .map(|index| async move {
            let sequence = generate::sequence(seed, index);
            let (codes, differs) = pair.run(&sequence).await;
            (index, sequence, codes, differs)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((index, sequence, answered, differs)) = runs.next().await {
        for code in answered {
            *codes.entry(code).or_default() += 1;
        }
        // The real server itself does not always answer the same.
        let differs = if differs.is_some() {
            pair.run(&sequence).await.1.or_else(|| {
                unsteady += 1;
                None
            })
        } else {
            None
        };
        if let Some(differs) = differs {
            different.push((index, sequence, differs));
        }
    }
    let requests: usize = codes.values().sum();
    println!(
        "{count} sequences from seed {seed}, {requests} requests in {:.1?}, answered {codes:?}: {} sequences differ, {unsteady} differed once and then no more",
        start.elapsed(),
        different.len()
    );
    let total = different.len();
    different.truncate(SHOWN);
    let shrunk = futures::stream::iter(different)
        .map(|(index, sequence, first): (u64, Vec<generate::Step>, pair::Difference)| async move {
            (index, first, shrink::shrink(pair, sequence).await)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    // What differs in the same way is shown once, the shortest first.
    let mut ways: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (index, first, found) in shrunk {
        let (way, text) = match found {
            Some((sequence, differs)) => {
                let text = format!("== sequence {index}\n{}\n{}\n", generate::print(&sequence), differs.explain());
                (differs.way(), text)
            }
            None => ("only once".to_owned(), format!("== sequence {index}, once and then no more\n{}\n", first.explain())),
        };
        let seen = ways.entry(way).or_insert_with(|| (0, text.clone()));
        seen.0 += 1;
        if text.len() < seen.1.len() {
            seen.1 = text;
        }
    }
    let open: Vec<&str> = include_str!("differ/open.txt").lines().filter(|line| !line.starts_with('#')).collect();
    let known: usize = ways.iter().filter(|(way, _)| open.contains(&way.as_str())).map(|(_, (times, _))| times).sum();
    let new: Vec<_> = ways.iter().filter(|(way, _)| !open.contains(&way.as_str())).collect();
    let list: Vec<String> = new.iter().map(|(way, (times, text))| format!("{times} times: {way}\n{text}")).collect();
    println!("{known} of the sequences that differ do so in a way that is open; {} ways are new", new.len());
    assert!(
        new.is_empty(),
        "{total} of {count} sequences differ (SEED={seed}), these in ways that are new:\n{}",
        list.join("\n")
    );
}
