//! Maintenance windows: a daily span between two times of day, each `HHMMSS+ZZZZ`, perhaps over midnight.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::as_text;

const DAY: i64 = 24 * 60 * 60;

/// What is not begun this long before a window ends would not be done in time.
const LEAD: i64 = 15 * 60;

/// A time of day with its offset from UTC: `220000+0100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayTime {
    /// Seconds since midnight, as written.
    local: i64,
    /// Minutes east of Greenwich.
    offset: i64,
}

impl DayTime {
    /// A time of day in UTC, from seconds since midnight; whole days are dropped.
    #[must_use]
    pub fn utc(seconds: i64) -> Self {
        Self { local: seconds.rem_euclid(DAY), offset: 0 }
    }

    /// Seconds since midnight in UTC.
    #[must_use]
    pub fn seconds(self) -> i64 {
        (self.local - self.offset * 60).rem_euclid(DAY)
    }

    /// Minutes east of Greenwich, as written.
    #[must_use]
    pub const fn offset(self) -> i64 {
        self.offset
    }

    /// This time moved by a number of seconds, around midnight if need be.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self { local: self.local.saturating_add(seconds).rem_euclid(DAY), offset: self.offset }
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.local / 3600, self.local / 60 % 60, self.local % 60);
        let sign = if self.offset < 0 { '-' } else { '+' };
        let offset = self.offset.abs();
        write!(f, "{hours:02}{minutes:02}{seconds:02}{sign}{:02}{:02}", offset / 60, offset % 60)
    }
}

impl FromStr for DayTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a time of the form HHMMSS+ZZZZ, such as 220000+0100");
        let bytes: &[u8; 11] = text.as_bytes().try_into().map_err(|_| wrong())?;
        let two = |at: usize, limit: i64| {
            let (tens, ones) = (bytes[at], bytes[at + 1]);
            let both = tens.is_ascii_digit() && ones.is_ascii_digit();
            let number = i64::from(tens.wrapping_sub(b'0')) * 10 + i64::from(ones.wrapping_sub(b'0'));
            (both && number < limit).then_some(number)
        };
        let sign = match bytes[6] {
            b'+' => 1,
            b'-' => -1,
            _ => return Err(wrong()),
        };
        let parts = (two(0, 24), two(2, 60), two(4, 60), two(7, 24), two(9, 60));
        let (Some(hours), Some(minutes), Some(seconds), Some(east), Some(rest)) = parts else { return Err(wrong()) };
        Ok(Self { local: hours * 3600 + minutes * 60 + seconds, offset: sign * (east * 60 + rest) })
    }
}

as_text!(DayTime, "DayTime", "A time of day and its offset from UTC: HHMMSS+ZZZZ.");

/// A daily span of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// When it begins.
    pub begin: DayTime,
    /// When it ends; before its beginning in a day means on the day after.
    pub end: DayTime,
}

impl Window {
    /// A window from the texts of its ends.
    pub fn parse(begin: &str, end: &str) -> Result<Self, String> {
        Ok(Self { begin: begin.parse()?, end: end.parse()? })
    }

    /// How long it is, in seconds; a window that ends as it begins is an instant.
    #[must_use]
    pub fn duration(&self) -> i64 {
        (self.end.seconds() - self.begin.seconds()).rem_euclid(DAY)
    }

    /// Whether it reaches over midnight UTC.
    #[must_use]
    pub fn spans_midnight(&self) -> bool {
        self.end.seconds() < self.begin.seconds()
    }

    /// Whether a moment (seconds since the epoch) is in it.
    #[must_use]
    pub fn contains(&self, at: i64) -> bool {
        self.since_begin(at) <= self.duration()
    }

    /// The occurrence that a moment is in: its first and last second since the epoch.
    #[must_use]
    pub fn current(&self, at: i64) -> Option<(i64, i64)> {
        self.contains(at).then(|| {
            let begin = at.saturating_sub(self.since_begin(at));
            (begin, begin.saturating_add(self.duration()))
        })
    }

    /// When it next begins after a moment, strictly.
    #[must_use]
    pub fn next(&self, at: i64) -> i64 {
        at.saturating_add(DAY - self.since_begin(at))
    }

    /// The window in which maintenance may be begun: this one without its last quarter of an hour.
    #[must_use]
    pub fn effective(&self) -> Self {
        Self { begin: self.begin, end: self.end.plus(-LEAD) }
    }

    /// A moment of the occurrence that begins at `begin`, the same for equal seeds and spread evenly over different ones.
    #[must_use]
    pub fn moment(&self, begin: i64, seed: u64) -> i64 {
        let length = u64::try_from(self.duration()).unwrap_or(0) + 1;
        begin.saturating_add(i64::try_from(seed % length).unwrap_or(0))
    }

    fn since_begin(&self, at: i64) -> i64 {
        (at.rem_euclid(DAY) - self.begin.seconds()).rem_euclid(DAY)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.begin, self.end)
    }
}
