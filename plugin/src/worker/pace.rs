//! How long the model takes to its first note, and what follows: how far ahead a plan is committed, and how dense it
//! may be.

use std::collections::VecDeque;

use continuo_timeline::Tick;

/// Committed at least, in beats and in seconds.
const LEAST: (f64, f64) = (0.5, 0.2);
/// Committed at most, in beats.
const MOST: f64 = 8.0;
/// What is measured varies; so much more is taken.
const MARGIN: f64 = 1.25;
/// Times that are remembered.
const REMEMBERED: usize = 64;
/// A plan with less than this share of the horizon before it is about to run dry.
const DRY: f64 = 0.5;
/// How much less is played then, and never less than this in all.
const THINNER: f32 = 0.7;
const THINNEST: f32 = 0.3;
/// Most are three of four.
const MOST_IN_TIME: (usize, usize) = (3, 4);
/// With each answer so much comes back.
const RECOVERY: f32 = 1.25;

/// What was measured of this machine and model. Where the host waits (offline) nothing is measured, so that an answer is
/// the same on every machine.
#[derive(Debug)]
pub struct Pace {
    /// Whose they are.
    maker: String,
    waits: VecDeque<f64>,
    density: f32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { maker: String::new(), waits: VecDeque::new(), density: 1.0 }
    }
}

impl Pace {
    /// Who is measured from now on; what another was like says nothing of it.
    pub fn of(&mut self, maker: &str) {
        if self.maker != maker {
            *self = Self { maker: maker.to_owned(), ..Self::default() };
        }
    }

    /// The first note of an answer came so many seconds after it was asked for.
    pub fn waited(&mut self, seconds: f64) {
        if self.waits.len() == REMEMBERED {
            self.waits.pop_front();
        }
        self.waits.push_back(seconds.max(0.0));
    }

    /// 95 of 100 first notes came within so many seconds; 0 before the first.
    pub fn p95(&self) -> f64 {
        let mut sorted: Vec<f64> = self.waits.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((sorted.len() * 95).div_ceil(100).saturating_sub(1).min(last)).copied().unwrap_or(0.0)
    }

    /// Whether most first notes came within so many beats: what is asked for ahead of need would be there in time.
    pub fn keeps_up(&self, tick: &Tick, beats: f64) -> bool {
        let in_time = self.waits.iter().filter(|wait| **wait * tick.tempo.0 / 60.0 <= beats).count();
        self.density >= 1.0 && in_time * MOST_IN_TIME.1 >= self.waits.len() * MOST_IN_TIME.0
    }

    /// So many beats from a tick on are committed.
    pub fn horizon(&self, tick: &Tick) -> f64 {
        let measured = if tick.offline { 0.0 } else { MARGIN * self.p95() };
        LEAST.0.max(LEAST.1.max(measured) * tick.tempo.0 / 60.0).min(MOST)
    }

    /// How dense answers may be on this machine, 0.3 to 1.
    pub fn density(&self) -> f32 {
        self.density
    }

    /// Whether a plan that reaches so many beats ahead is to go on thinner: it is about to run dry.
    pub fn runs_dry(&mut self, ahead: f64, horizon: f64) -> bool {
        let dry = ahead < DRY * horizon && self.density > THINNEST;
        if dry {
            self.density = (self.density * THINNER).max(THINNEST);
        }
        dry
    }

    /// Another answer begins.
    pub fn recover(&mut self) {
        self.density = (self.density * RECOVERY).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Beats, Bpm, Epoch, Meter};

    use super::*;

    fn tick(tempo: f64, offline: bool) -> Tick {
        let (at, bar) = (Beats(0.0), Beats(0.0));
        let (meter, tempo, epoch) = (Meter::COMMON, Bpm(tempo), Epoch(0));
        Tick { at, song: at, bar, wrap: None, meter, tempo, playing: true, offline, epoch }
    }

    #[test]
    fn the_horizon_is_what_nineteen_of_twenty_notes_need() {
        let mut pace = Pace::default();
        assert!((pace.horizon(&tick(120.0, false)) - 0.5).abs() < 1e-9);
        assert!((pace.horizon(&tick(240.0, false)) - 0.8).abs() < 1e-9);
        (0..100).for_each(|_| pace.waited(0.05));
        assert!((pace.horizon(&tick(120.0, false)) - 0.5).abs() < 1e-9, "a quick machine changes nothing");
        (0..8).for_each(|_| pace.waited(0.8));
        assert!((pace.p95() - 0.8).abs() < 1e-9);
        assert!((pace.horizon(&tick(120.0, false)) - 2.0).abs() < 1e-9);
        assert!((pace.horizon(&tick(120.0, true)) - 0.5).abs() < 1e-9, "offline nothing is measured");
        // It shrinks again when the machine does better.
        (0..REMEMBERED).for_each(|_| pace.waited(0.01));
        assert!((pace.horizon(&tick(120.0, false)) - 0.5).abs() < 1e-9);
        pace.waited(1e9);
        assert!(pace.horizon(&tick(120.0, false)) <= MOST);
    }

    #[test]
    fn one_wait_in_a_hundred_moves_nothing() {
        let mut pace = Pace::default();
        (0..60).for_each(|_| pace.waited(0.02));
        pace.waited(3.0);
        assert!(pace.p95() < 0.03);
    }

    #[test]
    fn a_machine_keeps_up_that_is_mostly_in_time_and_plays_all_that_is_wanted() {
        let mut pace = Pace::default();
        assert!(pace.keeps_up(&tick(120.0, false), 0.5), "nothing was measured yet");
        [0.1, 0.1, 0.1, 0.9].into_iter().for_each(|seconds| pace.waited(seconds));
        assert!(pace.keeps_up(&tick(120.0, false), 0.5), "one of four");
        assert!(!pace.keeps_up(&tick(360.0, false), 0.5), "a tenth of a second is more than half a beat");
        pace.waited(0.3);
        assert!(!pace.keeps_up(&tick(120.0, false), 0.5), "two of five");
        let mut pace = Pace::default();
        assert!(pace.runs_dry(0.0, 1.0) && !pace.keeps_up(&tick(120.0, false), 0.5));
    }

    #[test]
    fn density_falls_before_the_plan_is_dry_and_comes_back() {
        let mut pace = Pace::default();
        assert!(!pace.runs_dry(1.0, 1.0));
        assert!(pace.runs_dry(0.4, 1.0) && (pace.density() - 0.7).abs() < 1e-6);
        let times = (0..20).filter(|_| pace.runs_dry(0.0, 1.0)).count();
        assert!(times < 6 && (pace.density() - THINNEST).abs() < 1e-6, "it never falls to nothing");
        (0..10).for_each(|_| pace.recover());
        assert!((pace.density() - 1.0).abs() < 1e-6);
    }
}
