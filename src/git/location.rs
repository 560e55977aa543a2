//! Where a repository is: a folder, or a URL whose host is fixed from then on.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::GitError;

/// The place of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A local repository, bare or not; its objects and refs are used directly.
    Path(PathBuf),
    /// A remote repository, mirrored into the cache.
    Url {
        /// As given to libgit2; never contains a password.
        url: String,
        /// `scheme://host:port` as far as given: the only peer that is ever talked to or given credentials.
        peer: Peer,
        /// The user named in the URL.
        user: Option<String>,
    },
}

/// The peer of a remote repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// `https`, `ssh` or `file`.
    pub scheme: String,
    /// Host, with the port if one was given; empty for `file`.
    pub host: String,
}

impl Location {
    /// Whether it is mirrored and polled.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Url { .. })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Url { url, .. } => f.write_str(url),
        }
    }
}

/// Splits a URL, or the short form `user@host:path` of ssh, into scheme, user information and host.
pub(super) fn split(text: &str) -> Option<(String, Option<String>, String)> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        return Some((scheme.to_ascii_lowercase(), user, host.to_ascii_lowercase()));
    }
    let (before, _) = text.split_once(':')?;
    if before.contains('/') || before.is_empty() {
        return None;
    }
    let (user, host) = match before.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, before),
    };
    Some(("ssh".to_owned(), user, host.to_ascii_lowercase()))
}

impl FromStr for Location {
    type Err = GitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme, user, host)) = split(text) else {
            return Ok(Self::Path(PathBuf::from(text)));
        };
        let refuse = |reason: &str| {
            let location = match text.rsplit_once('@') {
                Some((_, rest)) => format!("{scheme}://…@{rest}"),
                None => text.to_owned(),
            };
            Err(GitError::Location { location, reason: reason.to_owned() })
        };
        if user.as_deref().is_some_and(|u| u.contains(':')) {
            return refuse("it contains a password; give credentials by file or agent instead");
        }
        match scheme.as_str() {
            "https" | "ssh" if host.is_empty() => refuse("it names no host"),
            "https" | "ssh" | "file" => Ok(Self::Url { url: text.to_owned(), peer: Peer { scheme, host }, user }),
            "http" if is_loopback(&host) => Ok(Self::Url { url: text.to_owned(), peer: Peer { scheme, host }, user }),
            "http" | "git" => refuse("it is neither encrypted nor authenticated; use https or ssh"),
            _ => refuse("only https, ssh and local paths are supported"),
        }
    }
}

/// Plain http never leaves the machine.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
