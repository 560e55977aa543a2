//! The model: every object of a landscape, typed in Gardener's own shapes and linked by key.

pub mod owner;

pub use owner::{Kind, Owner, Target};
