//! Fuzzes [`continuo_fuzz::midi`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| continuo_fuzz::midi(bytes));
