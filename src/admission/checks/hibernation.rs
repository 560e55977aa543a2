//! Hibernation: schedules that can be read.

use super::prelude::*;
use crate::value::{Cron, Window};

rules! {
    /// A hibernation schedule has a start, an end or both, each a cron expression of five fields or a word such as `@daily`, and
    /// none is there twice in the shoot (V-178, V-179).
    "SHOOT-HIBERNATION-SCHEDULE", "a hibernation schedule cannot be read", Shoot, schedules;
    /// The location of a schedule is a time zone of the tz database, such as `Europe/Berlin` (V-180).
    "SHOOT-HIBERNATION-LOCATION", "a time zone is unknown", Shoot, locations;
    /// The cluster sleeps through every one of its maintenance windows, as far as its schedule tells.
    ///
    /// In a sleeping cluster nothing is updated, and no key or credential is exchanged. Gardener accepts that.
    "SHOOT-HIBERNATION-WINDOW", "the cluster sleeps through its maintenance windows", Shoot, covered as Espalier;
}

/// Five fields, or one of the words that stand for them.
fn cron(text: &str) -> Result<(), String> {
    if let Some(every) = text.strip_prefix("@every ") {
        return syntax::duration(every).map(drop).ok_or_else(|| format!("`{every}` is no duration"));
    }
    if matches!(text, "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly") {
        return Ok(());
    }
    syntax::cron(text)
}

fn schedules(cx: &Cx<'_>, out: &mut Out) {
    let mut seen: Vec<&str> = Vec::new();
    for schedule in cx.new.at("spec/hibernation/schedules").items() {
        let (start, end) = (schedule.get("start"), schedule.get("end"));
        if !start.is_set() && !end.is_set() {
            out.required(&schedule, "a schedule needs a start or an end")
                .field(format!("{}.start/end", schedule.field()))
                .help("for example `start: \"0 20 * * 1-5\"`");
        }
        for node in [start, end].iter().filter(|n| n.is_set()) {
            if let Err(why) = cron(node.str()) {
                out.invalid(node, format!("{} is no cron expression: {why}", node.shown()))
                    .help("five fields: minute, hour, day, month, weekday");
            } else if seen.contains(&node.str()) {
                out.duplicate(node, format!("the time {} is there twice", node.shown()));
            } else {
                seen.push(node.str());
            }
        }
    }
}

fn locations(cx: &Cx<'_>, out: &mut Out) {
    for schedule in cx.new.at("spec/hibernation/schedules").items() {
        let node = schedule.get("location");
        if !node.is_empty() && node.str() != "Local" && !syntax::is_zone(node.str()) {
            out.invalid(&node, format!("{} is no time zone", node.shown())).help("for example `Europe/Berlin` or `UTC`");
        }
    }
}

/// A Monday in winter: schedules go by the week, and this one has no change of clocks.
const MONDAY: i64 = 1_768_176_000;
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

fn covered(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/hibernation/schedules");
    let window = cx.new.at("spec/maintenance/timeWindow");
    // A window that nobody chose may still be moved by whoever chooses one.
    if node.is_empty() || !cx.written.at("spec/maintenance/timeWindow").is_set() {
        return;
    }
    let (begin, end) = (window.get("begin"), window.get("end"));
    let Ok(span) = Window::parse(begin.str(), end.str()) else { return };
    let Some(events) = events(&node) else { return };
    let mut at = MONDAY;
    let asleep_in_all = (0..7).all(|_| {
        at = span.next(at);
        asleep(&events, at, at + span.duration())
    });
    if asleep_in_all {
        let message = format!("the cluster sleeps through every maintenance window ({} to {})", begin.str(), end.str());
        out.warning(&node, message)
            .and(&window, "the maintenance window")
            .help("nothing is updated or rotated in a sleeping cluster: move the window, or wake the cluster in between");
    }
}

/// When in a week the cluster is put to sleep (`true`) and woken, in the order of time; none if it is not both, if a schedule cannot
/// be read, or if it does not go by the week.
fn events(schedules: &Node<'_>) -> Option<Vec<(i64, bool)>> {
    let mut events = Vec::new();
    for schedule in schedules.items() {
        for (key, sleeps) in [("start", true), ("end", false)] {
            let node = schedule.get(key);
            if !node.is_set() {
                continue;
            }
            let by_the_week = node.str().split_whitespace().skip(2).take(2).all(|field| field == "*");
            let cron = Cron::new(node.str(), schedule.get("location").str()).ok().filter(|_| by_the_week)?;
            let mut at = MONDAY - 1;
            while let Some(next) = cron.next(at).filter(|next| *next < MONDAY + WEEK) {
                events.push((next, sleeps));
                at = next;
            }
        }
    }
    events.sort_unstable();
    let both = events.iter().any(|(_, sleeps)| *sleeps) && events.iter().any(|(_, sleeps)| !sleeps);
    both.then_some(events)
}

/// Whether the cluster sleeps from a moment to another, in a week like every other.
fn asleep(events: &[(i64, bool)], from: i64, until: i64) -> bool {
    let before = events.iter().rev().find(|(at, _)| *at <= from).or(events.last());
    let woken = |at: i64| (from..until).contains(&at) || (from..until).contains(&(at + WEEK));
    before.is_some_and(|(_, sleeps)| *sleeps) && !events.iter().any(|(at, sleeps)| !sleeps && woken(*at))
}
