//! What can be told about a piece: its form, figures that come again, harmony, rhythm.
//!
//! ```text
//! notes, time signatures ─▶ Piece: bars ─▶ form (sections) · motifs · harmony (chords, keys) · rhythm (syncopation)
//! ```

pub mod form;
pub mod harmony;
pub mod motifs;
pub mod rhythm;

use continuo_timeline::{Beats, Meter, Note};

/// What still sounds for no longer than this, in quarter notes, is legato, and hides nothing.
const OVERLAP: f64 = 0.25;

/// Bars that are looked at; what comes after them is not.
pub const MOST_BARS: usize = 512;

/// Notes in bars.
pub struct Piece {
    /// By onset; drums are kept.
    pub notes: Vec<Note>,
    /// From the start of the piece to the end of its last note.
    pub bars: Vec<Bar>,
}

/// A bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Where it begins, in quarter notes.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Its time signature.
    pub meter: Meter,
}

impl Piece {
    /// Of notes by onset; the first time signature is at 0, and each begins a bar.
    pub fn new(notes: &[Note], meters: &[(Beats, Meter)]) -> Self {
        let end = notes.iter().map(|note| note.at.0 + note.len.0).fold(0.0, f64::max);
        let mut bars = Vec::new();
        let mut at = 0.0;
        while at < end - 1e-6 && bars.len() < MOST_BARS {
            let turned = meters.iter().take_while(|(from, _)| from.0 <= at + 1e-6).last();
            let meter = turned.map_or(Meter::COMMON, |(_, meter)| *meter);
            let next = meters.iter().map(|(from, _)| from.0).find(|from| *from > at + 1e-6);
            let to = (at + meter.bar().0).min(next.unwrap_or(f64::INFINITY));
            bars.push(Bar { from: at, to, meter });
            at = to;
        }
        let notes = notes.iter().filter(|note| note.at.0 < at).copied().collect();
        Self { notes, bars }
    }

    /// The bar of a place, counted from 0.
    pub fn bar(&self, at: f64) -> usize {
        self.bars.partition_point(|bar| bar.from <= at + 1e-6).saturating_sub(1)
    }

    /// Notes that are no drums.
    pub fn pitched(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|note| !note.instrument.is_drums())
    }

    /// The highest voice: of the pitched notes on an onset the highest, unless a higher one still sounds.
    pub fn melody(&self) -> Vec<Note> {
        let mut found: Vec<Note> = Vec::new();
        for note in self.pitched() {
            match found.last_mut() {
                Some(last) if (note.at.0 - last.at.0).abs() < 0.03 => {
                    if note.key > last.key {
                        *last = *note;
                    }
                }
                Some(last) if last.at.0 + last.len.0 > note.at.0 + OVERLAP && last.key > note.key => {}
                _ => found.push(*note),
            }
        }
        found
    }
}

#[cfg(test)]
pub(crate) mod made {
    //! Pieces that are made, so that their answers are known.

    use continuo_timeline::{Beats, Channel, Instrument, Key, Meter, Note, Velocity};

    use super::Piece;

    /// A note of the piano.
    pub fn note(at: f64, len: f64, key: u8) -> Note {
        Note {
            at: Beats(at),
            len: Beats(len),
            key: Key(key),
            velocity: Velocity(80),
            instrument: Instrument(0),
            channel: Channel(0),
        }
    }

    /// In four quarters.
    pub fn piece(mut notes: Vec<Note>) -> Piece {
        notes.sort_by(|a, b| a.at.0.total_cmp(&b.at.0).then(a.key.cmp(&b.key)));
        Piece::new(&notes, &[(Beats(0.0), Meter::COMMON)])
    }

    /// Numbers that look like chance, the same each time.
    pub fn chance(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }
}

#[cfg(test)]
mod tests {
    use super::made::*;
    use super::*;

    #[test]
    fn bars_follow_their_time_signatures() {
        let waltz = Meter { numerator: 3, denominator: 4 };
        let notes: Vec<Note> = (0..14).map(|beat| note(f64::from(beat), 1.0, 60)).collect();
        let piece = Piece::new(&notes, &[(Beats(0.0), Meter::COMMON), (Beats(8.0), waltz)]);
        assert_eq!(piece.bars.iter().map(|bar| bar.from).collect::<Vec<_>>(), [0.0, 4.0, 8.0, 11.0]);
        assert_eq!((piece.bar(7.9), piece.bar(8.0), piece.bar(99.0)), (1, 2, 3));
    }

    #[test]
    fn the_melody_is_what_is_highest() {
        let piece =
            piece(vec![note(0.0, 2.0, 72), note(0.0, 1.0, 60), note(1.0, 1.0, 62), note(2.0, 1.0, 65)]);
        assert_eq!(piece.melody().iter().map(|note| note.key.0).collect::<Vec<_>>(), [72, 65]);
    }
}
