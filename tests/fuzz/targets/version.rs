//! Kubernetes versions and prefixes of them: read or refused, and compared without surprises.
#![no_main]

use espalier::value::{Version, VersionPrefix};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once(' ').unwrap_or((text, "1.33.2"));
    if let (Ok(a), Ok(b)) = (first.parse::<Version>(), second.parse::<Version>()) {
        assert_eq!(a.to_string().parse::<Version>().expect("what is written can be read"), a);
        assert_eq!(a.skew(&b), b.skew(&a).map(|skew| -skew), "{a} {b}");
        assert_eq!(a.same_minor(&b), b.same_minor(&a));
        let _ = a.is_prerelease();
    }
    if let (Ok(prefix), Ok(version)) = (first.parse::<VersionPrefix>(), second.parse::<Version>())
        && prefix.matches(&version)
    {
        assert!(version.is_prerelease() || version.at_least(prefix), "{first} {second}");
    }
});
