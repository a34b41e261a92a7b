//! Chords and keys in time: each beat is compared with all chords and each bar with all keys, and the path that fits
//! best is taken (Viterbi), a change having its price.

use super::Piece;
use crate::key;

/// A chord that sounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Chord {
    /// Its bar, counted from 0.
    pub bar: usize,
    /// Quarter notes into the bar.
    pub beat: f64,
    /// Pitch class of its root; 0 is C.
    pub root: usize,
    /// Its kind.
    pub kind: Kind,
}

/// Kinds of chords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Kind {
    Major,
    Minor,
    Diminished,
    Augmented,
    Seventh,
    MajorSeventh,
    MinorSeventh,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Major,
        Self::Minor,
        Self::Diminished,
        Self::Augmented,
        Self::Seventh,
        Self::MajorSeventh,
        Self::MinorSeventh,
    ];

    const fn steps(self) -> &'static [usize] {
        match self {
            Self::Major => &[0, 4, 7],
            Self::Minor => &[0, 3, 7],
            Self::Diminished => &[0, 3, 6],
            Self::Augmented => &[0, 4, 8],
            Self::Seventh => &[0, 4, 7, 10],
            Self::MajorSeventh => &[0, 4, 7, 11],
            Self::MinorSeventh => &[0, 3, 7, 10],
        }
    }

    /// What is written behind a root.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Major => "",
            Self::Minor => "m",
            Self::Diminished => "dim",
            Self::Augmented => "aug",
            Self::Seventh => "7",
            Self::MajorSeventh => "maj7",
            Self::MinorSeventh => "m7",
        }
    }

    /// What a chord must be better than a triad without being called so.
    const fn price(self) -> f64 {
        match self {
            Self::Major | Self::Minor => 0.0,
            Self::Diminished => 0.1,
            Self::Augmented => 0.2,
            Self::Seventh | Self::MajorSeventh | Self::MinorSeventh => 0.12,
        }
    }
}

/// All chords, root by root.
const CHORDS: usize = 12 * Kind::ALL.len();

/// What sounds in a beat.
struct Beat {
    bar: usize,
    at: f64,
    /// Share of each pitch class; all 0 where nothing sounds.
    share: [f64; 12],
    bass: Option<usize>,
    /// Price of a change here.
    price: f64,
}

/// The chords of a piece, without one that is told twice in a row.
pub fn chords(piece: &Piece) -> Vec<Chord> {
    let beats = beats(piece);
    let fits: Vec<Vec<f64>> =
        beats.iter().map(|beat| (0..CHORDS).map(|chord| fit(beat, chord)).collect()).collect();
    let prices: Vec<f64> = beats.iter().map(|beat| beat.price).collect();
    let mut found: Vec<(usize, Chord)> = Vec::new();
    for (beat, chord) in beats.iter().zip(best_path(&fits, &prices)) {
        let silent = beat.bass.is_none();
        if !silent && found.last().is_none_or(|(last, _)| *last != chord) {
            let (root, kind) = (chord / Kind::ALL.len(), Kind::ALL[chord % Kind::ALL.len()]);
            found.push((
                chord,
                Chord { bar: beat.bar, beat: beat.at - piece.bars[beat.bar].from, root, kind },
            ));
        }
    }
    found.into_iter().map(|(_, chord)| chord).collect()
}

fn beats(piece: &Piece) -> Vec<Beat> {
    let mut beats = Vec::new();
    for (index, bar) in piece.bars.iter().enumerate() {
        let compound = bar.meter.denominator >= 8 && bar.meter.numerator % 3 == 0;
        let step = if compound { 12.0 / f64::from(bar.meter.denominator) } else { 1.0 };
        let (mut at, mut count) = (bar.from, 0);
        while at < bar.to - 1e-6 {
            let price = if count == 0 {
                0.25
            } else if count % 2 == 0 {
                0.35
            } else {
                0.5
            };
            beats.push(Beat { bar: index, at, share: [0.0; 12], bass: None, price });
            at += step;
            count += 1;
        }
    }
    sounding(piece, &mut beats);
    // Broken chords, of which a beat has a part, are told by the beats around.
    let own: Vec<(usize, [f64; 12])> = beats.iter().map(|beat| (beat.bar, beat.share)).collect();
    for (index, beat) in beats.iter_mut().enumerate() {
        let part = beat.share.iter().filter(|share| **share > 0.0).count() < WHOLE;
        let near = [index.checked_sub(1), Some(index + 1)].into_iter().flatten();
        for (_, share) in near.filter_map(|at| own.get(at)).filter(|(bar, _)| part && *bar == beat.bar) {
            beat.share.iter_mut().zip(share).for_each(|(all, one)| *all += NEAR * one);
        }
        let sum: f64 = beat.share.iter().sum();
        if sum > 0.0 {
            beat.share.iter_mut().for_each(|share| *share /= sum);
        }
    }
    beats
}

