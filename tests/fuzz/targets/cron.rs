//! Cron expressions with a time zone: read or refused; the next moment is later, and is the last one up to itself.
#![no_main]

use espalier::value::Cron;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (expression, zone) = text.split_once('\n').unwrap_or((text, "Europe/Berlin"));
    let Ok(cron) = Cron::new(expression, zone) else { return };
    let now = 1_790_000_000;
    if let Some(next) = cron.next(now) {
        assert!(next > now, "{text}: {next}");
        assert_eq!(cron.last_in(now, next), Some(next), "{text}");
    }
});
