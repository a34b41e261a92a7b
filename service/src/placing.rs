//! Events of an answer as notes of the song: in beats, as loud as its part was, on its part's channel.

use continuo_inference::Event;
use continuo_music::expression::Dynamics;
use continuo_music::frame::Frame;
use continuo_timeline::{Beats, Channel, Instrument, Note};

use crate::song::Song;

/// The shortest note that is written.
const SHORTEST: f64 = 1.0 / 48.0;

/// A part of the song, or one that joins it.
struct Part {
    instrument: Instrument,
    channel: Channel,
    dynamics: Dynamics,
}

/// Places events into a song.
pub struct Placing<'a> {
    song: &'a Song,
    frame: Frame,
    /// No note reaches over this.
    end: Beats,
    parts: Vec<Part>,
}

impl<'a> Placing<'a> {
    /// For the instruments of `song` and those of `joining`, which get channels that are free.
    pub fn new(song: &'a Song, frame: Frame, end: Beats, joining: &[u8]) -> Self {
        let mut placing = Self { song, frame, end, parts: Vec::new() };
        for note in &song.notes {
            if !placing.parts.iter().any(|part| part.instrument == note.instrument) {
                placing.join(note.instrument, Some(note.channel));
            }
        }
        for &program in joining {
            if !placing.parts.iter().any(|part| part.instrument.0 == program) {
                placing.join(Instrument(program), None);
            }
        }
        placing
    }

    fn join(&mut self, instrument: Instrument, channel: Option<Channel>) {
        let own: Vec<Note> =
            self.song.notes.iter().copied().filter(|note| note.instrument == instrument).collect();
        let dynamics = self.dynamics(if own.is_empty() { &self.song.notes } else { &own });
        let free = |channel: &u8| {
            let used = self.parts.iter().any(|part| part.channel.0 == *channel);
            *channel != 9 && !used && self.song.notes.iter().all(|note| note.channel.0 != *channel)
        };
        let channel = channel.unwrap_or_else(|| {
            Channel(if instrument.is_drums() { 9 } else { (0..16).find(free).unwrap_or(15) })
        });
        self.parts.push(Part { instrument, channel, dynamics });
    }

    /// Ticks of the bar that a tick lies in.
    pub fn bar_at(&self, tick: i32) -> i32 {
        self.frame.ticks(self.song.meter(self.frame.beat(tick)).1.bar())
    }

    /// The channel of an instrument that plays.
    pub fn channel(&self, instrument: Instrument) -> Option<Channel> {
        self.parts.iter().find(|part| part.instrument == instrument).map(|part| part.channel)
    }

    /// Channels that nobody plays on.
    pub fn free(&self) -> Vec<Channel> {
        let used = |channel: u8| {
            self.parts.iter().any(|part| part.channel.0 == channel)
                || self.song.notes.iter().any(|note| note.channel.0 == channel)
        };
        (0..16).filter(|channel| *channel != 9 && !used(*channel)).map(Channel).collect()
    }

    /// How loud these notes of the song are.
    fn dynamics(&self, notes: &[Note]) -> Dynamics {
        let (bar, meter) = self.song.meter(self.song.end());
        Dynamics::of(notes, bar, meter)
    }

    /// An event as a note.
    pub fn note(&self, event: &Event) -> Note {
        let at = self.frame.beat(event.onset);
        let until = self.frame.beat(event.onset + event.duration.max(1)).0.min(self.end.0);
        let part = self.parts.iter().find(|part| part.instrument == event.instrument);
        let dynamics = part.map_or_else(|| self.dynamics(&self.song.notes), |part| part.dynamics.clone());
        let (bar, length) = (self.song.bar_before(at), self.song.meter(at).1.bar().0);
        Note {
            at,
            len: Beats((until - at.0).max(SHORTEST)),
            key: event.key,
            velocity: dynamics.velocity(at, bar, length, event.key.0, None),
            instrument: event.instrument,
            channel: part.map_or(Channel(0), |part| part.channel),
        }
    }
}