/// So many pitch classes in a beat are a chord of their own.
const WHOLE: usize = 3;
/// How much the beats before and after one count, in its bar, where it has fewer.
const NEAR: f64 = 0.4;

/// How long each pitch class sounds in each beat, and what is lowest.
fn sounding(piece: &Piece, beats: &mut [Beat]) {
    let mut lowest = vec![u8::MAX; beats.len()];
    for note in piece.pitched() {
        let (from, to) = (note.at.0, note.at.0 + note.len.0);
        let first = beats.partition_point(|beat| beat.at <= from + 1e-6).saturating_sub(1);
        for index in first..beats.len() {
            let end = beats.get(index + 1).map_or(f64::INFINITY, |next| next.at);
            let shared = to.min(end) - from.max(beats[index].at);
            if beats[index].at >= to {
                break;
            }
            if shared < 0.05 {
                continue;
            }
            beats[index].share[usize::from(note.key.0 % 12)] += shared;
            if note.key.0 < lowest[index] {
                lowest[index] = note.key.0;
                beats[index].bass = Some(usize::from(note.key.0 % 12));
            }
        }
    }
}

/// How well a chord fits: what of it sounds, less what else does, less what of it is absent.
fn fit(beat: &Beat, chord: usize) -> f64 {
    let Some(bass) = beat.bass else { return 0.0 };
    let (root, kind) = (chord / Kind::ALL.len(), Kind::ALL[chord % Kind::ALL.len()]);
    let mut inside = 0.0;
    let mut absent = 0.0;
    for step in kind.steps() {
        let share = beat.share[(root + step) % 12];
        inside += share;
        if share < 0.02 {
            absent += if *step == 7 { 0.1 } else { 0.22 };
        }
    }
    let rooted = if bass == root { 0.15 } else { 0.0 };
    inside - 0.8 * (1.0 - inside) - absent + rooted - kind.price()
}

/// The path with the greatest sum, where a change costs what its place says.
fn best_path(fits: &[Vec<f64>], prices: &[f64]) -> Vec<usize> {
    let Some(first) = fits.first() else { return Vec::new() };
    let mut sums = first.clone();
    let mut from: Vec<Vec<usize>> = Vec::with_capacity(fits.len());
    for (fit, price) in fits.iter().zip(prices).skip(1) {
        let best = (0..sums.len()).max_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or(0);
        let come: Vec<usize> = (0..sums.len())
            .map(|state| if sums[state] >= sums[best] - price { state } else { best })
            .collect();
        let gain = |state: usize| {
            let before = come[state];
            sums[before] - if before == state { 0.0 } else { *price } + fit[state]
        };
        sums = (0..sums.len()).map(gain).collect();
        from.push(come);
    }
    let mut state = (0..sums.len()).max_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or(0);
    let mut path = vec![state];
    for come in from.iter().rev() {
        state = come[state];
        path.push(state);
    }
    path.reverse();
    path
}

/// A key: its tonic, and whether it is major.
pub type Tonality = (usize, bool);

/// Bars on either side that tell the key of one.
const AROUND: usize = 2;
/// What another key must be better, summed over bars.
const CHANGE: f64 = 2.5;

/// The keys of a piece: the bar where each begins, counted from 0. None for fewer than three pitched notes.
pub fn keys(piece: &Piece) -> Vec<(usize, Tonality)> {
    let mut weights = vec![[0.0_f64; 12]; piece.bars.len()];
    for note in piece.pitched() {
        weights[piece.bar(note.at.0)][usize::from(note.key.0 % 12)] += note.len.0.clamp(0.1, 4.0);
    }
    if piece.pitched().take(3).count() < 3 {
        return Vec::new();
    }
    let around = |bar: usize| {
        let near = &weights[bar.saturating_sub(AROUND)..(bar + AROUND + 1).min(weights.len())];
        let sum = |class: usize| near.iter().map(|one| one[class]).sum::<f64>();
        let all: [f64; 12] = std::array::from_fn(sum);
        (0..24).map(|key| key::likeness(&all, (key / 2, key % 2 == 0))).collect::<Vec<f64>>()
    };
    let fits: Vec<Vec<f64>> = (0..weights.len()).map(around).collect();
    let path = best_path(&fits, &vec![CHANGE; fits.len()]);
    let mut found: Vec<(usize, Tonality)> = Vec::new();
    for (bar, key) in path.into_iter().enumerate() {
        let key = (key / 2, key % 2 == 0);
        if found.last().is_none_or(|(_, last)| *last != key) {
            found.push((bar, key));
        }
    }
    found
}

