//! What the worker thinks: every decision is taken at a tick, from stamped messages alone.

use std::sync::{Arc, PoisonError};

use continuo_inference::{Engine, Model};
use continuo_music::history::History;
use continuo_music::key;
use continuo_music::phrase::Phrase;
use continuo_timeline::{
    Beats, Channel, Cut, Epoch, FromWorker, Instrument, Key, Mode, Note, Press, Settings, Tick, ToWorker,
    Velocity,
};

use super::along::Along;
use super::asking::{Asking, Question, prepare};
use super::launch::launch;
use crate::journal::Journal;
use crate::link::WorkerSide;
use crate::state::{Take, TakeNote, TakeStore};
use crate::view::{Activity, ModelState, Picture, View};

/// An answer that could not be foreseen begins this long after the tick that decides it, at the earliest.
const LEAD: f64 = 0.125;
/// The end of a phrase that can be foreseen is answered this long before it comes, so that the answer is there
/// in time; a note of the player before its start makes it void.
const AHEAD: f64 = 0.5;
/// A phrase under way is read along each so many ticks: half a beat.
const PREPARED: u64 = 12;
/// Notes up to this far ahead are sent before an offline tick is acknowledged.
const HORIZON: f64 = 1.0;

/// One instance's mind.
pub struct Mind {
    view: Arc<View>,
    takes: Arc<TakeStore>,
    generation: u32,
    engine: Option<Arc<Engine>>,
    model: String,
    settings: Option<Settings>,
    tick: Option<Tick>,
    ticks: u64,
    history: History,
    phrase: Phrase,
    pressed: Option<Press>,
    asking: Option<Asking>,
    newest: Option<(Question, Vec<Note>)>,
    /// What was the newest before an answer that has not begun yet.
    before: Option<(Question, Vec<Note>)>,
    answers: u64,
    along: Along,
    journal: Journal,
    unsent: Vec<FromWorker>,
    picture: Picture,
}

impl Mind {
    /// Knows nothing yet.
    pub fn new(view: Arc<View>, takes: Arc<TakeStore>) -> Self {
        Self {
            view,
            // Not what the store says: the first look finds a difference and sends what was loaded before.
            generation: takes.generation().wrapping_sub(1),
            takes,
            engine: None,
            model: String::new(),
            settings: None,
            tick: None,
            ticks: 0,
            history: History::default(),
            phrase: Phrase::default(),
            pressed: None,
            asking: None,
            newest: None,
            before: None,
            answers: 0,
            along: Along::default(),
            journal: Journal::new(),
            unsent: Vec::new(),
            picture: Picture::default(),
        }
    }

    /// Another mind in place of one that met a defect of its own: it forgets what was heard, and says so.
    pub fn after_defect(&self) -> Self {
        let mut next = Self {
            engine: self.engine.clone(),
            model: self.model.clone(),
            settings: self.settings,
            ticks: self.ticks,
            answers: self.answers,
            ..Self::new(Arc::clone(&self.view), Arc::clone(&self.takes))
        };
        let model = self.picture.model.clone();
        next.show(|picture| {
            picture.model = model;
            picture.message =
                "Continuo met a defect of its own and listens anew. Takes are safe; please report it.".into();
        });
        next
    }

    /// The model is there.
    pub fn model(&mut self, model: &Arc<Model>) {
        self.engine = Some(Engine::shared(Arc::clone(model)));
        self.model = model.name().to_owned();
        let name = self.model.clone();
        self.show(|picture| picture.model = ModelState::Ready(name));
    }

    /// Whether it may have to answer soon.
    pub fn is_armed(&self) -> bool {
        self.settings.is_none_or(|settings| settings.mode != Mode::Off)
    }

    /// Deals with what came; whether there was anything to do.
    pub fn work(&mut self, side: &mut WorkerSide) -> bool {
        let mut busy = false;
        while let Some(message) = side.receive() {
            busy = true;
            self.hear(message, side);
        }
        self.resend_takes();
        busy |= self.pump(false, None);
        self.flush(side);
        if self.unsent.is_empty() {
            side.ack(self.ticks);
        }
        busy
    }

