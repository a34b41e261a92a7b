//! A take from a MIDI file: its beats are the song's, its tempo is not asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use continuo_inference::midi::{Kind, Midi};

use crate::state::{Take, TakeNote};
use crate::takes::CAPACITY;

/// Bytes that a file may have.
const LARGEST: u64 = 16 << 20;

/// The notes of a file, or what is wrong with it and what to do.
pub fn import(path: &Path) -> Result<Take, String> {
    let fail = |why: String| format!("{} cannot be brought in: {why}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| fail(error.to_string()))?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| fail(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(fail(format!("it is larger than {} MiB; cut it", LARGEST >> 20)));
    }
    let notes = notes(&bytes).map_err(fail)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Take { notes, model: format!("file {name}"), ..Take::default() })
}

/// All notes in order. One that has no end lasts until the last event.
fn notes(bytes: &[u8]) -> Result<Vec<TakeNote>, String> {
    let midi = Midi::parse(bytes).map_err(|error| error.to_string())?;
    let (mut programs, mut open) = ([0_u8; 16], BTreeMap::<(u8, u8), (u64, u8, u8)>::new());
    let (mut notes, mut last) = (Vec::new(), 0);
    #[allow(clippy::cast_precision_loss)] // days of music fit
    let beat = |tick: u64| tick as f64 / f64::from(midi.division.max(1));
    let mut end = |(channel, key): (u8, u8), (from, velocity, instrument): (u64, u8, u8), to: u64| {
        let len = (beat(to) - beat(from)).max(1.0 / 48.0);
        notes.push(TakeNote { at: beat(from), len, key, velocity, instrument, channel });
    };
    for message in &midi.messages {
        last = message.tick;
        match message.kind {
            Kind::Program { channel, program } => programs[usize::from(channel & 15)] = program & 127,
            Kind::On { channel, key, velocity } => {
                let channel = channel & 15;
                let instrument = if channel == 9 { 128 } else { programs[usize::from(channel)] };
                if let Some(sounds) = open.insert((channel, key), (message.tick, velocity, instrument)) {
                    end((channel, key), sounds, message.tick);
                }
            }
            Kind::Off { channel, key } => {
                if let Some(sounds) = open.remove(&(channel & 15, key)) {
                    end((channel & 15, key), sounds, message.tick);
                }
            }
            _ => {}
        }
    }
    open.into_iter().for_each(|(place, sounds)| end(place, sounds, last));
    notes.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.key.cmp(&b.key)));
    match notes.len() {
        0 => Err("it has no notes".into()),
        count if count > CAPACITY => {
            Err(format!("it has {count} notes, and {CAPACITY} are the most; cut it"))
        }
        _ => Ok(notes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of type 0 at 96 ticks a beat: deltas and messages.
    fn file(events: &[(u8, &[u8])]) -> Vec<u8> {
        let mut track: Vec<u8> = Vec::new();
        for (delta, message) in events {
            track.push(*delta);
            track.extend(*message);
        }
        track.extend([0, 0xFF, 0x2F, 0]);
        let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk".to_vec();
        bytes.extend(u32::try_from(track.len()).unwrap().to_be_bytes());
        bytes.extend(track);
        bytes
    }

    #[test]
    fn notes_have_their_place_and_instrument() {
        let bytes = file(&[
            (0, &[0xC0, 33]),
            (0, &[0x90, 40, 90]),
            (0, &[0x99, 36, 100]),
            (48, &[0x80, 40, 0]),
            (48, &[0x90, 43, 80]),
            // Struck again without an end, and left open.
            (24, &[0x90, 43, 70]),
            (24, &[0x89, 36, 0]),
        ]);
        let all: Vec<_> = notes(&bytes)
            .unwrap()
            .iter()
            .map(|note| (note.at, note.len, note.key, note.instrument))
            .collect();
        assert_eq!(all, [(0.0, 1.5, 36, 128), (0.0, 0.5, 40, 33), (1.0, 0.25, 43, 33), (1.25, 0.25, 43, 33)]);
    }

    #[test]
    fn what_is_no_file_of_notes_is_told() {
        assert!(notes(&file(&[(0, &[0xC0, 1])])).unwrap_err().contains("no notes"));
        assert!(notes(b"nothing of the kind").is_err());
        let nowhere = import(Path::new("/nowhere/song.mid")).unwrap_err();
        assert!(nowhere.contains("/nowhere/song.mid"), "{nowhere}");
    }
}
