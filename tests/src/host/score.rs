//! Scores as text: `C4@0 E4@1.5 len 2 vel 90 ch 2`. Words after a note hold for the notes that follow.

/// A note of a score: in quarter notes from the start of the performance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Played {
    /// Onset in beats.
    pub at: f64,
    /// Length in beats.
    pub len: f64,
    /// MIDI key.
    pub key: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// MIDI channel from 0.
    pub channel: u8,
}

const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/// Reads a score; `len` (default 1), `vel` (default 90) and `ch` (default 1, as musicians count) hold from where they stand, for
/// the note before them and those that follow. Panics on what it cannot read: scores are written in tests.
pub fn parse(text: &str) -> Vec<Played> {
    let mut notes: Vec<Played> = Vec::new();
    let (mut len, mut velocity, mut channel) = (1.0, 90, 0);
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let mut value =
            || words.next().and_then(|w| w.parse::<f64>().ok()).expect("a number after len, vel or ch");
        match word {
            "len" => len = value(),
            "vel" => velocity = value() as u8,
            "ch" => channel = value() as u8 - 1,
            note => {
                let (name, at) = note.split_once('@').expect("a note like C4@0");
                let at = at.parse().expect("an onset in beats");
                notes.push(Played { at, len, key: key(name), velocity, channel });
                continue;
            }
        }
        if let Some(last) = notes.last_mut() {
            (last.len, last.velocity, last.channel) = (len, velocity, channel);
        }
    }
    notes
}

/// A key as text: 60 is C4.
pub fn spell(key: u8) -> String {
    format!("{}{}", NAMES[usize::from(key % 12)], i16::from(key) / 12 - 1)
}

fn key(name: &str) -> u8 {
    let split = name.find(|c: char| c.is_ascii_digit() || c == '-').expect("an octave");
    let step = NAMES.iter().position(|n| *n == &name[..split]).expect("a key like F#");
    let octave: i32 = name[split..].parse().expect("an octave");
    u8::try_from((octave + 1) * 12 + i32::try_from(step).expect("0 to 11")).expect("a key from 0 to 127")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_scores() {
        let notes = parse("C4@0 F#3@1.5 len 2 vel 90 ch 2 A4@3");
        assert_eq!(notes[0], Played { at: 0.0, len: 1.0, key: 60, velocity: 90, channel: 0 });
        assert_eq!(notes[1], Played { at: 1.5, len: 2.0, key: 54, velocity: 90, channel: 1 });
        assert_eq!(notes[2], Played { at: 3.0, len: 2.0, key: 69, velocity: 90, channel: 1 });
        assert_eq!(spell(54), "F#3");
    }
}
