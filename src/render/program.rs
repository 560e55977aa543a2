//! Programs: what post-processing makes of manifests with holes, once for all casts of a variant. Filling the holes, with digests
//! and names by content computed on the way, gives exactly the objects that the complete manifests would; where that is not
//! certain, there is no program, or it gives nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::cast::has_holes;
use super::post::contents::{BETWEEN, Complete, Contents, Packed};
use super::post::{self, Stamp};
use super::script::{Holes, Script, Text, has_any, hole};
use super::{Body, DesiredObject};
use crate::digest::Digest;
use crate::observed::ObjectKey;

/// How the objects of one variant are made.
pub(crate) struct Program {
    /// What follows the texts of a variant in its holes.
    steps: Vec<Step>,
    /// Texts of which no two may be the same.
    differ: Vec<Vec<Text>>,
    /// Keys of maps that must not be mistaken for what is looked for.
    keys: Vec<Text>,
    looked_for: BTreeSet<String>,
    objects: Vec<Finished>,
}

/// What is computed of what is in holes, and goes into a hole.
enum Step {
    Digest(Script),
    Short(Script),
    ShortOfName(Text),
    /// Goes into two: the begin of the digest, and base64.
    Packed(Vec<(Key, Script)>),
    PackedText(Text),
}

/// The parts of an [`ObjectKey`] that may have holes.
struct Key {
    group: String,
    kind: String,
    namespace: Text,
    name: Text,
}

struct Finished {
    key: Key,
    api_version: String,
    /// The manifest with holes.
    body: Value,
    yaml: Script,
    once: Option<Value>,
    digest: Text,
}

impl Program {
    /// Post-processes manifests with holes, of which there are `holes`; the first three are the stamp's namespace, owner and name.
    pub(super) fn new(values: Vec<Value>, stamp: &Stamp<'_>, holes: usize) -> Option<Self> {
        if !stamp.sensitive.is_empty() || !values.iter().all(is_of_a_kind) {
            return None;
        }
        let marks = [hole(0)?, hole(1)?, hole(2)?];
        let [namespace, owner, name] = &marks;
        let namespace = if stamp.namespace.is_empty() { "" } else { namespace };
        let mut later = Later { next: holes, ..Later::default() };
        let stamped = post::stamp_all(values, &Stamp { owner, name, namespace, ..*stamp }, &mut later).ok()?;
        let Later { steps, differ: mut sets, mut keys, failed, .. } = later;
        if failed {
            return None;
        }
        sets.push(stamped.iter().map(|object| object.key.path()).collect());
        for object in &stamped {
            open_keys(&object.body, &mut keys, &mut sets);
            object.once.iter().for_each(|once| open_keys(once, &mut keys, &mut sets));
        }
        let finished = |object: post::Stamped| Finished {
            key: Key::new(&object.key),
            api_version: object.api_version,
            yaml: Script::yaml(&object.body),
            body: object.body,
            once: object.once,
            digest: Text::new(&object.digest.0),
        };
        // Where nothing is open, the decision stands.
        let open =
            |set: BTreeSet<String>| set.iter().any(|text| has_holes(text)).then(|| set.iter().map(|t| Text::new(t)).collect());
        Some(Self {
            steps,
            differ: sets.into_iter().filter_map(open).collect(),
            keys: keys.iter().map(|key| Text::new(key)).collect(),
            looked_for: post::looked_for(stamp.component),
            objects: stamped.into_iter().map(finished).collect(),
        })
    }

