//! When a change of an object is rolled out: the modifiers of a plan, and what the daemon goes by.
//!
//! A shoot whose `spec.maintenance.confineSpecUpdateRollout` is set takes changes of its spec in its maintenance window only. As with
//! Gardener, it is the manifest after the change that says so, and sending a cluster to sleep or waking it up waits for nothing, nor
//! does what comes with it. Changes of metadata, deletions and new clusters never wait. Under `engine: gardener` a running Gardener
//! keeps to the windows by itself, and what raises no generation is taken up when it next reconciles the shoot.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::landscape::{Kind, Owner};
use crate::value::{DayTime, Window};

/// When a change is rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As soon as it is accepted.
    Now,
    /// Within the maintenance window: the occurrence that is open, or the next.
    Window(Span),
    /// When Gardener next reconciles the shoot.
    NextReconcile,
}

/// One occurrence of a maintenance window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// When it begins, in seconds since the epoch.
    pub begin: i64,
    /// The last second in which something is begun: a quarter of an hour before it ends.
    pub last: i64,
    /// When it ends.
    pub end: i64,
    /// Minutes east of Greenwich, as the window is written.
    pub offset: i64,
}

/// A change that is accepted and waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// For what.
    pub span: Span,
    /// The manifest that is wanted then.
    pub wanted: Arc<Value>,
}

/// A maintenance window as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Occurrence {
    /// When it begins (RFC 3339).
    pub begin: String,
    /// When it ends (RFC 3339); what was begun in it may go on after it.
    pub end: String,
}

impl When {
    /// When the change of an object is rolled out, in a landscape with these settings. `before` is what was accepted last; `None` for
    /// what is new.
    #[must_use]
    pub fn of_change(owner: &Owner, before: Option<&Value>, after: &Value, settings: Option<&Value>, now: i64) -> Self {
        let Some(before) = before.filter(|_| owner.kind == Kind::Shoot) else { return Self::Now };
        let by_gardener = is_gardeners(settings);
        if !by_gardener && !is_confined(after) {
            return Self::Now;
        }
        if before.get("spec") == after.get("spec") {
            // Only a change of the spec raises the generation.
            return if by_gardener { Self::NextReconcile } else { Self::Now };
        }
        if !is_confined(after) || sleeps(before) != sleeps(after) {
            return Self::Now;
        }
        Span::of(after, now).map_or(Self::Now, Self::Window)
    }

    /// When a shoot that nobody changed is rolled out otherwise because of what it is rendered from: templates, images, settings, its
    /// cloud profile, its seed.
    #[must_use]
    pub fn of_sources(owner: &Owner, manifest: &Value, settings: Option<&Value>, now: i64) -> Self {
        if owner.kind != Kind::Shoot {
            return Self::Now;
        }
        if waits_for_windows(manifest, settings) {
            return Span::of(manifest, now).map_or(Self::Now, Self::Window);
        }
        if is_gardeners(settings) { Self::NextReconcile } else { Self::Now }
    }

    /// The occurrence that must be waited for; `None` if nothing must.
    #[must_use]
    pub fn not_before(self, now: i64) -> Option<Span> {
        match self {
            Self::Window(span) if !span.is_open(now) => Some(span),
            _ => None,
        }
    }

    /// The word in machines' outputs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Window(_) => "window",
            Self::NextReconcile => "next-reconcile",
        }
    }
}

/// The modifier: `@now`, `@window 2026-08-24 22:00 +02:00`, `@next-reconcile`.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.word())?;
        match self {
            Self::Window(span) => write!(f, " {} {}", local(span.begin, span.offset, "%Y-%m-%d %H:%M"), zone(span.offset)),
            Self::Now | Self::NextReconcile => Ok(()),
        }
    }
}

/// Whether a running Gardener rolls out, and not espalier.
#[must_use]
pub fn is_gardeners(settings: Option<&Value>) -> bool {
    settings.and_then(|s| s.pointer("/spec/engine")).and_then(Value::as_str) == Some("gardener")
}

/// Whether what a shoot is rendered from is rolled out to it in its maintenance windows only: it says so itself, or the landscape does
/// for all.
#[must_use]
pub fn waits_for_windows(manifest: &Value, settings: Option<&Value>) -> bool {
    let all = settings.and_then(|s| s.pointer("/spec/rollout/maintenanceWindow")).and_then(Value::as_bool);
    is_confined(manifest) || all.unwrap_or_default()
}

fn is_confined(shoot: &Value) -> bool {
    shoot.pointer("/spec/maintenance/confineSpecUpdateRollout").and_then(Value::as_bool).unwrap_or_default()
}

/// Whether a shoot is to sleep.
#[must_use]
pub fn sleeps(shoot: &Value) -> bool {
    shoot.pointer("/spec/hibernation/enabled").and_then(Value::as_bool).unwrap_or_default()
}

impl Span {
    /// The occurrence of a shoot's maintenance window that is open, or the next one; `None` if it has none that can be read, which
    /// confines nothing.
    #[must_use]
    pub fn of(shoot: &Value, now: i64) -> Option<Self> {
        let time = |key: &str| {
            let text = shoot.pointer(&format!("/spec/maintenance/timeWindow/{key}")).and_then(Value::as_str)?;
            text.parse::<DayTime>().ok()
        };
        let window = Window { begin: time("begin")?, end: time("end")? };
        let effective = window.effective();
        let begin = effective.current(now).map_or_else(|| window.next(now), |(begin, _)| begin);
        Some(Self {
            begin,
            last: begin.saturating_add(effective.duration()),
            end: begin.saturating_add(window.duration()),
            offset: window.begin.offset(),
        })
    }

    /// Whether something may be begun.
    #[must_use]
    pub const fn is_open(&self, now: i64) -> bool {
        self.begin <= now && now <= self.last
    }

    /// `in 3 h 12 min`, or `open until 22:45`.
    #[must_use]
    pub fn relative(&self, now: i64) -> String {
        if self.is_open(now) {
            return format!("open until {}", local(self.last, self.offset, "%H:%M"));
        }
        format!("in {}", wait(self.begin.saturating_sub(now)))
    }

    /// The same as JSON has it.
    #[must_use]
    pub fn occurrence(&self) -> Occurrence {
        let time = |at| format!("{}{}", local(at, self.offset, "%Y-%m-%dT%H:%M:%S"), zone(self.offset));
        Occurrence { begin: time(self.begin), end: time(self.end) }
    }
}

/// `maintenance window 2026-08-24 22:00–23:00 +02:00`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, end) = (local(self.begin, self.offset, "%Y-%m-%d %H:%M"), local(self.end, self.offset, "%H:%M"));
        write!(f, "maintenance window {begin}–{end} {}", zone(self.offset))
    }
}

/// Seconds in a few words, rounded up to minutes: `3 h 12 min`, `5 min`.
#[must_use]
pub fn wait(seconds: i64) -> String {
    let minutes = seconds.max(1).saturating_add(59) / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn local(at: i64, offset: i64, format: &str) -> String {
    let seconds = i32::try_from(offset * 60).unwrap_or(0);
    let zone = TimeZone::fixed(Offset::from_seconds(seconds).unwrap_or(Offset::UTC));
    Timestamp::from_second(at).map_or_else(|_| "?".to_owned(), |at| at.to_zoned(zone).strftime(format).to_string())
}

/// `+02:00`.
fn zone(offset: i64) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
}
