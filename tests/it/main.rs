//! Integration tests: one binary, one module per topic.

mod apply;
mod cluster;
mod document;
mod edits;
mod generate;
mod git;
mod git_http;
mod plan;
mod render;
mod script;
mod secrets;
mod templates;
mod values;
