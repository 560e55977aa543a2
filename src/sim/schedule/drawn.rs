//! Schedules drawn from a seed.
//!
//! The bounds are chosen so that whoever tries again, lists again and begins anew gets through: no rule strikes more often than a
//! client that backs off has patience for, and none is without an end.

use std::time::Duration;

use fastrand::Rng;

use super::Schedule;
use crate::sim::actors;
use crate::sim::fault::{Fault, Loss, Matching, Moment, Rule};

const READS: &[&str] = &["get", "list", "watch"];
const WRITES: &[&str] = &["create", "patch", "apply", "delete"];
/// Waits up to beyond what a client has patience for.
const DELAYS: &[u64] = &[20, 300, 2_000, 12_000];

pub(super) fn schedule(seed: u64) -> Schedule {
    let mut random = Rng::with_seed(seed);
    let mut rules = Vec::new();
    for draw in [latency, refused_read, refused_write, cut, short_list, lost, twice, later, expired, clock, crash] {
        for _ in 0..random.usize(1..=3) {
            rules.push(draw(&mut random));
        }
    }
    random.shuffle(&mut rules);
    Schedule { rules }
}

fn rule(fault: Fault, verb: Option<&str>, after: u64, times: u64) -> Rule {
    let of = Matching { verb: verb.map(str::to_owned), ..Matching::default() };
    Rule { of, after, times, ..Rule::from(fault) }
}

fn one<T: Copy>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}

fn any_verb(random: &mut Rng) -> &'static str {
    let verbs = if random.bool() { READS } else { WRITES };
    one(random, verbs)
}

fn latency(random: &mut Rng) -> Rule {
    let by = Duration::from_millis(one(random, DELAYS));
    let verb = any_verb(random);
    rule(Fault::Latency { by }, Some(verb), random.u64(..60), random.u64(1..=5))
}

/// Statuses under load and in a restart, with the time to come back that goes with them.
fn overload(random: &mut Rng) -> Fault {
    let status = one(random, &[429, 500, 503, 504]);
    let told = status == 429 || (status == 503 && random.bool());
    Fault::Refuse { status, retry_after: told.then(|| random.u32(1..=5)) }
}

fn refused_read(random: &mut Rng) -> Rule {
    let fault = overload(random);
    let verb = one(random, READS);
    rule(fault, Some(verb), random.u64(..60), random.u64(1..=6))
}

fn refused_write(random: &mut Rng) -> Rule {
    let conflict = random.bool();
    let fault = if conflict { Fault::Refuse { status: 409, retry_after: None } } else { overload(random) };
    let verb = one(random, WRITES);
    rule(fault, Some(verb), random.u64(..60), random.u64(1..=6))
}

fn cut(random: &mut Rng) -> Rule {
    let at = one(random, &[Moment::Before, Moment::After, Moment::Amid]);
    let verb = any_verb(random);
    rule(Fault::Cut { at }, Some(verb), random.u64(..60), random.u64(1..=3))
}

fn short_list(random: &mut Rng) -> Rule {
    let fault = Fault::ShortList { items: random.usize(1..20), status: one(random, &[410, 500]) };
    // The list and what goes on from it.
    rule(fault, None, random.u64(..60), 2)
}

fn lost(random: &mut Rng) -> Rule {
    let how = one(random, &[Loss::Closed, Loss::Cut, Loss::Silent]);
    rule(Fault::LoseWatches { how }, None, random.u64(50..600), 1)
}

fn twice(random: &mut Rng) -> Rule {
    rule(Fault::Duplicate, None, random.u64(..300), random.u64(1..=30))
}

fn later(random: &mut Rng) -> Rule {
    rule(Fault::Reorder, None, random.u64(..300), random.u64(1..=30))
}

fn expired(random: &mut Rng) -> Rule {
    rule(Fault::Expire, None, random.u64(50..600), 1)
}

fn clock(random: &mut Rng) -> Rule {
    let by = Duration::from_secs(random.u64(1..=1_800));
    rule(Fault::Clock { by }, None, random.u64(..600), 1)
}

fn crash(random: &mut Rng) -> Rule {
    let actor = one(random, &actors::names()).to_owned();
    rule(Fault::Crash { actor }, None, random.u64(..8), 1)
}
