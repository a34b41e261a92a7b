//! What parameters with a list of values may be set to. Their ids are stable.

use nice_plug::prelude::Enum;

/// Where generated notes come from.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The model answers what is played.
    #[id = "live"]
    #[name = "Live"]
    Live,
    /// The newest unmuted take plays at its place in the song; input never triggers an answer.
    #[id = "takes"]
    #[name = "Takes"]
    Takes,
}

/// See [`continuo_timeline::Mode`].
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mode {
    #[id = "off"]
    #[name = "Off"]
    Off,
    #[id = "respond"]
    #[name = "Respond"]
    Respond,
    #[id = "hold"]
    #[name = "Hold"]
    Hold,
    #[id = "duet"]
    #[name = "Duet"]
    Duet,
    #[id = "accompany"]
    #[name = "Accompany"]
    Accompany,
}

/// See [`continuo_timeline::Trigger`].
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Trigger {
    #[id = "automatic"]
    #[name = "Automatic"]
    Automatic,
    #[id = "bar-line"]
    #[name = "Bar line"]
    BarLine,
    #[id = "bars"]
    #[name = "Every N bars"]
    Bars,
    #[id = "pedal"]
    #[name = "Pedal"]
    Pedal,
    #[id = "key"]
    #[name = "Key"]
    Key,
    #[id = "parameter"]
    #[name = "Answer now"]
    Parameter,
}

/// See [`continuo_timeline::Quantise`].
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Quantise {
    #[id = "none"]
    #[name = "None"]
    None,
    #[id = "beat"]
    #[name = "Beat"]
    Beat,
    #[id = "bar"]
    #[name = "Bar"]
    Bar,
    #[id = "two-bars"]
    #[name = "2 bars"]
    TwoBars,
    #[id = "four-bars"]
    #[name = "4 bars"]
    FourBars,
    #[id = "loop-start"]
    #[name = "Loop start"]
    LoopStart,
    #[id = "bars"]
    #[name = "N bars"]
    Bars,
}

/// What leaves through MIDI out.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MidiOut {
    #[id = "off"]
    #[name = "Off"]
    Off,
    #[id = "answer"]
    #[name = "Answer"]
    Answer,
    #[id = "all"]
    #[name = "All"]
    All,
}

/// See [`continuo_timeline::Grid`].
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Grid {
    #[id = "as-played"]
    #[name = "As played"]
    AsPlayed,
    #[id = "free"]
    #[name = "Free"]
    Free,
    #[id = "straight"]
    #[name = "Sixteenths"]
    Straight,
    #[id = "triplets"]
    #[name = "Triplets"]
    Triplets,
}

/// When the metronome is heard.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clicks {
    /// Never.
    #[id = "off"]
    #[name = "Off"]
    Off,
    /// For a bar after the transport starts.
    #[id = "count-in"]
    #[name = "Count-in"]
    CountIn,
    /// On every beat.
    #[id = "on"]
    #[name = "On"]
    On,
}

/// When an answer gives way to the player.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Yield {
    #[id = "at-once"]
    #[name = "At once"]
    AtOnce,
    #[id = "next-beat"]
    #[name = "Next beat"]
    NextBeat,
}
