//! Fuzzes [`continuo_fuzz::pickle`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| continuo_fuzz::pickle(bytes));
