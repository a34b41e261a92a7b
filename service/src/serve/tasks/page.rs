//! How notes of the model become a MIDI file: beside what was there, as loud as it, in its tempo.
//!
//! For models that count in 10 ms a file is brought to that clock first, as the reference does: 50 ticks a beat
//! at 120 beats a minute.

use std::collections::HashMap;
use std::path::Path;

use continuo_inference::midi::Midi;
use continuo_inference::{Event, Model, TimeFrame, compound};
use continuo_music::frame::Frame;
use continuo_timeline::{Beats, Bpm, Channel, Instrument, Note, Velocity};

use super::super::failure::Failure;
use crate::placing::Placing;
use crate::song::Song;

/// Ticks of 10 ms in a beat at 120 beats a minute.
const CLOCK: f64 = 50.0;
/// Notes that are so near in beats may meet in a file.
const EDGE: f64 = 1.0 / 480.0;
/// Longest file that is read, in seconds.
const LONGEST: f64 = 6.0 * 3600.0;
/// Quarter notes a minute that a file may have. What is slower than the least no file can say.
const FASTEST: f64 = 1000.0;

/// Where new notes go.
pub struct Page {
    /// What stays.
    pub song: Song,
    /// Of the new notes.
    pub frame: Frame,
    /// Where the new music begins, and ends at the latest.
    pub span: (Beats, Beats),
    /// Notes that stay though they are not in `song`.
    pub fixed: Vec<Note>,
    /// Instruments that may join.
    pub joining: Vec<u8>,
    /// Mean velocity, if it is wished for.
    pub loud: Option<f64>,
    /// Whether the new music gets softer.
    pub fades: bool,
    /// The file lasts until here, also where no note does.
    pub until: Option<Beats>,
}

/// A file, and its notes.
pub struct Sheet {
    /// A Standard MIDI file.
    pub bytes: Vec<u8>,
    /// All its notes, by onset.
    pub notes: Vec<Note>,
}

impl Page {
    /// A page with nothing wished for.
    pub fn new(song: Song, frame: Frame, span: (Beats, Beats)) -> Self {
        Self {
            song,
            frame,
            span,
            fixed: Vec::new(),
            joining: Vec::new(),
            loud: None,
            fades: false,
            until: None,
        }
    }

    /// The file with these notes.
    pub fn sheet(&self, events: &[Event]) -> Sheet {
        let placing = Placing::new(&self.song, self.frame, self.span.1, &self.joining);
        let mut answer: Vec<Note> = events.iter().map(|event| self.shaded(placing.note(event))).collect();
        self.part(&placing, &mut answer);
        answer.extend(&self.fixed);
        let bytes = self.song.with_answer(&answer, self.until);
        let mut notes = self.song.notes.clone();
        notes.extend(answer);
        notes.sort_by(|a, b| a.at.0.total_cmp(&b.at.0).then(a.key.cmp(&b.key)));
        Sheet { bytes, notes }
    }

    /// Gives new notes that would sound together with an old one of the same channel and key a channel of their
    /// own: the end of one would else be taken for that of the other. Where no channel is free they go.
    fn part(&self, placing: &Placing<'_>, answer: &mut Vec<Note>) {
        let mut old: HashMap<(u8, u8), Vec<(f64, f64)>> = HashMap::new();
        for note in self.song.notes.iter().chain(&self.fixed) {
            old.entry((note.channel.0, note.key.0)).or_default().push((note.at.0, note.at.0 + note.len.0));
        }
        let mut free = placing.free().into_iter();
        let mut spare: HashMap<Instrument, Option<Channel>> = HashMap::new();
        answer.retain_mut(|note| {
            let (from, to) = (note.at.0, note.at.0 + note.len.0);
            let meets = |(start, end): &(f64, f64)| *start < to + EDGE && from < *end + EDGE;
            let stays = !old.get(&(note.channel.0, note.key.0)).is_some_and(|list| list.iter().any(meets));
            if stays || note.instrument.is_drums() {
                return true;
            }
            let other = *spare.entry(note.instrument).or_insert_with(|| free.next());
            note.channel = other.unwrap_or(note.channel);
            other.is_some()
        });
    }

    /// As loud as is wished for.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and 127
    fn shaded(&self, note: Note) -> Note {
        let mut velocity = f64::from(note.velocity.0);
        if let Some(loud) = self.loud {
            // The player's accents stay, around another mean.
            velocity = loud + (velocity - 80.0) * 0.5;
        }
        if self.fades {
            let (from, to) = (self.span.0.0, self.span.1.0);
            let share = ((note.at.0 - from) / (to - from).max(1e-9)).clamp(0.0, 1.0);
            velocity *= 1.0 - 0.85 * share;
        }
        Note { velocity: Velocity(velocity.round().clamp(1.0, 127.0) as u8), ..note }
    }
}

/// A file for a model; `name` is the field that it came in.
pub fn open(model: &Model, name: &str, bytes: &[u8]) -> Result<Song, Failure> {
    let wrong = |error: String| Failure::field(name, format!("{name}: {error}"));
    let midi = Midi::parse(bytes).map_err(|error| wrong(error.to_string()))?;
    let bytes = match model.frame() {
        TimeFrame::Beats { .. } => bytes.to_vec(),
        TimeFrame::Seconds => compound::to_midi(&released(compound::from_midi(&midi)))
            .map_err(|error| wrong(error.to_string()))?,
    };
    let song = Song::parse(Path::new(name), bytes).map_err(|error| wrong(error.to_string()))?;
    if song.notes.is_empty() {
        return Err(wrong("the file has no notes; send one with at least one".into()));
    }
    // Seconds that are asked for become beats: at such a tempo they would be millions.
    if let Some((at, tempo)) = song.tempos.iter().find(|(_, tempo)| tempo.0 > FASTEST) {
        return Err(wrong(format!(
            "the tempo at beat {:.0} is {:.0} a minute, and may be {FASTEST:.0}; export the file again",
            at.0, tempo.0
        )));
    }
    let seconds = song.seconds(song.end());
    if seconds > LONGEST {
        return Err(wrong(format!("the file lasts {seconds:.0} s, and may last {LONGEST:.0}")));
    }
    Ok(song)
}

/// Notes that are never released last 250 ms, as the reference's events say.
fn released(notes: Vec<compound::Compound>) -> Vec<compound::Compound> {
    let end = |note: compound::Compound| compound::Compound {
        duration: if note.duration < 0 { 25 } else { note.duration },
        ..note
    };
    notes.into_iter().map(end).collect()
}

/// A song without notes.
pub fn blank(model: &Model, tempo: f64) -> Result<Song, Failure> {
    let song = match model.frame() {
        TimeFrame::Beats { .. } => Song::blank(Bpm(tempo)),
        TimeFrame::Seconds => {
            Song::parse(Path::new("a new song"), compound::to_midi(&[]).unwrap_or_default())
        }
    };
    song.map_err(|error| Failure::failed(error.to_string()))
}

/// The frame of a page: for models in 10 ms exactly that.
pub fn exact(model: &Model, frame: Frame) -> Frame {
    match model.frame() {
        TimeFrame::Beats { .. } => frame,
        TimeFrame::Seconds => Frame { ticks_per_beat: CLOCK, ..frame },
    }
}

/// The frame of a page whose tick 0 is `origin`.
pub fn frame(model: &Model, song: &Song, origin: Beats) -> Frame {
    exact(model, crate::playing::frame(model.frame(), song, origin, origin))
}
