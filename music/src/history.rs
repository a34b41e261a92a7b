//! What was heard: the player's notes, and answers that were played, on the line.

use std::cmp::Ordering;

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
    /// And whether the player played it.
    notes: Vec<(Note, bool)>,
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

    /// All keys of a channel come up, or of all channels where none is named, and so does the pedal.
    pub fn all_off(&mut self, at: Beats, channel: Option<Channel>, instrument: Instrument) {
        self.pedal = false;
        self.finish(at, instrument, |held| {
            held.let_go || channel.is_none_or(|channel| held.channel == channel)
        });
    }

    fn finish(&mut self, at: Beats, instrument: Instrument, which: impl Fn(&Held) -> bool) {
        let ended: Vec<Held> = self.held.extract_if(.., |held| which(held)).collect();
        for held in ended {
            self.push(held.note(at, instrument), true);
            self.last_end = Some(at);
        }
    }

    /// A note that was played by an answer.
    pub fn add(&mut self, note: Note) {
        self.push(note, false);
    }

    fn push(&mut self, note: Note, own: bool) {
        self.notes.push((note, own));
        if self.notes.len() > 2 * KEPT {
            self.notes.drain(..KEPT);
        }
    }

    /// Whether no key is down and the pedal is up.
    pub fn is_quiet(&self) -> bool {
        self.held.is_empty() && !self.pedal
    }

    /// Keys that are down or that the pedal holds, but for drums.
    pub fn sounding(&self) -> impl Iterator<Item = u8> {
        self.held.iter().filter(|held| held.channel.0 != 9).map(|held| held.key.0)
    }

    /// When the last note of the player ended.
    pub fn last_end(&self) -> Option<Beats> {
        self.last_end
    }

    /// All notes at `now`, in order of onset, those that sound ending now.
    pub fn notes(&self, now: Beats, instrument: Instrument) -> Vec<Note> {
        let held = self.held.iter().map(|held| held.note(now, instrument));
        in_order(self.notes.iter().map(|(note, _)| *note).chain(held).collect())
    }

    /// What is held at `now`, ending then: nobody knows yet how long these notes will be.
    pub fn held(&self, now: Beats, instrument: Instrument) -> Vec<Note> {
        in_order(self.held.iter().map(|held| held.note(now, instrument)).collect())
    }

    /// What the player played, those that sound ending now.
    pub fn played(&self, now: Beats, instrument: Instrument) -> Vec<Note> {
        let ended = self.notes.iter().filter(|(_, own)| *own).map(|(note, _)| *note);
        in_order(ended.chain(self.held.iter().map(|held| held.note(now, instrument))).collect())
    }

    /// What answers played.
    pub fn answered(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|(_, own)| !own).map(|(note, _)| note)
    }

    /// Onsets of the player since `from`.
    pub fn onsets_since(&self, from: Beats) -> Vec<f64> {
        let ended = self.notes.iter().map(|(note, _)| note.at.0);
        let mut onsets: Vec<f64> = ended.chain(self.held.iter().map(|held| held.at.0)).collect();
        onsets.retain(|at| *at >= from.0 - 1e-9);
        onsets.sort_by(f64::total_cmp);
        onsets
    }
}

/// By onset, instrument and key. Onsets that differ by less than anybody can play are one: the last bits of a place on
/// the line depend on how the host cut time into blocks, and no answer may.
pub fn in_order(mut notes: Vec<Note>) -> Vec<Note> {
    notes.sort_by(order);
    notes
}

/// The order of [`in_order`].
pub fn order(a: &Note, b: &Note) -> Ordering {
    let place = |note: &Note| (note.at.0 * 1e6).round();
    place(a).total_cmp(&place(b)).then(a.instrument.cmp(&b.instrument)).then(a.key.cmp(&b.key))
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

#[cfg(test)]
mod tests {
    use super::*;

    const PIANO: Instrument = Instrument(0);

    fn strike(history: &mut History, at: f64, key: u8) {
        history.on(Beats(at), Key(key), Channel(0), Velocity(80), PIANO);
    }

    #[test]
    fn what_is_held_is_told_apart() {
        let mut history = History::default();
        strike(&mut history, 0.0, 60);
        history.off(Beats(0.8), Key(60), Channel(0), PIANO);
        strike(&mut history, 3.5, 67);
        strike(&mut history, 3.5, 64);
        let held = history.held(Beats(3.75), PIANO);
        assert_eq!(
            held.iter().map(|note| (note.key.0, note.len.0)).collect::<Vec<_>>(),
            [(64, 0.25), (67, 0.25)]
        );
        assert_eq!(history.notes(Beats(3.75), PIANO).len(), 3);
    }

    #[test]
    fn a_channel_is_let_go_as_a_whole() {
        let mut history = History::default();
        strike(&mut history, 0.0, 60);
        strike(&mut history, 0.0, 64);
        history.on(Beats(0.5), Key(40), Channel(1), Velocity(80), PIANO);
        history.pedal(Beats(0.6), true, PIANO);
        history.all_off(Beats(1.0), Some(Channel(0)), PIANO);
        let held = history.held(Beats(2.0), PIANO);
        assert_eq!(held.iter().map(|note| note.key.0).collect::<Vec<_>>(), [40]);
        history.all_off(Beats(2.0), None, PIANO);
        assert!(history.is_quiet());
        let lengths: Vec<f64> = history.notes(Beats(9.0), PIANO).iter().map(|note| note.len.0).collect();
        assert_eq!(lengths, [1.0, 1.0, 1.5]);
    }

    #[test]
    fn the_players_notes_are_told_from_answers() {
        let mut history = History::default();
        strike(&mut history, 0.0, 60);
        history.pedal(Beats(0.1), true, PIANO);
        history.off(Beats(0.5), Key(60), Channel(0), PIANO);
        history.add(Note { at: Beats(1.0), key: Key(72), ..history.notes(Beats(0.9), PIANO)[0] });
        let keys = |notes: Vec<Note>| notes.iter().map(|note| note.key.0).collect::<Vec<_>>();
        assert_eq!(keys(history.notes(Beats(2.0), PIANO)), [60, 72]);
        assert_eq!(keys(history.played(Beats(2.0), PIANO)), [60]);
    }
}
