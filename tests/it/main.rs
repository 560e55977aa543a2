//! Integration tests: one binary, one module per topic.

mod cluster;
mod document;
mod edits;
mod git;
mod plan;
mod render;
mod values;
