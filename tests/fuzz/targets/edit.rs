//! Runs `checks/edit.rs` on whatever libFuzzer comes up with.
#![no_main]

#[path = "../checks/edit.rs"]
mod edit;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| edit::check(bytes));
