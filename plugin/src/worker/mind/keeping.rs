//! What is kept: takes in the project, also from files, and phrases in the journal.

use continuo_music::history::in_order;
use continuo_timeline::{Beats, Bpm, FromWorker, Mode, Note, Settings, Tick};

use super::{Answer, Mind, around};
use crate::kept::{digits, in_words};
use crate::state::{Asked, Take, TakeNote};
use crate::worker::asking::{Question, recent};
use crate::worker::importing::import;
use crate::worker::maker::Author;

/// The same digits for the same notes, wherever they lie: of keys, instruments, loudness, lengths and distances in 48ths
/// of a beat.
fn context(notes: &[Note]) -> String {
    let first = notes.first().map_or(0.0, |note| note.at.0);
    let ticks = |beats: f64| ((beats * 48.0).round() as i64).to_le_bytes();
    digits(notes.iter().flat_map(|note| {
        let what = [note.key.0, note.instrument.0, note.velocity.0];
        what.into_iter().chain(ticks(note.at.0 - first)).chain(ticks(note.len.0))
    }))
}

fn asked(settings: &Settings, tempo: Bpm) -> Asked {
    Asked {
        mode: format!("{:?}", settings.mode),
        bars: settings.bars,
        tempo: tempo.0,
        temperature: settings.temperature,
        top_p: settings.top_p,
        density: settings.density,
    }
}

/// What somebody made.
fn made(notes: Vec<TakeNote>, author: &Author, settings: &Settings) -> Take {
    let Author { model, weights } = author.clone();
    Take { notes, seed: settings.seed, model, weights, ..Take::default() }
}

impl Mind {
    /// The newest answer becomes a take, at its place in the song. Of what is played along with the player, what was heard
    /// in the last bars: as many as an answer has.
    pub(super) fn keep(&mut self) {
        let Some(tick) = self.tick else { return };
        let along = self.settings.filter(|settings| settings.mode.plays_along());
        let answer = if along.is_none() { self.to_keep(&tick).cloned() } else { None };
        let (take, notes) = match (along, &answer) {
            (Some(settings), _) => self.played_along(&tick, &settings),
            (_, Some(answer)) => self.answered(answer),
            (None, None) => (Take::default(), Vec::new()),
        };
        if notes.is_empty() {
            return self.show(|picture| picture.message = "There is no answer to keep yet.".into());
        }
        let take = self.add_take(take);
        self.lineage.keeps(&take.id, &notes);
        // The next answer may be on its way already: that one does not grow the take.
        let start = answer.map(|answer| answer.question.start).filter(|start| self.comes(*start));
        self.grows = start.map(|start| (start, take));
    }

    /// Whether more may come of the answer that was to start there: of the newest, where it was asked for.
    fn comes(&self, start: Beats) -> bool {
        let is_newest = self.newest.as_ref().is_some_and(|newest| newest.question.start == start);
        is_newest && self.asking.as_ref().is_some_and(|asking| !asking.done)
    }

    /// A take that was kept while its answer came has all of it at the end.
    pub(super) fn grow(&mut self) {
        let Some((start, _)) = &self.grows else { return };
        if self.comes(*start) {
            return;
        }
        let is_it = |one: &&Answer| one.question.start == *start;
        let of_it = self.newest.as_ref().filter(is_it).or(self.before.as_ref().filter(is_it)).cloned();
        let whole = of_it.map(|answer| self.answered(&answer));
        if let (Some((_, before)), Some((take, notes))) = (self.grows.take(), whole) {
            let take = Take { id: before.id.clone(), after: before.after.clone(), ..take };
            if take != before {
                self.lineage.keeps(&take.id, &notes);
                let written = self.takes.journal().kept(&take);
                self.takes.replace(take);
                self.generation = self.takes.generation().wrapping_sub(1);
                self.say_if_lost(written);
            }
        }
    }

    /// An answer as a take: how it came about, and its notes, on the line too.
    fn answered(&self, answer: &Answer) -> (Take, Vec<Note>) {
        let question = &answer.question;
        let notes = answer.placed.clone().unwrap_or_else(|| self.placed(&answer.notes));
        let take = Take {
            context: context(&question.notes),
            asked: Some(asked(&answer.settings, question.tempo)),
            around: self.known_around(question.start, question.end),
            after: self.after(question),
            ..made(notes, &answer.author, &answer.settings)
        };
        (take, answer.notes.clone())
    }

