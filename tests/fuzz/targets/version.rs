//! Runs `checks/version.rs` on whatever libFuzzer comes up with.
#![no_main]

#[path = "../checks/version.rs"]
mod version;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| version::check(bytes));
