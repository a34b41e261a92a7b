//! Where in the song each stretch of the line lay: what was played before a seek or in another round of a loop has its
//! place there.

use std::collections::VecDeque;

use continuo_timeline::{Beats, Tick};

/// Stretches that are remembered.
const MOST: usize = 256;
/// Places that differ by less are one, in beats.
const SAME: f64 = 0.02;
/// A host may be so late, in beats: a block.
const LATE: f64 = 1.0;

/// The stretches, the newest last.
#[derive(Debug, Default)]
pub struct Trail {
    /// Where each begins on the line, and what is added there to come to the song.
    stretches: VecDeque<(f64, f64)>,
    /// Where on the line the host's loop comes round next, and how long it is.
    wrap: Option<(f64, f64)>,
}

impl Trail {
    /// The music goes on.
    pub fn follow(&mut self, tick: &Tick) {
        let shift = tick.song.0 - tick.at.0;
        let before = self.wrap;
        let coming = tick.wrap.map(|(at, length)| (at.0, length.0)).filter(|(_, length)| *length > 0.0);
        // A host may tell of its loop's end a little after it.
        let reached = |(at, _): &(f64, f64)| (0.0..LATE).contains(&(tick.at.0 - at + SAME));
        self.wrap = coming.or(before.filter(reached));
        let Some((_, last)) = self.stretches.back_mut() else {
            return self.stretches.push_back((tick.at.0, shift));
        };
        if (*last - shift).abs() < SAME {
            *last = shift;
            return;
        }
        let round = before.filter(|one| reached(one) && (*last - one.1 - shift).abs() < SAME);
        let from = round.map_or(tick.at.0, |(at, _)| at.min(tick.at.0));
        if self.stretches.len() == MOST {
            self.stretches.pop_front();
        }
        self.stretches.push_back((from, shift));
    }

    /// The song position of a place on the line, past or to come.
    pub fn song(&self, at: Beats) -> Beats {
        let reached = self.stretches.iter().rev().find(|(from, _)| *from <= at.0 + 1e-6);
        let Some((from, shift)) = reached.or(self.stretches.front()) else { return at };
        let newest = self.stretches.back().is_some_and(|(last, _)| last == from);
        match self.wrap.filter(|(wrap, _)| newest && at.0 > wrap - 1e-6) {
            Some((wrap, length)) => {
                Beats(at.0 + shift - (((at.0 - wrap + 1e-6) / length).floor() + 1.0) * length)
            }
            None => Beats(at.0 + shift),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::tests::grid_point;

    fn near(trail: &Trail, places: &[(f64, f64)]) {
        for (at, song) in places {
            assert!((trail.song(Beats(*at)).0 - song).abs() < 1e-6, "{at} is {:?}", trail.song(Beats(*at)));
        }
    }

    #[test]
    fn a_loop_is_followed_ahead_and_back() {
        let mut trail = Trail::default();
        near(&trail, &[(3.0, 3.0)]);
        // The line is ten beats ahead of the song, which loops from 4 to 8.
        for step in 0..48 {
            let at = 14.0 + f64::from(step) / 24.0;
            trail.follow(&grid_point(at, at - 10.0, Some((18.0, 4.0))));
        }
        near(&trail, &[(14.5, 4.5), (17.9, 7.9), (18.0, 4.0), (21.5, 7.5), (22.5, 4.5)]);
        // The host comes round within a block: it is told of late.
        trail.follow(&grid_point(18.0, 8.0, None));
        near(&trail, &[(18.0, 4.0)]);
        trail.follow(&grid_point(18.0 + 1.0 / 24.0, 4.0 + 1.0 / 24.0, Some((22.0, 4.0))));
        near(&trail, &[(14.5, 4.5), (17.9, 7.9), (18.0, 4.0), (18.5, 4.5), (22.5, 4.5)]);
    }

    #[test]
    fn what_was_before_a_seek_stays_where_it_was() {
        let mut trail = Trail::default();
        trail.follow(&grid_point(2.0, 2.0, None));
        trail.follow(&grid_point(6.5, 64.5, None));
        near(&trail, &[(2.5, 2.5), (6.0, 6.0), (6.5, 64.5), (8.0, 66.0), (1.0, 1.0)]);
    }
}
