//! From the tempo of one section to that of the next, over the bars of a bridge.

use continuo_timeline::{Beats, Bpm};

/// Most bars of a bridge.
const MOST: u8 = 64;
/// Most steps from one tempo to the other.
const STEPS: f64 = 256.0;

/// Where a bridge comes from, and where it goes.
pub struct Ramp {
    /// Tempo before it.
    pub from: Bpm,
    /// Tempo after it.
    pub to: Bpm,
    /// A bar of it.
    pub bar: Beats,
}

impl Ramp {
    /// Whether the tempo stays.
    pub fn is_level(&self) -> bool {
        (self.from.0 - self.to.0).abs() <= 0.01
    }

    /// A step of tempo each beat of so many bars, or fewer in many beats; counted from the first.
    pub fn steps(&self, bars: f64) -> Vec<(Beats, Bpm)> {
        let beats = bars * self.bar.0;
        let tempo = |at: f64| Bpm(self.from.0 + (self.to.0 - self.from.0) * at / beats);
        let size = (beats / STEPS).max(1.0);
        let places = std::iter::successors(Some(0.0), |at| Some(at + size));
        places.take_while(|at| *at < beats - 1e-6).map(|at| (Beats(at), tempo(at))).collect()
    }

    /// How long so many bars last.
    pub fn seconds(&self, bars: f64) -> f64 {
        let steps = self.steps(bars);
        let ends = steps.iter().skip(1).map(|(at, _)| at.0).chain([bars * self.bar.0]);
        steps.iter().zip(ends).map(|((at, tempo), end)| (end - at.0) * 60.0 / tempo.0).sum()
    }

    /// The bars whose length is nearest to so many seconds; of two the more.
    pub fn bars(&self, seconds: f64) -> f64 {
        let miss = |bars: &f64| (self.seconds(*bars) - seconds).abs();
        (1..=MOST).rev().map(f64::from).min_by(|a, b| miss(a).total_cmp(&miss(b))).unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_counted_at_the_tempos_that_they_have() {
        let ramp = |from, to| Ramp { from: Bpm(from), to: Bpm(to), bar: Beats(4.0) };
        assert_eq!((ramp(120.0, 120.0).bars(30.0), ramp(60.0, 60.0).bars(30.0)), (15.0, 8.0));
        // A beat lasts longer and longer: 60 / 120, ..., 60 / 61.4 s.
        let slower = ramp(120.0, 60.0);
        assert_eq!(slower.bars(30.0), 11.0);
        assert!((slower.seconds(11.0) - 30.0).abs() < 1.0, "{}", slower.seconds(11.0));
        assert_eq!((slower.bars(0.0), slower.bars(1e6)), (1.0, 64.0));
    }
}
