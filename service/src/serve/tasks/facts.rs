//! What can be told about a file without a model.

use continuo_music::key;
use continuo_remote::wire::{Density, Facts, PitchRange};
use continuo_timeline::{Beats, Note};

use super::gm;
use crate::song::Song;

/// Facts about `notes` in the tempo and meter of `song`.
pub fn facts(song: &Song, notes: &[Note]) -> Facts {
    let first = notes.first().map_or(Beats(0.0), |note| note.at);
    let end = notes.iter().map(|note| note.at.0 + note.len.0).fold(0.0, f64::max);
    let seconds = song.seconds(Beats(end));
    let mut programs: Vec<u8> = notes.iter().map(|note| note.instrument.0).collect();
    programs.sort_unstable();
    programs.dedup();
    let key = key::name(notes);
    let meter = song.meter(first).1;
    Facts {
        duration_seconds: Some(rounded(seconds)),
        estimated_key: (!key.is_empty()).then_some(key),
        tempo_bpm: Some(rounded(song.tempo(first).0)),
        time_signature: Some(format!("{}/{}", meter.numerator, meter.denominator)),
        instruments: Some(programs.into_iter().map(|program| gm::name(program).into()).collect()),
        note_count: Some(notes.len() as u64),
        note_density: Some(density(notes.len(), seconds - song.seconds(first)).into()),
        pitch_range: range(notes),
        ..Facts::default()
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// The word for so many notes in so many seconds.
#[allow(clippy::cast_precision_loss)] // notes are thousands
fn density(notes: usize, seconds: f64) -> &'static str {
    match notes as f64 / seconds.max(0.001) {
        few if few < Density::Sparse.band().1 => "sparse",
        some if some < 6.0 => "medium",
        _ => "dense",
    }
}

fn range(notes: &[Note]) -> Option<PitchRange> {
    let keys = || notes.iter().filter(|note| !note.instrument.is_drums()).map(|note| note.key.0);
    Some(PitchRange { lowest: pitch(keys().min()?), highest: pitch(keys().max()?) })
}

/// "C4" for key 60.
fn pitch(key: u8) -> String {
    const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
    format!("{}{}", NAMES[usize::from(key % 12)], i16::from(key / 12) - 1)
}

#[cfg(test)]
mod tests {
    use super::pitch;

    #[test]
    fn middle_c_is_c4() {
        assert_eq!([pitch(0), pitch(60), pitch(69), pitch(127)], ["C-1", "C4", "A4", "G9"]);
    }
}
