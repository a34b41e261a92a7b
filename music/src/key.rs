//! The key of some notes, by correlation with the key profiles of Krumhansl and Kessler (1982).

use continuo_timeline::Note;

const MAJOR: [f64; 12] = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88];
const MINOR: [f64; 12] = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17];
const NAMES: [&str; 12] =
    ["C", "D flat", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B"];

const MAJOR_STEPS: [u8; 7] = [0, 2, 4, 5, 7, 9, 11];
/// Natural and harmonic minor together.
const MINOR_STEPS: [u8; 8] = [0, 2, 3, 5, 7, 8, 10, 11];

/// The key as text ("D minor"), or nothing for fewer than three pitched notes.
pub fn name(notes: &[Note]) -> String {
    find(notes).map_or_else(String::new, named)
}

/// Name of a tonic as [`name`] has it: 0 is "C".
pub fn tonic(class: usize) -> Option<&'static str> {
    NAMES.get(class).copied()
}

/// Pitch classes of the key and of the notes themselves, a bit each, C lowest; all if there is no key.
pub fn scale(notes: &[Note]) -> u16 {
    let Some((tonic, major)) = find(notes) else { return 0xFFF };
    let steps = if major { &MAJOR_STEPS[..] } else { &MINOR_STEPS[..] };
    let own = steps.iter().map(|&step| 1_u16 << ((tonic + usize::from(step)) % 12)).fold(0, |a, b| a | b);
    let pitched = notes.iter().filter(|note| !note.instrument.is_drums());
    pitched.fold(own, |scale, note| scale | 1 << (note.key.0 % 12))
}

/// Tonic, and whether it is major.
pub fn find(notes: &[Note]) -> Option<(usize, bool)> {
    let mut weights = [0.0; 12];
    let pitched = notes.iter().filter(|note| !note.instrument.is_drums());
    let mut count = 0;
    for note in pitched {
        weights[usize::from(note.key.0 % 12)] += note.len.0.clamp(0.1, 4.0);
        count += 1;
    }
    let keys = (0..12).flat_map(|tonic| [(tonic, true), (tonic, false)]);
    let score =
        |&(tonic, major): &(usize, bool)| correlation(&weights, if major { &MAJOR } else { &MINOR }, tonic);
    keys.filter(|_| count >= 3).max_by(|a, b| score(a).total_cmp(&score(b)))
}

/// How well weights of the pitch classes fit a key, -1 to 1: its tonic, and whether it is major.
pub fn likeness(weights: &[f64; 12], (tonic, major): (usize, bool)) -> f64 {
    correlation(weights, if major { &MAJOR } else { &MINOR }, tonic)
}

/// A root as chords are spelt: "Bb".
pub fn spelt(class: usize) -> &'static str {
    const ROOTS: [&str; 12] = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
    ROOTS[class % 12]
}

/// A key as [`name`] has it.
pub fn named((tonic, major): (usize, bool)) -> String {
    format!("{} {}", NAMES[tonic % 12], if major { "major" } else { "minor" })
}

fn correlation(weights: &[f64; 12], profile: &[f64; 12], tonic: usize) -> f64 {
    let mean = |values: &[f64; 12]| values.iter().sum::<f64>() / 12.0;
    let (w, p) = (mean(weights), mean(profile));
    let (mut both, mut ours) = (0.0, 0.0);
    for pitch in 0..12 {
        let weight = weights[(pitch + tonic) % 12] - w;
        both += weight * (profile[pitch] - p);
        ours += weight * weight;
    }
    if ours > 0.0 {
        both / ours.sqrt() / profile.iter().map(|v| (v - p).powi(2)).sum::<f64>().sqrt()
    } else {
        -1.0
    }
}

#[cfg(test)]
mod tests {
    use continuo_timeline::*;

    use super::*;

    fn sought(keys: &[u8]) -> String {
        name(&notes(keys))
    }

    fn notes(keys: &[u8]) -> Vec<Note> {
        let note = |&key: &u8| Note {
            at: Beats(0.0),
            len: Beats(1.0),
            key: Key(key),
            velocity: Velocity(80),
            instrument: Instrument(0),
            channel: Channel(0),
        };
        keys.iter().map(note).collect()
    }

    #[test]
    fn a_scale_holds_its_key_and_what_was_played() {
        assert_eq!(scale(&notes(&[60, 62, 64, 65, 67, 69, 71, 72, 67, 60, 66])), 0b1010_1111_0101);
        assert_eq!(scale(&notes(&[60])), 0xFFF);
    }

    #[test]
    fn scales_that_end_on_their_tonic() {
        assert_eq!(sought(&[60, 62, 64, 65, 67, 69, 71, 72, 67, 60]), "C major");
        assert_eq!(sought(&[62, 64, 65, 67, 69, 70, 73, 74, 69, 62, 65]), "D minor");
        assert_eq!(sought(&[66, 68, 70, 71, 73, 75, 77, 78, 73, 66]), "F sharp major");
        assert_eq!(sought(&[60, 62]), "");
    }
}
