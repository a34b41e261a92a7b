//! What the mind decides at a tick: whether a phrase is over, what is answered, and when a plan is made anew.

use continuo_music::history::in_order;
use continuo_music::key;
use continuo_timeline::{Beats, FromWorker, Mode, Note, Press, Quantise, Settings, Tick};

use super::{Answer, Mind};
use crate::view::Activity;
use crate::worker::asking::{Asking, Question, prepare};
use crate::worker::bus::Others;
use crate::worker::launch::launch;

/// An answer that could not be foreseen begins this long after the tick that decides it, at the earliest; on a slow
/// machine when the model needs more, then.
const LEAD: f64 = 0.125;
/// The end of a phrase that can be foreseen is answered this long before it comes, so that the answer is there
/// in time; a note of the player before its start makes it void.
const AHEAD: f64 = 0.5;
/// Others who strike nothing for so many beats are followed no longer.
const OTHERS: f64 = 4.0;
/// A phrase under way is read along each so many ticks: half a beat.
pub(super) const PREPARED: u64 = 12;

impl Mind {
    pub(super) fn decide(&mut self, tick: &Tick, settings: &Settings) {
        let ended = self.phrase.ends(tick, settings, &self.history);
        let foreseen = self.asking.as_ref().map(|asking| asking.question.start.0 <= tick.at.0 + 1e-6);
        match (self.pressed.take(), foreseen) {
            (Some(Press::Again), _) => {
                self.give_up(tick);
                self.again(tick, settings);
            }
            (Some(Press::Answer), _) => {
                self.give_up(tick);
                self.answer(tick, settings);
            }
            (_, Some(_)) if self.is_to_go_on(tick, settings) => {
                let Some(asking) = self.asking.take() else { return };
                let end = asking.question.end;
                self.archive(&asking.notes, end);
                // A service may have been away meanwhile.
                self.ask(
                    if end.0 < tick.at.0 { Beats(tick.at.0 + self.lead(tick)) } else { end },
                    0.0,
                    tick,
                    settings,
                );
            }
            (_, Some(begun)) if ended || begun => {
                self.note_down(tick, settings);
                self.phrase.close();
            }
            (_, Some(_)) => {}
            (_, None) if ended => self.answer(tick, settings),
            (_, None) if self.goes_on(settings) => self.ask(tick.at, self.lead(tick), tick, settings),
            (_, None) => {
                let due = self.phrase.due(tick, settings, &self.history);
                match due.filter(|due| due.0 - tick.at.0 <= self.ahead(tick) + 1e-6) {
                    Some(due) => self.ask(due, 0.0, tick, settings),
                    None if self.guess(tick, settings) => {}
                    None => self.prepare(tick, settings),
                }
            }
        }
    }

    /// How long before its start an answer is asked for.
    pub(super) fn ahead(&self, tick: &Tick) -> f64 {
        AHEAD.max(self.pace.horizon(tick))
    }

    /// How long after now an answer that was not foreseen begins.
    pub(super) fn lead(&self, tick: &Tick) -> f64 {
        let measured = if tick.offline { 0.0 } else { self.pace.p95() * tick.tempo.0 / 60.0 };
        LEAD.max(measured.min(4.0))
    }

    /// While a phrase is played the engine reads along, so that only its end is left to compute.
    fn prepare(&self, tick: &Tick, settings: &Settings) {
        // What is rendered offline waits anyway.
        if self.phrase.began().is_none() || self.ticks % PREPARED != 0 || tick.offline {
            return;
        }
        if let Some(maker) = self.engines.maker() {
            let notes = self.history.notes(tick.at, settings.player);
            let question = Question::new(notes, tick.at, tick, settings);
            prepare(&maker, &self.in_context(question, tick, settings), settings);
        }
    }

    /// Whether an answer that is about to end is to be followed by another, which somebody can make.
    fn is_to_go_on(&self, tick: &Tick, settings: &Settings) -> bool {
        let ending = |asking: &Asking| {
            let left = asking.question.end.0 - tick.at.0;
            asking.done && left <= self.ahead(tick) + 1e-6 || left <= 1e-6
        };
        settings.mode == Mode::Hold
            && self.asking.as_ref().is_some_and(ending)
            && self.engines.maker().is_some()
    }

    /// What is planned of an answer under way is void: another is asked for in its place. The audio thread has mostly said
    /// so with a new epoch, but not where it had not heard of the answer yet.
    fn give_up(&mut self, tick: &Tick) {
        let Some(asking) = self.asking.take() else { return };
        self.archive(&asking.notes, tick.at);
        if asking.question.start.0 > tick.at.0 {
            self.newest = self.before.take();
        }
        self.unsent.retain(|message| !matches!(message, FromWorker::Planned { .. }));
        self.unsent.push(FromWorker::Replan { from: tick.at, epoch: asking.epoch });
    }

