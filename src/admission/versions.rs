//! What each minor version of Kubernetes knows, as tables: feature gates, admission plugins of its API server, and its APIs.
//!
//! A version is a text that begins with `major.minor.patch`; missing numbers are zeros, a leading `v` and what follows a `-` or
//! `+` do not count. Only minors of Kubernetes 1 differ from each other here.

mod apis;
mod gates;
mod plugins;

pub(crate) use apis::api;
pub(crate) use gates::{gate, suggestions};
pub(crate) use plugins::{plugin, plugins};

/// The numbers of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(pub u64, pub u64, pub u64);

impl Release {
    /// Reads a version the lenient way.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.replace('v', "");
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let parts: Vec<&str> = numbers.split('.').collect();
        let number = |part: Option<&&str>| match part {
            None => Some(0),
            Some(part) if part.bytes().all(|b| b.is_ascii_digit()) => part.parse().ok(),
            Some(_) => None,
        };
        if parts.len() > 3 {
            return None;
        }
        Some(Self(number(parts.first())?, number(parts.get(1))?, number(parts.get(2))?))
    }

    /// Whether it is of this minor of Kubernetes 1, or later.
    pub(crate) fn since(self, minor: u64) -> bool {
        (self.0, self.1) >= (1, minor)
    }
}

/// Whether a version can be read and is of this minor of Kubernetes 1, or later.
pub(crate) fn since(version: &str, minor: u64) -> bool {
    Release::parse(version).is_some_and(|release| release.since(minor))
}

/// The minors in which something exists: from the first on, and before the second; 0 means without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub u64, pub u64);

impl Span {
    /// Whether a version is in it.
    pub(crate) fn contains(self, release: Release) -> bool {
        (self.0 == 0 || release.since(self.0)) && (self.1 == 0 || !release.since(self.1))
    }

    /// `from Kubernetes 1.34 on`.
    pub(crate) fn shown(self) -> String {
        match self {
            Self(0, 0) => "in every Kubernetes".to_owned(),
            Self(from, 0) => format!("from Kubernetes 1.{from} on"),
            Self(0, before) => format!("before Kubernetes 1.{before}"),
            Self(from, before) => format!("from Kubernetes 1.{from} on and before 1.{before}"),
        }
    }
}

/// The minor under which a word is listed in a table of minors and words.
fn listed_under(table: &[(u64, &str)], word: &str) -> Option<u64> {
    table.iter().find(|(_, words)| words.split_whitespace().any(|w| w == word)).map(|(minor, _)| *minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_leniently() {
        assert_eq!(Release::parse("v1.34.6-beta.1"), Some(Release(1, 34, 6)));
        assert_eq!(Release::parse("01.34"), Some(Release(1, 34, 0)));
        assert_eq!(Release::parse("1"), Some(Release(1, 0, 0)));
        for wrong in ["", "latest", "1.34.6 ", "1.2.3.4", "1..2"] {
            assert_eq!(Release::parse(wrong), None, "{wrong}");
        }
        assert!(since("1.34.0", 34) && !since("1.33.9", 34) && !since("later", 34) && since("2.0.0", 34));
    }

    #[test]
    fn what_is_known_depends_on_the_minor() {
        let release = |minor| Release(1, minor, 0);
        let locked = gate("NodeSwap").expect("it is known");
        assert!(locked.fixed(release(33)).is_none() && locked.fixed(release(34)) == Some(true));
        assert!(gate("CPUManager").is_some_and(|g| !g.span.contains(release(33)) && g.span.contains(release(32))));
        assert!(gate("AllAlpha").is_some() && gate("NoSuchGate").is_none());
        assert!(plugin("PodSecurity").is_some_and(|p| p.required && p.configurable));
        assert!(api("apps/v1").is_ok_and(|a| a.needed(false) && !a.needed(true)));
        assert!(api("resource.k8s.io/v1").is_ok_and(|a| !a.span.contains(release(33)) && a.span.contains(release(34))));
        assert!(api("v1/pods").is_ok_and(|a| a.needed(true)) && api("api/all").is_err() && api("").is_err());
    }
}
