//! How much of a rhythm goes against its meter (after Longuet-Higgins and Lee, 1984).

use super::{Bar, Piece};

/// Parts of a quarter note that are told apart.
const PARTS: f64 = 4.0;

/// Of the onsets of each instrument, the share that begins on a weak place and is held over the next stronger one;
/// 0 to 1, and 0 for a piece without notes.
#[allow(clippy::cast_precision_loss)] // notes are thousands
pub fn syncopation(piece: &Piece) -> f64 {
    let mut instruments: Vec<u8> = piece.notes.iter().map(|note| note.instrument.0).collect();
    instruments.sort_unstable();
    instruments.dedup();
    let (mut against, mut all) = (0, 0);
    for instrument in instruments {
        let own = piece.notes.iter().filter(|note| note.instrument.0 == instrument);
        // The longest note of each onset; what is struck anew ends it.
        let mut onsets: Vec<(i64, f64)> = Vec::new();
        for note in own {
            let at = grid(note.at.0);
            match onsets.last_mut() {
                Some(last) if last.0 == at => last.1 = last.1.max(note.len.0),
                _ => onsets.push((at, note.len.0)),
            }
        }
        for (index, &(at, length)) in onsets.iter().enumerate() {
            let next = onsets.get(index + 1).map_or(i64::MAX, |(next, _)| *next);
            let end = next.min(at + (length * PARTS).floor().max(1.0) as i64);
            all += 1;
            against += usize::from((at + 1..end).any(|place| strength(piece, place) > strength(piece, at)));
        }
    }
    if all == 0 { 0.0 } else { against as f64 / all as f64 }
}

#[allow(clippy::cast_possible_truncation)] // a song is some thousands of beats long
fn grid(at: f64) -> i64 {
    (at * PARTS).round() as i64
}

/// How strong a place in its bar is: 0 a sixteenth, 1 an eighth, 2 a beat, 3 the middle of a bar, 4 its start.
#[allow(clippy::cast_precision_loss)] // as in grid
fn strength(piece: &Piece, place: i64) -> u8 {
    let at = place as f64 / PARTS;
    let Some(Bar { from, to, meter }) = piece.bars.get(piece.bar(at)).copied() else { return 0 };
    let (inside, length) = (at - from, to - from);
    let on = |step: f64| (inside / step - (inside / step).round()).abs() < 1e-6;
    let compound = meter.denominator >= 8 && meter.numerator % 3 == 0;
    let beat =
        if compound { 12.0 / f64::from(meter.denominator) } else { 4.0 / f64::from(meter.denominator) };
    let even = ((length / beat).round() / 2.0).fract() == 0.0;
    match () {
        () if inside.abs() < 1e-6 => 4,
        () if even && length / beat > 2.5 && (inside - length / 2.0).abs() < 1e-6 => 3,
        () if on(beat) => 2,
        () if on(0.5) => 1,
        () => 0,
    }
}

/// The word for a share.
pub fn level(share: f64) -> &'static str {
    match share {
        little if little < 0.1 => "low",
        some if some < 0.3 => "medium",
        _ => "high",
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::*;
    use super::*;

    fn told(notes: &[(f64, f64)]) -> f64 {
        syncopation(&piece(notes.iter().map(|(at, len)| note(*at, *len, 60)).collect()))
    }

    #[test]
    fn what_goes_with_the_meter_is_no_syncopation() {
        assert_eq!(told(&(0..16).map(|at| (f64::from(at), 1.0)).collect::<Vec<_>>()), 0.0);
        assert_eq!(told(&(0..32).map(|at| (0.5 * f64::from(at), 0.5)).collect::<Vec<_>>()), 0.0);
        assert_eq!(told(&[]), 0.0);
    }

    #[test]
    fn what_is_held_over_a_beat_is_one() {
        // Off-beats held over the beats, all of them; then one of four.
        assert_eq!(told(&(0..8).map(|at| (0.5 + f64::from(at), 1.0)).collect::<Vec<_>>()), 1.0);
        assert_eq!(told(&[(0.0, 1.0), (1.0, 0.5), (1.5, 1.0), (3.0, 1.0)]), 0.25);
        assert_eq!((level(0.0), level(0.25), level(1.0)), ("low", "medium", "high"));
    }
}
