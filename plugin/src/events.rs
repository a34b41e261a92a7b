//! What crosses the border to the host in one block, in words of our own.

use continuo_timeline::{Channel, Key, Velocity};

/// What the player does, at a frame of the block.
#[allow(missing_docs)] // the fields are named for what they are
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// A key went down.
    On { key: Key, channel: Channel, velocity: Velocity },
    /// A key came up.
    Off { key: Key, channel: Channel },
    /// All keys of a channel come up, or of all channels where none is named.
    AllOff { channel: Option<Channel> },
    /// The sustain pedal.
    Pedal { channel: Channel, down: bool },
    /// Pitch bend in semitones.
    Bend { channel: Channel, semitones: f32 },
    /// A controller, 0 to 1; the pedal is one of its own.
    Controller { channel: Channel, number: u8, value: f32 },
    /// Anything else: only passed on.
    Other,
}

/// What goes out, at a frame of the block.
#[allow(missing_docs)] // the fields are named for what they are
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output {
    /// A generated note begins.
    On { key: Key, channel: Channel, velocity: Velocity },
    /// It ends.
    Off { key: Key, channel: Channel },
    /// A pedal that was passed on comes up.
    PedalUp { channel: Channel },
    /// A pitch bend that was passed on goes back to the middle.
    BendBack { channel: Channel },
}

/// The host's side of one block: events in time order, and where to put ours.
pub trait Events {
    /// The next input event and its frame.
    fn next(&mut self) -> Option<(u32, Input)>;
    /// Sends the event that [`Self::next`] gave last on, as it came.
    fn pass(&mut self);
    /// Sends an event out.
    fn send(&mut self, frame: u32, output: Output);
}
