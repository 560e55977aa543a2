//! Ranges of addresses: read or refused; relations between two of them agree with each other.
use espalier::value::Cidr;

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (first, second) = text.split_once(' ').unwrap_or((text, "10.0.0.0/8"));
    let (Ok(a), Ok(b)) = (first.parse::<Cidr>(), second.parse::<Cidr>()) else { return };
    assert_eq!(a.to_string().parse::<Cidr>().expect("what is written can be read"), a);
    assert_eq!(a.overlaps(&b), b.overlaps(&a), "{a} {b}");
    assert!(!a.contains(&b) || a.overlaps(&b), "{a} {b}");
    assert!(a.contains_ip(a.network()) && a.contains_ip(a.last()) && a.overlaps(&a) && a.canonical().is_canonical(), "{a}");
    let _ = (a.size(), a.host(0), a.host(u128::MAX), a.address());
    for prefix in [a.prefix(), a.prefix().saturating_add(2)] {
        let parts: Vec<Cidr> = a.split(prefix).into_iter().flatten().take(8).collect();
        assert!(parts.iter().all(|part| a.canonical().contains(part)), "{a} {prefix}");
    }
    if let Some(free) = a.find_free(a.prefix().saturating_add(1), &[b]) {
        assert!(!free.overlaps(&b), "{free} is not free of {b}");
    }
}
