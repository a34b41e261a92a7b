//! Figures of one answer.

use std::collections::HashSet;

use continuo_inference::Event;
use continuo_music::key;
use continuo_timeline::{Beats, Channel, Note, Velocity};

use super::answers::{BARS, TICKS};

/// Figures of an answer; nothing where it has too few notes to say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Share of its pitched notes that are of the prompt's key.
    pub in_key: Option<f64>,
    /// Mean distance in ticks of its onsets from the nearest sixteenth or triplet eighth.
    pub off_grid: Option<f64>,
    /// Notes a second at the prompt's tempo.
    pub pace: Option<f64>,
    /// Share of its runs of three notes that it has played before (steps between keys and onsets alike).
    pub repeated: Option<f64>,
    /// Share of its notes whose onset and key another note has.
    pub doubled: Option<f64>,
}

/// Figures of `answer` to `prompt` at a tempo.
pub fn of(prompt: &[Event], answer: &[Event], tempo: f64) -> Figures {
    let scale = scale(prompt);
    let pitched: Vec<&Event> = answer.iter().filter(|e| !e.instrument.is_drums()).collect();
    let within = |event: &&&Event| scale.is_some_and(|scale| scale[usize::from(event.key.0 % 12)]);
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let off: i32 = answer.iter().map(|event| distance(event.onset)).sum();
    let seconds = f64::from(BARS * 4) * 60.0 / tempo;
    Figures {
        in_key: scale.and_then(|_| share(pitched.iter().filter(within).count(), pitched.len())),
        off_grid: (!answer.is_empty()).then(|| f64::from(off) / answer.len() as f64),
        pace: Some(answer.len() as f64 / seconds),
        repeated: repeated(answer),
        doubled: share(doubled(answer), answer.len()),
    }
}

/// Ticks to the nearest sixteenth (12) or triplet eighth (16).
fn distance(onset: i32) -> i32 {
    let to = |step: i32| (onset.rem_euclid(step)).min(step - onset.rem_euclid(step));
    to(TICKS / 4).min(to(TICKS / 3))
}

const NAMES: [&str; 12] =
    ["C", "D flat", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B"];
const MAJOR: [u8; 7] = [0, 2, 4, 5, 7, 9, 11];
// Natural, and the leading note.
const MINOR: [u8; 8] = [0, 2, 3, 5, 7, 8, 10, 11];

/// Events of a model in beats as notes, all of one velocity.
pub fn notes(events: &[Event]) -> Vec<Note> {
    let note = |event: &Event| Note {
        at: Beats(f64::from(event.onset) / f64::from(TICKS)),
        len: Beats(f64::from(event.duration) / f64::from(TICKS)),
        key: event.key,
        velocity: Velocity(80),
        instrument: event.instrument,
        channel: Channel(0),
    };
    events.iter().map(note).collect()
}

/// Pitch classes of the key of some notes.
fn scale(events: &[Event]) -> Option<[bool; 12]> {
    let name = key::name(&notes(events));
    let (tonic, mode) = name.rsplit_once(' ')?;
    let tonic = NAMES.iter().position(|n| *n == tonic)?;
    let steps: &[u8] = if mode == "major" { &MAJOR } else { &MINOR };
    let mut scale = [false; 12];
    steps.iter().for_each(|step| scale[(tonic + usize::from(*step)) % 12] = true);
    Some(scale)
}

fn repeated(answer: &[Event]) -> Option<f64> {
    let mut runs = HashSet::new();
    let mut again = 0;
    let windows = answer.windows(3).filter(|run| run.iter().all(|e| e.instrument == run[0].instrument));
    let mut all = 0;
    for run in windows {
        let steps = [1, 2].map(|i| {
            (i32::from(run[i].key.0) - i32::from(run[i - 1].key.0), run[i].onset - run[i - 1].onset)
        });
        all += 1;
        again += i32::from(!runs.insert(steps));
    }
    (all > 0).then(|| f64::from(again) / f64::from(all))
}

fn doubled(answer: &[Event]) -> usize {
    let mut seen = HashSet::new();
    answer.iter().filter(|e| !seen.insert((e.onset, e.key, e.instrument.is_drums()))).count()
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Instrument, Key};

    use super::*;

    fn events(notes: &[(i32, u8)]) -> Vec<Event> {
        let event = |&(onset, key): &(i32, u8)| Event {
            onset,
            instrument: Instrument(0),
            key: Key(key),
            duration: 24,
        };
        notes.iter().map(event).collect()
    }

    #[test]
    fn counts_what_it_says() {
        let prompt = events(&[
            (0, 60),
            (24, 62),
            (48, 64),
            (72, 65),
            (96, 67),
            (120, 69),
            (144, 71),
            (168, 72),
            (192, 60),
        ]);
        let answer = events(&[(0, 60), (16, 61), (25, 64), (36, 66)]);
        let figures = of(&prompt, &answer, 120.0);
        assert_eq!(figures.in_key, Some(0.5));
        assert_eq!(figures.off_grid, Some(0.25));
        assert_eq!(figures.pace, Some(0.5));
        assert_eq!(of(&prompt, &[], 120.0).in_key, None);
        let runs = events(&[(0, 60), (12, 62), (24, 64), (36, 66), (48, 68)]);
        assert_eq!(of(&prompt, &runs, 120.0).repeated, Some(2.0 / 3.0));
    }
}
