//! What the `continuo` binary reads, apart from its command line: MIDI files of any kind.

mod cut;
pub mod song;