/// A chord as a degree of a key: "I", "vi7", "bVII".
pub fn degree(chord: &Chord, (tonic, major): Tonality) -> String {
    const MAJOR: [&str; 12] = ["I", "bII", "II", "bIII", "III", "IV", "#IV", "V", "bVI", "VI", "bVII", "VII"];
    const MINOR: [&str; 12] = ["I", "bII", "II", "III", "#III", "IV", "#IV", "V", "VI", "#VI", "VII", "#VII"];
    let name = if major { MAJOR } else { MINOR }[(chord.root + 12 - tonic % 12) % 12];
    let lower = || name.replace('I', "i").replace('V', "v");
    match chord.kind {
        Kind::Major => name.into(),
        Kind::Minor => lower(),
        Kind::Diminished => lower() + "°",
        Kind::Augmented => format!("{name}+"),
        Kind::Seventh => format!("{name}7"),
        Kind::MajorSeventh => format!("{name}maj7"),
        Kind::MinorSeventh => lower() + "7",
    }
}

/// What comes again and again in a row, once; the row itself where nothing does.
pub fn cycle(row: &[String]) -> Vec<String> {
    let repeats = |period: usize| {
        let pairs = row.len() - period;
        let same = (0..pairs).filter(|at| row[*at] == row[at + period]).count();
        same * 10 >= pairs * 9
    };
    let period = (1..=row.len() / 2).find(|period| repeats(*period));
    row[..period.unwrap_or(row.len())].to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::made::*;
    use super::*;

    /// Chords in whole notes, root position, with a bass.
    fn played(roots: &[(u8, bool)], times: usize, up: u8) -> Vec<continuo_timeline::Note> {
        let mut notes = Vec::new();
        for bar in 0..roots.len() * times {
            let (root, major) = roots[bar % roots.len()];
            let at = 4.0 * bar as f64;
            notes.push(note(at, 4.0, 36 + up + root));
            for step in [0, if major { 4 } else { 3 }, 7] {
                notes.push(note(at, 4.0, 60 + up + root + step));
            }
        }
        notes
    }

    fn degrees(piece: &Piece, key: Tonality) -> Vec<String> {
        chords(piece).iter().map(|chord| degree(chord, key)).collect()
    }

    #[test]
    fn four_chords_again_and_again() {
        let song = [(0, true), (7, true), (9, false), (5, true)];
        for up in [0, 3, 7] {
            let piece = piece(played(&song, 4, up));
            let key = (usize::from(up), true);
            assert_eq!(cycle(&degrees(&piece, key)), ["I", "V", "vi", "IV"]);
            assert_eq!(keys(&piece), [(0, key)]);
        }
    }

    #[test]
    fn a_tune_over_chords_does_not_hide_them() {
        let mut notes = played(&[(0, true), (5, true), (7, true), (0, true)], 2, 0);
        for (step, key) in [72, 74, 76, 77, 77, 76, 74, 72, 74, 76, 77, 79, 76, 74, 72, 72].iter().enumerate()
        {
            notes.push(note(step as f64, 1.0, *key));
        }
        assert_eq!(degrees(&piece(notes), (0, true))[..4], ["I", "IV", "V", "I"]);
    }

    #[test]
    fn a_chord_may_change_with_each_beat() {
        let row = [(0, true), (5, true), (7, true), (0, true), (9, false), (2, false), (7, true), (0, true)];
        let mut notes = played(&row, 1, 0);
        notes.iter_mut().for_each(|one| *one = note(one.at.0 / 4.0, 1.0, one.key.0));
        assert_eq!(degrees(&piece(notes), (0, true)), ["I", "IV", "V", "I", "vi", "ii", "V", "I"]);
    }

    #[test]
    fn arpeggios_and_sevenths_are_chords() {
        let mut notes = Vec::new();
        for (bar, chord) in [[50, 57, 60, 65], [55, 59, 62, 65], [48, 55, 59, 64]].iter().enumerate() {
            for (step, key) in chord.iter().chain(chord).enumerate() {
                notes.push(note(4.0 * bar as f64 + 0.5 * step as f64, 0.5, *key));
            }
        }
        assert_eq!(degrees(&piece(notes), (0, true)), ["ii7", "V7", "Imaj7"]);
    }

    #[test]
    fn keys_change_where_they_do() {
        let mut notes = played(&[(0, true), (5, true), (7, true), (0, true)], 3, 0);
        let rest = played(&[(0, true), (5, true), (7, true), (0, true)], 3, 3);
        notes.extend(rest.into_iter().map(|one| note(one.at.0 + 48.0, one.len.0, one.key.0)));
        assert_eq!(keys(&piece(notes)), [(0, (0, true)), (12, (3, true))]);
    }

    #[test]
    fn a_row_that_repeats_is_told_once() {
        let row = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        assert_eq!(cycle(&row("I V I V I V")), ["I", "V"]);
        assert_eq!(cycle(&row("I IV V I")), ["I", "IV", "V", "I"]);
        assert!(cycle(&[]).is_empty());
    }
}
