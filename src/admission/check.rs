//! The machinery of semantic checks: what a rule is, what it sees, and how it says what it dislikes.
//!
//! A rule is a function with a code, a title and its documentation, registered by `rules!` in the file of its family. It
//! looks at one object through [`Cx`], which remembers every other object that it was shown: these, the object itself, what
//! was accepted before and the policies are all that a verdict depends on, so a verdict can be kept until one of them changes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::node::Node;
use super::source::{Gates, Source};
use super::{effective_profile, registered};
use crate::finding::{Cause, Code, ErrorType, On, Pointer, Severity};
use crate::landscape::{Kind, Owner};

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

/// One thing disliked, with symbolic places: text positions are looked up when it is reported.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Raised {
    pub severity: Severity,
    pub code: Code,
    pub message: String,
    pub help: Option<String>,
    pub at: Vec<At>,
    /// The type that Gardener gives to the error.
    pub error: Option<ErrorType>,
    /// The field as Gardener spells it, where that is not the way to the first place.
    pub field: Option<String>,
    /// The plugin that minds.
    pub plugin: Option<&'static str>,
}

/// A symbolic place: a field of an object; no owner means the object under evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct At {
    pub owner: Option<Owner>,
    pub pointer: Pointer,
    pub on: On,
    pub note: String,
}

impl Raised {
    /// Says what to do.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Says a few words at the first place.
    pub(crate) fn noted(&mut self, note: impl Into<String>) -> &mut Self {
        if let Some(first) = self.at.first_mut() {
            first.note = note.into();
        }
        self
    }

    /// Names a second place in the same object.
    pub(crate) fn and(&mut self, node: &Node<'_>, note: impl Into<String>) -> &mut Self {
        self.at.push(At { owner: None, pointer: node.pointer().clone(), on: On::Value, note: note.into() });
        self
    }

    /// Names a place in another object.
    pub(crate) fn beside(&mut self, owner: &Owner, node: &Node<'_>, note: impl Into<String>) -> &mut Self {
        self.at.push(At { owner: Some(owner.clone()), pointer: node.pointer().clone(), on: On::Value, note: note.into() });
        self
    }

    /// Spells the field as Gardener does, where that differs from the way to it.
    pub(crate) fn field(&mut self, field: impl Into<String>) -> &mut Self {
        self.field = Some(field.into());
        self
    }

    /// Spells the field as Gardener does entries of maps: `metadata.annotations[example.org/a]`.
    pub(crate) fn keyed(&mut self) -> &mut Self {
        let pointer = self.at.first().map(|at| &at.pointer);
        if let Some((parent, key)) = pointer.and_then(|p| Some((p.parent()?, p.segments().last()?))) {
            self.field = Some(format!("{}[{key}]", parent.field()));
        }
        self
    }

    /// What Gardener would answer.
    pub(crate) fn cause(&self) -> Option<Cause> {
        let way = || self.at.first().map(|at| at.pointer.field()).unwrap_or_default();
        Some(Cause { error: self.error?, field: self.field.clone().unwrap_or_else(way), plugin: self.plugin.map(Into::into) })
    }

    /// Blames the key of the first place, not its value.
    pub(crate) fn on_key(&mut self) -> &mut Self {
        if let Some(first) = self.at.first_mut() {
            first.on = On::Key;
        }
        self
    }
}

/// Where a rule says what it dislikes.
pub(crate) struct Out {
    code: Code,
    source: Source,
    pub(crate) raised: Vec<Raised>,
}

impl Out {
    /// An empty list under a code.
    pub(crate) fn new(code: Code) -> Self {
        Self { code, source: Source::Espalier, raised: Vec::new() }
    }

    /// What comes from now on carries this code, and is espalier's own.
    pub(crate) fn speak_as(&mut self, code: Code) {
        self.speak_for(code, Source::Espalier);
    }

    /// What comes from now on carries this code, and is said for this source.
    pub(crate) fn speak_for(&mut self, code: Code, source: Source) {
        (self.code, self.source) = (code, source);
    }

