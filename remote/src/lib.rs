//! What the service and its clients say to each other, and a client that the plugin and programs can use.
//!
//! ```text
//! wire:   Predict ─▶ Prediction, Notes ─▶ lines of NoteLine, Problem in place of either
//! client: typed calls that wait (health, models, predict, jobs)
//! engine: notes streamed as they are made, on a thread of its own; reconnects, says how it stands
//! ```

pub mod wire;
