//! Settings: flags over environment over defaults, resolved once. The only module that reads the environment.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

mod runner;

pub use runner::{Forge, Place, Runner};

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Repository: a path or an https/ssh URL
    #[arg(long, global = true, env = "ESPALIER_REPO", value_name = "PATH|URL", help_heading = "Global options")]
    pub repo: Option<String>,
    /// Name of the landscape
    #[arg(long, short = 'L', global = true, env = "ESPALIER_LANDSCAPE", value_name = "NAME", help_heading = "Global options")]
    pub landscape: Option<String>,
    /// Revision of the landscape to read
    #[arg(long, global = true, value_name = "REV", help_heading = "Global options")]
    pub rev: Option<String>,
    /// Folder of the landscape within its branch
    #[arg(long, global = true, env = "ESPALIER_PATH", value_name = "DIR", default_value = "", help_heading = "Global options")]
    pub path: String,
    /// Kubeconfig file for garden and seeds
    #[arg(long, global = true, env = "KUBECONFIG", value_name = "FILE", help_heading = "Global options")]
    pub kubeconfig: Option<PathBuf>,
    /// Print only results and errors
    #[arg(long, short = 'q', global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Say more on stderr; repeat for still more
    #[arg(long, short = 'v', global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN", help_heading = "Global options")]
    pub color: Colour,
    /// Format of logs on stderr
    #[arg(long, global = true, env = "ESPALIER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT", help_heading = "Global options")]
    pub log_format: LogFormat,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What the flags and the environment mean.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The flags.
    pub global: Global,
    /// A log filter from `ESPALIER_LOG`.
    pub log: Option<String>,
    /// The time that offline commands take as now, from `ESPALIER_NOW` (RFC 3339): tests fix it.
    pub now: Option<String>,
    /// A token for https remotes, from `ESPALIER_GIT_TOKEN`.
    pub git_token: Option<String>,
    /// Whether an ssh agent is there.
    pub ssh_agent: bool,
    /// How wide the terminal is, from `COLUMNS`.
    pub columns: Option<usize>,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// The host's name, for the identity of a lease.
    pub host: Option<String>,
    /// The CI runner, if this is one.
    pub runner: Runner,
}

impl Settings {
    /// Resolves flags and environment.
    #[must_use]
    pub fn resolve(global: Global) -> Self {
        Self {
            global,
            log: variable("ESPALIER_LOG"),
            now: variable("ESPALIER_NOW"),
            git_token: variable("ESPALIER_GIT_TOKEN"),
            ssh_agent: variable("SSH_AUTH_SOCK").is_some(),
            columns: variable("COLUMNS").and_then(|text| text.parse().ok()).filter(|columns| *columns >= 40),
            home: variable("HOME").map(PathBuf::from),
            host: variable("HOSTNAME"),
            runner: Runner::read(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The time of day, for shells: the core takes it as a parameter.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
