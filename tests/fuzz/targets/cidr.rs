//! Runs `checks/cidr.rs` on whatever libFuzzer comes up with.
#![no_main]

#[path = "../checks/cidr.rs"]
mod cidr;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cidr::check(bytes));
