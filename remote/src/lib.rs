//! What the service and its clients say to each other, and a client that the plugin and programs can use.
//!
//! ```text
//! wire:   Predict ─▶ Prediction, Notes ─▶ lines of NoteLine, Problem in place of either
//! client: typed calls that wait (health, models, predict, jobs, files)
//! engine: notes streamed as they are made, on a thread of its own; reconnects, and says how it stands
//! ```

mod client;
mod engine;
mod error;
mod lines;
pub mod wire;

pub use client::{Client, with_tls};
pub use engine::{Answer, Remote, State, Step};
pub use error::Error;