    fn hear(&mut self, message: ToWorker, side: &mut WorkerSide) {
        match message {
            ToWorker::Tick(tick) => self.tick(tick, side),
            ToWorker::On { at, key, velocity, channel, .. } => self.on(at, key, velocity, channel),
            ToWorker::Off { at, key, channel, .. } => self.history.off(at, key, channel, self.player()),
            ToWorker::Pedal { at, down, .. } => {
                self.history.pedal(at, down, self.player());
                if !down {
                    self.phrase.pedal_up();
                }
            }
            ToWorker::Epoch { at, epoch, why } => self.cut(at, epoch, why),
            ToWorker::Press { press: Press::Keep, .. } => self.keep(),
            ToWorker::Press { press, .. } => self.pressed = Some(press),
            ToWorker::Settings(settings) => self.settings = Some(settings),
            #[cfg(test)]
            ToWorker::Late { at } if at.0.is_nan() => panic!("a defect, as a test asks for"),
            ToWorker::Late { .. } => {}
        }
    }

    fn on(&mut self, at: Beats, key: Key, velocity: Velocity, channel: Channel) {
        self.history.on(at, key, channel, velocity, self.player());
        self.along.heard(at);
        self.phrase.note(at);
        self.activity(Activity::Listening);
    }

    fn player(&self) -> Instrument {
        self.settings.map_or(Instrument(0), |settings| settings.player)
    }

    /// An epoch ends: what was played of the answer belongs to the history, the rest is void.
    fn cut(&mut self, at: Beats, _epoch: Epoch, why: Cut) {
        if let Some(asking) = self.asking.take() {
            if asking.question.start.0 > at.0 {
                self.newest = self.before.take();
            } else if why != Cut::Again {
                self.archive(&asking.notes, at);
            }
        }
        self.unsent
            .retain(|message| !matches!(message, FromWorker::Planned { .. } | FromWorker::AnswerEnds { .. }));
        if matches!(why, Cut::Silence) {
            self.history.release(at, self.player());
            self.phrase.close();
        }
        self.activity(if self.is_armed() { Activity::Waiting } else { Activity::Off });
    }

    fn archive(&mut self, notes: &[Note], until: Beats) {
        for note in notes.iter().filter(|note| note.at.0 < until.0) {
            let len = Beats(note.len.0.min(until.0 - note.at.0));
            self.history.add(Note { len, ..*note });
        }
    }

    fn tick(&mut self, tick: Tick, side: &mut WorkerSide) {
        self.tick = Some(tick);
        self.ticks += 1;
        match self.settings {
            Some(settings) if settings.mode.plays_along() => self.play_along(&tick, &settings),
            Some(settings) if settings.mode != Mode::Off => self.decide(&tick, &settings),
            _ => {}
        }
        self.retire(&tick);
        self.show_phrase(&tick);
        if tick.offline {
            self.pump(true, Some(tick.at.0 + HORIZON));
            self.flush(side);
        }
        if self.unsent.is_empty() || !tick.offline {
            side.ack(self.ticks);
        }
    }

    /// The phrase as it grows, a few times a beat.
    fn show_phrase(&mut self, tick: &Tick) {
        let Some(began) = self.phrase.began().filter(|_| self.ticks % 4 == 0 && self.asking.is_none()) else {
            return;
        };
        let mut heard = self.history.notes(tick.at, self.player());
        heard.retain(|note| note.at.0 >= began.0 - 1e-9);
        let bar = (tick.bar.0, tick.meter.bar().0);
        self.show(|picture| {
            picture.heard = heard;
            picture.answer.clear();
            picture.answer_at = None;
            picture.bar = bar;
        });
    }

