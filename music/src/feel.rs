//! How a player places notes in the beat: swing, and what lies a little before or behind.
//!
//! A feel says where each sixteenth of a beat is played. The way back straightens what was played, so that a model
//! trained on straight music hears what it knows; the way there puts its answer where the player would have.
//!
//! ```text
//! straight  0      1/4     1/2     3/4      1
//! played    0.01   0.33    0.66    0.83     1.01      (swung eighths, a little late)
//! ```

use continuo_timeline::{Beats, Note};

/// Where the sixteenths of a beat are played, in beats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feel {
    places: [f64; 4],
}

/// An off-beat is swung between these places of the beat.
const SWUNG: std::ops::RangeInclusive<f64> = 0.54..=0.72;
/// So many of the off-beats must be swung.
const MOSTLY: f64 = 0.8;
/// Notes this near to a sixteenth are meant to be on it.
const NEAR: f64 = 0.09;
/// Notes this near to a third of a beat are triplets.
const ON_A_THIRD: f64 = 0.035;
/// So many notes at least say something about a place.
const ENOUGH: usize = 3;
/// A place is moved no further than this.
const MOST: f64 = 0.08;
/// What scatters more than this says nothing: the median distance from the median, in beats.
const SCATTER: f64 = 0.03;
/// Places are told apart this finely, so that a feel does not change with every note. In beats.
const STEP: f64 = 1.0 / 96.0;

impl Feel {
    /// Every sixteenth where it is written.
    pub const STRAIGHT: Self = Self { places: [0.0, 0.25, 0.5, 0.75] };

    /// The feel of a player's notes; `bar` is a bar line. Straight where they say nothing else.
    pub fn of(notes: &[Note], bar: Beats) -> Self {
        let phases: Vec<f64> = notes.iter().map(|note| phase(note.at.0 - bar.0)).collect();
        let swung = swing(&phases);
        let mut feel = swung.map_or(Self::STRAIGHT, Self::swung);
        let triplets = swung.is_none() && has_triplets(&phases);
        for (index, place) in feel.places.iter_mut().enumerate() {
            // Where there are triplets, what is near to the weak sixteenths may be one of those.
            if index % 2 == 0 || !triplets {
                *place += offset(&phases, *place);
            }
        }
        feel
    }

    /// Off-beats at `ratio` of the beat, and the weak sixteenths in the middle of what is left.
    fn swung(ratio: f64) -> Self {
        Self { places: [0.0, ratio / 2.0, ratio, (1.0 + ratio) / 2.0] }
    }

    /// Where the off-beat eighth is played, in beats: 0.5 is straight, 2/3 is triplets.
    pub fn swing_ratio(&self) -> f64 {
        self.places[2]
    }

    /// So much of it: 0 is straight, 1 is all.
    #[must_use]
    pub fn share(&self, strength: f64) -> Self {
        let strength = strength.clamp(0.0, 1.0);
        let mut places = Self::STRAIGHT.places;
        places.iter_mut().zip(self.places).for_each(|(straight, played)| {
            *straight += strength * (played - *straight);
        });
        Self { places }
    }

    /// Where what stands at `at` is played.
    pub fn played(&self, at: Beats, bar: Beats) -> Beats {
        through(&self.corners(Self::STRAIGHT.places), &self.corners(self.places), at, bar)
    }

    /// Where what is played at `at` stands: the way back from [`Self::played`].
    pub fn straight(&self, at: Beats, bar: Beats) -> Beats {
        through(&self.corners(self.places), &self.corners(Self::STRAIGHT.places), at, bar)
    }

    /// A note as it is played, or as it stands.
    pub fn straightened(&self, note: &Note, bar: Beats) -> Note {
        let (at, end) = (self.straight(note.at, bar), self.straight(note.at + note.len, bar));
        Note { at, len: Beats((end.0 - at.0).max(1.0 / 96.0)), ..*note }
    }

