//! Notes in time, on the audio thread. This crate is `no_std` without an allocator: its border is the
//! real-time border, and the compiler holds it.
//!
//! ```text
//! host transport ─▶ clock ─▶ line position, epochs ─▶ schedule ─▶ sounding ─▶ notes on and off @frame
//! ```
#![no_std]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(test)]
extern crate std;

mod bars;
pub mod clock;
pub mod event;
pub mod message;
mod pulse;
pub mod schedule;
pub mod sounding;
pub mod units;

pub use clock::{Clock, Host};
pub use event::Event;
pub use message::{
    Cut, FromWorker, GRID, Grid, Mode, Note, Press, Quantise, Settings, Tick, ToWorker, Trigger,
};
pub use schedule::Schedule;
pub use sounding::{Sounding, Voice};
pub use units::{Beats, Bpm, Channel, Epoch, Frame, Instrument, Key, Meter, Velocity};
