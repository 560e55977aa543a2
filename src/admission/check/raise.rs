//! How rules say what they dislike: severity, Gardener's type of the error, field, message, help and symbolic places.

use crate::admission::node::Node;
use crate::admission::source::Source;
use crate::finding::{Cause, Code, ErrorType, On, Pointer, Severity};
use crate::landscape::Owner;

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
        self.at.push(At { owner: None, pointer: node.pointer(), on: On::Value, note: note.into() });
        self
    }

    /// Names a place in another object.
    pub(crate) fn beside(&mut self, owner: &Owner, node: &Node<'_>, note: impl Into<String>) -> &mut Self {
        self.at.push(At { owner: Some(owner.clone()), pointer: node.pointer(), on: On::Value, note: note.into() });
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
        let at = At { owner: None, pointer: node.pointer(), on: On::Value, note: String::new() };
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
