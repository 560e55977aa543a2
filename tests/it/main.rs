//! Integration tests: one binary, one module per topic.

mod apply;
mod admission;
mod cluster;
mod document;
mod edits;
mod generate;
mod git;
mod git_http;
mod plan;
mod policies;
mod render;
mod script;
mod secrets;
mod templates;
mod schedule;
mod values;
