//! What a judgement was based on: remembered, so that it can be kept until something of it changes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::landscape::Owner;

/// The owners that were looked at, whether there was a manifest or not.
pub(crate) type Reads = BTreeSet<Owner>;

/// The accepted objects that refer to an object.
pub(crate) type Users = Vec<(Owner, Arc<Value>)>;

/// A domain that was asked for, and the other shoot that has it, or one above or below it.
pub(crate) type Claim = (String, Option<Owner>);

/// What one judgement was based on.
#[derive(Default)]
pub(crate) struct Noted {
    pub reads: RefCell<Reads>,
    pub users: RefCell<Option<Users>>,
    pub claim: RefCell<Option<Claim>>,
    /// Until when it holds, in seconds.
    pub until: RefCell<Option<i64>>,
}

impl Noted {
    /// It holds for this pass only: what it looked at is too much to remember.
    pub(crate) fn once(&self) {
        self.until.replace(Some(i64::MIN));
    }
}
