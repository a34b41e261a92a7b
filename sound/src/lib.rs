//! The built-in instrument, rendered on the audio thread.
//!
//! ```text
//! notes ─▶ voices (band-limited tables, drums) ─▶ room ─▶ limiter ─▶ left, right
//! ```
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod drums;
mod room;
mod synth;
mod tables;
mod voice;

pub use synth::Synth;
