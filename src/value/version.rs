//! Versions of Kubernetes, machine images and extensions: strict semantic versions, and prefixes of them.

use std::fmt;
use std::str::FromStr;

use super::as_text;

/// A full semantic version, `1.34.1`, perhaps with a pre-release and build part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(semver::Version);

impl Version {
    /// A release.
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// The first number.
    #[must_use]
    pub const fn major(&self) -> u64 {
        self.0.major
    }

    /// The second number.
    #[must_use]
    pub const fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The third number.
    #[must_use]
    pub const fn patch(&self) -> u64 {
        self.0.patch
    }

    /// Whether this is a pre-release.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// The minor that this belongs to, `1.34`.
    #[must_use]
    pub const fn minor_prefix(&self) -> VersionPrefix {
        VersionPrefix { major: self.major(), minor: Some(self.minor()), patch: None }
    }

    /// How many minors this is ahead of another version (behind: negative); `None` across majors.
    #[must_use]
    pub fn skew(&self, other: &Self) -> Option<i64> {
        if self.major() != other.major() {
            return None;
        }
        let (minor, from) = (self.minor(), other.minor());
        let distance = i64::try_from(minor.abs_diff(from)).unwrap_or(i64::MAX);
        Some(if minor < from { -distance } else { distance })
    }

    /// Whether this is of the same minor as another.
    #[must_use]
    pub fn same_minor(&self, other: &Self) -> bool {
        self.major() == other.major() && self.minor() == other.minor()
    }

    /// Whether this is of the given minor, or of any after it. Pre-releases count as their release.
    #[must_use]
    pub fn at_least(&self, prefix: VersionPrefix) -> bool {
        let least = (prefix.major, prefix.minor.unwrap_or(0), prefix.patch.unwrap_or(0));
        (self.major(), self.minor(), self.patch()) >= least
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        semver::Version::parse(text).map(Self).map_err(|error| format!("`{text}` is not a semantic version: {error}"))
    }
}

as_text!(Version, "Version", "A semantic version such as 1.34.1.");

/// The beginning of a version: `1`, `1.34` or `1.34.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionPrefix {
    /// The first number.
    pub major: u64,
    /// The second, if given.
    pub minor: Option<u64>,
    /// The third, if given.
    pub patch: Option<u64>,
}

impl VersionPrefix {
    /// The prefix of one minor.
    #[must_use]
    pub const fn of_minor(major: u64, minor: u64) -> Self {
        Self { major, minor: Some(minor), patch: None }
    }

    /// Whether a version begins like this.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        self.major == version.major()
            && self.minor.is_none_or(|minor| minor == version.minor())
            && self.patch.is_none_or(|patch| patch == version.patch())
    }

    /// Whether this names one release entirely.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.patch.is_some()
    }
}

impl fmt::Display for VersionPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.major)?;
        if let Some(minor) = self.minor {
            write!(f, ".{minor}")?;
        }
        if let Some(patch) = self.patch {
            write!(f, ".{patch}")?;
        }
        Ok(())
    }
}

impl FromStr for VersionPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a version or the beginning of one");
        let number = |part: &str| {
            let canonical =
                part == "0" || (!part.starts_with('0') && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
            if canonical { part.parse::<u64>().ok() } else { None }
        };
        let numbers: Vec<u64> = text.split('.').map(number).collect::<Option<_>>().ok_or_else(wrong)?;
        match numbers[..] {
            [major] => Ok(Self { major, minor: None, patch: None }),
            [major, minor] => Ok(Self { major, minor: Some(minor), patch: None }),
            [major, minor, patch] => Ok(Self { major, minor: Some(minor), patch: Some(patch) }),
            _ => Err(wrong()),
        }
    }
}

impl From<&Version> for VersionPrefix {
    fn from(version: &Version) -> Self {
        Self { major: version.major(), minor: Some(version.minor()), patch: Some(version.patch()) }
    }
}

as_text!(VersionPrefix, "VersionPrefix", "A version, or the beginning of one, such as 1.34.");