    fn raise(
        &mut self,
        severity: Severity,
        error: Option<ErrorType>,
        node: &Node<'_>,
        message: impl Into<String>,
    ) -> &mut Raised {
        let at = At { owner: None, pointer: node.pointer().clone(), on: On::Value, note: String::new() };
        self.raised.push(Raised {
            severity,
            code: self.code.clone(),
            message: message.into(),
            help: None,
            at: vec![at],
            error,
            field: None,
            plugin: self.source.plugin(),
        });
        self.raised.last_mut().expect("one was just pushed")
    }

    /// The object may not be accepted, and only espalier minds.
    pub(crate) fn error(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.raise(Severity::Error, None, node, message)
    }

    /// The object may not be accepted: Gardener refuses it with an error of this type.
    pub(crate) fn refuse(&mut self, error: ErrorType, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.raise(Severity::Error, Some(error), node, message)
    }

    /// A value must be there and is not.
    pub(crate) fn required(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.refuse(ErrorType::Required, node, message)
    }

    /// A value is malformed, out of range, or has changed and may not.
    pub(crate) fn invalid(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.refuse(ErrorType::Invalid, node, message)
    }

    /// A value is none of those that are known.
    pub(crate) fn not_supported(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.refuse(ErrorType::NotSupported, node, message)
    }

    /// A value may not be there in this combination.
    pub(crate) fn forbidden(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.refuse(ErrorType::Forbidden, node, message)
    }

    /// A value that must be unique is there twice.
    pub(crate) fn duplicate(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.refuse(ErrorType::Duplicate, node, message)
    }

    /// A text is too long.
    pub(crate) fn too_long(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.refuse(ErrorType::TooLong, node, message)
    }

    /// What a value names does not exist.
    pub(crate) fn not_found(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.refuse(ErrorType::NotFound, node, message)
    }

    /// A plugin refuses without blaming a field; the place is for the reader.
    pub(crate) fn refused(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.refuse(ErrorType::AdmissionError, node, message).field("")
    }

    /// The object is accepted, but a person should look.
    pub(crate) fn warning(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.raise(Severity::Warning, None, node, message)
    }

    /// A remark.
    pub(crate) fn note(&mut self, node: &Node<'_>, message: impl Into<String>) -> &mut Raised {
        self.raise(Severity::Note, None, node, message)
    }
}

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

/// Everything that judging one owner may look at, besides itself.
#[derive(Default)]
pub struct World {
    /// The landscape's name.
    pub(crate) landscape: String,
    /// Feature gates.
    pub(crate) gates: Gates,
    /// Manifests to act on, of the kinds evaluated so far.
    pub(crate) objects: BTreeMap<Owner, Arc<Value>>,
    /// Owners in Git that have errors and were never accepted.
    pub(crate) held: BTreeSet<Owner>,
    /// Cloud profiles as shoots see them; namespaced ones merged over their parents.
    pub(crate) profiles: BTreeMap<Owner, Arc<Value>>,
    /// The manifests accepted before, which are what runs.
    pub(crate) accepted: Arc<BTreeMap<Owner, Arc<Value>>>,
    /// Accepted objects by the object that they refer to.
    pub(crate) users: BTreeMap<Owner, Vec<Owner>>,
    /// Objects of kinds that a landscape does not describe, where they are known: Secrets, ConfigMaps and namespaces.
    pub(crate) foreign: Option<BTreeMap<Foreign, Arc<Value>>>,
    /// What every registration together is responsible for.
    pub(crate) registered: Option<Arc<Value>>,
    /// Whether what was accepted before comes with its status. In Git nothing has one.
    pub(crate) stateful: bool,
}

