//! What a player forbids: acts on the choice of tokens, so that the model finds something else instead.

use continuo_timeline::{Instrument, Key};

/// Limits of an answer's notes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constraints {
    /// How many notes are wanted against what the model would play, about 0.25 to 4; 1 leaves it alone.
    pub density: f32,
    /// Ticks of a beat on which notes may begin, a bit each; for models in musical time of at most 64 ticks a beat.
    pub phases: Option<u64>,
    /// Lowest and highest key of what is not a drum.
    pub keys: (u8, u8),
    /// Pitch classes of what is not a drum, a bit each, C lowest.
    pub scale: u16,
    /// Nats that an instrument of several gains for each beat that it has been silent, beyond the first; 0 leaves it to the
    /// model who plays.
    pub balance: f32,
}

impl Default for Constraints {
    fn default() -> Self {
        Self { density: 1.0, phases: None, keys: (0, 127), scale: ALL, balance: 0.0 }
    }
}

/// All pitch classes.
const ALL: u16 = 0xFFF;

/// An instrument that was silent for so many beats gains no more.
const SILENT: f32 = 8.0;

/// Nats that a beat of waiting costs or gains for each e-fold of density.
const DENSITY_PER_BEAT: f32 = 5.0;

impl Constraints {
    /// The same, or without limits of keys where those would forbid every key.
    pub(crate) fn possible(self) -> Self {
        let any = (0..128).any(|key| self.allows(Instrument(0), Key(key)));
        if any { self } else { Self { keys: (0, 127), scale: ALL, ..self } }
    }

    /// Whether an instrument may play a key.
    pub(crate) fn allows(&self, instrument: Instrument, key: Key) -> bool {
        let inside = (self.keys.0..=self.keys.1).contains(&key.0);
        instrument.is_drums() || inside && self.scale >> (key.0 % 12) & 1 == 1
    }

    /// What an instrument gains that has been silent for so many beats.
    pub(crate) fn turn(&self, beats: f32) -> f32 {
        if self.balance > 0.0 { self.balance.min(2.0) * (beats - 1.0).clamp(0.0, SILENT) } else { 0.0 }
    }

    /// Whether a note may begin at a tick, where a beat has so many.
    pub(crate) fn allows_onset(&self, tick: i32, beat: i32) -> bool {
        let bit = tick.checked_rem_euclid(beat).and_then(|phase| u32::try_from(phase).ok());
        match (self.phases, bit) {
            (Some(phases), Some(bit)) => phases.checked_shr(bit).unwrap_or(1) & 1 == 1,
            _ => true,
        }
    }

    /// What is added to the logits of these onsets; nothing where nothing is asked. `rest` may always begin.
    pub(crate) fn onset_bias(
        &self,
        onsets: impl Iterator<Item = i32>,
        now: i32,
        beat: i32,
        rest: i32,
    ) -> Vec<f32> {
        let log = if (0.01..=100.0).contains(&self.density) { self.density.ln() } else { 0.0 };
        if log.abs() < 1e-6 && self.phases.is_none() {
            return Vec::new();
        }
        #[allow(clippy::cast_precision_loss)] // two beats at most
        let beats = |tick: i32| (tick - now).clamp(0, 2 * beat) as f32 / beat.max(1) as f32;
        let onsets: Vec<i32> = onsets.collect();
        let any = onsets.iter().any(|&tick| self.allows_onset(tick, beat));
        let closed = |tick: i32| any && tick != rest && !self.allows_onset(tick, beat);
        let lean =
            |tick: i32| if closed(tick) { f32::NEG_INFINITY } else { -log * DENSITY_PER_BEAT * beats(tick) };
        onsets.into_iter().map(lean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_onsets_are_out_unless_all_are() {
        let sixteenths =
            Constraints { phases: Some(1 | 1 << 12 | 1 << 24 | 1 << 36), ..Constraints::default() };
        let bias = sixteenths.onset_bias(46..62, 46, 48, 55);
        let open: Vec<i32> = (46..62).zip(bias).filter(|(_, b)| b.is_finite()).map(|(t, _)| t).collect();
        assert_eq!(open, [48, 55, 60]);
        assert!(sixteenths.onset_bias(49..55, 46, 48, 200).iter().all(|b| b.is_finite()));
        assert!(Constraints::default().onset_bias(0..9, 0, 48, 8).is_empty());
    }

    #[test]
    fn keys_outside_are_out_but_never_all() {
        let narrow = Constraints { keys: (60, 64), scale: 1 << 0 | 1 << 4, ..Constraints::default() };
        let open: Vec<u8> = (0..128).filter(|&key| narrow.allows(Instrument(0), Key(key))).collect();
        assert_eq!(open, [60, 64]);
        assert!(narrow.allows(Instrument::DRUMS, Key(36)));
        let none = Constraints { keys: (70, 60), ..Constraints::default() }.possible();
        assert!(none.allows(Instrument(0), Key(0)));
    }
}
