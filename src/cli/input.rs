//! Plans and findings in files. They may come from a pull request of anybody: they are bounded, and checked against their schema
//! before anything is made of them.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;

use crate::print::Checked;
use crate::print::preview::Plan;
use crate::print::validation::Validation;

/// So many bytes may a document have that may be anybody's.
pub(super) const ANYBODYS: u64 = 64 << 20;
/// And so many a plan that was kept to be carried out: that of the largest landscape is below this.
pub(super) const KEPT: u64 = 256 << 20;
/// The word for stdin where a file is expected.
pub(super) const STDIN: &str = "-";

/// A plan, as `plan -o json` writes it.
pub(super) fn plan(file: &Path, most: u64) -> anyhow::Result<Plan> {
    Plan::read(document(file, most)?).map_err(|why| anyhow!("{} cannot be used: {why}", named(file)))
}

/// Findings, as `validate -o json` writes them.
pub(super) fn findings(file: &Path) -> anyhow::Result<Vec<Checked>> {
    let validation =
        Validation::read(document(file, ANYBODYS)?).map_err(|why| anyhow!("{} cannot be used: {why}", named(file)))?;
    Ok(validation.checked())
}

fn document(file: &Path, most: u64) -> anyhow::Result<Value> {
    let failed = || format!("failed to read {}", named(file));
    let mut bytes = Vec::new();
    if file == Path::new(STDIN) {
        std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes).with_context(failed)?;
    } else {
        let open = std::fs::File::open(file).with_context(failed)?;
        if open.metadata().with_context(failed)?.len() > most {
            bail!("{} is larger than {} MiB; so large a document is not read", named(file), most >> 20);
        }
        open.take(most + 1).read_to_end(&mut bytes).with_context(failed)?;
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        bail!("{} is larger than {} MiB; so large a document is not read", named(file), most >> 20);
    }
    // The error tells a place and no value.
    serde_json::from_slice(&bytes).map_err(|e| anyhow!("{} is not JSON: line {}, column {}", named(file), e.line(), e.column()))
}

fn named(file: &Path) -> String {
    if file == Path::new(STDIN) { "stdin".to_owned() } else { file.display().to_string() }
}
