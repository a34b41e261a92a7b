//! When to plan anew what is played together with the player.

use continuo_timeline::{Beats, Tick};

/// What has been heard since the last plan.
#[derive(Default)]
pub struct Along {
    /// Onset of the player's last note.
    last: Option<Beats>,
    /// Notes of the player since the last plan.
    fresh: u32,
    /// When the last plan was made.
    planned: Option<Beats>,
}

/// Plans are at least so many beats apart.
const APART: f64 = 0.5;
/// Without notes of the player they are so many beats apart.
const RENEWED: f64 = 2.0;
/// A player who is silent for so many beats is followed no longer.
const PATIENCE: f64 = 6.0;

impl Along {
    /// The player strikes a key.
    pub fn heard(&mut self, at: Beats) {
        self.last = Some(at);
        self.fresh += 1;
    }

    /// What was planned is void: the next plan is due at once.
    pub fn plan_anew(&mut self) {
        self.planned = None;
    }

    /// Where a new plan begins, if one is due at this tick: `committed` beats ahead. What is known beforehand lasts
    /// until `known`.
    pub fn replan(&mut self, tick: &Tick, committed: f64, known: f64) -> Option<Beats> {
        let since = self.planned.map_or(f64::INFINITY, |planned| tick.at.0 - planned.0);
        let followed = self.last.is_some_and(|last| tick.at.0 - last.0 <= PATIENCE) || known > tick.at.0;
        let due = if self.fresh > 0 { APART } else { RENEWED };
        // A line that went on by a jump leaves an older plan far behind.
        if !followed || since.abs() < due - 1e-6 {
            return None;
        }
        self.planned = Some(tick.at);
        self.fresh = 0;
        Some(Beats(((tick.at.0 + committed) * 24.0 - 1e-6).ceil() / 24.0))
    }
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Bpm, Epoch, Meter};

    use super::*;

    fn tick(at: f64) -> Tick {
        let (at, bar) = (Beats(at), Beats(0.0));
        let (meter, tempo, epoch) = (Meter::COMMON, Bpm(120.0), Epoch(0));
        Tick { at, song: at, bar, wrap: None, meter, tempo, playing: true, offline: false, epoch }
    }

    #[test]
    fn plans_follow_the_player_and_end_with_him() {
        let mut along = Along::default();
        let none = f64::NEG_INFINITY;
        assert_eq!(along.replan(&tick(0.0), 0.5, none), None);
        along.heard(Beats(1.0));
        assert_eq!(along.replan(&tick(1.0), 0.5, none), Some(Beats(1.5)));
        along.heard(Beats(1.25));
        assert_eq!(along.replan(&tick(1.25), 0.5, none), None);
        assert_eq!(along.replan(&tick(1.5), 0.5, none), Some(Beats(2.0)));
        assert_eq!(along.replan(&tick(2.5), 0.5, none), None);
        assert_eq!(along.replan(&tick(3.5), 0.5, none), Some(Beats(4.0)));
        assert_eq!(along.replan(&tick(9.0), 0.5, none), None);
        assert_eq!(along.replan(&tick(9.0), 0.5, 12.0), Some(Beats(9.5)));
        assert_eq!(along.replan(&tick(10.0), 0.5, 12.0), None);
        along.plan_anew();
        assert_eq!(along.replan(&tick(10.0), 0.5, 12.0), Some(Beats(10.5)));
    }
}
