//! Integration tests: one binary, one module per topic.

mod admission;
mod apply;
mod cluster;
mod document;
mod edges;
mod edits;
mod generate;
mod git;
mod git_http;
mod landscapes;
mod large;
mod library;
mod load;
mod model;
mod plan;
mod policies;
mod render;
mod schedule;
mod schemas;
mod script;
mod secrets;
mod sim_actors;
mod sim_api;
mod templates;
mod tidy;
mod values;
