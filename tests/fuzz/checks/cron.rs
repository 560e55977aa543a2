//! Cron expressions with a time zone: read or refused; the next moment is later, and is the last one up to itself.
use espalier::value::Cron;

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (expression, zone) = text.split_once('\n').unwrap_or((text, "Europe/Berlin"));
    let Ok(cron) = Cron::new(expression, zone) else { return };
    let now = 1_790_000_000;
    if let Some(next) = cron.next(now) {
        assert!(next > now, "{text}: {next}");
        assert_eq!(cron.last_in(now, next), Some(next), "{text}");
    }
}