    fn decide(&mut self, tick: &Tick, settings: &Settings) {
        let ended = self.phrase.ends(tick, settings, &self.history);
        let foreseen = self.asking.as_ref().map(|asking| asking.question.start.0 <= tick.at.0 + 1e-6);
        match (self.pressed.take(), foreseen) {
            (Some(Press::Again), _) => self.again(tick, settings),
            (Some(Press::Answer), _) => self.answer(tick.at, LEAD, tick, settings),
            (_, Some(_)) if self.is_to_go_on(tick, settings) => {
                let Some(asking) = self.asking.take() else { return };
                self.archive(&asking.notes, asking.question.end);
                self.ask(asking.question.end, 0.0, tick, settings);
            }
            (_, Some(begun)) if ended || begun => {
                self.note_down(tick, settings);
                self.phrase.close();
            }
            (_, Some(_)) => {}
            (_, None) if ended => self.answer(tick.at, LEAD, tick, settings),
            (_, None) => {
                let due = self.phrase.due(tick, settings, &self.history);
                match due.filter(|due| due.0 - tick.at.0 <= AHEAD + 1e-6) {
                    Some(due) => self.ask(due, 0.0, tick, settings),
                    None => self.prepare(tick, settings),
                }
            }
        }
    }

    /// While a phrase is played the engine reads along, so that only its end is left to compute.
    fn prepare(&self, tick: &Tick, settings: &Settings) {
        let Some(engine) = self.engine.as_ref().filter(|_| self.phrase.began().is_some()) else { return };
        // What is rendered offline waits anyway.
        if self.ticks % PREPARED == 0 && !tick.offline {
            let notes = self.history.notes(tick.at, settings.player);
            prepare(engine, &Question::new(notes, tick.at, tick, settings), settings);
        }
    }

    /// Whether an answer that is about to end is to be followed by another.
    fn is_to_go_on(&self, tick: &Tick, settings: &Settings) -> bool {
        let ending = |asking: &Asking| asking.done && asking.question.end.0 - tick.at.0 <= AHEAD + 1e-6;
        settings.mode == Mode::Hold && self.asking.as_ref().is_some_and(ending)
    }

    /// Plans anew what is played together with the player, when it is time to.
    fn play_along(&mut self, tick: &Tick, settings: &Settings) {
        let controls = match settings.mode {
            Mode::Accompany if tick.playing => self.take_on_the_line(tick),
            _ => Vec::new(),
        };
        let until =
            controls.iter().map(|note: &Note| note.at.0 + note.len.0).fold(f64::NEG_INFINITY, f64::max);
        let Some(from) = self.along.replan(tick, until) else { return };
        if let Some(asking) = self.asking.take() {
            self.archive_from(&asking.notes, from);
        }
        self.unsent.push(FromWorker::Replan { from, epoch: tick.epoch });
        let mut notes = self.history.notes(tick.at, settings.player);
        notes.extend(controls.iter().filter(|note| note.at.0 < tick.at.0));
        notes.sort_by(|a, b| a.at.0.total_cmp(&b.at.0));
        let ahead = controls.into_iter().filter(|note| note.at.0 >= tick.at.0).collect();
        let beats = 2.0 * tick.meter.bar().0;
        self.begin(Question::plan(notes, ahead, from, beats, tick), tick, settings);
    }

    /// What of a plan is played although another follows.
    fn archive_from(&mut self, notes: &[Note], until: Beats) {
        notes.iter().filter(|note| note.at.0 < until.0 - 1e-9).for_each(|note| self.history.add(*note));
    }

    /// The take that sounds, where it lies on the line, from four bars back to four bars ahead.
    fn take_on_the_line(&self, tick: &Tick) -> Vec<Note> {
        let (takes, reach) = (self.takes.takes(), 4.0 * tick.meter.bar().0);
        let notes = takes.iter().rev().find(|take| !take.muted).map_or(&[][..], |take| &take.notes);
        let placed =
            notes.iter().map(|note| Note { at: Beats(note.at + tick.at.0 - tick.song.0), ..note.note() });
        placed.filter(|note| (note.at.0 - tick.at.0).abs() <= reach).collect()
    }

    /// The phrase is over; answers it.
    fn answer(&mut self, end: Beats, lead: f64, tick: &Tick, settings: &Settings) {
        self.note_down(tick, settings);
        self.phrase.close();
        self.ask(end, lead, tick, settings);
    }

    /// Answers what was heard by `end`, from `lead` beats later on.
    fn ask(&mut self, end: Beats, lead: f64, tick: &Tick, settings: &Settings) {
        let notes = self.history.notes(end, settings.player);
        if notes.is_empty() {
            self.show(|picture| {
                picture.message = "Play something first: there is nothing to answer yet.".into()
            });
            return;
        }
        let start = launch(Beats(end.0 + lead), tick, settings.quantise);
        let question = Question::new(notes, start, tick, settings);
        self.begin(question, tick, settings);
    }

