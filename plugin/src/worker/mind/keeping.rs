//! What is kept: takes in the project, also from files, and phrases in the journal.

use continuo_music::history::in_order;
use continuo_timeline::{FromWorker, Mode, Note, Settings, Tick};

use super::{Mind, around};
use crate::state::{Asked, Take, TakeNote};
use crate::worker::asking::Question;
use crate::worker::importing::import;

/// The same digits for the same notes, wherever they lie: FNV-1a (Fowler, Noll and Vo) over keys, instruments, loudness,
/// lengths and distances in 48ths of a beat.
fn context(notes: &[Note]) -> String {
    let first = notes.first().map_or(0.0, |note| note.at.0);
    let ticks = |beats: f64| ((beats * 48.0).round() as i64).to_le_bytes();
    let bytes = notes.iter().flat_map(|note| {
        let what = [note.key.0, note.instrument.0, note.velocity.0];
        what.into_iter().chain(ticks(note.at.0 - first)).chain(ticks(note.len.0))
    });
    let hash = bytes.fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    format!("{hash:016x}")
}

impl Mind {
    /// The newest answer becomes a take, at its place in the song.
    pub(super) fn keep(&mut self) {
        let Some(tick) = self.tick else { return };
        let (question, notes) = self.to_keep(&tick);
        if notes.is_empty() {
            return self.show(|picture| picture.message = "There is no answer to keep yet.".into());
        }
        let take = self.answered(question.as_ref(), &notes);
        let is_open = self.asking.as_ref().is_some_and(|asking| !asking.done);
        self.grows = question.filter(|_| is_open).map(|question| (question.start, take.clone()));
        self.add_take(take);
    }

    /// A take that was kept while its answer came has all of it at the end.
    pub(super) fn grow(&mut self) {
        let Some((start, _)) = &self.grows else { return };
        if self.asking.as_ref().is_some_and(|asking| asking.question.start == *start && !asking.done) {
            return;
        }
        let start = *start;
        let is_it = |one: &&(Question, Vec<Note>)| one.0.start == start;
        let of_it = self.newest.as_ref().filter(is_it).or(self.before.as_ref().filter(is_it));
        let whole = of_it.map(|(question, notes)| self.answered(Some(question), notes));
        if let (Some((_, before)), Some(take)) = (self.grows.take(), whole)
            && take != before
        {
            let written = self.takes.journal().kept(&take);
            self.takes.replace(&before, take);
            self.generation = self.takes.generation().wrapping_sub(1);
            self.say_if_lost(written);
        }
    }

    /// An answer as a take: how it came about, and its notes.
    fn answered(&self, question: Option<&Question>, notes: &[Note]) -> Take {
        let settings = self.settings.unwrap_or_default();
        let asked = question.map(|question| Asked {
            mode: format!("{:?}", settings.mode),
            bars: settings.bars,
            tempo: question.tempo.0,
            temperature: settings.temperature,
            top_p: settings.top_p,
            density: settings.density,
        });
        let context = question.map(|question| context(&question.notes)).unwrap_or_default();
        Take { context, asked, ..self.take(notes) }
    }

    /// The answer that plays or played last. Of what is played along with the player, what was heard in the last bars: as
    /// many as an answer has.
    fn to_keep(&self, tick: &Tick) -> (Option<Question>, Vec<Note>) {
        let settings = self.settings.unwrap_or_default();
        if settings.mode.plays_along() {
            let from = tick.bar.0 - f64::from(settings.bars.max(1)) * tick.meter.bar().0;
            let mut heard = self.played_along(tick, &settings);
            heard.retain(|note| note.at.0 > from - 1e-6 && note.at.0 < tick.at.0);
            return (None, in_order(heard));
        }
        let begun =
            |(_, notes): &&(Question, Vec<Note>)| notes.first().is_some_and(|first| first.at.0 <= tick.at.0);
        let newest = self.newest.as_ref();
        // Of one that has not begun nobody knows yet whether it is to be kept.
        let before = self.before.as_ref().filter(|(_, notes)| !notes.is_empty());
        let found = newest.filter(begun).or(before).or(newest).cloned();
        found.map(|(question, notes)| (Some(question), notes)).unwrap_or_default()
    }

    fn played_along(&self, tick: &Tick, settings: &Settings) -> Vec<Note> {
        let mut heard: Vec<Note> = self.history.answered().copied().collect();
        if !settings.muted {
            heard.extend(self.planned().filter(|note| note.at.0 < tick.at.0));
        }
        heard
    }

    /// A take more, the newest of the project.
    fn add_take(&mut self, take: Take) {
        let written = self.takes.journal().kept(&take);
        if !self.takes.keep(take) {
            let text = "This project was saved by a newer Continuo, which keeps its own takes: this one is in the journal alone.";
            self.show(|picture| picture.message = text.into());
        }
        self.generation = self.takes.generation().wrapping_sub(1);
        self.say_if_lost(written);
    }

    /// A file that the player chose becomes the newest take.
    pub(super) fn bring_in(&mut self) {
        let Some(path) = self.takes.take_wanted() else { return };
        match import(&path) {
            Ok(take) => self.add_take(take),
            Err(why) => self.show(|picture| picture.message = why),
        }
    }

    /// Notes of the line at their place in the song, in the order of it.
    fn take(&self, notes: &[Note]) -> Take {
        let placed = notes.iter().map(|note| TakeNote {
            at: self.trail.song(note.at).0,
            len: note.len.0,
            key: note.key.0,
            velocity: note.velocity.0,
            instrument: note.instrument.0,
            channel: note.channel.0,
        });
        let mut notes: Vec<TakeNote> = placed.collect();
        notes.sort_by(|a, b| a.at.total_cmp(&b.at));
        let seed = self.settings.map_or(0, |settings| settings.seed);
        Take { notes, seed, model: self.model.clone(), ..Take::default() }
    }

    /// The phrase that just ended, into the journal.
    pub(super) fn note_down(&mut self, tick: &Tick, settings: &Settings) {
        let Some(began) = self.phrase.began() else { return };
        let mut notes = self.history.notes(tick.at, settings.player);
        notes.retain(|note| note.at.0 >= began.0 - 1e-9);
        if !notes.is_empty() {
            let written = self.takes.journal().heard(&self.take(&notes));
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
        // What was said of other things stays.
        let news = (message != self.said_of_takes).then(|| message.clone());
        self.said_of_takes = message;
        self.show(|picture| {
            picture.takes = takes.len();
            if let Some(message) = news {
                picture.message = message;
            }
        });
    }
}
