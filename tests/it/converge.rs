//! A landscape comes up while everything goes wrong, and is what it is without: the daemon under drawn schedules of faults.
//!
//! `SEEDS=20 cargo test --test it converge` tries that many seeds, `SCHEDULE=FILE cargo test --test it converge` one file: a schedule
//! that broke something is kept as one. Time is virtual and what the daemon draws at random comes from a fixed seed; but Git works on
//! threads of its own, so two runs of one schedule may differ by a few requests. That the same requests meet the same faults is
//! shown in `faults`.

#![allow(clippy::disallowed_methods, reason = "the variables are how a person asks for more, or for the one that failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use espalier::cluster::Clusters;
use espalier::daemon::View;
use espalier::landscape::Target;
use espalier::sim::{Clock, Schedule, Struck};
use espalier::snapshot::Revision;
use espalier::status::Standing;
use tokio::sync::watch::error::RecvError;
use tokio::time::error::Elapsed;

use super::fleet::{Fleet, Running, objects, rows};
use super::kill::{differences, picture};

/// By virtual time: longer than the longest back-off of everything, many times.
const PATIENCE: Duration = Duration::from_hours(4);
/// A watch that died silently is given up after ten minutes and a half at the latest.
const QUIET: Duration = Duration::from_mins(15);
/// Starts of the process, at most: what ends with an error is started again.
const STARTS: usize = 8;

/// What came of a schedule.
struct End {
    picture: BTreeMap<String, Vec<String>>,
    /// What was deleted by the daemon: cluster and resource, and how often it was asked.
    deleted: BTreeMap<String, u64>,
    /// Why it ended, each time that it did not go on.
    ends: Vec<String>,
}

fn ready(view: &View, head: &Revision) -> bool {
    view.revision.as_ref() == Some(head)
        && !view.owners.is_empty()
        && view.owners.values().all(|row| row.standing == Standing::Ready)
}

/// Brings a landscape up and says what is there then, or what went wrong.
async fn bring_up(schedule: &Schedule) -> (Vec<(Target, Struck)>, Result<End, String>) {
    fastrand::seed(1);
    let fleet = Fleet::local(&["mini"]).await;
    for sim in fleet.sims.values() {
        sim.follow(schedule);
    }
    fleet.credentials().await;
    let ended = come_up(&fleet).await;
    let struck =
        fleet.sims.iter().flat_map(|(target, sim)| sim.faults().struck().into_iter().map(|s| (target.clone(), s))).collect();
    (struck, ended)
}

async fn come_up(fleet: &Fleet) -> Result<End, String> {
    let head = fleet.head().await;
    let clocks: Vec<Clock> = fleet.sims.values().map(espalier::sim::Sim::clock).collect();
    let mut ends = Vec::new();
    let mut running = loop {
        let clocks = clocks.clone();
        let mut running = fleet.start_as(|options| {
            // The daemon's wall clock jumps once all have. Ahead of an extension it may not be: by Gardener's contract an operation
            // counts once its time, by the extension's clock, is not before that of the request, by ours.
            let earliest = move || clocks.iter().map(Clock::now).min().expect("clusters");
            options.clusters = Clusters::new(BTreeMap::new(), Arc::new(earliest));
        });
        match up(&mut running, &head).await {
            Ok(Ok(())) => break running,
            Ok(Err(_)) => {
                ends.push(running.end().await.map_or_else(|error| error.to_string(), |_| "as if told to".to_owned()));
                if ends.len() == STARTS {
                    return Err(format!("it ended each time:\n{}", ends.join("\n")));
                }
            }
            Err(_) => return Err(unready(&running.seen.borrow())),
        }
    };
    // The faults end, and whoever was left in the dark has noticed.
    fleet.sims.values().for_each(|sim| sim.faults().clear());
    tokio::time::sleep(QUIET).await;
    if !matches!(up(&mut running, &head).await, Ok(Ok(()))) {
        return Err(unready(&running.seen.borrow()));
    }
    running.stop().await;
    let mut all = BTreeMap::new();
    let mut deleted = BTreeMap::new();
    for (target, sim) in &fleet.sims {
        all.insert(target.to_string(), objects(sim).await);
        for (request, count) in sim.counters().requests {
            if request.user == "espalier" && request.verb.starts_with("delete") {
                deleted.insert(format!("{target} {}", request.resource), count);
            }
        }
    }
    Ok(End { picture: picture(&all), deleted, ends })
}

/// Waits until all is ready; an error outside: in vain; inside: the daemon ended.
async fn up(running: &mut Running, head: &Revision) -> Result<Result<(), RecvError>, Elapsed> {
    let seen = async { running.seen.wait_for(|view| ready(view, head)).await.map(drop) };
    tokio::time::timeout(PATIENCE, seen).await
}

fn unready(view: &View) -> String {
    format!("not ready after {PATIENCE:?}: {:?}\n{}", view.incomplete, rows(view))
}

/// What to say of a schedule that broke something: it, what it struck, and how to see that again.
fn told(name: &str, schedule: &Schedule, struck: &[(Target, Struck)], why: &str) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{name}.yaml"));
    let text = schedule.to_yaml();
    std::fs::write(&file, &text).expect("a file");
    let mut out = format!("{why}\n\nunder this schedule:\n{text}\nwhich struck:\n");
    for (target, one) in struck {
        writeln!(out, "  {target}: {one}").expect("text");
    }
    write!(out, "again: SCHEDULE={} cargo test --test it converge", file.display()).expect("text");
    out
}

fn schedules() -> Vec<(String, Schedule)> {
    if let Ok(file) = std::env::var("SCHEDULE") {
        let text = std::fs::read_to_string(&file).expect("the file of SCHEDULE");
        let schedule = Schedule::parse(&file, &text);
        let schedule =
            schedule.unwrap_or_else(|all| panic!("{}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")));
        return vec![("again".to_owned(), schedule)];
    }
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    // People's requests are answered: what is asked of them is to be there.
    (1..=seeds).map(|seed| (seed.to_string(), Schedule::drawn(seed).of_user("espalier"))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_landscape_under_faults_comes_to_the_same_end() {
    let (struck, calm) = bring_up(&Schedule::default()).await;
    let calm = calm.unwrap_or_else(|why| panic!("{why}"));
    assert!(struck.is_empty() && calm.ends.is_empty() && calm.picture.len() > 100, "{} objects", calm.picture.len());
    let mut broken = Vec::new();
    for (name, schedule) in schedules() {
        let (struck, ended) = bring_up(&schedule).await;
        match ended.and_then(|end| same(&calm, &end).map(|()| end)) {
            Ok(end) => {
                let rules: BTreeSet<usize> = struck.iter().map(|(_, one)| one.rule).collect();
                let (hit, all) = (rules.len(), schedule.rules.len());
                println!("{name}: {} faults struck by {hit} of {all} rules; ended {:?}", struck.len(), end.ends);
                assert!(struck.len() > 20, "{}", told(&name, &schedule, &struck, "hardly anything went wrong"));
            }
            Err(why) => broken.push(told(&name, &schedule, &struck, &why)),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

/// Whether the end is the undisturbed one; else what differs.
fn same(calm: &End, end: &End) -> Result<(), String> {
    let differ = differences(&calm.picture, &end.picture);
    if !differ.is_empty() {
        return Err(format!("{} of {} objects differ:\n{}", differ.len(), calm.picture.len(), differ.join("\n")));
    }
    let more: Vec<&String> = end.deleted.keys().filter(|what| !calm.deleted.contains_key(*what)).collect();
    if more.is_empty() { Ok(()) } else { Err(format!("deleted as well: {more:?}")) }
}
