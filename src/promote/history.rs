//! How far two landscapes are apart, by change: which commits of one are in the other already, by promotion, by cherry-pick, or not
//! any more because of a revert. Commits are plain data here.

use std::collections::{BTreeMap, BTreeSet};

use crate::snapshot::{RepoPath, Revision};

/// The trailer that says where a promotion came from: `canary@<commit>`.
pub const FROM: &str = "Promoted-From";
/// The trailer that names what the next promotion begins with, if this one left something: a commit of the source.
pub const BASE: &str = "Promoted-Base";
/// The trailer that names a commit that was promoted, with `(in part)` if not all of it was.
pub const COMMIT: &str = "Promoted-Commit";
/// What follows the name of a commit that was promoted in part.
pub const IN_PART: &str = " (in part)";
/// The trailer by which people keep a commit from being promoted: why.
pub const HOLD: &str = "Hold";

/// A commit of a landscape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// First line of the message.
    pub subject: String,
    /// The rest of it.
    pub body: String,
    /// The lines `Key: value` at its end.
    pub trailers: Vec<(String, String)>,
    /// Author as `Name <mail>`.
    pub author: String,
    /// When it was committed, in seconds since the epoch.
    pub at: i64,
    /// The commits that it follows.
    pub parents: Vec<Revision>,
    /// A digest of what it changes, wherever it stands; `None` for merges.
    pub patch: Option<String>,
    /// The files of the landscape that it changes.
    pub paths: Vec<RepoPath>,
}

/// What a promotion says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The landscape that it came from.
    pub from: String,
    /// The commit of the source that it took.
    pub tip: String,
    /// What the next one begins with; `None` if nothing was left.
    pub base: Option<String>,
    /// The commits that were promoted, with whether only in part.
    pub commits: BTreeMap<String, bool>,
}

impl Change {
    fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.trailers.iter().filter(move |(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    /// Its first seven digits.
    #[must_use]
    pub fn short(&self) -> &str {
        self.id.get(..7).unwrap_or(&self.id)
    }

    /// Why it is held, if it is.
    #[must_use]
    pub fn hold(&self) -> Option<&str> {
        self.values(HOLD).next()
    }

    /// How many people besides its author approved it.
    #[must_use]
    pub fn approvals(&self) -> usize {
        let mail = |person: &str| person.rsplit_once('<').map_or(person, |(_, mail)| mail).trim_end_matches('>').to_lowercase();
        let author = mail(&self.author);
        let people: BTreeSet<String> =
            ["Approved-by", "Reviewed-by"].into_iter().flat_map(|key| self.values(key)).map(mail).collect();
        people.into_iter().filter(|person| *person != author).count()
    }

    /// What it says of itself if it is a promotion.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        let (from, tip) = self.values(FROM).next()?.split_once('@')?;
        let commit = |value: &str| match value.strip_suffix(IN_PART) {
            Some(id) => (id.to_owned(), true),
            None => (value.to_owned(), false),
        };
        Some(Record {
            from: from.to_owned(),
            tip: tip.to_owned(),
            base: self.values(BASE).next().map(str::to_owned),
            commits: self.values(COMMIT).map(commit).collect(),
        })
    }

    /// The commits that it takes back, as `git revert` says it.
    fn reverts(&self) -> impl Iterator<Item = &str> {
        after(&self.body, "This reverts commit ")
    }

    /// The commits that it was picked from, as `git cherry-pick -x` says it.
    fn picked_from(&self) -> impl Iterator<Item = &str> {
        after(&self.body, "(cherry picked from commit ").chain(
            // What stands last in a message may be read as one of its lines.
            self.trailers.iter().flat_map(|(_, value)| after(value, "(cherry picked from commit ")),
        )
    }
}

/// The commit ids that follow some words.
fn after<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(words).filter_map(move |(at, _)| {
        let rest = &text[at + words.len()..];
        let id = &rest[..rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len())];
        (id.len() >= 7).then_some(id)
    })
}

/// What became of a change in another landscape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is not there.
    Ahead,
    /// It is not there, and shall not go there: why.
    Held(String),
    /// A promotion took it: its commit, and whether only a part of it.
    Promoted(String, bool),
    /// The same change was made there: its commit.
    Picked(String),
    /// It was there, and was taken back by this commit.
    TakenBack(String),
    /// A later commit of its own landscape takes it back, or it is that commit: nothing is left of both.
    Undone(String),
}

