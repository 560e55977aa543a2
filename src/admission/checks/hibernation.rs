//! Hibernation: schedules that can be read.

use super::prelude::*;

rules! {
    /// A hibernation schedule has a start, an end or both, each a cron expression of five fields, and no two are the same
    /// (V-178, V-179).
    "SHOOT-HIBERNATION-SCHEDULE", "a hibernation schedule cannot be read", Shoot, schedules;
    /// The location of a schedule is a time zone of the tz database, such as `Europe/Berlin` (V-180).
    "SHOOT-HIBERNATION-LOCATION", "a time zone is unknown", Shoot, locations;
}

fn schedules(cx: &Cx<'_>, out: &mut Out) {
    let mut seen: Vec<(String, &str)> = Vec::new();
    for schedule in cx.new.at("spec/hibernation/schedules").items() {
        let (start, end) = (schedule.get("start"), schedule.get("end"));
        if start.is_empty() && end.is_empty() {
            out.required(&schedule, "a schedule needs a start or an end").help("for example `start: \"0 20 * * 1-5\"`");
        }
        for node in [start, end].iter().filter(|n| n.is_set()) {
            if let Err(why) = syntax::cron(node.str()) {
                out.invalid(node, format!("{} is no cron expression: {why}", node.shown())).help("five fields: minute, hour, day, month, weekday");
            }
            let this = (schedule.get("location").str().to_owned(), node.str());
            if seen.contains(&this) {
                out.duplicate(node, format!("the time {} is there twice", node.shown()));
            }
            seen.push(this);
        }
    }
}

fn locations(cx: &Cx<'_>, out: &mut Out) {
    for schedule in cx.new.at("spec/hibernation/schedules").items() {
        let node = schedule.get("location");
        if !node.is_empty() && !syntax::is_zone(node.str()) {
            out.invalid(&node, format!("{} is no time zone", node.shown())).help("for example `Europe/Berlin` or `UTC`");
        }
    }
}
