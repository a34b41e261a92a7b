//! Sections of a piece: where what is heard changes (novelty after Foote, 2000), or where a stretch begins or ends
//! that comes again.

use super::Piece;

/// Bars that are called the same.
const SAME: f64 = 0.9;
/// Sections that have the same letter are so much alike, bar by bar.
const ALIKE: f64 = 0.78;
/// What a boundary must be worth.
const WORTH: f64 = 0.5;
/// What a section that is not of whole four bars is worth less.
const ODD: f64 = 0.04;
/// Bars on either side of a boundary that are compared.
const AROUND: usize = 4;

/// A section: bars from and to, counted from 0, and its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its first bar.
    pub from: usize,
    /// The bar after its last.
    pub to: usize,
    /// 0 for A, 1 for B.
    pub letter: usize,
}

/// How alike two bars are, 0 to 1.
struct Likeness(Vec<Vec<f64>>);

/// What is heard in a bar.
struct Heard {
    classes: [f64; 12],
    onsets: [f64; 16],
    notes: Vec<(u8, u8)>,
}

/// The sections of a piece, from its first bar with a note on; at least one where there are notes.
pub fn sections(piece: &Piece) -> Vec<Section> {
    let Some(first) = piece.notes.first().map(|note| piece.bar(note.at.0)) else { return Vec::new() };
    let alike = Likeness::of(piece, first);
    let bounds = bounds(&alike);
    let mut found: Vec<Section> = Vec::new();
    let mut letters = 0;
    for pair in bounds.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let before = found.iter().find(|one| alike.sections((one.from, one.to), (from, to)) >= ALIKE);
        let letter = before.map_or(letters, |one| one.letter);
        letters = letters.max(letter + 1);
        found.push(Section { from, to, letter });
    }
    let shift = |one: Section| Section { from: one.from + first, to: one.to + first, ..one };
    found.into_iter().map(shift).collect()
}

/// Letters in a row: "ABA".
pub fn name(sections: &[Section]) -> String {
    sections.iter().map(|one| letter(one.letter)).collect()
}

/// The letter of a number: A for 0; after Z the small ones, and then z again.
pub fn letter(number: usize) -> char {
    let letters = ('A'..='Z').chain('a'..='z');
    letters.clone().nth(number).unwrap_or('z')
}

impl Heard {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // places within a bar
    fn of(piece: &Piece, bar: usize) -> Self {
        let place = piece.bars[bar];
        let mut heard = Self { classes: [0.0; 12], onsets: [0.0; 16], notes: Vec::new() };
        let from = piece.notes.partition_point(|note| note.at.0 < place.from - 1e-6);
        let inside = piece.notes[from..].iter().take_while(|note| note.at.0 < place.to - 1e-6);
        for note in inside {
            let share = (note.at.0 - place.from).max(0.0) / (place.to - place.from);
            let at = ((share * 16.0).round() as usize).min(15);
            heard.onsets[at] += 1.0;
            if !note.instrument.is_drums() {
                heard.classes[usize::from(note.key.0 % 12)] += note.len.0.clamp(0.1, 4.0);
            }
            heard.notes.push((at as u8, note.key.0));
        }
        heard.notes.sort_unstable();
        heard.notes.dedup();
        heard
    }

    #[allow(clippy::cast_precision_loss)] // notes of a bar
    fn like(&self, other: &Self) -> f64 {
        match (self.notes.is_empty(), other.notes.is_empty()) {
            (true, true) => return 1.0,
            (true, false) | (false, true) => return 0.0,
            _ => {}
        }
        let both = self.notes.iter().filter(|note| other.notes.binary_search(note).is_ok()).count();
        let either = self.notes.len() + other.notes.len() - both;
        let same = both as f64 / either as f64;
        0.4 * cosine(&self.classes, &other.classes) + 0.25 * cosine(&self.onsets, &other.onsets) + 0.35 * same
    }
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let size = (dot(a, a) * dot(b, b)).sqrt();
    // Bars of drums alone have no classes, and agree in that.
    if size > 0.0 {
        dot(a, b) / size
    } else if dot(a, a) == dot(b, b) {
        1.0
    } else {
        0.0
    }
}

impl Likeness {
    fn of(piece: &Piece, first: usize) -> Self {
        let heard: Vec<Heard> = (first..piece.bars.len()).map(|bar| Heard::of(piece, bar)).collect();
        Self(heard.iter().map(|one| heard.iter().map(|other| one.like(other)).collect()).collect())
    }

    fn bars(&self) -> usize {
        self.0.len()
    }

    /// Of two sections, bar by bar from their starts; one of another length is another section.
    #[allow(clippy::cast_precision_loss)] // hundreds
    fn sections(&self, a: (usize, usize), b: (usize, usize)) -> f64 {
        let (long, short) = ((a.1 - a.0).max(b.1 - b.0), (a.1 - a.0).min(b.1 - b.0));
        if short * 4 < long * 3 {
            return 0.0;
        }
        (0..short).map(|bar| self.0[a.0 + bar][b.0 + bar]).sum::<f64>() / short as f64
    }