    /// The objects with these texts; `None` if what was decided for the variant does not hold for them.
    pub(super) fn objects(self: &Arc<Self>, texts: &[Cow<'_, str>]) -> Option<Vec<DesiredObject>> {
        let mut holes = Holes::default();
        let mut room = String::new();
        for text in texts {
            holes.push(text);
        }
        for step in &self.steps {
            step.run(&mut holes, &mut room);
        }
        let mut taken = |key: &Text| {
            let key = key.say(&holes, &mut room);
            // No field of an API has any of these in its name.
            !key.contains(['.', '/', '-', '_']) || self.looked_for.contains(key)
        };
        if self.keys.iter().any(&mut taken) || !self.differ.iter().all(|set| all_differ(set, &holes)) {
            return None;
        }
        let holes = Arc::new(holes);
        let object = |(number, finished): (usize, &Finished)| DesiredObject {
            key: finished.key.say(&holes),
            api_version: finished.api_version.clone(),
            body: Body::of_program(self, number, &holes),
            once: finished.once.as_ref().map(|once| Arc::new(holes.fill(once))),
            digest: Digest(finished.digest.say(&holes, &mut String::new()).to_owned()),
            sensitive: false,
        };
        Some(self.objects.iter().enumerate().map(object).collect())
    }

    pub(super) fn value(&self, object: usize, holes: &Holes) -> Value {
        self.objects.get(object).map(|finished| holes.fill(&finished.body)).unwrap_or_default()
    }

    pub(super) fn append_yaml(&self, object: usize, holes: &Holes, out: &mut String) {
        if let Some(finished) = self.objects.get(object) {
            finished.yaml.append(holes, out);
        }
    }
}

/// Whether a manifest, and everything that it packs, says its kind without holes.
fn is_of_a_kind(manifest: &Value) -> bool {
    let closed = |field: &str| manifest.get(field).is_none_or(|value| !has_any(value));
    let packed = manifest.pointer("/spec/objects").and_then(Value::as_array);
    closed("apiVersion") && closed("kind") && packed.into_iter().flatten().all(is_of_a_kind)
}

/// Finds the keys with holes in a value, and the sets of keys that must stay apart.
fn open_keys(value: &Value, keys: &mut BTreeSet<String>, sets: &mut Vec<BTreeSet<String>>) {
    match value {
        Value::Object(map) => {
            if map.keys().any(|key| has_holes(key)) {
                keys.extend(map.keys().filter(|key| has_holes(key)).cloned());
                sets.push(map.keys().cloned().collect());
            }
            map.values().for_each(|value| open_keys(value, keys, sets));
        }
        Value::Array(items) => items.iter().for_each(|item| open_keys(item, keys, sets)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn all_differ(texts: &[Text], holes: &Holes) -> bool {
    let mut rooms = vec![String::new(); texts.len()];
    let mut said: Vec<&str> = texts.iter().zip(&mut rooms).map(|(text, room)| text.say(holes, room)).collect();
    said.sort_unstable();
    said.windows(2).all(|pair| pair[0] != pair[1])
}

impl Key {
    fn new(key: &ObjectKey) -> Self {
        Self {
            group: key.group.clone(),
            kind: key.kind.clone(),
            namespace: Text::new(&key.namespace),
            name: Text::new(&key.name),
        }
    }

    fn say(&self, holes: &Holes) -> ObjectKey {
        let (mut namespace, mut name) = (String::new(), String::new());
        self.namespace.append(holes, &mut namespace);
        self.name.append(holes, &mut name);
        ObjectKey { group: self.group.clone(), kind: self.kind.clone(), namespace, name }
    }
}

impl Step {
    fn run(&self, holes: &mut Holes, room: &mut String) {
        match self {
            Self::Digest(script) => {
                let digest = script.digest(holes, room);
                holes.push(digest.as_str());
            }
            Self::Short(script) => {
                let digest = script.digest(holes, room);
                holes.push(digest.short());
            }
            Self::ShortOfName(name) => {
                let short = Complete.short_of_name(name.say(holes, room));
                holes.push(&short);
            }
            Self::Packed(objects) => {
                let mut order: Vec<(ObjectKey, &Script)> = objects.iter().map(|(key, script)| (key.say(holes), script)).collect();
                order.sort_by(|(a, _), (b, _)| a.cmp(b));
                room.clear();
                for (n, (_, script)) in order.into_iter().enumerate() {
                    room.push_str(if n > 0 { BETWEEN } else { "" });
                    script.append(holes, room);
                }
                push_packed(holes, room);
            }
            Self::PackedText(text) => {
                room.clear();
                text.append(holes, room);
                push_packed(holes, room);
            }
        }
    }
}

fn push_packed(holes: &mut Holes, text: &str) {
    let Packed { short, data } = Complete.packed_text(text);
    holes.push(&short);
    holes.push(&data);
}

/// Keeps what is to be made of contents with holes.
#[derive(Default)]
struct Later {
    next: usize,
    steps: Vec<Step>,
    differ: Vec<BTreeSet<String>>,
    keys: BTreeSet<String>,
    /// There are too many holes.
    failed: bool,
}

impl Later {
    fn hole(&mut self) -> String {
        let made = hole(self.next);
        self.next += 1;
        self.failed |= made.is_none();
        made.unwrap_or_default()
    }
}

impl Contents for Later {
    fn digest(&mut self, value: &Value) -> String {
        if !has_any(value) {
            return Complete.digest(value);
        }
        self.steps.push(Step::Digest(Script::canonical(value)));
        self.hole()
    }

    fn short(&mut self, value: &Value) -> String {
        if !has_any(value) {
            return Complete.short(value);
        }
        self.steps.push(Step::Short(Script::canonical(value)));
        self.hole()
    }

    fn short_of_name(&mut self, name: &str) -> String {
        if !has_holes(name) {
            return Complete.short_of_name(name);
        }
        self.steps.push(Step::ShortOfName(Text::new(name)));
        self.hole()
    }

    fn packed(&mut self, objects: Vec<Value>) -> Packed {
        if !objects.iter().any(has_any) {
            return Complete.packed(objects);
        }
        let keys: Option<Vec<ObjectKey>> = objects.iter().map(ObjectKey::of).collect();
        self.failed |= keys.is_none();
        let keyed =
            keys.unwrap_or_default().into_iter().zip(&objects).map(|(key, object)| (Key::new(&key), Script::yaml(object)));
        self.steps.push(Step::Packed(keyed.collect()));
        for object in &objects {
            open_keys(object, &mut self.keys, &mut self.differ);
        }
        Packed { short: self.hole(), data: self.hole() }
    }

    fn packed_text(&mut self, text: &str) -> Packed {
        if !has_holes(text) {
            return Complete.packed_text(text);
        }
        self.steps.push(Step::PackedText(Text::new(text)));
        Packed { short: self.hole(), data: self.hole() }
    }

    fn differ(&mut self, texts: &[&str]) {
        if texts.iter().any(|text| has_holes(text)) {
            self.differ.push(texts.iter().map(|text| (*text).to_owned()).collect());
        }
    }
}