/// Which object of a kind that a landscape does not describe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    /// The kind: `Secret`.
    pub kind: String,
    /// The namespace, if it has one.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Foreign {
    /// An object of this kind, namespace and name.
    #[must_use]
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl World {
    /// A world of these objects, under these feature gates; what was accepted before comes with its status.
    #[must_use]
    pub fn new(landscape: &str, objects: BTreeMap<Owner, Arc<Value>>, gates: Gates) -> Self {
        let mut world = Self { landscape: landscape.to_owned(), gates, objects, stateful: true, ..Self::default() };
        world.merge_profiles(Kind::CloudProfile);
        world.merge_profiles(Kind::NamespacedCloudProfile);
        world.gather_registrations();
        world
    }

    /// With these objects of kinds that a landscape does not describe, and no others of their kinds.
    #[must_use]
    pub fn beside(mut self, foreign: BTreeMap<Foreign, Arc<Value>>) -> Self {
        self.foreign = Some(foreign);
        self
    }

    /// Puts together what the registrations are responsible for.
    pub(crate) fn gather_registrations(&mut self) {
        self.registered = registered::gathered(&self.objects);
    }

    /// What is known under a key: an object, or what is gathered from several.
    pub(crate) fn known(&self, owner: &Owner) -> Option<&Arc<Value>> {
        if *owner == registered::key() { self.registered.as_ref() } else { self.objects.get(owner) }
    }

    /// Puts together the profiles of a kind.
    pub(crate) fn merge_profiles(&mut self, kind: Kind) {
        let owners: Vec<Owner> = self.objects.keys().filter(|o| o.kind == kind).cloned().collect();
        for owner in owners {
            if let Some(profile) = effective_profile(&self.objects, &owner) {
                self.profiles.insert(owner, profile);
            }
        }
    }

    /// The accepted objects that refer to an owner.
    pub(crate) fn users_of(&self, owner: &Owner) -> Users {
        let users = self.users.get(owner).map(Vec::as_slice).unwrap_or_default();
        users.iter().filter_map(|user| Some((user.clone(), self.accepted.get(user)?.clone()))).collect()
    }
}

/// What a verdict was based on: the manifest that an owner had, or none.
pub(crate) type Reads = BTreeMap<Owner, Option<Arc<Value>>>;

/// The accepted objects that refer to an object.
pub(crate) type Users = Vec<(Owner, Arc<Value>)>;

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
    pub reads: &'a RefCell<Reads>,
    pub users: &'a RefCell<Option<Users>>,
    pub until: &'a RefCell<Option<i64>>,
}

impl<'a> Cx<'a> {
    /// Another object, as it is to be acted on.
    pub(crate) fn object(&self, owner: &Owner) -> Seen<'a> {
        let found = self.world.objects.get(owner);
        self.reads.borrow_mut().insert(owner.clone(), found.cloned());
        match found {
            Some(value) => Seen::Found(value),
            None if self.world.held.contains(owner) => Seen::Held,
            None => Seen::Missing,
        }
    }

    /// What all registrations together are responsible for; none if the landscape has no registrations.
    pub(crate) fn registered(&self) -> Option<Node<'a>> {
        let found = self.world.registered.as_ref();
        self.reads.borrow_mut().insert(registered::key(), found.cloned());
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
        self.until.replace(Some(i64::MIN));
        self.world.accepted.iter().filter(move |(owner, _)| owner.kind == kind).map(|(owner, value)| (owner, value.as_ref()))
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
        self.users.replace(Some(found.clone()));
        let accepted = &self.world.accepted;
        found.iter().filter_map(|(user, _)| accepted.get_key_value(user)).map(|(user, value)| (user, value.as_ref())).collect()
    }

    /// Whether a moment has passed. The verdict holds until one that has not.
    pub(crate) fn is_past(&self, moment: i64) -> bool {
        if moment > self.now {
            let mut until = self.until.borrow_mut();
            *until = Some(until.map_or(moment, |u| u.min(moment)));
        }
        moment <= self.now
    }

    /// The names of a kind in a project, for help. A verdict that used them is not kept: it would not notice a new one.
    pub(crate) fn names(&self, kind: Kind, project: &str) -> Vec<&'a str> {
        self.until.replace(Some(i64::MIN));
        let fits = |owner: &&Owner| owner.kind == kind && owner.project == project;
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
    pub(crate) fn before(&self, path: &str) -> Node<'a> {
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