    /// The places of three beats around one, so that every position of the beat lies between two.
    fn corners(&self, places: [f64; 4]) -> [f64; 12] {
        let mut corners = [0.0; 12];
        for (index, corner) in corners.iter_mut().enumerate() {
            #[allow(clippy::cast_precision_loss)] // 0, 1 or 2
            let beat = (index / 4) as f64 - 1.0;
            *corner = places[index % 4] + beat;
        }
        corners
    }
}

/// Along straight lines from one set of corners to the other, beat by beat.
fn through(from: &[f64; 12], to: &[f64; 12], at: Beats, bar: Beats) -> Beats {
    let beat = (at.0 - bar.0).floor();
    let phase = at.0 - bar.0 - beat;
    let above = from.iter().position(|corner| *corner > phase).unwrap_or(from.len() - 1).max(1);
    let (low, high) = (from[above - 1], from[above]);
    let share = if high > low { (phase - low) / (high - low) } else { 0.0 };
    Beats(bar.0 + beat + to[above - 1] + share * (to[above] - to[above - 1]))
}

/// Place in the beat; a little before it counts as before. So coarse that what was added up in another order is the
/// same.
fn phase(at: f64) -> f64 {
    let at = (at * 960.0).round() / 960.0;
    let phase = at - at.floor();
    if phase > 0.9 { phase - 1.0 } else { phase }
}

fn count(phases: &[f64], inside: impl Fn(f64) -> bool) -> usize {
    phases.iter().filter(|phase| inside(**phase)).count()
}

/// Where swung off-beats are, if they are swung.
fn swing(phases: &[f64]) -> Option<f64> {
    let late: Vec<f64> = phases.iter().copied().filter(|phase| SWUNG.contains(phase)).collect();
    let even = count(phases, |phase| (0.40..0.54).contains(&phase));
    let sixteenths = count(phases, |phase| (0.2..0.29).contains(&phase));
    let first_third = count(phases, |phase| (phase - 1.0 / 3.0).abs() <= ON_A_THIRD);
    #[allow(clippy::cast_precision_loss)] // some hundred notes
    let most = |part: usize, other: usize| part as f64 >= MOSTLY * (part + other) as f64;
    let told = late.len() >= ENOUGH && most(late.len(), even) && most(late.len(), sixteenths);
    // Triplets have both thirds; who swings has the second.
    let triplets = 2 * first_third > late.len();
    let middle = median(&late)?;
    let steady = scatter(&late, middle) <= SCATTER;
    (told && !triplets && steady).then_some((middle / STEP).round() * STEP)
}

fn has_triplets(phases: &[f64]) -> bool {
    let near = |third: f64| count(phases, |phase| (phase - third).abs() <= ON_A_THIRD);
    near(1.0 / 3.0) >= 2 || near(2.0 / 3.0) >= 2
}

/// How far from `place` the notes are that mean it.
fn offset(phases: &[f64], place: f64) -> f64 {
    let away: Vec<f64> = phases.iter().map(|phase| phase - place).filter(|away| away.abs() <= NEAR).collect();
    let Some(middle) = median(&away).filter(|_| away.len() >= ENOUGH) else { return 0.0 };
    if scatter(&away, middle) > SCATTER {
        return 0.0;
    }
    ((middle / STEP).round() * STEP).clamp(-MOST, MOST)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let (low, high) = (sorted.get(half.saturating_sub(1 - sorted.len() % 2)), sorted.get(half));
    low.zip(high).map(|(low, high)| (low + high) / 2.0)
}