    /// Plans anew what is played together with the player, when it is time to.
    pub(super) fn play_along(&mut self, tick: &Tick, settings: &Settings) {
        let around = self.around(tick, settings);
        self.lineage.plays_around(tick.at, around.take.as_deref());
        let until = around.end();
        // Who hears others plays along with them as with the player.
        let led = self.others(tick, settings).led;
        let until = led.map_or(until, |led| until.max(led.0 + OTHERS));
        if self.waits_for_a_plan() {
            return; // one thing at a time: another plan would only come later still
        }
        if self.engines.maker().is_none() {
            return; // a service that is away: what is planned goes on, and is no backup of nothing
        }
        let horizon = self.pace.horizon(tick);
        let Some(from) = self.along.replan(tick, horizon, until) else { return };
        let committed = self.keep_as_backup(from);
        let mut notes = self.history.notes(tick.at, settings.player);
        notes.extend(committed);
        notes.extend(around.before);
        let beats = 2.0 * tick.meter.bar().0;
        let question = Question::plan(notes, around.controls, from, beats, tick);
        self.begin(self.in_context(question, tick, settings), tick, settings);
    }

    /// Whether an answer that was cut off by a seek goes on, now that somebody can make it.
    fn goes_on(&self, settings: &Settings) -> bool {
        let alone = self.phrase.began().is_none();
        self.holds && alone && settings.mode == Mode::Hold && self.engines.maker().is_some()
    }

    /// The phrase is over; answers it.
    fn answer(&mut self, tick: &Tick, settings: &Settings) {
        self.note_down(tick, settings);
        self.phrase.close();
        self.answer_on_demand(tick, settings);
    }

    /// Answers what was heard by `end`, from `lead` beats later on.
    pub(super) fn ask(&mut self, end: Beats, lead: f64, tick: &Tick, settings: &Settings) {
        let notes = self.history.notes(end, settings.player);
        if notes.is_empty() {
            self.show(|picture| {
                picture.message = "Play something first: there is nothing to answer yet.".into()
            });
            return;
        }
        let start = launch(Beats(end.0 + lead), tick, settings);
        let question = self.in_context(Question::new(notes, start, tick, settings), tick, settings);
        self.begin(question, tick, settings);
    }

    /// Answers the same once more: on the next line where answers wait for lines, else at the same place of a beat.
    fn again(&mut self, tick: &Tick, settings: &Settings) {
        let Some(before) = self.newest.as_ref().map(|answer| answer.question.clone()) else {
            return self.answer(tick, settings);
        };
        let earliest = Beats(tick.at.0 + self.lead(tick));
        let start = match settings.quantise {
            Quantise::None if !settings.waits_for_bars() => {
                Beats(before.start.0 + (earliest.0 - before.start.0 - 1e-6).ceil())
            }
            Quantise::None => launch(earliest, tick, &Settings { quantise: Quantise::Bar, ..*settings }),
            _ => launch(earliest, tick, settings),
        };
        let shift = start.0 - before.start.0;
        let (mut notes, mut own, mut held) = (before.notes, before.own, before.held);
        // The phrase moves up to the new start, so that the model hears it as just played.
        notes.iter_mut().chain(&mut own).chain(&mut held).for_each(|note| note.at.0 += shift);
        let moved = Beats(before.moved.0 + shift);
        let mut question = Question { own, held, moved, ..Question::new(notes, start, tick, settings) };
        question.bar.0 = Beats(before.bar.0.0 + shift);
        self.begin(question, tick, settings);
    }

    /// A question with what the player played, whose manner the answer takes on, and what others play.
    pub(super) fn in_context(&self, mut question: Question, tick: &Tick, settings: &Settings) -> Question {
        question.own = self.history.played(tick.at, settings.player);
        // What was played is history, whoever played it; controls are for what is known beforehand.
        question.notes.extend(self.others(tick, settings).notes);
        question.notes = in_order(question.notes);
        question.hold(self.history.held(tick.at, settings.player));
        question
    }

    fn others(&self, tick: &Tick, settings: &Settings) -> Others {
        if settings.hears_others { self.player.others(tick) } else { Others::default() }
    }

    fn begin(&mut self, question: Question, tick: &Tick, settings: &Settings) {
        let Some(maker) = self.engines.maker() else { return };
        self.author = maker.author();
        self.pace.of(&self.author.model);
        self.from = None;
        // Nobody listens to a guess any more.
        self.guess = None;
        let number = self.answers;
        self.introduce(&question, tick, settings);
        let share = self.pace.density();
        self.asking = Some(Asking::new(maker, question, *settings, share, (number, tick.epoch)));
    }

    /// Another answer: how it is shown, and until where it yields.
    pub(super) fn introduce(&mut self, question: &Question, tick: &Tick, settings: &Settings) {
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
        self.holds = false;
        self.pace.recover();
        let (author, settings) = (self.author.clone(), *settings);
        let answer = Answer { question: question.clone(), notes: Vec::new(), placed: None, author, settings };
        self.before = self.newest.replace(answer);
        self.answers += 1;
    }
}
