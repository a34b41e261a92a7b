//! What the `continuo` binary reads, apart from its command line: MIDI files of any kind.

mod conduct;
mod cut;
pub mod part;
pub mod song;