    /// Answers the same once more, from the next beat on.
    fn again(&mut self, tick: &Tick, settings: &Settings) {
        let Some((before, _)) = self.newest.clone() else {
            return self.answer(tick.at, LEAD, tick, settings);
        };
        let shift = (tick.at.0 + LEAD).ceil() - before.start.0.ceil();
        let mut notes = before.notes;
        // The phrase moves up to the new start, so that the model hears it as just played.
        notes.iter_mut().for_each(|note| note.at.0 += shift);
        let start = Beats(before.start.0 + shift);
        let mut question = Question::new(notes, start, tick, settings);
        question.bar.0 = Beats(before.bar.0.0 + shift);
        self.begin(question, tick, settings);
    }

    fn begin(&mut self, question: Question, tick: &Tick, settings: &Settings) {
        let Some(engine) = self.engine.clone() else { return };
        let (start, end) = (question.start, question.end);
        let heard: Vec<Note> = question.notes.iter().rev().take(200).rev().copied().collect();
        let bar = (question.bar.0.0, question.bar.1);
        self.show(|picture| {
            picture.key = key::name(&heard);
            picture.heard = heard;
            picture.answer.clear();
            picture.answer_at = Some(start.0);
            picture.bar = bar;
            picture.activity = Activity::Thinking;
            picture.message.clear();
        });
        self.unsent.push(FromWorker::AnswerEnds { asked: tick.at, end, epoch: tick.epoch });
        self.before = self.newest.replace((question.clone(), Vec::new()));
        self.asking = Some(Asking::new(engine, question, *settings, self.answers, tick.epoch));
        self.answers += 1;
    }

    /// Takes notes from the engine; with `wait`, until they reach beyond `until` on the line.
    fn pump(&mut self, wait: bool, until: Option<f64>) -> bool {
        let mut any = false;
        loop {
            let Some(asking) = &mut self.asking else { return any };
            if asking.done || until.is_some_and(|until| asking.frontier().0 > until) {
                break;
            }
            match asking.next(wait) {
                Ok(Some(note)) => {
                    any = true;
                    let epoch = asking.epoch;
                    self.unsent.push(FromWorker::Planned { note, epoch });
                }
                Ok(None) => break,
                Err(what) => self.show(|picture| picture.message = format!("No answer: {what}")),
            }
        }
        if any {
            self.picture_answer();
        }
        any
    }

    fn picture_answer(&mut self) {
        let Some(asking) = &self.asking else { return };
        let (notes, pace) =
            (asking.notes.clone(), self.engine.as_ref().map_or(0.0, |engine| engine.ms_per_token()));
        if let Some((_, newest)) = &mut self.newest {
            newest.clone_from(&notes);
        }
        self.show(|picture| {
            picture.answer = notes;
            picture.ms_per_token = pace;
            picture.activity = Activity::Playing;
        });
    }

    /// An answer that is over belongs to the history.
    fn retire(&mut self, tick: &Tick) {
        if self.asking.as_ref().is_some_and(|asking| asking.done && tick.at.0 >= asking.question.end.0)
            && let Some(asking) = self.asking.take()
        {
            self.archive(&asking.notes, asking.question.end);
            self.activity(Activity::Waiting);
        }
    }

    /// The newest answer becomes a take, at its place in the song.
    fn keep(&mut self) {
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
    fn note_down(&mut self, tick: &Tick, settings: &Settings) {
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
    fn resend_takes(&mut self) {
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

    fn flush(&mut self, side: &mut WorkerSide) {
        let sent = self.unsent.iter().take_while(|message| side.send(**message).is_ok()).count();
        self.unsent.drain(..sent);
    }

    fn activity(&mut self, activity: Activity) {
        if self.picture.activity != activity {
            self.show(|picture| picture.activity = activity);
        }
    }

    /// Changes what the editor sees.
    pub fn show(&mut self, change: impl FnOnce(&mut Picture)) {
        change(&mut self.picture);
        *self.view.picture.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(self.picture.clone());
    }
}
