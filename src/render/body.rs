//! A manifest that is written out only when it is looked at.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::program::Program;
use super::script::Holes;
use crate::document;

/// A manifest: a [`Value`], made when it is first looked at. Clones share it.
#[derive(Clone)]
pub struct Body(Made);

#[derive(Clone)]
enum Made {
    Written(Arc<Value>),
    Later(Arc<Later>),
}

/// The object of a program that has this number.
struct Later {
    program: Arc<Program>,
    number: usize,
    holes: Arc<Holes>,
    value: OnceLock<Arc<Value>>,
}

impl Body {
    /// A manifest that is complete.
    #[must_use]
    pub fn written(value: Value) -> Self {
        Self(Made::Written(Arc::new(value)))
    }

    pub(super) fn of_program(program: &Arc<Program>, number: usize, holes: &Arc<Holes>) -> Self {
        let (program, holes) = (Arc::clone(program), Arc::clone(holes));
        Self(Made::Later(Arc::new(Later { program, number, holes, value: OnceLock::new() })))
    }

    /// The manifest itself.
    #[must_use]
    pub fn value(&self) -> &Arc<Value> {
        match &self.0 {
            Made::Written(value) => value,
            Made::Later(later) => later.value.get_or_init(|| Arc::new(later.program.value(later.number, &later.holes))),
        }
    }

    /// Whether it was filled into a manifest that came up before.
    #[must_use]
    pub fn is_filled_in(&self) -> bool {
        matches!(self.0, Made::Later(_))
    }

    /// Writes it as [`document::append_yaml`] does.
    pub fn append_yaml(&self, out: &mut String) {
        match &self.0 {
            Made::Written(value) => document::append_yaml(out, value),
            Made::Later(later) => later.program.append_yaml(later.number, &later.holes, out),
        }
    }
}

impl Deref for Body {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.value()
    }
}

impl AsRef<Value> for Body {
    fn as_ref(&self) -> &Value {
        self.value()
    }
}

impl fmt::Debug for Body {
    /// Never shows what is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}
