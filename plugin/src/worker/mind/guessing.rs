//! Answers that a key, the pedal or a parameter asks for: nobody knows when, so that they are thought of beforehand.
//!
//! While a phrase is played and there may not be time to answer it by the next place where answers begin, its answer is
//! guessed each half beat: its first beats, kept here. Whoever asks gets it from that place on; where answers begin at
//! once, from then on.

use continuo_timeline::{Beats, FromWorker, Quantise, Settings, Tick};

use super::Mind;
use super::deciding::PREPARED;
use super::planning::MARGIN;
use crate::worker::asking::{Asking, Question};
use crate::worker::launch::launch;

/// So much of an answer is guessed, in beats.
const GUESSED: f64 = 2.0;
/// A guess that has heard nothing for longer than this is none, in beats.
const FRESH: f64 = 0.5;

/// What would be answered.
pub struct Guess {
    asking: Asking,
    /// It has heard what was played by then.
    heard: Beats,
}

impl Mind {
    /// Guesses anew, if it is time to; whether an answer is guessed or need not be read along for.
    pub(super) fn guess(&mut self, tick: &Tick, settings: &Settings) -> bool {
        // What is rendered offline waits for what is asked.
        if !settings.is_asked() || tick.offline || self.phrase.began().is_none() {
            return false;
        }
        if self.ticks % PREPARED != 0 || self.is_guessing() {
            return true;
        }
        self.guess = None;
        // Who asks on the line itself is heard a tick later.
        let start = launch(Beats(tick.at.0 + MARGIN), tick, settings);
        let in_time = start.0 - tick.at.0 >= FRESH + self.ahead(tick);
        let Some(maker) = self.engines.maker().filter(|_| !in_time) else { return false };
        self.pace.of(&maker.name());
        if !self.pace.keeps_up(tick, FRESH) {
            return false;
        }
        let notes = self.history.notes(tick.at, settings.player);
        let mut question = self.in_context(Question::new(notes, start, tick, settings), tick, settings);
        if settings.quantise == Quantise::None {
            // What it begins with will mostly be past.
            question.first_by = question.end;
        }
        let until = Beats(start.0 + GUESSED);
        let (manner, name) = ((*settings, self.pace.density()), (self.answers, tick.epoch));
        let asking = Asking::guess(maker, question, manner, name, until);
        self.guess = Some(Guess { asking, heard: tick.at });
        true
    }

    /// One thing at a time: another guess would only come later still.
    fn is_guessing(&self) -> bool {
        self.guess.as_ref().is_some_and(|guess| guess.asking.is_waited_for())
    }

    /// Takes in what came of the guess; whether anything did.
    pub(super) fn read_guess(&mut self) -> bool {
        let mut any = false;
        while let Some(guess) = &mut self.guess {
            match guess.asking.next(false) {
                Ok(Some(_)) => any = true,
                Ok(None) => break,
                Err(_) => self.guess = None,
            }
        }
        if let Some(seconds) = self.guess.as_mut().and_then(|guess| guess.asking.take_waited()) {
            self.pace.waited(seconds);
        }
        any
    }

    /// Somebody asks for an answer, now: the guess, where there is no time for one that knows the last notes too.
    pub(super) fn answer_on_demand(&mut self, tick: &Tick, settings: &Settings) {
        if !settings.is_asked() {
            return self.ask(tick.at, self.lead(tick), tick, settings);
        }
        if tick.offline {
            return self.ask(tick.at, 0.0, tick, settings);
        }
        let guess = self.guess.take();
        let start = launch(tick.at, tick, settings);
        let in_time = start.0 - tick.at.0 >= self.ahead(tick);
        match guess.filter(|_| !in_time).and_then(|guess| self.fitting(guess, start, tick, settings)) {
            Some(asking) => self.take_up(asking, tick, settings),
            None => self.ask(tick.at, self.lead(tick), tick, settings),
        }
    }

    /// The guess as an answer that begins at `start`, if it can.
    fn fitting(&self, guess: Guess, start: Beats, tick: &Tick, settings: &Settings) -> Option<Asking> {
        let mut asking = guess.asking;
        let is_fresh = tick.at.0 - guess.heard.0 <= FRESH + 1e-6;
        let same = self.engines.maker().is_some_and(|maker| maker.name() == asking.maker().name());
        if !is_fresh || !same || asking.epoch != tick.epoch {
            return None;
        }
        let fits = match settings.quantise {
            Quantise::None => asking.begin_at(Beats(tick.at.0 + MARGIN)),
            _ => (asking.question.start.0 - start.0).abs() < 1e-6,
        };
        asking.release();
        fits.then_some(asking)
    }

    /// What was guessed is the answer.
    fn take_up(&mut self, asking: Asking, tick: &Tick, settings: &Settings) {
        self.author = asking.maker().author();
        self.introduce(&asking.question, tick, settings);
        let (epoch, start) = (asking.epoch, asking.question.start);
        self.from = Some(start);
        let planned = asking.notes.iter().map(|note| FromWorker::Planned { note: *note, epoch });
        self.unsent.extend(planned);
        let any = !asking.notes.is_empty();
        self.asking = Some(asking);
        if any {
            self.picture_answer();
        }
    }
}
