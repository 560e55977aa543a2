//! Saved plans: what `plan --out` writes and `apply` reads. A saved plan is the JSON of a plan with what it was made from; it is
//! carried out only while all of that is as it was.

use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::Deserialize;

use crate::print::json::{self, API_VERSION, envelope};
use crate::print::preview::{self, Pins, Preview};

/// The largest file that is read: a plan of the largest landscape is below this.
const MOST: u64 = 256 << 20;

/// What `apply` needs to know of a plan.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Saved {
    api_version: String,
    kind: String,
    /// The landscape.
    pub(super) landscape: String,
    /// What is meant to be done; `None` for nothing.
    pub(super) digest: Option<String>,
    /// What the plan holds for.
    pins: Option<Pins>,
    /// The time that was judged at.
    pub(super) now: Timestamp,
}

/// Writes a plan.
pub(super) fn save(path: &Path, preview: &Preview) -> anyhow::Result<()> {
    let text = json::json(&envelope("Plan", preview::json(preview)));
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// Reads a plan, and what it holds for.
pub(super) fn read(path: &Path) -> anyhow::Result<(Saved, Pins)> {
    let failed = || format!("failed to read {}", path.display());
    let size = std::fs::metadata(path).with_context(failed)?.len();
    if size > MOST {
        bail!("{} is no plan: it has {size} bytes, a plan at most {MOST}", path.display());
    }
    let text = std::fs::read_to_string(path).with_context(failed)?;
    let saved: Saved = serde_json::from_str(&text).with_context(|| format!("{} is no plan", path.display()))?;
    if saved.api_version != API_VERSION || saved.kind != "Plan" {
        bail!("{} is no plan but a {} of {}", path.display(), saved.kind, saved.api_version);
    }
    match saved.pins.clone() {
        Some(pins) => Ok((saved, pins)),
        None => bail!("{} is a plan of files that are in no commit: commit them, and plan again with --out", path.display()),
    }
}
