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
pub struct Body(Arc<Inner>);

struct Inner {
    from: From,
    value: OnceLock<Arc<Value>>,
}

enum From {
    Written,
    /// The object with this number.
    Program(Arc<Program>, usize, Arc<Holes>),
}

impl Body {
    /// A manifest that is complete.
    #[must_use]
    pub fn written(value: Value) -> Self {
        Self(Arc::new(Inner { from: From::Written, value: OnceLock::from(Arc::new(value)) }))
    }

    pub(super) fn of_program(program: &Arc<Program>, number: usize, holes: &Arc<Holes>) -> Self {
        let from = From::Program(Arc::clone(program), number, Arc::clone(holes));
        Self(Arc::new(Inner { from, value: OnceLock::new() }))
    }

    /// The manifest itself.
    #[must_use]
    pub fn value(&self) -> &Arc<Value> {
        self.0.value.get_or_init(|| match &self.0.from {
            From::Written => Arc::default(),
            From::Program(program, number, holes) => Arc::new(program.value(*number, holes)),
        })
    }

    /// Whether it was filled into a manifest that came up before.
    #[must_use]
    pub fn is_filled_in(&self) -> bool {
        matches!(self.0.from, From::Program(..))
    }

    /// Writes it as [`document::append_yaml`] does.
    pub fn append_yaml(&self, out: &mut String) {
        match &self.0.from {
            From::Written => document::append_yaml(out, self.value()),
            From::Program(program, number, holes) => program.append_yaml(*number, holes, out),
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
