//! A part of a song by what a musician knows of it: its program, its channel, or its track.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use continuo_timeline::Instrument;

use crate::song::{Song, SongError};

/// Which notes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of one General MIDI program, from 0; 128 for drums.
    Program(u8),
    /// All of one channel, from 1 as keyboards count them.
    Channel(u8),
    /// All of one track of the file, from 1.
    Track(usize),
}

impl FromStr for Part {
    type Err = String;

    /// `0` or `program=0`, `channel=1`, `track=2`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, number) = text.split_once('=').unwrap_or(("program", text));
        let number: usize = number.trim().parse().map_err(|_| format!("{number:?} is no number"))?;
        match (kind.trim(), u8::try_from(number)) {
            ("program", Ok(program @ 0..=128)) => Ok(Self::Program(program)),
            ("channel", Ok(channel @ 1..=16)) => Ok(Self::Channel(channel)),
            ("track", _) if number > 0 => Ok(Self::Track(number)),
            ("program", _) => Err("programs are 0 to 127, and 128 for drums".into()),
            ("channel", _) => Err("channels are 1 to 16".into()),
            ("track", _) => Err("tracks are counted from 1".into()),
            _ => Err("give a program, or program=0, channel=1 or track=2".into()),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(program) => write!(f, "program {program}"),
            Self::Channel(channel) => write!(f, "channel {channel}"),
            Self::Track(track) => write!(f, "track {track}"),
        }
    }
}

impl Song {
    /// The song with the notes of one part alone; tempo, meter and all else stay. Fails if the part has none, and
    /// says which parts have some. `path` is for messages.
    pub fn part(&self, path: &Path, part: Part) -> Result<Self, SongError> {
        let mut others = BTreeMap::<(usize, u8), usize>::new();
        let played: HashSet<(u64, u8, u8)> = self.onsets(|instrument| Part::Program(instrument.0) == part);
        let song = self.only(path, |track, tick, channel, key| {
            *others.entry((track + 1, channel + 1)).or_default() += 1;
            match part {
                Part::Program(_) => played.contains(&(tick, channel, key)),
                Part::Channel(wanted) => channel + 1 == wanted,
                Part::Track(wanted) => track + 1 == wanted,
            }
        })?;
        if song.notes.is_empty() {
            return Err(SongError::Part {
                path: path.into(),
                part: part.to_string(),
                others: self.parts(&others),
            });
        }
        Ok(song)
    }

    /// Onset in ticks, channel and key of all notes of some instruments.
    fn onsets(&self, wanted: impl Fn(Instrument) -> bool) -> HashSet<(u64, u8, u8)> {
        let notes = self.notes.iter().filter(|note| wanted(note.instrument));
        notes.map(|note| (self.tick(note.at), note.channel.0, note.key.0)).collect()
    }

    /// The parts that there are, for a message.
    fn parts(&self, places: &BTreeMap<(usize, u8), usize>) -> String {
        let part = |(&(track, channel), notes): (&(usize, u8), &usize)| {
            let mut programs: Vec<u8> = self
                .notes
                .iter()
                .filter(|note| note.channel.0 + 1 == channel)
                .map(|note| note.instrument.0)
                .collect();
            programs.sort_unstable();
            programs.dedup();
            format!("track={track} channel={channel} program={programs:?} ({notes} notes)")
        };
        places.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_as_musicians_count_them() {
        assert_eq!("0".parse(), Ok(Part::Program(0)));
        assert_eq!("program=128".parse(), Ok(Part::Program(128)));
        assert_eq!("channel=16".parse(), Ok(Part::Channel(16)));
        assert_eq!("track=300".parse(), Ok(Part::Track(300)));
        for wrong in ["", "129", "channel=0", "channel=17", "track=0", "voice=1", "program", "-1"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }
}
