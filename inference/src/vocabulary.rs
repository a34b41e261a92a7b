//! The token numbers of the Anticipatory Music Transformer (Thickstun et al., arXiv 2306.08620, and its
//! reference package): a note is a triplet (onset, duration, note).

/// Onsets: `TIME + tick`.
pub const TIME: u32 = 0;
/// Ticks that an onset can say.
pub const MAX_TIME: u32 = 10_000;
/// Durations: `DUR + ticks`.
pub const DUR: u32 = TIME + MAX_TIME;
/// Ticks that a duration can say.
pub const MAX_DUR: u32 = 1_000;
/// Notes: `NOTE + 128 * instrument + key`; instrument 128 is the drum kit.
pub const NOTE: u32 = DUR + MAX_DUR;
/// Instruments times keys.
pub const MAX_NOTE: u32 = 129 * 128;
/// The note of a triplet that only lets time pass.
pub const REST: u32 = NOTE + MAX_NOTE;
/// A control token is an event token plus this.
pub const CONTROL_OFFSET: u32 = REST + 1;
/// Three of these separate sequences in training; never given to a model here.
pub const SEPARATOR: u32 = 55_025;
/// First token of a sequence without controls.
pub const AUTOREGRESS: u32 = 55_026;
/// First token of a sequence with controls.
pub const ANTICIPATE: u32 = 55_027;
/// Rows of the vocabulary.
pub const VOCABULARY: u32 = 55_028;
/// Controls stand this many ticks ahead of the events they belong to.
pub const DELTA: i32 = 500;
/// Silence longer than this many ticks is broken by a REST.
pub const REST_EVERY: i32 = 100;
