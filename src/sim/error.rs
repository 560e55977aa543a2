//! What the API server answers when it refuses: `metav1.Status`, worded as Kubernetes words it, because clients parse it.

use serde_json::{Value, json};

use super::kind::Kind;

/// A refusal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, such as `NotFound`.
    pub reason: String,
    /// Sentence for people.
    pub message: String,
    /// `details` of the Status.
    pub details: Option<Value>,
    /// What is to be said besides, as `Warning` headers.
    pub warnings: Vec<String>,
}

/// The reason of an answer that is no Status.
const NO_PAGE: &str = "NoPage";

/// One cause inside an `Invalid` or `Conflict` answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Machine-readable, such as `FieldValueInvalid`.
    pub(crate) reason: &'static str,
    /// Path of the field.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl Cause {
    pub(crate) fn invalid(field: &str, value: &Value, why: &str) -> Self {
        Self { reason: "FieldValueInvalid", field: field.into(), message: format!("Invalid value: {value}: {why}") }
    }

    pub(crate) fn required(field: &str, why: &str) -> Self {
        let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    pub(crate) fn forbidden(field: &str, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {why}") }
    }
}

fn qualified(kind: &Kind) -> String {
    if kind.group.is_empty() { kind.kind.clone() } else { format!("{}.{}", kind.kind, kind.group) }
}

/// What an answer is about; what is empty is left out.
pub(crate) fn details(kind: &Kind, name: &str, what: &str) -> Value {
    let mut details = json!({"kind": what});
    for (field, value) in [("name", name), ("group", &kind.group)] {
        if !value.is_empty() {
            details[field] = value.into();
        }
    }
    details
}

impl ApiError {
    /// A refusal of options of a request, such as `PatchOptions`.
    pub(crate) fn options(kind: &str, cause: Cause) -> Self {
        Self::all_options(kind, &[cause])
    }

    /// The same for several causes.
    pub(crate) fn all_options(kind: &str, causes: &[Cause]) -> Self {
        let list: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let list = if let [one] = list.as_slice() { one.clone() } else { format!("[{}]", list.join(", ")) };
        let mut error = Self::new(422, "Invalid", format!("{kind}.meta.k8s.io \"\" is invalid: {list}"));
        error.details = Some(json!({"group": "meta.k8s.io", "kind": kind, "causes": Self::causes(causes)}));
        error
    }

    /// A resourceVersion that the server has not reached yet.
    pub(crate) fn too_large(asked: u64, current: u64) -> Self {
        let mut error = Self::new(504, "Timeout", format!("Timeout: Too large resource version: {asked}, current: {current}"));
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        error.details = Some(json!({"causes": [cause], "retryAfterSeconds": 1}));
        error
    }

    pub(crate) fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { code, reason: reason.to_owned(), message: message.into(), details: None, warnings: Vec::new() }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = Some(details(kind, name, &kind.plural));
        self
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.resource())).about(kind, name)
    }

    pub(crate) fn no_such_resource() -> Self {
        let mut error = Self::new(404, "NotFound", "the server could not find the requested resource");
        error.details = Some(json!({}));
        error
    }

    /// Nothing is served under this path.
    pub(crate) fn no_such_page() -> Self {
        Self::new(404, NO_PAGE, "404 page not found")
    }

    /// Whether the answer is text rather than a Status.
    pub(crate) fn is_no_page(&self) -> bool {
        self.reason == NO_PAGE
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.resource())).about(kind, name)
    }

    /// The same of an object that is on its way out.
    pub(crate) fn still_exists(kind: &Kind, name: &str) -> Self {
        let there = Self::already_exists(kind, name);
        Self { message: format!("object is being deleted: {}", there.message), ..there }
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.resource()))
            .about(kind, name)
    }

    /// A patch whose result cannot be read.
    pub(crate) fn invalid_patch(result: &str, why: &str) -> Self {
        let message = format!("Invalid value: {result:?}: {why}");
        let cause = Cause { reason: "FieldValueInvalid", field: "patch".into(), message };
        let mut error = Self::new(422, "Invalid", format!(" \"\" is invalid: patch: {}", cause.message));
        error.details = Some(json!({"causes": Self::causes(&[cause])}));
        error
    }

    /// A scale that cannot be.
    pub(crate) fn invalid_scale(name: &str, cause: Cause) -> Self {
        let text = format!("Scale.autoscaling {name:?} is invalid: {}: {}", cause.field, cause.message);
        let mut error = Self::new(422, "Invalid", text);
        error.details = Some(json!({"group": "autoscaling", "kind": "Scale", "name": name, "causes": Self::causes(&[cause])}));
        error
    }

    /// A precondition of a deletion that does not hold; it names the kind where other conflicts name the resource.
    pub(crate) fn precondition(kind: &Kind, name: &str, why: &str) -> Self {
        let mut error =
            Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {} {name:?}: {why}", qualified(kind)));
        error.details = Some(details(kind, name, &kind.kind));
        error
    }

    /// An update of a custom kind that does not say of what; it names the resource where other refusals name the kind.
    pub(crate) fn unspecified(kind: &Kind, name: &str, cause: Cause) -> Self {
        let text = format!("{} {name:?} is invalid: {}: {}", kind.resource(), cause.field, cause.message);
        let mut about = details(kind, name, &kind.plural);
        about["causes"] = Self::causes(&[cause]);
        let mut error = Self::new(422, "Invalid", text);
        error.details = Some(about);
        error
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        Self::new(403, "Forbidden", format!("{} {name:?} is forbidden: {why}", kind.resource())).about(kind, name)
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let mut list: Vec<String> = Vec::with_capacity(causes.len());
        for cause in causes {
            let text = format!("{}: {}", cause.field, cause.message);
            // What two rules find is said once, but counted as two causes.
            if !list.contains(&text) {
                list.push(text);
            }
        }
        let text = match list.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = qualified(kind);
        let mut error = Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {text}"));
        let mut about = details(kind, name, &kind.kind);
        about["causes"] = Self::causes(causes);
        error.details = Some(about);
        error
    }

    pub(crate) fn causes(causes: &[Cause]) -> Value {
        causes.iter().map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field})).collect()
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn not_acceptable() -> Self {
        let known = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        Self::new(406, "NotAcceptable", format!("only the following media types are accepted: {known}"))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let mut error = Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        error.details = Some(json!({}));
        error
    }

    pub(crate) fn not_implemented(plural: &str, subresource: &str, why: &str) -> Self {
        let what = if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") };
        Self::new(501, "NotImplemented", format!("the simulated API server does not implement {what}: {why}"))
    }

    /// The `Status` object.
    #[must_use]
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.clone().into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }

    /// Whether something was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    /// Whether another writer was faster, or the object exists.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code == 409
    }
}