fn scatter(values: &[f64], middle: f64) -> f64 {
    let away: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&away).unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Channel, Instrument, Key, Velocity};

    use super::*;

    const BAR: Beats = Beats(8.0);

    fn notes(onsets: impl IntoIterator<Item = f64>) -> Vec<Note> {
        let note = |at: f64| Note {
            at: Beats(at + BAR.0),
            len: Beats(0.2),
            key: Key(60),
            velocity: Velocity(80),
            instrument: Instrument(0),
            channel: Channel(0),
        };
        onsets.into_iter().map(note).collect()
    }

    /// Two bars with notes at these places of every beat.
    fn each_beat(places: &[f64]) -> Feel {
        Feel::of(&notes((0..8).flat_map(|beat| places.iter().map(move |place| f64::from(beat) + place))), BAR)
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 0.011
    }

    #[test]
    fn straight_playing_is_straight() {
        for places in
            [&[0.0, 0.5][..], &[0.0, 0.25, 0.5, 0.75], &[0.0], &[0.0, 1.0 / 3.0, 2.0 / 3.0], &[0.0, 0.75]]
        {
            assert_eq!(each_beat(places), Feel::STRAIGHT, "{places:?}");
        }
        assert_eq!(Feel::of(&[], BAR), Feel::STRAIGHT);
    }

    #[test]
    fn swung_eighths_are_swung_and_triplets_are_not() {
        for ratio in [0.58, 0.62, 2.0 / 3.0, 0.7] {
            let feel = each_beat(&[0.0, ratio]);
            assert!(near(feel.swing_ratio(), ratio), "{ratio}: {feel:?}");
            assert!(near(feel.played(Beats(9.5), BAR).0, 9.0 + ratio));
            assert!(near(feel.straight(Beats(9.0 + ratio), BAR).0, 9.5));
        }
        let triplets = each_beat(&[0.0, 1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!(triplets.swing_ratio(), 0.5);
    }

    #[test]
    fn a_run_of_triplets_in_a_swung_phrase_stays_one() {
        let mut onsets: Vec<f64> =
            (0..8).flat_map(|beat| [f64::from(beat), f64::from(beat) + 2.0 / 3.0]).collect();
        onsets.extend([3.0 + 1.0 / 3.0]);
        let feel = Feel::of(&notes(onsets), BAR);
        assert!(near(feel.swing_ratio(), 2.0 / 3.0));
        let there = feel.straight(Beats(11.0 + 1.0 / 3.0), BAR);
        assert!(near(there.0, 11.25), "{there:?}");
        assert!(near(feel.played(there, BAR).0, 11.0 + 1.0 / 3.0));
    }

    #[test]
    fn what_is_laid_back_or_pushed_stays_so_by_its_place() {
        let feel = each_beat(&[0.03, 0.25, 0.46, 0.79]);
        for (straight, played) in [(0.0, 0.03), (0.25, 0.25), (0.5, 0.46), (0.75, 0.79)] {
            assert!(near(feel.played(Beats(20.0 + straight), BAR).0, 20.0 + played), "{straight}: {feel:?}");
        }
        let early = each_beat(&[-0.03, 0.5]);
        assert!(
            near(early.played(Beats(12.0), BAR).0, 11.97) && near(early.straight(Beats(11.97), BAR).0, 12.0)
        );
    }

    #[test]
    fn scatter_is_no_feel() {
        let away = [0.05, -0.06, 0.08, -0.02, 0.0, 0.07, -0.08, 0.03];
        let feel = Feel::of(&notes((0..8).map(|beat| f64::from(beat) + away[beat as usize])), BAR);
        assert_eq!(feel, Feel::STRAIGHT);
        // Two notes are an accident.
        assert_eq!(Feel::of(&notes([0.04, 1.04]), BAR), Feel::STRAIGHT);
    }

    #[test]
    fn there_and_back_is_the_same_and_order_is_kept() {
        for places in [&[0.0, 0.66][..], &[0.06, 0.31, 0.52, 0.8], &[-0.05, 0.25, 0.45, 0.7]] {
            let feel = each_beat(places);
            let mut last = f64::NEG_INFINITY;
            for step in -96..960 {
                let at = Beats(BAR.0 + f64::from(step) / 96.0);
                let played = feel.played(at, BAR);
                assert!(played.0 > last, "order at {at:?}");
                last = played.0;
                assert!((feel.straight(played, BAR).0 - at.0).abs() < 1e-9, "{places:?} at {at:?}");
            }
        }
    }

    #[test]
    fn a_share_lies_between() {
        let feel = each_beat(&[0.0, 0.66]);
        assert_eq!(feel.share(0.0), Feel::STRAIGHT);
        assert_eq!(feel.share(1.0), feel);
        assert!(near(feel.share(0.5).swing_ratio(), 0.58));
    }
}
