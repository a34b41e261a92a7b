//! Figures of the highest voice that come again, at any height.

use std::collections::HashMap;

use continuo_timeline::Note;

use super::Piece;

/// Notes of a figure.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=8;
/// How often it must come.
const OFTEN: usize = 3;
/// Most figures that are told.
const MOST: usize = 8;
/// A rest or a held note longer than this, in quarter notes, is no part of a figure.
const LONGEST: f64 = 4.0;

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Motif {
    /// Keys where it comes first.
    pub keys: Vec<u8>,
    /// Where it begins, in quarter notes.
    pub places: Vec<f64>,
}

/// A figure as it is compared: intervals, and times between onsets in eighths of a quarter note.
type Shape = Vec<(i16, i16)>;

/// Figures that come at least three times, the most telling first: long, and often.
pub fn motifs(piece: &Piece) -> Vec<Motif> {
    let melody = piece.melody();
    let mut found: Vec<(usize, usize, Vec<usize>)> =
        LENGTHS.flat_map(|length| repeated(&melody, length)).collect();
    // What is told first is longer, then earlier, so that the order is always the same.
    found.sort_by_key(|(score, length, places)| {
        (std::cmp::Reverse(*score), std::cmp::Reverse(*length), places[0])
    });
    let mut told = vec![false; melody.len()];
    let mut motifs = Vec::new();
    for (_, length, places) in found {
        let notes: Vec<usize> = places.iter().flat_map(|place| *place..place + length).collect();
        let known = notes.iter().filter(|at| told[**at]).count();
        if known * 2 >= notes.len() {
            continue;
        }
        notes.into_iter().for_each(|at| told[at] = true);
        let keys = melody[places[0]..places[0] + length].iter().map(|note| note.key.0).collect();
        motifs.push(Motif { keys, places: places.iter().map(|place| melody[*place].at.0).collect() });
        if motifs.len() == MOST {
            break;
        }
    }
    motifs
}

/// Shapes of one length that come often: how telling, how long, where.
fn repeated(melody: &[Note], length: usize) -> Vec<(usize, usize, Vec<usize>)> {
    let mut places: HashMap<Shape, Vec<usize>> = HashMap::new();
    for (at, notes) in melody.windows(length).enumerate() {
        let Some(shape) = shape(notes) else { continue };
        let list = places.entry(shape).or_default();
        // Those that overlap are counted once.
        if list.last().is_none_or(|last| last + length <= at) {
            list.push(at);
        }
    }
    let often = places.into_values().filter(|places| places.len() >= OFTEN);
    often.map(|places| ((places.len() - 1) * (length - 1), length, places)).collect()
}

/// The shape of some notes, unless they are broken by a rest or only one key is repeated.
#[allow(clippy::cast_possible_truncation)] // within a few quarter notes
fn shape(notes: &[Note]) -> Option<Shape> {
    let step = |pair: &[Note]| {
        let time = pair[1].at.0 - pair[0].at.0;
        let interval = i16::from(pair[1].key.0) - i16::from(pair[0].key.0);
        (time <= LONGEST).then_some((interval, (8.0 * time).round() as i16))
    };
    let shape: Shape = notes.windows(2).map(step).collect::<Option<_>>()?;
    shape.iter().any(|(interval, _)| *interval != 0).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::super::made::*;
    use super::*;

    #[test]
    fn a_figure_that_was_planted_is_found() {
        // Six bars of chance in sixteenths of a grid, and five times the figure, once higher.
        let (mut seed, mut notes) = (7, Vec::new());
        let figure = [(0.0, 0), (0.5, 4), (1.0, 7), (2.5, 5)];
        for bar in 0..10 {
            let start = 4.0 * f64::from(bar);
            if bar % 2 == 0 {
                let up = if bar == 4 { 3 } else { 0 };
                notes.extend(figure.map(|(at, step)| note(start + at, 0.5, 60 + up + step)));
            } else {
                let mut at = 0.0;
                while at < 4.0 {
                    notes.push(note(start + at, 0.25, 50 + (chance(&mut seed) % 31) as u8));
                    at += 0.25 + (chance(&mut seed) % 4) as f64 / 8.0;
                }
            }
        }
        let found = motifs(&piece(notes));
        assert_eq!(found[0].keys, [60, 64, 67, 65]);
        assert_eq!(found[0].places, [0.0, 8.0, 16.0, 24.0, 32.0]);
    }

    #[test]
    fn one_key_again_and_again_is_no_figure() {
        assert!(motifs(&piece((0..40).map(|at| note(f64::from(at), 1.0, 60)).collect())).is_empty());
        assert!(motifs(&piece(Vec::new())).is_empty());
    }
}
