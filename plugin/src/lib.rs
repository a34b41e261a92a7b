//! The plugin: a host on one side, a model on the other, and the line between.
//!
//! ```text
//! host ─▶ edge ─▶ processor (audio thread) ─▶ link ─▶ worker (own thread) ─▶ engine
//! host ◀─ edge ◀─ processor ◀──────────────── link ◀─ worker      view ─▶ editor
//! ```

mod echoes;
pub mod edge;
pub mod editor;
pub mod events;
pub mod journal;
pub mod kept;
pub mod learnt;
pub mod link;
mod metronome;
pub mod models;
pub mod params;
pub mod partner;
mod parts;
pub mod passed;
mod past;
mod pieces;
pub mod places;
pub mod presets;
pub mod processor;
pub mod programs;
pub mod services;
pub mod state;
mod takes;
pub mod view;
pub mod worker;

pub use edge::Continuo;

nice_plug::nice_export_clap!(Continuo);
nice_plug::nice_export_vst3!(Continuo);
