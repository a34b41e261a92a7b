//! Fuzzes [`continuo_fuzz::config`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| continuo_fuzz::config(bytes));
