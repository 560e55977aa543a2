//! What must hold before changes are promoted: each gate passed, still to wait for, or failed, with what it looked at.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::landscape::config::{LandscapeSpec, Promotion};
use crate::pipeline::freeze::Freeze;
use crate::plan::impact::Mark;

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It holds.
    Passed,
    /// It will hold if nothing else happens, or when people act.
    Waiting,
    /// It does not hold.
    Failed,
}

/// One gate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Gate {
    /// Its name.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What it looked at, in a few words.
    pub text: String,
}

/// What the status branch says of the landscape that changes come from.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Whether what is promoted was reconciled.
    pub reconciled: bool,
    /// Since when all of it is ready, in seconds since the epoch.
    pub since: Option<i64>,
    /// Objects that are not ready.
    pub unready: Vec<String>,
}

/// What gates look at.
pub struct Facts<'a> {
    /// The landscape that changes come from.
    pub from: &'a str,
    /// The settings of the landscape that they go to.
    pub settings: Option<&'a LandscapeSpec>,
    /// The freezes that are in force where changes go to.
    pub freezes: &'a [Freeze],
    /// The time, in seconds since the epoch.
    pub now: i64,
    /// How the landscape that they come from stands; `None` if it has no status branch.
    pub health: Option<&'a Health>,
    /// How many people approved the commit with the fewest approvals.
    pub approvals: usize,
    /// The worst that happens.
    pub worst: Mark,
    /// The projects that are touched.
    pub projects: &'a BTreeSet<String>,
    /// What would be refused where changes go to.
    pub refused: &'a [String],
}

/// All gates, in the order in which people ask for them. Settings that cannot be read are an error.
pub fn gates(facts: &Facts<'_>) -> Result<Vec<Gate>, String> {
    let settings = facts.settings.and_then(|spec| spec.promotion.as_ref());
    let declared = settings.and_then(|promotion| promotion.gates.as_ref());
    let mut gates = vec![order(facts)];
    if let Some(text) = declared.and_then(|gates| gates.healthy_for.as_ref()) {
        let soak: SignedDuration = text.parse().map_err(|_| format!("`{text}` is not a duration"))?;
        gates.extend(health(facts, soak, text));
    }
    gates.push(freeze(facts));
    if let Some(wanted) = declared.and_then(|gates| gates.approvals) {
        let state =
            if i64::try_from(facts.approvals).unwrap_or(i64::MAX) >= i64::from(wanted) { State::Passed } else { State::Waiting };
        gates.push(Gate { name: "approvals", state, text: format!("{}/{wanted}", facts.approvals) });
    }
    if let Some(word) = declared.and_then(|gates| gates.no_mark_above.as_ref()) {
        let most: Mark = word.parse().map_err(|why| format!("`{word}` is not a mark: {why}"))?;
        let state = if facts.worst <= most { State::Passed } else { State::Failed };
        gates.push(Gate { name: "mark", state, text: format!("{} (at most {word})", facts.worst.word()) });
    }
    let state = if facts.refused.is_empty() { State::Passed } else { State::Failed };
    let text = if facts.refused.is_empty() { "none".to_owned() } else { facts.refused.len().to_string() };
    gates.push(Gate { name: "refused", state, text });
    Ok(gates)
}

/// No stage is skipped.
fn order(facts: &Facts<'_>) -> Gate {
    let stages = facts.settings.and_then(|spec| spec.promotion.as_ref()).map(Promotion::stages).unwrap_or_default();
    let allowed = stages.is_empty() || stages.iter().any(|stage| stage == facts.from);
    let text = if stages.is_empty() { "any".to_owned() } else { format!("from {}", stages.join(" or ")) };
    Gate { name: "order", state: if allowed { State::Passed } else { State::Failed }, text }
}

fn health(facts: &Facts<'_>, soak: SignedDuration, text: &str) -> Vec<Gate> {
    let gate = |name, state, text| Gate { name, state, text };
    let Some(health) = facts.health else {
        return vec![gate("soak", State::Failed, format!("{text}: {} has no status branch", facts.from))];
    };
    if !health.reconciled {
        return vec![gate("soak", State::Waiting, format!("{text}: not reconciled yet"))];
    }
    let unready = gate(
        "unready",
        if health.unready.is_empty() { State::Passed } else { State::Failed },
        format!("{} in {}", health.unready.len(), facts.from),
    );
    let ready = health.since.map(|since| SignedDuration::from_secs(facts.now.saturating_sub(since)));
    let soaked = match ready {
        Some(ready) if ready >= soak => gate("soak", State::Passed, text.to_owned()),
        Some(ready) => gate("soak", State::Waiting, format!("{} of {text}", hours(ready.as_secs()))),
        None => gate("soak", State::Waiting, format!("0 of {text}")),
    };
    vec![soaked, unready]
}

fn freeze(facts: &Facts<'_>) -> Gate {
    let touches = |freeze: &&Freeze| freeze.projects.is_empty() || !freeze.projects.is_disjoint(facts.projects);
    let on = facts.freezes.iter().find(touches);
    let text = on.map_or_else(
        || "none".to_owned(),
        |freeze| {
            let until = freeze.until.map(|until| format!(" until {until}")).unwrap_or_default();
            format!("{}{until}", freeze.reason)
        },
    );
    Gate { name: "freeze", state: if on.is_some() { State::Failed } else { State::Passed }, text }
}

/// A time in hours, or days, or minutes: `26 h`.
#[must_use]
pub fn hours(seconds: i64) -> String {
    match seconds {
        ..3_600 => format!("{} min", seconds.max(0) / 60),
        3_600..259_200 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The day of a time as `20260822`, for names.
#[must_use]
pub fn day(now: Timestamp) -> String {
    now.strftime("%Y%m%d").to_string()
}
