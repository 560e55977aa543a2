//! What is made of contents: digests, names and packed texts. They are made at once where the manifests are complete, and kept to be
//! made later where they still have holes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::digest;
use crate::document;
use crate::observed::ObjectKey;

/// A text that is packed into a Secret.
pub(crate) struct Packed {
    /// The begin of its digest.
    pub(crate) short: String,
    /// In base64.
    pub(crate) data: String,
}

/// Makes of contents what goes back into manifests.
pub(crate) trait Contents {
    /// The digest of a value.
    fn digest(&mut self, value: &Value) -> String;
    /// The begin of the digest of a value.
    fn short(&mut self, value: &Value) -> String;
    /// The begin of the digest of a name.
    fn short_of_name(&mut self, name: &str) -> String;
    /// Objects as one text, in the order of their keys.
    fn packed(&mut self, objects: Vec<Value>) -> Packed;
    /// A text.
    fn packed_text(&mut self, text: &str) -> Packed;
    /// Notes that what was decided holds only as long as these texts differ, as far as they are not equal here.
    fn differ(&mut self, texts: &[&str]);
}

/// Of complete manifests.
pub(crate) struct Complete;

impl Contents for Complete {
    fn digest(&mut self, value: &Value) -> String {
        digest::of_value(value).0
    }

    fn short(&mut self, value: &Value) -> String {
        digest::of_value(value).short().to_owned()
    }

    fn short_of_name(&mut self, name: &str) -> String {
        digest::of_bytes(name.as_bytes()).short().to_owned()
    }

    fn packed(&mut self, mut objects: Vec<Value>) -> Packed {
        objects.sort_by_cached_key(ObjectKey::of);
        self.packed_text(&objects.iter().map(document::to_yaml).collect::<Vec<_>>().join(BETWEEN))
    }

    fn packed_text(&mut self, text: &str) -> Packed {
        Packed { short: digest::of_bytes(text.as_bytes()).short().to_owned(), data: STANDARD.encode(text) }
    }

    fn differ(&mut self, _: &[&str]) {}
}

/// Between two objects that are packed together.
pub(crate) const BETWEEN: &str = "---\n";