    #[allow(clippy::cast_precision_loss)] // hundreds
    fn mean(&self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> f64 {
        let count = rows.len() * columns.len();
        let sum: f64 = rows.map(|row| self.0[row][columns.clone()].iter().sum::<f64>()).sum();
        sum / count.max(1) as f64
    }

    /// How much what is heard changes at a bar line.
    #[allow(clippy::cast_precision_loss)] // a few bars
    fn novelty(&self, at: usize) -> f64 {
        let (before, after) = (at.saturating_sub(AROUND)..at, at..(at + AROUND).min(self.bars()));
        // A bar is like itself, which says nothing.
        let own = |bars: std::ops::Range<usize>| {
            let count = bars.len() as f64;
            if count < 2.0 { 1.0 } else { (self.mean(bars.clone(), bars) * count - 1.0) / (count - 1.0) }
        };
        let inside = (own(before.clone()) + own(after.clone())) / 2.0;
        (inside - self.mean(before, after)).max(0.0)
    }

    /// Votes of stretches that come again for where they begin and end.
    #[allow(clippy::cast_precision_loss)] // hundreds
    fn votes(&self) -> Vec<f64> {
        let bars = self.bars();
        let mut votes = vec![0.0; bars + 1];
        for lag in 2..bars {
            let mut from = 0;
            while from + lag < bars {
                let run = (from..bars - lag).take_while(|at| self.0[*at][at + lag] >= SAME).count();
                // What comes again sooner already is no stretch of this length.
                let sooner = (1..lag).any(|lag| (from..from + 2).all(|at| self.0[at][at + lag] >= SAME));
                if run >= 3 && !sooner {
                    let worth = run.min(8) as f64 / 8.0;
                    // A stretch that goes over into its own repetition has only a start and an end.
                    let places = if run > lag {
                        vec![from, from + lag + run]
                    } else {
                        vec![from, from + run, from + lag, from + lag + run]
                    };
                    places.into_iter().for_each(|place| votes[place] = f64::max(votes[place], worth));
                }
                from += run + 1;
            }
        }
        votes
    }
}

/// Where sections begin, and where the last ends: the set of bar lines that is worth most.
fn bounds(alike: &Likeness) -> Vec<usize> {
    let bars = alike.bars();
    let shortest = if bars >= 12 { 4 } else { 2 };
    let votes = alike.votes();
    let worth = |at: usize| (2.5 * alike.novelty(at)).min(1.0) + 0.6 * votes[at] - WORTH;
    let mut best = vec![(f64::NEG_INFINITY, 0); bars + 1];
    best[0] = (0.0, 0);
    for to in 1..=bars {
        let own = if to == bars { 0.0 } else { worth(to) };
        for from in 0..to {
            let length = to - from;
            if length < shortest && !(from == 0 && to == bars) {
                continue;
            }
            let odd = if length % 4 == 0 { 0.0 } else { ODD };
            let sum = best[from].0 + own - odd;
            if sum > best[to].0 {
                best[to] = (sum, from);
            }
        }
    }
    let mut found = vec![bars];
    while let Some(&at) = found.last().filter(|at| **at > 0) {
        found.push(best[at].1);
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use continuo_timeline::Note;

    use super::super::made::*;
    use super::*;

    /// So many bars of chance in one key and one kind of rhythm, the same for the same seed.
    fn part(seed: u64, bars: usize, tonic: u8, steps: &[f64]) -> Vec<Note> {
        let mut state = seed;
        let scale = [0, 2, 4, 5, 7, 9, 11];
        let mut notes = Vec::new();
        for bar in 0..bars {
            for step in steps {
                let key =
                    tonic + scale[(chance(&mut state) % 7) as usize] + 12 * (chance(&mut state) % 2) as u8;
                notes.push(note(4.0 * bar as f64 + step, 0.5, key));
            }
            notes.push(note(4.0 * bar as f64, 4.0, tonic - 24 + scale[(chance(&mut state) % 7) as usize]));
        }
        notes
    }

    fn formed(parts: &[(char, usize)]) -> Vec<Section> {
        let mut notes = Vec::new();
        let mut at = 0.0;
        for (letter, bars) in parts {
            let made = match letter {
                'A' => part(11, *bars, 60, &[0.0, 1.0, 2.0, 3.0]),
                'B' => part(23, *bars, 67, &[0.0, 0.5, 1.5, 2.0, 2.5, 3.5]),
                _ => part(31, *bars, 58, &[0.0, 1.5, 3.0, 3.25, 3.5]),
            };
            notes.extend(made.into_iter().map(|one| note(one.at.0 + at, one.len.0, one.key.0)));
            at += 4.0 * *bars as f64;
        }
        sections(&piece(notes))
    }

    #[test]
    fn forms_that_were_made_are_found() {
        for parts in [
            &[('A', 8), ('B', 8), ('A', 8)][..],
            &[('A', 8), ('A', 8), ('B', 8), ('A', 8)],
            &[('A', 4), ('B', 4), ('A', 4), ('C', 8)],
            &[('A', 8), ('B', 8), ('C', 8), ('B', 8)],
            &[('A', 6), ('B', 10), ('A', 6)],
        ] {
            let found = formed(parts);
            assert_eq!(name(&found), parts.iter().map(|part| part.0).collect::<String>(), "{found:?}");
            assert_eq!(
                found.iter().map(|one| one.to - one.from).collect::<Vec<_>>(),
                parts.iter().map(|part| part.1).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn what_never_changes_is_one_section() {
        let four = part(5, 1, 60, &[0.0, 1.0, 2.0, 3.0]);
        let all = (0..16).flat_map(|bar| {
            four.iter().map(move |one| note(one.at.0 + 4.0 * f64::from(bar), one.len.0, one.key.0))
        });
        assert_eq!(name(&sections(&piece(all.collect()))), "A");
        assert!(sections(&piece(Vec::new())).is_empty());
        assert_eq!(name(&sections(&piece(vec![note(0.0, 1.0, 60)]))), "A");
    }
}
