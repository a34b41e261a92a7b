//! What is kept: takes in the project, also from files, and phrases in the journal.

use continuo_timeline::{FromWorker, Mode, Note, Settings, Tick};

use super::{Mind, around};
use crate::state::{Take, TakeNote};
use crate::worker::importing::import;

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

    /// A file that the player chose becomes the newest take.
    pub(super) fn bring_in(&mut self) {
        let Some(path) = self.takes.take_wanted() else { return };
        match import(&path) {
            Ok(take) => {
                let written = self.journal.kept(&take);
                self.takes.keep(take);
                self.generation = self.takes.generation().wrapping_sub(1);
                self.say_if_lost(written);
            }
            Err(why) => self.show(|picture| picture.message = why),
        }
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
        let accompanies = self.settings.is_some_and(|settings| settings.mode == Mode::Accompany);
        if generation == self.generation && !accompanies && self.left_out.is_empty() {
            return;
        }
        let takes = self.takes.takes();
        let sounding = around::sounding(&takes).zip(self.settings);
        let left = sounding.map(|(take, settings)| around::left_to_the_model(take, &settings));
        let left = left.unwrap_or_default();
        if generation == self.generation && left == self.left_out {
            return;
        }
        self.generation = generation;
        self.unsent.push(FromWorker::TakeBegin);
        for note in around::sounding(&takes).map_or(&[][..], |take| &take.notes) {
            let note = note.note();
            if !left.contains(&note.instrument) {
                self.unsent.push(FromWorker::TakeNote(note));
            }
        }
        self.left_out = left;
        self.unsent.push(FromWorker::TakeEnd);
        let message = self.takes.message();
        self.show(|picture| {
            picture.takes = takes.len();
            picture.message = message;
        });
    }
}
