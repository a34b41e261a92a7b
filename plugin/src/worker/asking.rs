//! One answer under way: asked of the engine, its notes placed on the line.
//!
//! - [`question`] what is answered, [`prompting`] how that is written for the model

mod prompting;
mod question;
#[cfg(test)]
mod tests;

use std::time::Instant;

use continuo_inference::Step;
use continuo_music::expression::Dynamics;
use continuo_music::feel::Feel;
use continuo_timeline::{Beats, Epoch, Note, Settings, Velocity};

use self::prompting::{Writing, prompt};
pub use self::prompting::{prepare, recent};
pub use self::question::Question;
use self::question::SIXTEENTH;
use super::maker::{Maker, Reply};

/// An answer that falls silent this long before its end is asked to go on.
const GAP: f64 = 1.0;
/// So often.
const RETRIES: u32 = 2;
/// Onsets that are nearer to each other than this are one, in beats.
const TOGETHER: f64 = 1.0 / 48.0;
/// A first note that is further ahead than this is not drawn near, in beats.
const NEAR: f64 = 1.0;

/// An answer under way.
pub struct Asking {
    /// What it answers.
    pub question: Question,
    /// Its number: another number, other draws.
    pub number: u64,
    /// Epoch it belongs to.
    pub epoch: Epoch,
    /// Notes so far.
    pub notes: Vec<Note>,
    /// Whether all is there.
    pub done: bool,
    maker: Maker,
    answer: Reply,
    writing: Writing,
    /// What of the player's feel is put on the answer.
    feel: Feel,
    /// As they stood when it was asked, but for the density, which may be less by now.
    settings: Settings,
    /// The density that the player wants.
    wanted: f32,
    dynamics: Dynamics,
    retries: u32,
    /// How often the rest was asked for in another way: thinner, of another maker, or beyond what was guessed.
    anew: u32,
    /// Only what lies before this is asked for, while nobody has asked for the answer.
    guessed: Option<Beats>,
    /// Whether somebody has.
    released: bool,
    /// Whether all that was guessed is there, and nobody has asked for more.
    rested: bool,
    /// What would begin before the first of these two places begins at the second.
    drawn: Option<(Beats, Beats)>,
    /// When something was heard of the maker last.
    heard: Instant,
    /// Beats by which it was put off: its place was past when it came.
    put_off: f64,
    asked: Instant,
    /// When its first note was asked for, of whoever makes it now; `None` when that is there.
    waits: Option<Instant>,
    /// Seconds until the first note, until they are asked for.
    waited: Option<f64>,
}

impl Asking {
    /// Asks for an answer of a share of the density that is wanted.
    pub fn new(
        maker: Maker,
        question: Question,
        settings: Settings,
        share: f32,
        (number, epoch): (u64, Epoch),
    ) -> Self {
        Self::ask(maker, question, (settings, share), (number, epoch), None)
    }

    /// Asks beforehand what somebody may ask for: only for what lies before `until`.
    pub fn guess(
        maker: Maker,
        question: Question,
        (settings, share): (Settings, f32),
        (number, epoch): (u64, Epoch),
        until: Beats,
    ) -> Self {
        let until = Some(until).filter(|until| until.0 < question.end.0 - GAP);
        Self::ask(maker, question, (settings, share), (number, epoch), until)
    }

    fn ask(
        maker: Maker,
        question: Question,
        (mut settings, share): (Settings, f32),
        (number, epoch): (u64, Epoch),
        guessed: Option<Beats>,
    ) -> Self {
        let wanted = settings.density;
        settings.density *= share;
        let recent = recent(&question);
        let writing = Writing::of(&maker, &question, &recent);
        let first = Question { end: guessed.unwrap_or(question.end), ..question.clone() };
        let prompt = prompt(&writing, recent, &first, &settings, number);
        let asked = Instant::now();
        Self {
            answer: maker.answer(prompt, question.moment(asked, question.start.0)),
            dynamics: question.dynamics(),
            feel: writing.feel.share(f64::from(settings.feel)),
            question,
            number,
            epoch,
            notes: Vec::new(),
            done: false,
            maker,
            writing,
            settings,
            wanted,
            retries: 0,
            anew: 0,
            guessed,
            released: guessed.is_none(),
            rested: false,
            drawn: None,
            heard: asked,
            put_off: 0.0,
            asked,
            waits: Some(asked),
            waited: None,
        }
    }

