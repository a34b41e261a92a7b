//! Velocity of an answer: the model has none, so it comes from what the player did: accents by their place in the
//! bar, what lies high, and the curve of a phrase.

use continuo_timeline::{Beats, Meter, Note, Velocity};

/// How loud a player played.
#[derive(Clone, Debug, PartialEq)]
pub struct Dynamics {
    mean: f64,
    /// Softest and loudest.
    range: (f64, f64),
    /// Mean key, and velocity for each semitone above it.
    middle: f64,
    lean: f64,
    /// Velocity over the mean at each sixteenth of the bar.
    accents: Vec<f64>,
    /// The same along a phrase, from its beginning to its end.
    curve: [f64; CURVE],
}

/// Parts of a phrase; the last is its end alone.
const CURVE: usize = 6;
/// The end of a phrase begins at this share of it.
const ENDING: f64 = 0.92;
/// Silence that parts phrases, in beats.
const APART: f64 = 1.0;
/// A phrase of fewer notes has no curve.
const SHORT: usize = 6;
/// So many notes count as much as what is usual.
const USUAL: f64 = 2.0;
/// Sixteenths of a bar that are told apart, at most.
const PLACES: usize = 64;
/// Sixteenths of a beat that is a quarter note, and of one that is three eighths.
const SIMPLE: usize = 4;
const COMPOUND: usize = 6;

impl Dynamics {
    /// Of a player's notes in order of onset; moderate where there are none. `bar` is a bar line; a beat of 6/8, 9/8 and
    /// 12/8 has three eighths.
    pub fn of(notes: &[Note], bar: Beats, meter: Meter) -> Self {
        let compound = meter.denominator == 8 && matches!(meter.numerator, 6 | 9 | 12);
        let (length, beat) = (meter.bar().0, if compound { COMPOUND } else { SIMPLE });
        let velocities: Vec<f64> = notes.iter().map(|note| f64::from(note.velocity.0)).collect();
        let keys: Vec<f64> = notes.iter().map(|note| f64::from(note.key.0)).collect();
        let (Some(loudness), Some(middle)) = (mean(&velocities), mean(&keys)) else {
            return Self::moderate(length, beat);
        };
        let spread = mean(&velocities.iter().map(|v| (v - loudness).powi(2)).collect::<Vec<_>>());
        let spread = spread.unwrap_or(0.0).sqrt().clamp(3.0, 20.0);
        let lean = lean(&velocities, &keys, loudness, middle, spread);
        let left: Vec<f64> =
            velocities.iter().zip(&keys).map(|(v, key)| v - loudness - lean * (key - middle)).collect();
        let accents = accents(notes, &left, bar, length, beat, spread);
        let of_place = |note: &Note| accents[place(note.at.0 - bar.0, length)];
        let left: Vec<f64> = left.iter().zip(notes).map(|(v, note)| v - of_place(note)).collect();
        let least = velocities.iter().copied().fold(f64::INFINITY, f64::min);
        let most = velocities.iter().copied().fold(0.0, f64::max);
        let range = (least.min(loudness - spread) - 2.0, most.max(loudness + spread) + 2.0);
        Self { mean: loudness, range, middle, lean, curve: curve(notes, &left), accents }
    }

    fn moderate(length: f64, beat: usize) -> Self {
        let accents = (0..sixteenths(length)).map(|index| usual(index, beat) * 8.0).collect();
        Self { mean: 80.0, range: (60.0, 100.0), middle: 60.0, lean: 0.2, accents, curve: [0.0; CURVE] }
    }

    /// Velocity of a note at `at`, with a bar line at `bar`; `share` says how much of the answer is over (0 to 1), where
    /// it has a beginning and an end.
    pub fn velocity(&self, at: Beats, bar: Beats, length: f64, key: u8, share: Option<f64>) -> Velocity {
        let place = place(at.0 - bar.0, length).min(self.accents.len() - 1);
        let high = (self.lean * (f64::from(key) - self.middle)).clamp(-15.0, 15.0);
        let along = share.map_or(0.0, |share| self.along(share));
        let velocity = self.mean + self.accents[place] + high + along;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and 127
        let velocity = velocity.clamp(self.range.0, self.range.1).round().clamp(1.0, 127.0) as u8;
        Velocity(velocity)
    }

