//! Fuzzes [`continuo_fuzz::request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| continuo_fuzz::request(bytes));
