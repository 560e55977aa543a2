//! Logs: `tracing` events on stderr. Warnings by default; `-v` shows state changes, `-vv` decisions.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Settings};

/// Libraries that tell what passes through them, among it what is secret: nobody can turn these up.
const CAPPED: [&str; 3] = ["handlebars=warn", "h2=info", "hyper=info"];

/// Starts logging. Called once, by the program.
pub fn start(settings: &Settings) {
    let level = match (settings.global.quiet, settings.global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "warn,espalier=info",
        (false, 2) => "info,espalier=debug",
        (false, _) => "debug,espalier=trace",
    };
    let filter = settings.log.as_deref().and_then(|f| EnvFilter::try_new(f).ok()).unwrap_or_else(|| EnvFilter::new(level));
    let filter = CAPPED.iter().filter_map(|cap| cap.parse().ok()).fold(filter, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match settings.global.log_format {
        LogFormat::Text => builder.with_ansi(crate::print::colours(settings.global.color)).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
