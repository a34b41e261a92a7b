//! How notes of the model become a MIDI file: beside what was there, as loud as it, in its tempo.

use std::collections::HashMap;
use std::path::Path;

use continuo_inference::{Event, Model, TimeFrame, compound};
use continuo_music::frame::Frame;
use continuo_timeline::{Beats, Bpm, Channel, Instrument, Meter, Note, Velocity};

use super::super::failure::Failure;
use crate::placing::Placing;
use crate::song::Song;

/// Ticks of 10 ms in a beat at 120 beats a minute.
pub const CLOCK: f64 = 50.0;
/// Notes that are so near in beats may meet in a file.
const EDGE: f64 = 1.0 / 480.0;

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
    /// The new ones among them.
    pub made: Vec<Note>,
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
        let made = answer.clone();
        answer.extend(&self.fixed);
        let bytes = self.song.with_answer(&answer, self.until);
        let mut notes = self.song.notes.clone();
        notes.extend(answer);
        notes.sort_by(|a, b| a.at.0.total_cmp(&b.at.0).then(a.key.cmp(&b.key)));
        Sheet { bytes, notes, made }
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

/// A song without notes. Those of models in seconds have the clock's tempo and bars.
pub fn blank(model: &Model, tempo: Bpm, meter: Meter) -> Result<Song, Failure> {
    let song = match model.frame() {
        TimeFrame::Beats { .. } => Song::blank(tempo, meter),
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