    /// The answer that plays or played last.
    fn to_keep(&self, tick: &Tick) -> Option<&Answer> {
        let begun = |one: &&Answer| one.notes.first().is_some_and(|first| first.at.0 <= tick.at.0);
        let newest = self.newest.as_ref();
        // Of one that has not begun nobody knows yet whether it is to be kept.
        let before = self.before.as_ref().filter(|one| !one.notes.is_empty());
        newest.filter(begun).or(before).or(newest)
    }

    /// What was played along as a take: how it came about, and its notes, on the line too.
    fn played_along(&self, tick: &Tick, settings: &Settings) -> (Take, Vec<Note>) {
        let from = tick.bar.0 - f64::from(settings.bars.max(1)) * tick.meter.bar().0;
        let mut heard: Vec<Note> = self.history.answered().copied().collect();
        if !settings.muted {
            heard.extend(self.planned());
        }
        heard.retain(|note| note.at.0 > from - 1e-6 && note.at.0 < tick.at.0);
        let heard = in_order(heard);
        let begins = heard.first().map_or(tick.at, |note| note.at);
        let take = Take {
            asked: Some(asked(settings, tick.tempo)),
            around: self.known_around(begins, tick.at),
            after: self.newest.as_ref().map(|answer| self.after(&answer.question)).unwrap_or_default(),
            ..made(self.placed(&heard), &self.author, settings)
        };
        (take, heard)
    }

    /// Takes of the project that were played around between two places.
    fn known_around(&self, from: Beats, to: Beats) -> Vec<String> {
        let mut ids = self.lineage.around(from, to);
        ids.retain(|id| self.takes.has(id));
        ids
    }

    /// Takes of the project that stand in what the model heard before an answer.
    fn after(&self, question: &Question) -> Vec<String> {
        let mut ids = self.lineage.after(&recent(question), question.moved);
        ids.retain(|id| self.takes.has(id));
        ids
    }

    /// A take more, the newest of the project.
    fn add_take(&mut self, mut take: Take) -> Take {
        self.takes.name(&mut take);
        let written = self.takes.journal().kept(&take);
        if !self.takes.keep(take.clone()) {
            let text = "This project was saved by a newer Continuo, which keeps its own takes: this one is in the journal alone.";
            self.show(|picture| picture.message = text.into());
        }
        self.generation = self.takes.generation().wrapping_sub(1);
        self.say_if_lost(written);
        take
    }

    /// A file that the player chose becomes the newest take.
    pub(super) fn bring_in(&mut self) {
        let Some(path) = self.takes.take_wanted() else { return };
        match import(&path) {
            Ok(take) => drop(self.add_take(take)),
            Err(why) => self.show(|picture| picture.message = why),
        }
    }

    /// Notes of the line at their place in the song, in the order of it.
    pub(super) fn placed(&self, notes: &[Note]) -> Vec<TakeNote> {
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
        notes
    }

    /// The phrase that just ended, into the journal.
    pub(super) fn note_down(&mut self, tick: &Tick, settings: &Settings) {
        let Some(began) = self.phrase.began() else { return };
        let mut notes = self.history.notes(tick.at, settings.player);
        notes.retain(|note| note.at.0 >= began.0 - 1e-9);
        if !notes.is_empty() {
            let phrase = Take { notes: self.placed(&notes), ..Take::default() };
            let written = self.takes.journal().heard(&phrase);
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
        let plays = self.takes.sounding();
        let left = plays.as_ref().zip(self.settings);
        let left =
            left.map(|(take, settings)| around::left_to_the_model(take, &settings)).unwrap_or_default();
        if generation == self.generation && left == self.left_out {
            return;
        }
        self.generation = generation;
        self.unsent.push(FromWorker::TakeBegin);
        for note in plays.as_ref().map_or(&[][..], |take| &take.notes) {
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
        let takes = self.takes.takes();
        self.show(|picture| {
            picture.takes = takes.len();
            picture.take = plays.map(|take| in_words(&take, &takes)).unwrap_or_default();
            if let Some(message) = news {
                picture.message = message;
            }
        });
    }
}
