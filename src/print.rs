//! The only writer to stdout and stderr. Results go to stdout; progress, notes and errors to stderr; colour is only an addition.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};

use crate::config::{Colour, Settings};
use crate::digest;
use crate::finding::{Finding, Findings};
use crate::landscape::{Kind, Owner};

pub mod blame;
pub mod checkstyle;
pub mod defaults;
pub mod describe;
pub mod drift;
pub mod forge;
pub mod history;
pub mod json;
pub mod junit;
pub mod origin;
pub mod preview;
pub mod promotion;
pub mod rollback;
pub mod sarif;
pub mod snippet;
pub mod table;
pub mod tap;
pub mod validation;
pub mod wait;

/// What was checked of one landscape, and what was found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The landscape's name; empty if it does not say.
    pub landscape: String,
    /// Where it was read: a folder or a revision.
    pub from: String,
    /// What was found, with paths as the reader knows them.
    pub findings: Findings,
    /// The objects.
    pub owners: BTreeSet<Owner>,
}

impl Checked {
    /// How many objects there are of each kind.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<Kind, usize> {
        let mut kinds = BTreeMap::new();
        for owner in &self.owners {
            *kinds.entry(owner.kind).or_default() += 1;
        }
        kinds
    }
}

/// What stays the same of a finding when lines above it come and go.
#[must_use]
pub fn fingerprint(finding: &Finding) -> String {
    let place = finding.places.first();
    let path = place.map_or("", |p| p.path.as_str());
    let pointer = place.map_or("", |p| p.pointer.as_str());
    let about = if finding.owner.is_empty() { path } else { finding.owner.as_str() };
    let text = [finding.code.as_str(), about, pointer, finding.message.as_str()].join("\0");
    digest::of_bytes(text.as_bytes()).as_str().to_owned()
}

/// Whether to use colour on stderr.
#[must_use]
pub fn colours(wish: Colour) -> bool {
    match wish {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => std::io::stderr().is_terminal() && anstream::stderr().current_choice() != anstream::ColorChoice::Never,
    }
}

/// Writes for one command.
#[derive(Debug, Clone)]
pub struct Printer {
    quiet: bool,
    colour: Colour,
    width: usize,
}

impl Printer {
    /// A printer for these settings.
    #[must_use]
    pub const fn new(settings: &Settings) -> Self {
        Self {
            quiet: settings.global.quiet,
            colour: settings.global.color,
            width: match settings.columns {
                Some(columns) => columns,
                None => 120,
            },
        }
    }

    fn choice(&self) -> anstream::ColorChoice {
        match self.colour {
            Colour::Auto => anstream::ColorChoice::Auto,
            Colour::Always => anstream::ColorChoice::Always,
            Colour::Never => anstream::ColorChoice::Never,
        }
    }

    /// Writes a result, as it is.
    pub fn result(&self, text: &str) {
        let stdout = std::io::stdout().lock();
        // What has no colours needs none taken out.
        // Without a way out in the middle: whole registers are looked at, not bytes.
        let control = |byte: &u8| u8::from(byte.is_ascii_control() && *byte != b'\n' && *byte != b'\t');
        let plain = text.as_bytes().iter().fold(0, |found, byte| found | control(byte)) == 0;
        let choice = if plain { anstream::ColorChoice::AlwaysAnsi } else { self.choice() };
        let mut out = anstream::AutoStream::new(stdout, choice);
        // A reader that went away (`| head`) is no error of ours.
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            tracing::debug!("stdout was closed");
        }
    }

    /// Writes a line of a result.
    pub fn line(&self, text: &str) {
        self.result(&format!("{text}\n"));
    }

    /// Says something on the way, on stderr; not if quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr(&format!("{text}\n"));
        }
    }

    /// Says what went wrong, and what to do.
    pub fn error(&self, text: &str, hint: Option<&str>) {
        let hint = hint.map_or_else(String::new, |hint| format!("hint: {hint}\n"));
        self.stderr(&format!("\x1b[1;31merror\x1b[0m: {text}\n{hint}"));
    }

    /// Says why a command failed: the error and its causes.
    pub fn failure(&self, error: &anyhow::Error) {
        let mut text = error.to_string();
        for cause in error.chain().skip(1) {
            let cause = cause.to_string();
            if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        self.error(&text, None);
    }

    /// Columns that results may fill; long lines of quoted files are shown in part beyond it.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Whether stderr is a terminal that progress may be drawn on.
    #[must_use]
    pub fn draws(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    fn stderr(&self, text: &str) {
        let mut err = anstream::AutoStream::new(std::io::stderr().lock(), self.choice());
        if err.write_all(text.as_bytes()).and_then(|()| err.flush()).is_err() {
            tracing::debug!("stderr was closed");
        }
    }
}
