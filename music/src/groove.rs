//! Where in a beat a player's notes fall, and where an answer's may.

use continuo_timeline::{Beats, Grid, Note};

/// How far a note may be from a place and still mean it, in beats: 25 ms at 120 BPM.
const NEAR: f64 = 0.05;
/// So many of the notes must be near a division's places for the player to mean it.
const SHARE: f64 = 0.85;

/// Ticks of a beat on which an answer's notes may begin, a bit each, or no limit. `bar` is a bar line.
pub fn phases(notes: &[Note], bar: Beats, ticks_per_beat: u32, grid: Grid) -> Option<u64> {
    if ticks_per_beat == 0 || ticks_per_beat > 64 || ticks_per_beat % 12 != 0 {
        return None;
    }
    let (straight, triplets) = (divided(ticks_per_beat, 4), divided(ticks_per_beat, 6));
    match grid {
        Grid::Free => None,
        Grid::Straight => Some(straight),
        Grid::Triplets => Some(triplets),
        Grid::AsPlayed => {
            let near = |parts: &[f64]| share(notes, bar, parts);
            match () {
                () if notes.is_empty() => None,
                () if near(&[4.0]) >= SHARE => Some(straight),
                () if near(&[6.0]) >= SHARE => Some(triplets),
                () if near(&[4.0, 6.0]) >= SHARE => Some(straight | triplets),
                () => None,
            }
        }
    }
}

fn divided(ticks_per_beat: u32, parts: u32) -> u64 {
    (0..parts).map(|part| 1_u64 << (part * ticks_per_beat / parts)).sum()
}

/// Share of the notes that are near a place of one of these divisions of the beat.
fn share(notes: &[Note], bar: Beats, divisions: &[f64]) -> f64 {
    let near = |at: f64, parts: f64| ((at * parts).round() / parts - at).abs() <= NEAR;
    let count =
        notes.iter().filter(|note| divisions.iter().any(|&parts| near(note.at.0 - bar.0, parts))).count();
    #[allow(clippy::cast_precision_loss)] // some hundred notes
    let share = count as f64 / notes.len().max(1) as f64;
    share
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Channel, Instrument, Key, Velocity};

    use super::*;

    fn played(onsets: &[f64]) -> Option<u64> {
        let note = |&at: &f64| Note {
            at: Beats(at + 8.0),
            len: Beats(0.2),
            key: Key(60),
            velocity: Velocity(80),
            instrument: Instrument(0),
            channel: Channel(0),
        };
        phases(&onsets.iter().map(note).collect::<Vec<_>>(), Beats(8.0), 48, Grid::AsPlayed)
    }

    #[test]
    fn an_answer_keeps_the_division_that_was_played() {
        assert_eq!(played(&[0.01, 0.5, 0.74, 1.0, 1.27, 2.0]), Some(1 | 1 << 12 | 1 << 24 | 1 << 36));
        assert_eq!(played(&[0.0, 0.667, 1.0, 1.66, 2.0, 2.34]), Some(divided(48, 6)));
        assert_eq!(played(&[0.0, 0.25, 0.667, 1.0, 1.66, 2.75]), Some(divided(48, 6) | divided(48, 4)));
        assert_eq!(played(&[0.09, 0.41, 0.58, 1.08, 1.9, 2.59]), None);
        assert_eq!(phases(&[], Beats(0.0), 48, Grid::Straight), Some(divided(48, 4)));
    }
}
