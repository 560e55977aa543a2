//! Kubernetes versions and prefixes of them: read or refused, and compared without surprises.
use espalier::value::{Version, VersionPrefix};

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (first, second) = text.split_once(' ').unwrap_or((text, "1.33.2"));
    if let (Ok(a), Ok(b)) = (first.parse::<Version>(), second.parse::<Version>()) {
        assert_eq!(a.to_string().parse::<Version>().expect("what is written can be read"), a);
        assert_eq!(a.skew(&b), b.skew(&a).map(|skew| -skew), "{a} {b}");
        assert_eq!(a.same_minor(&b), b.same_minor(&a));
        assert!(!a.is_prerelease() || a.to_string().contains('-'), "{a}");
    }
    if let (Ok(prefix), Ok(version)) = (first.parse::<VersionPrefix>(), second.parse::<Version>())
        && prefix.matches(&version)
    {
        assert!(version.is_prerelease() || version.at_least(prefix), "{first} {second}");
    }
}
