//! A note as the model counts it: in ticks of its frame.

use crate::units::{Instrument, Key};

/// A note in ticks. A tick is 1/48 of a quarter note for models trained in musical time, 10 ms for
/// the Stanford checkpoints; the frame that wrote it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// Onset in ticks from the origin of the frame.
    pub onset: i32,
    /// What plays it.
    pub instrument: Instrument,
    /// Key.
    pub key: Key,
    /// Duration in ticks, 0 to 999.
    pub duration: i32,
}
