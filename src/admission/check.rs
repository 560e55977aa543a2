//! The machinery of semantic checks: what a rule is, what it sees, and how it says what it dislikes.
//!
//! A rule is a function with a code, a title and its documentation, registered by `rules!` in the file of its family. It
//! looks at one object through [`Cx`], which remembers every other object that it was shown: these, the object itself, what
//! was accepted before and the policies are all that a verdict depends on, so a verdict can be kept until one of them changes.

use serde_json::Value;

use super::authority::Deed;
use super::node::Node;
use super::registered;
use super::source::Source;
use crate::landscape::{Distances, Kind, Owner};

mod noted;
mod raise;
mod world;

pub(crate) use noted::{Claim, Noted, Reads, Users};
pub(crate) use raise::{Out, Raised};
pub use world::{Foreign, World};

/// A function that looks at an object.
pub(crate) type Check = fn(&Cx<'_>, &mut Out);

/// One rule: what `explain` prints, and the function.
pub(crate) struct Rule {
    /// The stable code of its findings.
    pub code: &'static str,
    /// A few words: what is wrong when it speaks.
    pub title: &'static str,
    /// The rule's documentation, markdown.
    pub documentation: &'static str,
    /// The kinds of object it looks at; none for findings that admission itself raises.
    pub kinds: &'static [Kind],
    /// The functions that look at an object, and who asks for each.
    pub checks: &'static [(Source, Check)],
}

/// Registers the rules of a family: documentation, code, title, kinds and functions in one place.
///
/// Kinds are `Shoot`, `SecretBinding | CredentialsBinding`, `All`, or `Any` for rules that admission itself speaks for. A function
/// is Gardener's static validation unless it says otherwise: `profile, profile_exists as Plugin("ShootValidator")`, or
/// `expires as Espalier` for what Gardener would accept.
macro_rules! rules {
    ($($(#[doc = $doc:expr])+ $code:literal, $title:literal, $($kind:ident)|+, $($check:path $(as $source:expr)?),+;)+) => {
        pub(super) static RULES: &[$crate::admission::check::Rule] = &[$(
            $crate::admission::check::Rule {
                code: $code,
                title: $title,
                documentation: concat!($($doc, "\n"),+),
                kinds: rules!(@kinds $($kind)|+),
                checks: &[$((rules!(@source $($source)?), $check)),+],
            }
        ),+];
    };
    (@kinds Any) => { &[] };
    (@kinds All) => { $crate::landscape::Kind::ALL };
    (@kinds $($kind:ident)|+) => { &[$($crate::landscape::Kind::$kind),+] };
    (@source) => { $crate::admission::source::Source::Static };
    (@source $source:expr) => { $source };
}
pub(crate) use rules;

/// What is known of another object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// Its manifest to act on.
    Found(&'a Value),
    /// It is in Git, has errors, and was never accepted.
    Held,
    /// Nobody knows it.
    Missing,
}

/// What is known of an object of a kind that a landscape does not describe.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Elsewhere<'a> {
    /// It is there.
    Found(&'a Value),
    /// It is not there.
    Missing,
    /// Nobody knows: Git does not hold it.
    Unknown,
}

impl<'a> Seen<'a> {
    /// The manifest, if there is one.
    pub(crate) fn manifest(self) -> Option<&'a Value> {
        match self {
            Self::Found(value) => Some(value),
            Self::Held | Self::Missing => None,
        }
    }
}

/// What one rule sees: the object, what was accepted for it, the time, and other objects by key.
pub(crate) struct Cx<'a> {
    /// Who this is.
    pub owner: &'a Owner,
    /// The manifest with defaults.
    pub new: Node<'a>,
    /// The manifest as Git has it.
    pub written: Node<'a>,
    /// What was accepted before, with defaults.
    pub old: Option<Node<'a>>,
    /// The moment, in seconds.
    pub now: i64,
    pub world: &'a World,
    /// What it was shown.
    pub noted: &'a Noted,
}

impl<'a> Cx<'a> {
    /// Another object, as it is to be acted on.
    pub(crate) fn object(&self, owner: &Owner) -> Seen<'a> {
        let (world, shown) = (self.world, self.world.shows(owner.kind));
        self.noted.reads.borrow_mut().insert(owner.clone());
        match world.objects.get(owner).filter(|_| shown) {
            Some(value) => Seen::Found(value),
            None if shown && world.held.contains(owner) => Seen::Held,
            None => Seen::Missing,
        }
    }

    /// What all registrations together are responsible for; none if the landscape has no registrations.
    pub(crate) fn registered(&self) -> Option<Node<'a>> {
        let found = self.world.registered.as_ref();
        self.noted.reads.borrow_mut().insert(registered::key());
        found.map(|value| Node::root(value))
    }

    /// An object of a kind that a landscape does not describe.
    pub(crate) fn foreign(&self, kind: &str, namespace: &str, name: &str) -> Elsewhere<'a> {
        match self.world.foreign.as_ref() {
            None => Elsewhere::Unknown,
            Some(known) => known.get(&Foreign::new(kind, namespace, name)).map_or(Elsewhere::Missing, |v| Elsewhere::Found(v)),
        }
    }

    /// All objects of a kind in a namespace, of a kind that a landscape does not describe; none where they are not known.
    pub(crate) fn foreigners(&self, kind: &str, namespace: &str) -> impl Iterator<Item = Node<'a>> {
        let of = move |key: &Foreign| key.kind == kind && key.namespace == namespace;
        self.world.foreign.iter().flatten().filter(move |(key, _)| of(key)).map(|(_, value)| Node::root(value))
    }

    /// The accepted objects of a kind. A verdict that used them is not kept: it would not notice a new one.
    pub(crate) fn accepted(&self, kind: Kind) -> impl Iterator<Item = (&'a Owner, &'a Value)> {
        self.noted.once();
        self.world.accepted.iter().filter(move |(owner, _)| owner.kind == kind).map(|(owner, value)| (owner, value.as_ref()))
    }

    /// All objects of a kind but this one: what was accepted, and what Git has beyond that. A verdict that used them is not
    /// kept: it would not notice a new one.
    pub(crate) fn others(&self, kind: Kind) -> impl Iterator<Item = (&'a Owner, &'a Value)> {
        self.noted.once();
        let own = self.owner.clone();
        let all = self.world.accepted.iter().chain(&self.world.asked);
        all.filter(move |(owner, _)| owner.kind == kind && **owner != own).map(|(owner, value)| (owner, value.as_ref()))
    }

    /// An object of a kind that is judged later: as it was accepted, else as Git has it. A verdict that used it is not kept.
    pub(crate) fn ahead(&self, owner: &Owner) -> Option<Node<'a>> {
        self.noted.once();
        self.world.accepted.get(owner).or_else(|| self.world.asked.get(owner)).map(|value| Node::root(value))
    }

    /// The other shoot that has a domain, or one above or below it, and its own.
    pub(crate) fn claimed(&self, domain: &str) -> Option<(&'a Owner, &'a str)> {
        let found = self.world.claimed(domain, self.owner);
        self.noted.claim.replace(Some((domain.to_owned(), found.map(|(owner, _)| owner.clone()))));
        found
    }

    /// Distances between regions for the shoots of a cloud profile. A verdict that used them is not kept.
    pub(crate) fn distances(&self, profile: &str) -> Option<&'a Distances> {
        self.noted.once();
        self.world.distances.get(profile)
    }

    /// Whether whoever wrote this may do what needs a right of its own; if not, why.
    pub(crate) fn may(&self, deed: Deed) -> Result<(), String> {
        self.world.authority.allows(self.owner, deed)
    }

    /// A cloud profile as a shoot sees it.
    pub(crate) fn profile(&self, owner: &Owner) -> Seen<'a> {
        let own = self.object(owner);
        if let (Kind::NamespacedCloudProfile, Seen::Found(value)) = (owner.kind, own) {
            self.object(&Owner::cluster(Kind::CloudProfile, Node::root(value).at("spec/parent/name").str()));
        }
        match self.world.profiles.get(owner) {
            Some(value) => Seen::Found(value),
            None => own,
        }
    }

    /// The accepted objects that refer to this one, and what they are.
    pub(crate) fn users(&self) -> Vec<(&'a Owner, &'a Value)> {
        let found = self.world.users_of(self.owner);
        self.noted.users.replace(Some(found.clone()));
        let accepted = &self.world.accepted;
        found.iter().filter_map(|(user, _)| accepted.get_key_value(user)).map(|(user, value)| (user, value.as_ref())).collect()
    }

    /// Whether a moment has passed. The verdict holds until one that has not.
    pub(crate) fn is_past(&self, moment: i64) -> bool {
        if moment > self.now {
            let mut until = self.noted.until.borrow_mut();
            *until = Some(until.map_or(moment, |u| u.min(moment)));
        }
        moment <= self.now
    }

    /// The names of a kind in a project, for help. A verdict that used them is not kept: it would not notice a new one.
    pub(crate) fn names(&self, kind: Kind, project: &str) -> Vec<&'a str> {
        self.noted.once();
        let fits = |owner: &&Owner| owner.kind == kind && owner.project == project && self.world.shows(kind);
        self.world.objects.keys().filter(fits).map(|owner| owner.name.as_str()).collect()
    }

    /// Whether a feature gate of Gardener is on.
    pub(crate) fn gate(&self, name: &str) -> bool {
        self.world.gates.on(name)
    }

    /// The landscape's name.
    pub(crate) fn landscape(&self) -> &'a str {
        &self.world.landscape
    }

    /// The namespace of this object: as it says, else as its project has it; empty if it has none.
    pub(crate) fn namespace(&self) -> String {
        let written = self.new.at("metadata/namespace").str();
        if written.is_empty() && self.owner.kind.namespaced() && !self.owner.project.is_empty() {
            return crate::observed::project_namespace(&self.owner.project);
        }
        written.to_owned()
    }

    /// Whether this object was never accepted before.
    pub(crate) fn is_new(&self) -> bool {
        self.old.is_none()
    }

    /// What was accepted at a path, or an absent place.
    pub(crate) fn before(&self, path: &'a str) -> Node<'a> {
        self.old.as_ref().map_or_else(Node::absent, |old| old.at(path))
    }
}

/// `a, b and c`; at most eight are named.
pub(crate) fn listed<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let mut names: Vec<String> = items.into_iter().map(|s| format!("`{}`", s.as_ref())).collect();
    let more = names.len().saturating_sub(8);
    names.truncate(8);
    match (names.len(), more) {
        (0, _) => "nothing".to_owned(),
        (1, 0) => names.swap_remove(0),
        (_, 0) => {
            let last = names.pop().unwrap_or_default();
            format!("{} and {last}", names.join(", "))
        }
        (_, more) => format!("{} and {more} more", names.join(", ")),
    }
}
