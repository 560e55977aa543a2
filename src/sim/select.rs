//! Label and field selectors.

use serde_json::Value;

use super::error::ApiError;
use super::kind::Kind;
use super::store::Stored;
use crate::observed::OWNER_LABEL;

/// One requirement on labels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

/// Which objects a request is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    /// Path, value, whether they must be equal.
    fields: Vec<(String, String, bool)>,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`.
    pub(crate) fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Self, ApiError> {
        let labels = requirements(labels)?;
        let mut list = Vec::new();
        for term in fields.split(',').map(str::trim).filter(|term| !term.is_empty()) {
            let (path, value, equal) = if let Some((path, value)) = term.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
                (path, value, true)
            } else {
                let why = format!("invalid field selector: {term:?}; can't understand {term:?}");
                return Err(ApiError::bad_request(why));
            };
            if kind.custom && !matches!(path, "metadata.name" | "metadata.namespace") {
                return Err(ApiError::bad_request(format!("field label not supported: {path}")));
            }
            list.push((path.to_owned(), value.to_owned(), equal));
        }
        Ok(Self { labels, fields: list })
    }

    /// The owner, if exactly one is asked for.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.labels.iter().find_map(|requirement| match requirement {
            Requirement::In(key, values) if key == OWNER_LABEL && values.len() == 1 => values.first().map(String::as_str),
            Requirement::In(..) | Requirement::NotIn(..) | Requirement::Exists(_) | Requirement::Absent(_) => None,
        })
    }

    /// The one name that is asked for.
    pub(crate) fn name(&self) -> Option<&str> {
        self.fields.iter().find(|(path, _, equal)| *equal && path == "metadata.name").map(|(_, value, _)| value.as_str())
    }

    pub(crate) fn matches(&self, stored: &Stored) -> bool {
        let label = |key: &str| stored.labels.iter().find(|(k, _)| &**k == key).map(|(_, value)| &**value);
        let labels = self.labels.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
            Requirement::In(key, values) => label(key).is_some_and(|value| values.iter().any(|v| v == value)),
            Requirement::NotIn(key, values) => !label(key).is_some_and(|value| values.iter().any(|v| v == value)),
        });
        labels && self.fields(stored)
    }

    fn fields(&self, stored: &Stored) -> bool {
        let mut object = None;
        self.fields.iter().all(|(path, wanted, equal)| {
            let found = match path.as_str() {
                "metadata.name" => *stored.name == **wanted,
                "metadata.namespace" => *stored.namespace == **wanted,
                path => {
                    let object = object.get_or_insert_with(|| stored.value());
                    let pointer = format!("/{}", path.replace('.', "/"));
                    match object.pointer(&pointer) {
                        None | Some(Value::Null) => wanted.is_empty() || wanted == "false",
                        Some(Value::String(text)) => text == wanted,
                        Some(other) => serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| wanted == *other),
                    }
                }
            };
            found == *equal
        })
    }
}

fn requirements(text: &str) -> Result<Vec<Requirement>, ApiError> {
    let wrong = |term: &str| ApiError::bad_request(format!("unable to parse requirement: {term:?}"));
    let mut list = Vec::new();
    for term in terms(text) {
        let term = term.trim();
        if term.is_empty() {
            continue;
        }
        let requirement = if let Some(key) = term.strip_prefix('!') {
            Requirement::Absent(key.trim().to_owned())
        } else if let Some((head, values)) = term.split_once('(') {
            let values = values.strip_suffix(')').ok_or_else(|| wrong(term))?;
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            let mut words = head.split_whitespace();
            match (words.next(), words.next()) {
                (Some(key), Some("in")) => Requirement::In(key.to_owned(), values),
                (Some(key), Some("notin")) => Requirement::NotIn(key.to_owned(), values),
                _ => return Err(wrong(term)),
            }
        } else if let Some((key, value)) = term.split_once("!=") {
            Requirement::NotIn(key.trim().to_owned(), vec![value.trim().to_owned()])
        } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            Requirement::In(key.trim().to_owned(), vec![value.trim().to_owned()])
        } else if term.contains(char::is_whitespace) {
            return Err(wrong(term));
        } else {
            Requirement::Exists(term.to_owned())
        };
        list.push(requirement);
    }
    Ok(list)
}

/// Splits at commas outside of parentheses.
fn terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}
