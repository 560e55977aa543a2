//! The order in which keys of manifests are written: that in which the fields of their types are declared.
//!
//! It is asked of the types themselves, by pretending to read a value along each way into them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::{
    CloudProfile, ControllerDeployment, ControllerRegistration, CredentialsBinding, ExposureClass, Kind, LandscapeConfig,
    ManagedSeed, NamespacedCloudProfile, Operation, Project, Quota, SecretBinding, Seed, Shoot, WorkloadIdentity, meta, secret,
};
use crate::finding::Pointer;

/// The keys of every manifest.
const MANIFEST: &[&str] = &["apiVersion", "kind", "metadata"];
/// The keys of an object of another kind within a manifest.
const EMBEDDED: &[&str] = &["apiVersion", "kind"];

/// The keys of a map of a manifest in their order; `None` if they are the author's to choose.
#[must_use]
pub fn keys(manifest: &Value, at: &Pointer) -> Option<&'static [&'static str]> {
    // What was encrypted is signed in the order in which it stands.
    if manifest.get(secret::SOPS).is_some() {
        return None;
    }
    let text = |key: &str| manifest.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut fields = match Kind::of(text("apiVersion"), text("kind")) {
        Some(kind) => of_kind(kind),
        None => other(),
    };
    for segment in at.segments() {
        fields = match fields {
            Fields::Struct(names, inner) => &inner[names.iter().position(|name| *name == segment)?],
            Fields::List(inner) | Fields::Map(inner) => inner,
            Fields::Free => fields,
        };
    }
    match fields {
        Fields::Struct(names, _) => Some(names),
        Fields::Free if !at.0.is_empty() && manifest.pointer(at.as_str()).is_some_and(is_embedded) => Some(EMBEDDED),
        Fields::Free | Fields::List(_) | Fields::Map(_) => None,
    }
}

fn is_embedded(value: &Value) -> bool {
    EMBEDDED.iter().all(|key| value.get(key).is_some_and(Value::is_string))
}

/// What a value may contain.
#[derive(Debug)]
enum Fields {
    /// Whatever its author likes.
    Free,
    List(Box<Fields>),
    Map(Box<Fields>),
    Struct(&'static [&'static str], Vec<Fields>),
}

fn of_kind(kind: Kind) -> &'static Fields {
    static KINDS: OnceLock<BTreeMap<Kind, Fields>> = OnceLock::new();
    &KINDS.get_or_init(|| Kind::ALL.iter().map(|kind| (*kind, declared(*kind))).collect())[&kind]
}

/// A kind that is not the landscape's, such as a ConfigMap or a policy.
fn other() -> &'static Fields {
    static OTHER: OnceLock<Fields> = OnceLock::new();
    OTHER.get_or_init(|| Fields::Struct(MANIFEST, vec![Fields::Free, Fields::Free, fields::<meta::ObjectMeta>(&mut Vec::new())]))
}

fn declared(kind: Kind) -> Fields {
    let way = &mut Vec::new();
    match kind {
        Kind::Landscape => fields::<LandscapeConfig>(way),
        Kind::CloudProfile => fields::<CloudProfile>(way),
        Kind::ExposureClass => fields::<ExposureClass>(way),
        Kind::ControllerDeployment => fields::<ControllerDeployment>(way),
        Kind::ControllerRegistration => fields::<ControllerRegistration>(way),
        Kind::Seed => fields::<Seed>(way),
        Kind::Project => fields::<Project>(way),
        Kind::NamespacedCloudProfile => fields::<NamespacedCloudProfile>(way),
        Kind::Quota => fields::<Quota>(way),
        Kind::WorkloadIdentity => fields::<WorkloadIdentity>(way),
        Kind::SecretBinding => fields::<SecretBinding>(way),
        Kind::CredentialsBinding => fields::<CredentialsBinding>(way),
        Kind::Shoot => fields::<Shoot>(way),
        Kind::ManagedSeed => fields::<ManagedSeed>(way),
        Kind::Operation => fields::<Operation>(way),
    }
}

/// A step into a type.
#[derive(Debug, Clone, Copy)]
enum Step {
    Field(&'static str),
    Item,
    Entry,
}

/// What is found at the end of a way.
enum Found {
    Leaf,
    List,
    Map,
    Struct(&'static [&'static str]),
}

/// What a type contains at the end of a way into it.
fn fields<T: DeserializeOwned>(way: &mut Vec<Step>) -> Fields {
    let found = RefCell::new(Found::Leaf);
    // It ends with an error as soon as it knows.
    drop(T::deserialize(Probe { way, found: &found }));
    let mut below = |step: Step| {
        way.push(step);
        let fields = fields::<T>(way);
        way.pop();
        fields
    };
    match found.into_inner() {
        Found::Leaf => Fields::Free,
        Found::List => Fields::List(Box::new(below(Step::Item))),
        Found::Map => Fields::Map(Box::new(below(Step::Entry))),
        Found::Struct(names) => Fields::Struct(names, names.iter().map(|name| below(Step::Field(name))).collect()),
    }
}

/// Reads nothing: follows a way into a type and notes what stands at its end.
#[derive(Clone, Copy)]
struct Probe<'a> {
    way: &'a [Step],
    found: &'a RefCell<Found>,
}

impl<'a> Probe<'a> {
    fn arrived<T>(self, found: Found) -> Result<T, Error> {
        self.found.replace(found);
        Err(Error::custom("this is the end of the way"))
    }

    fn next(self) -> Option<(Step, Probe<'a>)> {
        let (first, rest) = self.way.split_first()?;
        Some((*first, Self { way: rest, found: self.found }))
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        self.arrived(Found::Leaf)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.next() {
            Some((_, rest)) => visitor.visit_seq(rest),
            None => self.arrived(Found::List),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.next() {
            Some((_, rest)) => visitor.visit_map(One { key: Some("key"), rest }),
            None => self.arrived(Found::Map),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.next() {
            Some((Step::Field(name), rest)) => visitor.visit_map(One { key: Some(name), rest }),
            Some((Step::Item | Step::Entry, _)) => self.arrived(Found::Leaf),
            None => self.arrived(Found::Struct(names)),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct
        enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for Probe<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        seed.deserialize(*self).map(Some)
    }
}

/// A map of one entry.
struct One<'a> {
    key: Option<&'static str>,
    rest: Probe<'a>,
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(key) = self.key.take() else { return Ok(None) };
        let key: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.rest)
    }
}
