//! Notes in, notes out.
//!
//! ```text
//! Prompt (events in ticks) ─▶ session: tokens, cache ─▶ model: one step ─▶ sampler ─▶ Event
//!                               ▲ engine: one thread for each model steps all answers
//! ```

mod ask;
mod checkpoint;
pub mod compound;
mod constraints;
mod desk;
pub mod device;
mod dot;
mod engine;
mod error;
mod files;
pub mod generate;
pub mod kernel;
pub mod library;
pub mod masks;
pub mod midi;
mod model;
mod near;
pub mod ops;
pub mod pickle;
mod plain;
mod priority;
mod processor;
mod prompt;
mod quick;
pub mod reference;
mod rows;
pub mod sampler;
mod session;
mod shelf;
pub mod tasks;
pub mod vocabulary;
mod zip;

pub use checkpoint::{Config, View};
pub use constraints::Constraints;
pub use continuo_timeline::Event;
pub use engine::{Answer, Engine, Step, Work};
pub use error::Error;
pub use files::parts;
pub use model::{Cache, Feed, Model, Precision, TimeFrame};
pub use prompt::Prompt;
pub use sampler::Sampling;
pub use session::Session;
pub use shelf::{Shelf, Shelved};
