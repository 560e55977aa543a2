//! Hibernation: schedules that can be read.

use super::prelude::*;

rules! {
    /// A hibernation schedule has a start, an end or both, each a cron expression of five fields or a word such as `@daily`, and
    /// none is there twice in the shoot (V-178, V-179).
    "SHOOT-HIBERNATION-SCHEDULE", "a hibernation schedule cannot be read", Shoot, schedules;
    /// The location of a schedule is a time zone of the tz database, such as `Europe/Berlin` (V-180).
    "SHOOT-HIBERNATION-LOCATION", "a time zone is unknown", Shoot, locations;
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
