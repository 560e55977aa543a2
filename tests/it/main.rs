//! Integration tests: one binary, one module per topic.

mod cluster;
mod document;
mod edits;
mod git;
mod render;
mod values;
mod plan;
