//! Fuzzes [`continuo_fuzz::compact`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| continuo_fuzz::compact(bytes));
