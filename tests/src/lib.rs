//! The real plugin in hosts: what the tests and the programs that `xtask` spawns share.
//!
//! ```text
//! score ("C4@0 E4@1 len 2 vel 90") ─▶ Song (tempo, seeks, loop) ─▶ host::Hosted ─▶ Recording (notes, audio)
//! ```

pub mod gates;
pub mod host;
pub mod midi;
pub mod picture;
pub mod place;
pub mod random;
pub mod rehearsal;
pub mod require;
