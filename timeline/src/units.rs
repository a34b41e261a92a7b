//! Numbers with a unit. Conversions live here and nowhere else; the sample rate is always an argument.

/// A position or a length in quarter notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Beats(pub f64);

/// Quarter notes a minute.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Bpm(pub f64);

/// An offset in samples from the start of the block being processed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame(pub u32);

/// A MIDI key, 0 to 127; 60 is middle C.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u8);

/// A MIDI velocity, 1 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Velocity(pub u8);

/// A MIDI channel counted from 0; drums are on 9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u8);

/// A General MIDI program, 0 to 127, or 128 for the drum kit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instrument(pub u8);

/// Counts the lives of a plan: a seek, a stop, or a player who comes back in starts a new one, and what was
/// planned in an older one dies unheard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u32);

/// Beats in a bar and the note value that a beat of the signature stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Numerator of the time signature, 1 to 64.
    pub numerator: u8,
    /// Denominator of the time signature: 1, 2, 4, 8, 16 or 32.
    pub denominator: u8,
}

impl Instrument {
    /// The drum kit.
    pub const DRUMS: Self = Self(128);

    /// Whether this is the drum kit.
    pub const fn is_drums(self) -> bool {
        self.0 == 128
    }
}

impl Meter {
    /// Four quarter notes a bar.
    pub const COMMON: Self = Self { numerator: 4, denominator: 4 };

    /// Length of a bar in quarter notes.
    pub fn bar(self) -> Beats {
        Beats(4.0 * f64::from(self.numerator.max(1)) / f64::from(self.denominator.max(1)))
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::COMMON
    }
}

impl Bpm {
    /// Quarter notes that pass in one sample at `rate` samples a second.
    pub fn beats_per_sample(self, rate: f64) -> f64 {
        self.0 / (60.0 * rate)
    }
}

impl core::ops::Add for Beats {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl core::ops::Sub for Beats {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}
