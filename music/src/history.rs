//! What was heard: the player's notes, and answers that were played, on the line.

use continuo_timeline::{Beats, Channel, Instrument, Key, Note, Velocity};

/// Notes kept; older ones are forgotten.
const KEPT: usize = 512;

/// A key that is down, or that the pedal holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    at: Beats,
    key: Key,
    channel: Channel,
    velocity: Velocity,
    /// Let go at this time, but held by the pedal.
    let_go: bool,
}

/// Notes in order of their ends, and what is still held.
#[derive(Default)]
pub struct History {
    notes: Vec<Note>,
    held: Vec<Held>,
    pedal: bool,
    last_end: Option<Beats>,
}

impl History {
    /// A key goes down.
    pub fn on(&mut self, at: Beats, key: Key, channel: Channel, velocity: Velocity, instrument: Instrument) {
        self.finish(at, instrument, |held| held.key == key && held.channel == channel);
        self.held.push(Held { at, key, channel, velocity, let_go: false });
    }

    /// A key comes up; the pedal may hold its note.
    pub fn off(&mut self, at: Beats, key: Key, channel: Channel, instrument: Instrument) {
        if self.pedal {
            let same = |held: &&mut Held| held.key == key && held.channel == channel;
            self.held.iter_mut().filter(same).for_each(|held| held.let_go = true);
        } else {
            self.finish(at, instrument, |held| held.key == key && held.channel == channel);
        }
    }

    /// The pedal goes down or up.
    pub fn pedal(&mut self, at: Beats, down: bool, instrument: Instrument) {
        self.pedal = down;
        if !down {
            self.finish(at, instrument, |held| held.let_go);
        }
    }

    /// All keys come up: a host may never send what it cut off.
    pub fn release(&mut self, at: Beats, instrument: Instrument) {
        self.pedal = false;
        self.finish(at, instrument, |_| true);
    }

    fn finish(&mut self, at: Beats, instrument: Instrument, which: impl Fn(&Held) -> bool) {
        let ended: Vec<Held> = self.held.extract_if(.., |held| which(held)).collect();
        for held in ended {
            self.add(held.note(at, instrument));
            self.last_end = Some(at);
        }
    }

    /// A note that was played by an answer.
    pub fn add(&mut self, note: Note) {
        self.notes.push(note);
        if self.notes.len() > 2 * KEPT {
            self.notes.drain(..KEPT);
        }
    }

    /// Whether no key is down and the pedal is up.
    pub fn is_quiet(&self) -> bool {
        self.held.is_empty() && !self.pedal
    }

    /// When the last note of the player ended.
    pub fn last_end(&self) -> Option<Beats> {
        self.last_end
    }

    /// All notes at `now`, in order of onset, those that sound ending now.
    pub fn notes(&self, now: Beats, instrument: Instrument) -> Vec<Note> {
        let held = self.held.iter().map(|held| held.note(now, instrument));
        let mut notes: Vec<Note> = self.notes.iter().copied().chain(held).collect();
        notes.sort_by(|a, b| {
            a.at.0.total_cmp(&b.at.0).then(a.instrument.cmp(&b.instrument)).then(a.key.cmp(&b.key))
        });
        notes
    }

    /// Onsets of the player since `from`.
    pub fn onsets_since(&self, from: Beats) -> Vec<f64> {
        let ended = self.notes.iter().map(|note| note.at.0);
        let mut onsets: Vec<f64> = ended.chain(self.held.iter().map(|held| held.at.0)).collect();
        onsets.retain(|at| *at >= from.0 - 1e-9);
        onsets.sort_by(f64::total_cmp);
        onsets
    }
}

impl Held {
    fn note(&self, end: Beats, instrument: Instrument) -> Note {
        Note {
            at: self.at,
            len: Beats((end.0 - self.at.0).max(1.0 / 48.0)),
            key: self.key,
            velocity: self.velocity,
            instrument: if self.channel.0 == 9 { Instrument::DRUMS } else { instrument },
            channel: self.channel,
        }
    }
}