    /// The curve of a phrase at a share of it.
    fn along(&self, share: f64) -> f64 {
        if share >= ENDING {
            return self.curve[CURVE - 1];
        }
        // Between the middles of the parts before the end.
        let parts = CURVE - 1;
        let at = (share.max(0.0) / ENDING * to_f64(parts) - 0.5).clamp(0.0, to_f64(parts - 1));
        let low = to_index(at.floor()).min(parts - 1);
        let high = (low + 1).min(parts - 1);
        self.curve[low] + (at - at.floor()) * (self.curve[high] - self.curve[low])
    }
}

fn to_f64(count: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)] // some hundred
    let count = count as f64;
    count
}

fn to_index(at: f64) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // negative and NaN are 0
    let index = at as usize;
    index
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / to_f64(values.len()))
}

/// Velocity for each semitone: what the notes say, and where they say little a little louder above.
fn lean(velocities: &[f64], keys: &[f64], loudness: f64, middle: f64, spread: f64) -> f64 {
    let both: f64 = velocities.iter().zip(keys).map(|(v, key)| (v - loudness) * (key - middle)).sum();
    let own: f64 = keys.iter().map(|key| (key - middle).powi(2)).sum();
    // As if some notes an octave away had been played in the usual way.
    let (weight, usual) = (4.0 * 144.0, spread / 40.0);
    ((both + weight * usual) / (own + weight)).clamp(-1.5, 1.5)
}

fn sixteenths(length: f64) -> usize {
    to_index((length * 4.0).round()).clamp(1, PLACES)
}

/// The sixteenth of the bar that is nearest to a distance from a bar line; what lies between two is the later one's,
/// however it was rounded on its way here.
fn place(into: f64, length: f64) -> usize {
    to_index(((into + 1e-6).rem_euclid(length.max(0.25)) * 4.0).round()) % sixteenths(length)
}

/// What is usual, as a share of the spread: bar lines and beats are leaned on. `beat` in sixteenths.
fn usual(place: usize, beat: usize) -> f64 {
    match place {
        0 => 1.0,
        _ if place % beat == 0 => 0.5,
        _ if place % 2 == 0 => -0.2,
        _ => -0.6,
    }
}

/// At each sixteenth of the bar: what was done there, then what was done at that place of other beats, then what is
/// usual.
fn accents(notes: &[Note], left: &[f64], bar: Beats, length: f64, beat: usize, spread: f64) -> Vec<f64> {
    let count = sixteenths(length);
    let mut at = vec![(0.0, 0.0); count];
    let mut in_beat = [(0.0, 0.0); COMPOUND];
    for (note, over) in notes.iter().zip(left) {
        let place = place(note.at.0 - bar.0, length);
        for sum in [&mut at[place], &mut in_beat[place % beat]] {
            *sum = (sum.0 + over, sum.1 + 1.0);
        }
    }
    let accent = |index: usize| {
        let (sum, number) = in_beat[index % beat];
        let of_beat = (sum + USUAL * usual(index, beat) * spread) / (number + USUAL);
        (at[index].0 + USUAL * of_beat) / (at[index].1 + USUAL)
    };
    (0..count).map(accent).collect()
}

/// What is left over along phrases, where there are some: a crescendo, a soft ending.
fn curve(notes: &[Note], left: &[f64]) -> [f64; CURVE] {
    let mut sums = [(0.0, 0.0); CURVE];
    let mut from = 0;
    let mut end = f64::NEG_INFINITY;
    for (index, note) in notes.iter().enumerate() {
        if note.at.0 - end >= APART - 1e-6 && index > from {
            phrase(&notes[from..index], &left[from..index], &mut sums);
            from = index;
        }
        end = end.max(note.at.0 + note.len.0);
    }
    phrase(&notes[from..], &left[from..], &mut sums);
    sums.map(|(sum, number)| sum / (number + USUAL))
}

