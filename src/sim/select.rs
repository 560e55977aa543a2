//! Label and field selectors.

use serde_json::Value;

use super::error::ApiError;
use super::kind::{Kind, Version};
use super::store::Stored;
use crate::observed::OWNER_LABEL;

/// One requirement on labels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    /// The label is a number, greater (`true`) or less than this one.
    Number(String, i64, bool),
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
    pub(crate) fn parse(kind: &Kind, version: &Version, labels: &str, fields: &str) -> Result<Self, ApiError> {
        let labels = requirements(labels)?;
        let mut list = Vec::new();
        for term in fields.split(',').map(str::trim).filter(|term| !term.is_empty()) {
            let (path, value, equal) = if let Some((path, value)) = term.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
                (path, value, true)
            } else {
                let why = format!("invalid selector: '{fields}'; can't understand '{term}'");
                return Err(ApiError::bad_request(why.replace(",'", "'")));
            };
            let always = matches!(path, "metadata.name" | "metadata.namespace");
            let special = special(kind);
            if !always && !special.contains(&path) && !version.selectable.iter().any(|field| field == path) {
                let why = if kind.custom || !special.is_empty() {
                    format!("field label not supported: {path}")
                } else {
                    format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
                };
                return Err(ApiError::bad_request(why));
            }
            list.push((path.to_owned(), value.to_owned(), equal));
        }
        Ok(Self { labels, fields: list })
    }

    /// Whether every object matches.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The owner, if exactly one is asked for.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.labels.iter().find_map(|requirement| match requirement {
            Requirement::In(key, values) if key == OWNER_LABEL && values.len() == 1 => values.first().map(String::as_str),
            Requirement::In(..)
            | Requirement::NotIn(..)
            | Requirement::Exists(_)
            | Requirement::Absent(_)
            | Requirement::Number(..) => None,
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
            Requirement::Number(key, limit, greater) => label(key)
                .and_then(|value| value.parse::<i64>().ok())
                .is_some_and(|value| if *greater { value > *limit } else { value < *limit }),
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

/// Further fields of built-in kinds that may be selected by.
fn special(kind: &Kind) -> &'static [&'static str] {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "Secret") => &["type"],
        ("", "Namespace") => &["status.phase"],
        ("", "Node") => &["spec.unschedulable"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("", "ReplicationController") | ("apps", "ReplicaSet") => &["status.replicas"],
        ("batch", "Job") => &["status.successful"],
        ("certificates.k8s.io", "CertificateSigningRequest") => &["spec.signerName"],
        ("", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "Event") => {
            &["regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "reason", "type"]
        }
        _ => &[],
    }
}

/// The words of a label selector.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '=' | '!' => {
                let pair = chars.peek() == Some(&'=');
                if pair {
                    chars.next();
                }
                words.push(if pair { format!("{c}=") } else { c.to_string() });
            }
            ',' | '(' | ')' | '<' | '>' => words.push(c.to_string()),
            c => {
                let mut word = c.to_string();
                while let Some(next) = chars.peek().filter(|c| !c.is_whitespace() && !"=!,()<>".contains(**c)) {
                    word.push(*next);
                    chars.next();
                }
                words.push(word);
            }
        }
    }
    words
}

fn requirements(text: &str) -> Result<Vec<Requirement>, ApiError> {
    let words = words(text);
    let mut rest = words.iter().map(String::as_str).peekable();
    let is_name = |word: &str| !word.is_empty() && !["=", "==", "!", "!=", ",", "(", ")", "<", ">"].contains(&word);
    let wrong = |why: String| ApiError::bad_request(format!("unable to parse requirement: {why}"));
    let fine = |key: &str, values: &[String]| match values.iter().find(|value| !super::rules::is_label_value(value)) {
        Some(value) => Err(wrong(format!("values[0][{key}]: Invalid value: {value:?}: {}", super::rules::LABEL_VALUE))),
        None => Ok(()),
    };
    let mut list = Vec::new();
    while let Some(first) = rest.next() {
        if first == "!" {
            let key = rest.next().unwrap_or_default();
            if !is_name(key) {
                return Err(wrong(format!("found '{key}', expected: identifier")));
            }
            list.push(Requirement::Absent(key.to_owned()));
        } else if !is_name(first) {
            return Err(ApiError::bad_request(format!("found '{first}', expected: !, identifier, or 'end of string'")));
        } else {
            let key = first.to_owned();
            match rest.next_if(|word| *word != ",") {
                None => list.push(Requirement::Exists(key)),
                Some(op @ ("=" | "==" | "!=")) => {
                    let value = rest.next_if(|word| *word != ",").unwrap_or_default();
                    if !value.is_empty() && !is_name(value) {
                        return Err(wrong(format!("found '{value}', expected: identifier")));
                    }
                    let values = vec![value.to_owned()];
                    fine(&key, &values)?;
                    list.push(if op == "!=" { Requirement::NotIn(key, values) } else { Requirement::In(key, values) });
                }
                Some(op @ ("<" | ">" | "gt" | "lt")) => {
                    let value = rest.next().unwrap_or_default();
                    let limit = value.parse().map_err(|_| wrong(format!("found '{value}', expected: identifier")))?;
                    list.push(Requirement::Number(key, limit, matches!(op, ">" | "gt")));
                }
                Some(op @ ("in" | "notin")) => {
                    let open = rest.next().unwrap_or_default();
                    if open != "(" {
                        return Err(wrong(format!("found '{open}' expected: '('")));
                    }
                    let mut values = Vec::new();
                    loop {
                        match rest.next() {
                            Some(")") => break,
                            Some(",") => {}
                            Some(value) if is_name(value) => values.push(value.to_owned()),
                            other => {
                                return Err(wrong(format!(
                                    "found '{}', expected: ',', or identifier",
                                    other.unwrap_or_default()
                                )));
                            }
                        }
                    }
                    fine(&key, &values)?;
                    list.push(if op == "in" { Requirement::In(key, values) } else { Requirement::NotIn(key, values) });
                }
                Some(other) => {
                    return Err(wrong(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")));
                }
            }
        }
        match rest.next() {
            None | Some(",") => {}
            Some(other) => return Err(wrong(format!("found '{other}', expected: ',' or 'end of string'"))),
        }
    }
    Ok(list)
}
