//! How fast a host is that says where it is but not how fast: from one position to the next.

use crate::units::Bpm;

/// What the positions of such a host say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moves {
    /// The song goes on.
    On,
    /// It is where it was, and has not been there for long: a part of a block, or a position that is rounded.
    Little,
    /// It stands.
    Not,
}

/// The positions that were told.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    /// The last position.
    last: Option<f64>,
    /// Samples since it was told first.
    since: f64,
    /// Beats and the samples they took, of the stretch before this one and of this one.
    stretches: [(f64, f64); 2],
    tempo: Option<Bpm>,
}

/// A position that does not move for so many seconds stands: more than any block.
const STILL: f64 = 0.25;
/// Tempo is averaged over one to two stretches of so many seconds: some hosts round their positions.
const STRETCH: f64 = 0.25;
/// What is faster than the pulse by this factor, or slower, is a jump.
const FACTOR: f64 = 2.0;

impl Pulse {
    /// The host says its tempo, or does not say where it is. Realtime: yes.
    pub fn rest(&mut self, told: Option<Bpm>) {
        self.tempo = told.or(self.tempo);
        (self.last, self.since, self.stretches) = (None, 0.0, [(0.0, 0.0); 2]);
    }

    /// Time passes. Realtime: yes.
    pub fn advance(&mut self, samples: u32) {
        self.since += f64::from(samples);
    }

    /// The tempo, once one was told or two positions are known. Realtime: yes.
    pub fn tempo(&self) -> Option<Bpm> {
        self.tempo
    }

    /// The host rolls and is at `song`. `rate` in samples a second. Realtime: yes.
    pub fn hear(&mut self, song: f64, rate: f64) -> Moves {
        let Some(last) = self.last else {
            self.last = Some(song);
            self.since = 0.0;
            return Moves::On;
        };
        if libm::fabs(song - last) < 1e-12 {
            return if self.since > STILL * rate { Moves::Not } else { Moves::Little };
        }
        let (beats, samples) = (song - last, core::mem::take(&mut self.since));
        self.last = Some(song);
        let tempo = beats * 60.0 * rate / samples;
        let known = self.stretches.iter().any(|(_, samples)| *samples > 0.0);
        let like = |before: Bpm| (before.0 / FACTOR..before.0 * FACTOR).contains(&tempo);
        if !(5.0..=1000.0).contains(&tempo) || known && !self.tempo.is_none_or(like) {
            self.stretches = [(0.0, 0.0); 2];
            return Moves::On;
        }
        self.count(beats, samples, rate);
        Moves::On
    }

    fn count(&mut self, beats: f64, samples: f64, rate: f64) {
        let [before, now] = &mut self.stretches;
        *now = (now.0 + beats, now.1 + samples);
        self.tempo = Some(Bpm((before.0 + now.0) * 60.0 * rate / (before.1 + now.1)));
        if now.1 >= STRETCH * rate {
            *before = core::mem::take(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions of a host at a tempo, a block apart, rounded to so many parts of a beat.
    fn told(pulse: &mut Pulse, from: f64, tempo: f64, block: u32, blocks: u32, parts: f64) {
        for number in 0..blocks {
            let song = from + f64::from(number * block) * tempo / 60.0 / 48_000.0;
            pulse.hear((song * parts).floor() / parts, 48_000.0);
            pulse.advance(block);
        }
    }

    #[test]
    fn positions_say_how_fast() {
        for (tempo, block) in [(60.0, 4096), (93.7, 512), (240.0, 32)] {
            let mut pulse = Pulse::default();
            told(&mut pulse, 3.0, tempo, block, 2, 1e12);
            assert!((pulse.tempo().unwrap().0 - tempo).abs() < 1e-3, "{tempo}: {pulse:?}");
            // In ticks of 1920 to a beat.
            let mut pulse = Pulse::default();
            told(&mut pulse, 3.0, tempo, block, 100_000 / block, 1920.0);
            assert!((pulse.tempo().unwrap().0 - tempo).abs() < tempo / 100.0, "{tempo}: {pulse:?}");
        }
    }

    #[test]
    fn a_jump_is_no_tempo_and_another_tempo_is_found() {
        let mut pulse = Pulse::default();
        told(&mut pulse, 0.0, 60.0, 512, 50, 1e12);
        told(&mut pulse, 40.0, 60.0, 512, 2, 1e12);
        told(&mut pulse, 1.0, 60.0, 512, 2, 1e12);
        assert!((pulse.tempo().unwrap().0 - 60.0).abs() < 1e-3, "{pulse:?}");
        told(&mut pulse, 1.1, 180.0, 512, 3, 1e12);
        assert!((pulse.tempo().unwrap().0 - 180.0).abs() < 1e-3, "{pulse:?}");
    }

    #[test]
    fn a_position_that_does_not_move_stands_after_a_while() {
        let mut pulse = Pulse::default();
        let said: std::vec::Vec<Moves> = (0..5)
            .map(|_| {
                let said = pulse.hear(2.0, 48_000.0);
                pulse.advance(4096);
                said
            })
            .collect();
        assert_eq!(said, [Moves::On, Moves::Little, Moves::Little, Moves::Not, Moves::Not]);
        assert_eq!(pulse.hear(2.5, 48_000.0), Moves::On);
    }
}
