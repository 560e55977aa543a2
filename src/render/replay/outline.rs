//! Outlines: the structure of a context without its texts and numbers, and these in the order in which they come. What is empty or
//! zero belongs to the structure: conditions ask for it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};

use super::Roots;
use crate::render::script::{hole, number};

/// The outline of one root of a context.
struct Outline<'c> {
    structure: [u8; 32],
    texts: Vec<Cow<'c, str>>,
}

impl<'c> Outline<'c> {
    fn of(value: &'c Value) -> Self {
        let (mut said, mut texts) = (Vec::new(), Vec::new());
        outline(value, &mut said, &mut texts);
        Self { structure: Sha256::digest(&said).into(), texts }
    }
}

/// Everything but texts and numbers, such that nothing else comes out the same.
fn outline<'c>(value: &'c Value, said: &mut Vec<u8>, texts: &mut Vec<Cow<'c, str>>) {
    match value {
        Value::Null => said.push(b'n'),
        Value::Bool(true) => said.push(b't'),
        Value::Bool(false) => said.push(b'f'),
        Value::Number(number) if is_zero(number) => {
            said.push(b'0');
            length(number.to_string().as_bytes(), said);
        }
        Value::Number(number) => {
            said.push(b'd');
            texts.push(number.to_string().into());
        }
        Value::String(text) if text.is_empty() => said.push(b'e'),
        Value::String(text) => {
            said.push(b's');
            texts.push(text.as_str().into());
        }
        Value::Array(items) => {
            said.push(b'[');
            said.extend(items.len().to_le_bytes());
            for item in items {
                outline(item, said, texts);
            }
        }
        Value::Object(map) => {
            said.push(b'{');
            said.extend(map.len().to_le_bytes());
            for (key, value) in map {
                length(key.as_bytes(), said);
                outline(value, said, texts);
            }
        }
    }
}

/// Whether a condition takes it for nothing.
pub(super) fn is_zero(number: &Number) -> bool {
    number.as_f64().is_none_or(|number| number == 0.0)
}

fn length(bytes: &[u8], said: &mut Vec<u8>) {
    said.extend(bytes.len().to_le_bytes());
    said.extend(bytes);
}

/// A value with marks for the texts and numbers that an outline has, from this number on.
fn marked(value: &Value, next: &mut usize) -> Option<Value> {
    Some(match value {
        Value::String(text) if !text.is_empty() => {
            *next += 1;
            Value::String(hole(*next - 1)?)
        }
        Value::Number(it) if !is_zero(it) => {
            *next += 1;
            Value::String(number(*next - 1)?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        Value::Array(items) => Value::Array(items.iter().map(|item| marked(item, next)).collect::<Option<_>>()?),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| Some((key.clone(), marked(value, next)?));
            Value::Object(map.iter().map(entry).collect::<Option<_>>()?)
        }
    })
}

/// The outlines of a context, root by root, each made when it is first asked for.
pub(crate) struct Outlines<'c>(BTreeMap<&'c str, (&'c Value, OnceCell<Outline<'c>>)>);

impl<'c> Outlines<'c> {
    /// Of a context.
    pub(crate) fn of(context: &'c Value) -> Self {
        let root = |(name, value): (&'c String, &'c Value)| (name.as_str(), (value, OnceCell::new()));
        Self(context.as_object().into_iter().flatten().map(root).collect())
    }

    /// What a template sees that stands for one item of a list.
    pub(crate) fn item(item: &'c Value) -> Self {
        Self(BTreeMap::from([("item", (item, OnceCell::new()))]))
    }

    fn get(&self, root: &str) -> Option<(&'c Value, &Outline<'c>)> {
        let (value, outline) = self.0.get(root)?;
        Some((value, outline.get_or_init(|| Outline::of(value))))
    }
}

/// What one template sees.
pub(crate) struct Seen<'a, 'c, 'i> {
    /// Its roots.
    pub(crate) roots: &'a Roots,
    pub(crate) context: &'a Outlines<'c>,
    /// The item that it stands for; hides the context's.
    pub(crate) item: Option<&'a Outlines<'i>>,
}

impl Seen<'_, '_, '_> {
    fn get(&self, root: &str) -> Option<(&Value, &Outline<'_>)> {
        self.item.and_then(|item| item.get(root)).or_else(|| self.context.get(root))
    }

    /// Whether there is a root of this name.
    pub(crate) fn has(&self, root: &str) -> bool {
        self.context.0.contains_key(root) || self.item.is_some_and(|item| item.0.contains_key(root))
    }

    /// The same for contexts that differ in texts alone.
    pub(crate) fn key(&self, offline: bool) -> Box<[u8]> {
        let mut key = vec![u8::from(offline)];
        for root in self.roots {
            key.extend(self.get(root).map_or([0; 32], |(_, outline)| outline.structure));
        }
        key.into()
    }

    /// The texts of a root, in order.
    pub(super) fn texts(&self, root: &str) -> Option<&[Cow<'_, str>]> {
        Some(&self.get(root)?.1.texts)
    }

    /// All texts, root by root in order, with where they are: the root, and the number of the text in it.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, usize, &str)> {
        self.roots.iter().flat_map(|root| {
            let texts = self.texts(root).unwrap_or_default();
            texts.iter().enumerate().map(move |(number, text)| (root.as_str(), number, text.as_ref()))
        })
    }

    /// The context with marks for texts, in the order of [`Self::places`]; `None` if there are too many.
    pub(super) fn marked(&self) -> Option<Value> {
        let (mut map, mut next) = (Map::new(), 0);
        for root in self.roots {
            if let Some((value, _)) = self.get(root) {
                map.insert(root.clone(), marked(value, &mut next)?);
            }
        }
        Some(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(context: &Value) -> Box<[u8]> {
        let roots = context.as_object().expect("a map").keys().cloned().collect();
        Seen { roots: &roots, context: &Outlines::of(context), item: None }.key(true)
    }

    #[test]
    fn texts_and_numbers_do_not_matter_and_everything_else_does() {
        let one = json!({"a": {"b": ["x", 1, true, null, ""], "c": {}}});
        assert_eq!(key(&one), key(&json!({"a": {"b": ["yy", 2.5, true, null, ""], "c": {}}})));
        for other in [
            json!({"a": {"b": ["x", 0, true, null, ""], "c": {}}}),
            json!({"a": {"b": ["x", "1", true, null, ""], "c": {}}}),
            json!({"a": {"b": ["x", 1, false, null, ""], "c": {}}}),
            json!({"a": {"b": ["x", 1, true, null, "y"], "c": {}}}),
            json!({"a": {"b": ["x", 1, true, null], "c": {}}}),
            json!({"a": {"b": ["x", 1, true, null, ""], "c": []}}),
            json!({"a": {"b": ["x", 1, true, null, ""], "d": {}}}),
        ] {
            assert_ne!(key(&one), key(&other), "{other}");
        }
    }

    #[test]
    fn an_item_hides_the_context() {
        let (context, item) = (json!({"item": "c", "other": "o"}), json!({"name": "i", "size": 5, "used": 0}));
        let roots = Roots::from(["item".into(), "other".into(), "absent".into()]);
        let (context, item) = (Outlines::of(&context), Outlines::item(&item));
        let seen = Seen { roots: &roots, context: &context, item: Some(&item) };
        assert_eq!(seen.places().collect::<Vec<_>>(), [("item", 0, "i"), ("item", 1, "5"), ("other", 0, "o")]);
        assert_eq!(seen.marked(), Some(json!({"item": {"name": hole(0), "size": number(1), "used": 0}, "other": hole(2)})));
    }
}
