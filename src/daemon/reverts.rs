//! Which commits a move of the branch takes back: their messages say so, as those of `git revert` do, or all files are again as they
//! were at an earlier commit. What is taken back goes ahead of everything else.
//!
//! Pure: what was read from Git comes in as data.

use std::collections::BTreeSet;

use crate::git::Commit;
use crate::landscape::{Owner, is_overlay};
use crate::pipeline::{self, World};
use crate::snapshot::{RepoPath, Revision};

/// What Git's own message says, before the id of the commit.
const WORDS: &str = "This reverts commit ";
/// So many of the commits are named in a status commit.
const NAMED: usize = 20;

/// What a move of the branch takes back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reverts {
    /// The commits that are taken back, newest revert first.
    pub commits: Vec<Revision>,
    /// The earlier commit at which all files were as they are again.
    pub back_to: Option<Revision>,
    /// The files of the landscape that the reverts change; `None` if everything that changed is taken back.
    pub paths: Option<BTreeSet<RepoPath>>,
}

/// The commits that a commit says it reverts.
#[must_use]
pub fn said(commit: &Commit) -> Vec<Revision> {
    let is_id = |word: &str| (7..=64).contains(&word.len()) && word.chars().all(|c| c.is_ascii_hexdigit());
    let after = commit.body.split(WORDS).skip(1);
    let ids = after.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next());
    ids.filter(|id| is_id(id)).map(|id| Revision(id.to_ascii_lowercase())).collect()
}

impl Reverts {
    /// Judges the commits that a branch has moved by, newest first, each with the files of the landscape that it changed.
    /// `back_to` is the earlier commit at which all files were as they are now, if there is one.
    #[must_use]
    pub fn of(news: &[(Commit, BTreeSet<RepoPath>)], back_to: Option<Revision>) -> Option<Self> {
        let mut found = Self { back_to, ..Self::default() };
        let mut paths = BTreeSet::new();
        for (commit, changed) in news {
            let reverted = said(commit);
            if !reverted.is_empty() {
                paths.extend(changed.iter().cloned());
            }
            found.commits.extend(reverted);
        }
        if found.back_to.is_none() {
            if found.commits.is_empty() {
                return None;
            }
            found.paths = Some(paths);
        }
        Some(found)
    }

    /// Whether a change of an owner between two worlds is a part of this: its own file, or one that it inherits from.
    #[must_use]
    pub fn concerns(&self, before: Option<&World>, after: &World, owner: &Owner, seed: Option<&str>) -> bool {
        let Some(paths) = &self.paths else { return true };
        if paths.iter().any(is_overlay) {
            return true;
        }
        let touched = |world: &World, owner: &Owner| world.path(owner).is_some_and(|path| paths.contains(&path));
        let inherited = || pipeline::sources(after, owner, seed);
        touched(after, owner)
            || before.is_some_and(|before| touched(before, owner))
            || inherited().iter().any(|source| touched(after, source) || before.is_some_and(|before| touched(before, source)))
    }

    /// What a status commit says of it.
    #[must_use]
    pub fn trailers(&self) -> Vec<(String, String)> {
        let reverts = self.commits.iter().take(NAMED).map(|commit| ("Reverts".to_owned(), commit.to_string()));
        reverts.chain(self.back_to.iter().map(|commit| ("Restores".to_owned(), commit.to_string()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(body: &str) -> Commit {
        Commit {
            revision: Revision("c".repeat(40)),
            parents: Vec::new(),
            committed: 0,
            author: String::new(),
            subject: "Revert \"x\"".to_owned(),
            body: body.to_owned(),
            trailers: Vec::new(),
        }
    }

    #[test]
    fn a_revert_is_known_by_its_message() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let known = |body: &str| said(&commit(body)).into_iter().map(|r| r.0).collect::<Vec<_>>();
        assert_eq!(known(&format!("This reverts commit {id}.")), [id]);
        assert_eq!(known(&format!("This reverts commit {id}, reversing\nchanges made to {id}.")), [id]);
        assert_eq!(
            known(&format!("* Revert a\n\nThis reverts commit {id}.\n\n* b\n\nThis reverts commit abcdef0.")),
            [id, "abcdef0"]
        );
        assert!(known("This reverts commit messages to what they were.").is_empty());
        assert!(known("").is_empty());
    }

    #[test]
    fn only_reverts_are_reverts() {
        let paths = |path: &str| BTreeSet::from([RepoPath::from(path)]);
        let revert = (commit("This reverts commit abcdef0."), paths("a.yaml"));
        let other = (commit("Because."), paths("b.yaml"));
        assert_eq!(Reverts::of(std::slice::from_ref(&other), None), None);
        let found = Reverts::of(&[other.clone(), revert], None).expect("one of them is a revert");
        assert_eq!((found.commits.len(), found.paths.clone()), (1, Some(paths("a.yaml"))));
        assert_eq!(found.trailers(), [("Reverts".to_owned(), "abcdef0".to_owned())]);
        let back = Reverts::of(&[other], Some(Revision("1".repeat(40)))).expect("the files are as they were");
        assert_eq!((back.paths.clone(), back.trailers()[0].0.as_str()), (None, "Restores"));
    }
}
