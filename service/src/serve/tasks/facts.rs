//! What can be told about a file without a model.

use continuo_music::analysis::{Piece, form};
use continuo_music::key;
use continuo_remote::wire::{Density, Energy, Fact, Facts, PitchRange, Structure};
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
        energy_profile: energy(song, notes),
        structure: Some(structure(song, notes)),
    }
}

/// The facts that were asked for; all if nothing was said.
pub fn chosen(all: Facts, asked: Option<&[Fact]>) -> Facts {
    let Some(asked) = asked else { return all };
    fn keep<T>(there: Option<T>, wanted: bool) -> Option<T> {
        there.filter(|_| wanted)
    }
    let has = |fact| asked.contains(&fact);
    Facts {
        duration_seconds: keep(all.duration_seconds, has(Fact::DurationSeconds)),
        estimated_key: keep(all.estimated_key, has(Fact::EstimatedKey)),
        tempo_bpm: keep(all.tempo_bpm, has(Fact::TempoBpm)),
        time_signature: keep(all.time_signature, has(Fact::TimeSignature)),
        instruments: keep(all.instruments, has(Fact::Instruments)),
        note_count: keep(all.note_count, has(Fact::NoteCount)),
        note_density: keep(all.note_density, has(Fact::NoteDensity)),
        pitch_range: keep(all.pitch_range, has(Fact::PitchRange)),
        energy_profile: keep(all.energy_profile, has(Fact::EnergyProfile)),
        structure: keep(all.structure, has(Fact::Structure)),
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

/// Notes a second that are as dense as can be.
const DENSEST: f64 = 12.0;

/// Half how loud, half how dense: of the quarters of the time from the first note to the end of the last.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn energy(song: &Song, notes: &[Note]) -> Option<Energy> {
    let seconds = |beats: f64| song.seconds(Beats(beats));
    let from = seconds(notes.first()?.at.0);
    let to = notes.iter().map(|note| seconds(note.at.0 + note.len.0)).fold(from, f64::max);
    let quarter = ((to - from) / 4.0).max(1e-3);
    let (mut counts, mut loud) = ([0.0; 4], [0.0; 4]);
    for note in notes {
        let index = (((seconds(note.at.0) - from) / quarter) as usize).min(3);
        counts[index] += 1.0;
        loud[index] += f64::from(note.velocity.0) / 127.0;
    }
    let of = |index: usize| {
        let mean: f64 = if counts[index] > 0.0 { loud[index] / counts[index] } else { 0.0 };
        rounded(0.5 * mean + 0.5 * (counts[index] / quarter / DENSEST).min(1.0))
    };
    let peak = (0..4).map(of).fold(0.0, f64::max);
    Some(Energy { start: of(0), peak, end: of(3) })
}

fn structure(song: &Song, notes: &[Note]) -> Structure {
    let sections = form::sections(&Piece::new(notes, &song.meters));
    let letters = sections.iter().map(|one| one.letter + 1).max().unwrap_or(0);
    Structure { sections: sections.len() as u64, has_repetition: letters < sections.len() }
}

fn range(notes: &[Note]) -> Option<PitchRange> {
    let keys = || notes.iter().filter(|note| !note.instrument.is_drums()).map(|note| note.key.0);
    Some(PitchRange { lowest: pitch(keys().min()?), highest: pitch(keys().max()?) })
}

/// "C4" for key 60.
pub fn pitch(key: u8) -> String {
    format!("{}{}", class(key), i16::from(key / 12) - 1)
}

/// "C" for key 60.
pub fn class(key: u8) -> &'static str {
    const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
    NAMES[usize::from(key % 12)]
}

#[cfg(test)]
mod tests {
    use super::pitch;

    #[test]
    fn middle_c_is_c4() {
        assert_eq!([pitch(0), pitch(60), pitch(69), pitch(127)], ["C-1", "C4", "A4", "G9"]);
    }
}