    /// The next note, if one is there; with `wait`, when it is there. `Err` says what went wrong.
    pub fn next(&mut self, wait: bool) -> Result<Option<Note>, String> {
        while !self.done {
            match if wait { self.answer.wait() } else { self.answer.poll() } {
                Step::Note(event) => {
                    self.heard = Instant::now();
                    let note = self.draw(self.place(&event));
                    if let Some(asked) = self.waits.take() {
                        self.waited = Some(asked.elapsed().as_secs_f64());
                    }
                    self.notes.push(note);
                    return Ok(Some(note));
                }
                Step::Pending => return Ok(None),
                Step::Done if !self.released => {
                    (self.waits, self.rested) = (None, true);
                    return Ok(None);
                }
                Step::Done => self.go_on(),
                Step::Failed(what) => {
                    self.done = true;
                    return Err(what);
                }
            }
        }
        Ok(None)
    }

    /// The last onset so far, or the start.
    pub fn frontier(&self) -> Beats {
        self.notes.last().map_or(self.question.start, |note| note.at)
    }

    /// The model may fall silent; it is asked again from there, with other draws.
    fn go_on(&mut self) {
        if let Some(until) = self.guessed {
            self.anew += 1;
            return self.ask_from(until.0);
        }
        let until =
            self.notes.iter().map(|note| note.at.0 + note.len.0).fold(self.question.start.0, f64::max);
        if self.retries >= RETRIES || until > self.question.end.0 - GAP {
            self.done = true;
            return;
        }
        self.retries += 1;
        self.ask_from(until);
    }

    /// Whether nothing of it is there, and something may come.
    pub fn is_waited_for(&self) -> bool {
        self.waits.is_some() && !self.done
    }

    /// Somebody asks for it: what was not guessed is made too.
    pub fn release(&mut self) {
        self.released = true;
        if std::mem::take(&mut self.rested) {
            self.go_on();
        }
    }

    /// Somebody asks for it, to begin at once: what lies before `at` falls away, its next onset, the whole chord of it,
    /// is drawn to there, and the rest stays where it is. `false` if that onset is not there, or too far away.
    pub fn begin_at(&mut self, at: Beats) -> bool {
        let coming = self.notes.iter().map(|note| note.at.0).filter(|onset| *onset >= at.0 - 1e-9);
        let first = coming.fold(f64::INFINITY, f64::min);
        if first > at.0 + NEAR {
            return false;
        }
        self.notes.retain(|note| note.at.0 >= at.0 - 1e-9);
        self.drawn = Some((Beats(first + TOGETHER), at));
        (self.question.start, self.question.first_by) = (at, at);
        let notes = std::mem::take(&mut self.notes);
        self.notes = notes.into_iter().map(|note| self.draw(note)).collect();
        true
    }

    /// A note that is drawn near ends where it would have.
    fn draw(&self, note: Note) -> Note {
        match self.drawn {
            Some((before, to)) if note.at.0 < before.0 => {
                Note { at: to, len: Beats((note.at.0 + note.len.0 - to.0).max(TOGETHER)), ..note }
            }
            _ => note,
        }
    }

    /// Seconds until the first note, once after it came.
    pub fn take_waited(&mut self) -> Option<f64> {
        self.waited.take()
    }

    /// Whether it sounds and more is to come.
    pub fn is_under_way(&self, now: Beats) -> bool {
        !self.done && !self.notes.is_empty() && self.question.start.0 <= now.0
    }