fn phrase(notes: &[Note], left: &[f64], sums: &mut [(f64, f64); CURVE]) {
    let (Some(first), Some(last)) = (notes.first(), notes.last()) else { return };
    let length = last.at.0 - first.at.0;
    if notes.len() < SHORT || length < 1.0 {
        return;
    }
    for (note, over) in notes.iter().zip(left) {
        let share = (note.at.0 - first.at.0) / length + 1e-6;
        let part = if share >= ENDING {
            CURVE - 1
        } else {
            to_index(share / ENDING * to_f64(CURVE - 1)).min(CURVE - 2)
        };
        sums[part] = (sums[part].0 + over, sums[part].1 + 1.0);
    }
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Channel, Instrument, Key};

    use super::*;

    const BAR: Beats = Beats(0.0);

    fn note(at: f64, key: u8, velocity: f64) -> Note {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let velocity = Velocity(velocity as u8);
        Note {
            at: Beats(at),
            len: Beats(0.2),
            key: Key(key),
            velocity,
            instrument: Instrument(0),
            channel: Channel(0),
        }
    }

    /// Four bars of eighths on one key, as loud as `loud` says of a beat of the performance.
    fn eighths(loud: impl Fn(f64) -> f64) -> Vec<Note> {
        (0..32).map(|i| f64::from(i) / 2.0).map(|at| note(at, 60, loud(at))).collect()
    }

    fn at(dynamics: &Dynamics, beat: f64, share: Option<f64>) -> f64 {
        f64::from(dynamics.velocity(Beats(100.0 + beat), Beats(100.0), 4.0, 60, share).0)
    }

    fn of(notes: &[Note]) -> Dynamics {
        Dynamics::of(notes, BAR, Meter::COMMON)
    }

    #[test]
    fn accents_are_the_players() {
        // A backbeat: two and four.
        let back = of(&eighths(|at| if at % 2.0 == 1.0 { 110.0 } else { 70.0 }));
        for beat in [1.0, 3.0] {
            assert!(at(&back, beat, None) > at(&back, 0.0, None) + 25.0, "{back:?}");
        }
        // Off-beats.
        let off = of(&eighths(|at| if at % 1.0 == 0.5 { 105.0 } else { 75.0 }));
        assert!(at(&off, 2.5, None) > at(&off, 2.0, None) + 20.0);
        // Downbeats alone.
        let first = of(&eighths(|at| if at % 4.0 == 0.0 { 115.0 } else { 80.0 }));
        assert!(at(&first, 0.0, None) > at(&first, 2.0, None) + 15.0);
    }

    #[test]
    fn an_accent_on_sixteenths_that_were_not_played_is_that_of_their_place_in_the_beat() {
        let off = of(&eighths(|at| if at % 1.0 == 0.5 && at < 8.0 { 105.0 } else { 75.0 }));
        let weak = of(&eighths(|_| 80.0));
        assert!(at(&off, 0.5, None) - at(&off, 0.0, None) > at(&weak, 0.5, None) - at(&weak, 0.0, None));
    }

    #[test]
    fn a_beat_of_six_eight_has_three_eighths() {
        let meter = |numerator, denominator| Meter { numerator, denominator };
        let at = |dynamics: &Dynamics, length: f64, eighth: f64| {
            dynamics.velocity(Beats(eighth / 2.0), BAR, length, 60, None).0
        };
        let moderate = |meter: Meter| Dynamics::of(&[], BAR, meter);
        for (numerator, length) in [(6, 3.0), (9, 4.5), (12, 6.0)] {
            let compound = moderate(meter(numerator, 8));
            assert!(at(&compound, length, 3.0) > at(&compound, length, 2.0), "{compound:?}");
            assert_eq!(at(&compound, length, 2.0), at(&compound, length, 4.0));
        }
        // A waltz leans on its quarters.
        let waltz = moderate(meter(3, 4));
        assert!(at(&waltz, 3.0, 2.0) > at(&waltz, 3.0, 3.0));
        // The player's own accents are taken over from beat to beat.
        let played: Vec<Note> = (0..12)
            .map(|eighth| note(f64::from(eighth) / 2.0, 60, if eighth % 3 == 1 { 110.0 } else { 70.0 }))
            .collect();
        let own = Dynamics::of(&played[..5], BAR, meter(6, 8));
        assert!(at(&own, 3.0, 4.0) > at(&own, 3.0, 5.0) + 10, "{own:?}");
    }

    #[test]
    fn an_even_player_gets_a_nearly_even_answer() {
        let even = of(&eighths(|_| 90.0));
        let all: Vec<f64> = (0..16).map(|i| at(&even, f64::from(i) / 4.0, Some(0.5))).collect();
        assert!(all.iter().all(|v| (86.0..=94.0).contains(v)), "{all:?}");
        assert!(at(&even, 0.25, None) <= at(&even, 0.0, None));
    }

    #[test]
    fn a_crescendo_is_taken_over_and_so_is_its_opposite() {
        let grows = of(&eighths(|at| 60.0 + 3.0 * at));
        assert!(at(&grows, 1.0, Some(0.85)) > at(&grows, 1.0, Some(0.05)) + 20.0, "{grows:?}");
        let fades = of(&eighths(|at| 110.0 - 3.0 * at));
        assert!(at(&fades, 1.0, Some(0.85)) < at(&fades, 1.0, Some(0.05)) - 20.0);
        // What has no end has no curve.
        assert!((at(&grows, 1.0, None) - 83.0).abs() < 10.0);
    }

    #[test]
    fn endings_are_soft_only_where_the_player_ends_softly() {
        let two = |ending: f64| {
            let loud = move |at: f64| if at % 8.0 > 6.3 { ending } else { 90.0 };
            let played = eighths(loud).into_iter().filter(|note| note.at.0 % 8.0 < 6.8);
            of(&played.collect::<Vec<_>>())
        };
        let (soft, even) = (two(60.0), two(90.0));
        assert!(at(&soft, 2.5, Some(0.95)) < at(&soft, 2.5, Some(0.5)) - 6.0, "{soft:?}");
        assert!((at(&even, 2.5, Some(0.95)) - at(&even, 2.5, Some(0.5))).abs() < 3.0, "{even:?}");
    }

    #[test]
    fn what_lies_high_is_as_loud_as_the_player_makes_it() {
        let melody = |high: f64, low: f64| -> Vec<Note> {
            let beat = |i: i32| [note(f64::from(i), 40, low), note(f64::from(i), 76, high)];
            (0..16).flat_map(beat).collect()
        };
        let velocity = |dynamics: &Dynamics, key| dynamics.velocity(Beats(1.0), BAR, 4.0, key, None).0;
        let (sings, bass) = (of(&melody(100.0, 60.0)), of(&melody(60.0, 100.0)));
        assert!(velocity(&sings, 76) > velocity(&sings, 40) + 15);
        assert!(velocity(&bass, 76) + 10 < velocity(&bass, 40));
    }

    #[test]
    fn nobody_is_louder_or_softer_than_the_player_was() {
        let played = eighths(|at| if at % 1.0 == 0.0 { 100.0 } else { 80.0 });
        let dynamics = of(&played);
        for key in [0, 60, 127] {
            for step in 0..64 {
                let velocity = dynamics
                    .velocity(Beats(f64::from(step) / 16.0), BAR, 4.0, key, Some(f64::from(step) / 64.0))
                    .0;
                assert!((75..=105).contains(&velocity), "{velocity}");
            }
        }
    }

    #[test]
    fn nothing_and_odd_meters_give_something_sound() {
        for (numerator, denominator) in [(0, 0), (1, 32), (7, 16), (7, 8), (4, 4), (64, 1)] {
            let meter = Meter { numerator, denominator };
            for notes in [Vec::new(), eighths(|_| 64.0), vec![note(3.0, 60, 127.0)]] {
                let dynamics = Dynamics::of(&notes, BAR, meter);
                for length in [0.0, f64::NAN, 1.75, 4.0, 100.0] {
                    let velocity = dynamics.velocity(Beats(7.3), BAR, length, 60, Some(2.0)).0;
                    assert!((1..=127).contains(&velocity));
                }
            }
        }
    }
}
