//! Runs `checks/window.rs` on whatever libFuzzer comes up with.
#![no_main]

#[path = "../checks/window.rs"]
mod window;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| window::check(bytes));