/// What became of each change of `from` in `to`, both newest first, in the same order.
#[must_use]
pub fn fates(source: &str, from: &[Change], to: &[Change]) -> Vec<Fate> {
    let known: BTreeMap<&str, &Change> = from.iter().map(|change| (change.id.as_str(), change)).collect();
    let within = |id: &str| known.range(id..).next().map(|(_, change)| *change).filter(|change| change.id.starts_with(id));
    // A revert takes back what is reverted, and stands for nothing itself; a revert of a revert brings it back.
    let mut undone: BTreeMap<&str, &str> = BTreeMap::new();
    for change in from.iter().filter(|change| change.record().is_none()) {
        if undone.contains_key(change.id.as_str()) {
            continue;
        }
        for reverted in change.reverts().filter_map(within) {
            undone.insert(&reverted.id, &change.id);
            undone.insert(&change.id, &reverted.id);
        }
    }
    let mut there: BTreeMap<&str, (usize, Fate)> = BTreeMap::new();
    let mut note = |id, at, fate: Fate| {
        // The newest word counts; a whole promotion is more than one in part.
        let entry = there.entry(id).or_insert_with(|| (at, fate.clone()));
        if matches!((&entry.1, &fate), (Fate::Promoted(_, true), Fate::Promoted(_, false))) {
            *entry = (at, fate);
        }
    };
    // From the newest on: the first that is noted of a change stays.
    let by_patch: BTreeMap<&str, &str> =
        from.iter().filter_map(|change| Some((change.patch.as_deref()?, change.id.as_str()))).collect();
    for (at, other) in to.iter().enumerate() {
        let picked = || Fate::Picked(other.id.clone());
        if let Some(id) = other.patch.as_deref().and_then(|patch| by_patch.get(patch)) {
            note(*id, at, picked());
        }
        for change in other.picked_from().filter_map(within) {
            note(change.id.as_str(), at, picked());
        }
        let record = other.record().filter(|record| record.from == source);
        for (id, part) in record.map(|record| record.commits).unwrap_or_default() {
            if let Some(change) = known.get(id.as_str()) {
                note(change.id.as_str(), at, Fate::Promoted(other.id.clone(), part));
            }
        }
    }
    let taken_back = |at: usize| {
        let id = &to[at].id;
        let newer = to[..at].iter();
        newer.rev().find(|change| change.reverts().any(|reverted| id.starts_with(reverted))).map(|change| change.id.clone())
    };
    from.iter()
        .map(|change| match (undone.get(change.id.as_str()), there.get(change.id.as_str()), change.hold()) {
            (_, Some((at, fate)), _) => taken_back(*at).map_or_else(|| fate.clone(), Fate::TakenBack),
            (Some(by), ..) => Fate::Undone((*by).to_owned()),
            (_, _, Some(why)) => Fate::Held(why.to_owned()),
            _ => Fate::Ahead,
        })
        .collect()
}

/// Where the next promotion begins: the commit of the source, and the promotions in part since, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Begin {
    /// The commit of the source that the last whole promotion took, if there was one.
    pub base: Option<Revision>,
    /// The commits in the target that promoted something since.
    pub layers: Vec<Revision>,
}

/// Reads it from the target's history, newest first.
#[must_use]
pub fn begin(source: &str, to: &[Change]) -> Begin {
    let mut begin = Begin::default();
    for change in to {
        let Some(record) = change.record().filter(|record| record.from == source) else { continue };
        if record.base.is_none() && !record.tip.is_empty() {
            begin.base = Some(Revision(record.tip));
            break;
        }
        begin.layers.insert(0, Revision(change.id.clone()));
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, body: &str, patch: &str) -> Change {
        let id = id.repeat(40 / id.len());
        Change { id, body: body.to_owned(), patch: Some(patch.to_owned()), ..Change::default() }
    }

    #[test]
    fn picks_promotions_and_reverts_are_recognised() {
        let id = |c: &str| c.repeat(40);
        let mut held = change("e", "", "p5");
        held.trailers.push((HOLD.into(), "net-team".into()));
        let from = [
            held,
            change("d", &format!("This reverts commit {}.", id("c")), "p4"),
            change("c", "", "p3"),
            change("b", "", "p2"),
            change("a", "", "p1"),
            change("9", "", "p0"),
        ];
        let mut promotion = change("3", "", "q3");
        promotion.trailers = vec![
            (FROM.into(), format!("canary@{}", id("b"))),
            (COMMIT.into(), id("b")),
            (COMMIT.into(), format!("{}{IN_PART}", id("a"))),
            (BASE.into(), id("0")),
        ];
        let to = [change("4", &format!("This reverts commit {}.", id("2")), "q4"), promotion.clone(), change("2", "", "p0")];
        assert_eq!(
            fates("canary", &from, &to),
            [
                Fate::Held("net-team".into()),
                Fate::Undone(id("c")),
                Fate::Undone(id("d")),
                Fate::Promoted(id("3"), false),
                Fate::Promoted(id("3"), true),
                Fate::TakenBack(id("4")),
            ]
        );
        assert_eq!(fates("dev", &from, &to)[3], Fate::Ahead, "another landscape's promotion is not ours");
        assert_eq!(begin("canary", &to), Begin { base: None, layers: vec![Revision(id("3"))] });
        promotion.trailers.retain(|(key, _)| key != BASE);
        assert_eq!(begin("canary", &[to[0].clone(), promotion]), Begin { base: Some(Revision(id("b"))), layers: vec![] });
    }

    #[test]
    fn nobody_approves_their_own() {
        let mut change = change("a", "", "");
        change.author = "Ada <ada@example.org>".into();
        for (key, who) in [
            ("Approved-by", "Ada <ada@example.org>"),
            ("Reviewed-by", "Bob <bob@example.org>"),
            ("Approved-by", "bob@example.org"),
        ] {
            change.trailers.push((key.into(), who.into()));
        }
        assert_eq!(change.approvals(), 1);
    }
}
