//! What is kept: takes in the project, phrases in the journal.

use continuo_timeline::{FromWorker, Note, Settings, Tick};

use super::Mind;
use crate::state::{Take, TakeNote};

impl Mind {
    /// The newest answer becomes a take, at its place in the song.
    pub(super) fn keep(&mut self) {
        let (Some((_, notes)), Some(tick)) = (&self.newest, self.tick) else { return };
        if notes.is_empty() {
            return;
        }
        let take = self.take(notes, &tick);
        let written = self.journal.kept(&take);
        self.takes.keep(take);
        self.generation = self.takes.generation().wrapping_sub(1);
        self.say_if_lost(written);
    }

    /// Notes of the line at their place in the song.
    fn take(&self, notes: &[Note], tick: &Tick) -> Take {
        let shift = tick.song.0 - tick.at.0;
        let placed = notes.iter().map(|note| TakeNote {
            at: note.at.0 + shift,
            len: note.len.0,
            key: note.key.0,
            velocity: note.velocity.0,
            instrument: note.instrument.0,
            channel: note.channel.0,
        });
        let seed = self.settings.map_or(0, |settings| settings.seed);
        Take { notes: placed.collect(), seed, model: self.model.clone(), muted: false }
    }

    /// The phrase that just ended, into the journal.
    pub(super) fn note_down(&mut self, tick: &Tick, settings: &Settings) {
        let Some(began) = self.phrase.began() else { return };
        let mut notes = self.history.notes(tick.at, settings.player);
        notes.retain(|note| note.at.0 >= began.0 - 1e-9);
        if !notes.is_empty() {
            let written = self.journal.heard(&self.take(&notes, tick));
            self.say_if_lost(written);
        }
    }

    fn say_if_lost(&mut self, written: std::io::Result<()>) {
        if let Err(error) = written {
            self.show(|picture| {
                picture.message =
                    format!("The journal cannot be written ({error}); save the project to keep takes.");
            });
        }
    }

    /// The table of the newest unmuted take, when it changed.
    pub(super) fn resend_takes(&mut self) {
        let generation = self.takes.generation();
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        let takes = self.takes.takes();
        self.unsent.push(FromWorker::TakeBegin);
        for note in takes.iter().rev().find(|take| !take.muted).map_or(&[][..], |take| &take.notes) {
            self.unsent.push(FromWorker::TakeNote(note.note()));
        }
        self.unsent.push(FromWorker::TakeEnd);
        let message = self.takes.message();
        self.show(|picture| {
            picture.takes = takes.len();
            picture.message = message;
        });
    }
}
