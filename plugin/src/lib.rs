//! The plugin: a host on one side, a model on the other, and the line between.
//!
//! ```text
//! host ─▶ processor (audio thread) ─▶ link ─▶ worker (own thread) ─▶ engine
//! host ◀─ processor ◀──────────────── link ◀─ worker
//! ```

pub mod link;
pub mod params;
pub mod programs;
pub mod state;
pub mod view;
