//! Maintenance windows: read or refused; the window around a moment contains it, and the next one begins after it.
use espalier::value::Window;

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut words = text.split(' ');
    let (begin, end) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let Ok(window) = Window::parse(begin, end) else { return };
    assert!((0..=86_400).contains(&window.duration()), "{text}");
    for at in words.filter_map(|word| word.parse::<i32>().ok()).map(i64::from).chain([0, 1_790_000_000]) {
        assert_eq!(window.contains(at), window.current(at).is_some(), "{text} at {at}");
        if let Some((from, until)) = window.current(at) {
            assert!(from <= at && at <= until, "{text}: {at} is not in {from}..{until}");
        }
        let next = window.next(at);
        assert!(next >= at && next - at <= 86_400, "{text}: after {at} comes {next}");
        let _ = (window.effective(), window.moment(next, 7));
    }
}
