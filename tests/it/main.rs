//! Integration tests: one binary, one module per topic.

mod document;
mod edits;
mod git;
