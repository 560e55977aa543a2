//! Integration tests: one binary, one module per topic.

mod admission;
mod apply;
mod cluster;
mod document;
mod edits;
mod generate;
mod git;
mod library;
mod git_http;
mod plan;
mod policies;
mod render;
mod schedule;
mod script;
mod secrets;
mod sim_api;
mod templates;
mod values;