    /// Who makes it.
    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// Whether a service has said nothing for so many seconds.
    pub fn is_silent(&self, seconds: f64) -> bool {
        self.maker.is_there() && !self.done && self.heard.elapsed().as_secs_f64() >= seconds
    }

    /// Another makes what is left, from `now` on at the earliest. Notes that are there stay.
    pub fn hand_over(&mut self, maker: Maker, now: Beats) {
        let question = &self.question;
        let recent = recent(question);
        self.writing = Writing::of(&maker, question, &recent);
        self.maker = maker;
        self.anew += 1;
        self.done = false;
        self.heard = Instant::now();
        self.waits = self.waits.map(|_| self.heard);
        let frontier = if self.notes.is_empty() { question.start.0 } else { self.frontier().0 + SIXTEENTH };
        self.ask_from(frontier.max(now.0));
    }

    /// What is left is asked for with this share of the density that is wanted, from `now` on at the earliest.
    pub fn thin_out(&mut self, share: f32, now: Beats) {
        self.settings.density = self.wanted * share;
        self.anew += 1;
        self.ask_from((self.frontier().0 + SIXTEENTH).max(now.0));
    }

    /// Puts off the answer and its notes so far by so many beats.
    pub fn put_off(&mut self, beats: f64) {
        self.put_off += beats;
        let question = &mut self.question;
        for at in [&mut question.start, &mut question.first_by, &mut question.end] {
            at.0 += beats;
        }
        self.notes.iter_mut().for_each(|note| note.at.0 += beats);
        if let Some(until) = &mut self.guessed {
            until.0 += beats;
        }
    }

    /// Asks again for what begins at `until`; where the answer has no room for a note from there on, it is done.
    fn ask_from(&mut self, until: f64) {
        self.guessed = None;
        let mut question = self.question.clone();
        // Where it was asked for at first: what the model has heard does not move.
        let back = Beats(self.put_off);
        question.notes.extend(self.notes.iter().map(|note| Note { at: note.at - back, ..*note }));
        question.start = Beats(until) - back;
        question.end = question.end - back;
        if !self.writing.has_room(question.start, question.end) {
            self.done = true;
            return;
        }
        let begins = self.notes.is_empty();
        question.first_by = if begins {
            Beats(question.start.0.max(question.first_by.0 - self.put_off))
        } else {
            question.end
        };
        // By now it may have ended; what it was taken for stays.
        question.held.clear();
        let mut recent = recent(&question);
        recent.retain(|note| note.at.0 >= self.writing.frame.origin.0 - 1e-9);
        let number = self.number.wrapping_add(u64::from(self.retries + self.anew) << 32);
        let by = self.question.moment(self.asked, until);
        self.answer = self.maker.answer(prompt(&self.writing, recent, &question, &self.settings, number), by);
    }

    fn place(&self, event: &continuo_inference::Event) -> Note {
        let on_the_line = |tick: i32| {
            let played = self.feel.played(self.writing.frame.beat(tick), self.question.bar.0);
            (played.0 + self.put_off).max(self.question.start.0)
        };
        let at = Beats(on_the_line(event.onset));
        let until = on_the_line(event.onset + event.duration.max(1)).min(self.question.end.0);
        let channel = self.settings.channel_of(event.instrument);
        Note {
            at,
            len: Beats((until - at.0).max(1.0 / 48.0)),
            key: event.key,
            velocity: self.velocity(event, at),
            instrument: event.instrument,
            channel,
        }
    }

    fn velocity(&self, event: &continuo_inference::Event, at: Beats) -> Velocity {
        let question = &self.question;
        // An accent belongs to the place where a note stands, not to where a swing puts it.
        let stands = self.writing.frame.beat(event.onset) + Beats(self.put_off);
        let share = (at.0 - question.start.0) / (question.end.0 - question.start.0).max(0.25);
        let (bar, length) = (question.bar_before(stands.0), question.bar.1);
        self.dynamics.velocity(stands, bar, length, event.key.0, question.whole.then_some(share))
    }
}
