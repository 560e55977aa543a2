//! Runs `checks/yaml.rs` on whatever libFuzzer comes up with.
#![no_main]

#[path = "../checks/yaml.rs"]
mod yaml;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| yaml::check(bytes));
