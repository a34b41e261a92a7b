//! One answer under way: asked of the engine, its notes placed on the line.

use std::sync::Arc;

use continuo_inference::{Answer, Constraints, Engine, Prompt, Sampling, Step, TimeFrame};
use continuo_music::expression::Dynamics;
use continuo_music::frame::Frame;
use continuo_music::{groove, key};
use continuo_timeline::{Beats, Bpm, Channel, Epoch, Instrument, Note, Quantise, Settings, Tick, Trigger};

/// What is answered, and where: kept so that the same can be asked again.
#[derive(Clone, Debug)]
pub struct Question {
    /// What was heard, in order.
    pub notes: Vec<Note>,
    /// First onset of the answer, at the earliest.
    pub start: Beats,
    /// First onset of the answer, at the latest.
    pub first_by: Beats,
    /// It ends here.
    pub end: Beats,
    /// What others will play, known beforehand.
    pub controls: Vec<Note>,
    /// A bar line, and the length of a bar.
    pub bar: (Beats, f64),
    /// Tempo when it was asked.
    pub tempo: Bpm,
}

/// Notes of the prompt at most, and how far back it reaches.
const MOST_NOTES: usize = 120;
const REACH: f64 = 60.0;
/// In beats.
const SIXTEENTH: f64 = 0.25;
/// An answer that falls silent this long before its end is asked to go on.
const GAP: f64 = 1.0;
/// So often.
const RETRIES: u32 = 2;

impl Question {
    /// The answer to `notes` that starts at `start` and lasts for the bars asked for, to a bar line.
    pub fn new(notes: Vec<Note>, start: Beats, tick: &Tick, settings: &Settings) -> Self {
        // An answer that waits is no answer: on a beat or bar line it begins there, else within a sixteenth.
        let on_a_line = matches!(settings.trigger, Trigger::BarLine | Trigger::Bars);
        let first_by = match settings.quantise {
            Quantise::None if !on_a_line => Beats(start.0 + SIXTEENTH),
            _ => start,
        };
        let length = tick.meter.bar().0;
        let into = (start.0 - tick.bar.0).rem_euclid(length);
        let whole = if into < 1e-6 || length - into < 1e-6 { start.0 } else { start.0 - into + length };
        let end = Beats(whole + f64::from(settings.bars.max(1)) * length);
        Self { notes, controls: Vec::new(), start, first_by, end, bar: (tick.bar, length), tempo: tick.tempo }
    }

    /// A plan for `beats` beats from `start` on, with what others will play meanwhile.
    pub fn plan(notes: Vec<Note>, controls: Vec<Note>, start: Beats, beats: f64, tick: &Tick) -> Self {
        let bar = (tick.bar, tick.meter.bar().0);
        let end = Beats(start.0 + beats);
        Self { notes, controls, start, first_by: end, end, bar, tempo: tick.tempo }
    }

    fn bar_before(&self, at: f64) -> Beats {
        Beats(self.bar.0.0 + ((at - self.bar.0.0) / self.bar.1 + 1e-9).floor() * self.bar.1)
    }
}

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
    engine: Arc<Engine>,
    answer: Answer,
    frame: Frame,
    settings: Settings,
    dynamics: Dynamics,
    retries: u32,
}

/// Lets the engine compute what an answer to this question would begin with.
pub fn prepare(engine: &Engine, question: &Question, settings: &Settings) {
    let recent = recent(question);
    if !recent.is_empty() {
        let frame = frame(engine, question, &recent);
        engine.prepare(prompt(&frame, recent, question, settings, 0));
    }
}

fn frame(engine: &Engine, question: &Question, recent: &[Note]) -> Frame {
    let first = recent.first().map_or(question.start, |note| note.at);
    let known = question.controls.iter().map(|note| note.at);
    let origin = question.bar_before(known.fold(first, |a, b| if b.0 < a.0 { b } else { a }).0);
    match engine.model().frame() {
        TimeFrame::Beats { ticks_per_beat } => Frame::beats(ticks_per_beat, origin),
        TimeFrame::Seconds => Frame::seconds(question.tempo, origin),
    }
}

impl Asking {
    /// Asks.
    pub fn new(
        engine: Arc<Engine>,
        question: Question,
        settings: Settings,
        number: u64,
        epoch: Epoch,
    ) -> Self {
        let recent = recent(&question);
        let frame = frame(&engine, &question, &recent);
        let heard = question.notes.clone();
        let prompt = prompt(&frame, recent, &question, &settings, number);
        Self {
            answer: engine.answer(prompt),
            dynamics: Dynamics::of(&heard),
            question,
            number,
            epoch,
            notes: Vec::new(),
            done: false,
            engine,
            frame,
            settings,
            retries: 0,
        }
    }

    /// The next note, if one is there; with `wait`, when it is there. `Err` says what went wrong.
    pub fn next(&mut self, wait: bool) -> Result<Option<Note>, String> {
        while !self.done {
            match if wait { self.answer.wait() } else { self.answer.poll() } {
                Step::Note(event) => {
                    let note = self.place(&event);
                    self.notes.push(note);
                    return Ok(Some(note));
                }
                Step::Pending => return Ok(None),
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
        let until =
            self.notes.iter().map(|note| note.at.0 + note.len.0).fold(self.question.start.0, f64::max);
        if self.retries >= RETRIES || until > self.question.end.0 - GAP {
            self.done = true;
            return;
        }
        self.retries += 1;
        let mut question = self.question.clone();
        question.notes.extend(&self.notes);
        question.start = self.frame.beat(self.frame.tick_after(Beats(until)));
        question.first_by = question.end;
        let mut recent = recent(&question);
        recent.retain(|note| note.at.0 >= self.frame.origin.0 - 1e-9);
        let number = self.number.wrapping_add(u64::from(self.retries) << 32);
        self.answer = self.engine.answer(prompt(&self.frame, recent, &question, &self.settings, number));
    }

    fn place(&self, event: &continuo_inference::Event) -> Note {
        let at = self.frame.beat(event.onset);
        let until = self.frame.beat(event.onset + event.duration.max(1)).0.min(self.question.end.0);
        let channel = if event.instrument.is_drums() { Channel(9) } else { self.settings.channel };
        Note {
            at,
            len: Beats((until - at.0).max(1.0 / 48.0)),
            key: event.key,
            velocity: self.dynamics.velocity(at, self.question.bar_before(at.0), event.key.0),
            instrument: event.instrument,
            channel,
        }
    }
}

fn constraints(notes: &[Note], question: &Question, settings: &Settings, frame: &Frame) -> Constraints {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a whole number below 1000
    let ticks_per_beat = frame.ticks_per_beat as u32;
    Constraints {
        density: settings.density,
        phases: groove::phases(notes, question.bar.0, ticks_per_beat, settings.grid),
        keys: register(notes, settings),
        scale: if settings.in_key { key::scale(notes) } else { 0xFFF },
    }
}

/// Answers go so many semitones beyond what was played: a small model left alone climbs out of its register.
const BEYOND: u8 = 7;

/// Lowest and highest key: what the player allows, and near what was played if the same instrument answers.
fn register(notes: &[Note], settings: &Settings) -> (u8, u8) {
    let (low, high) = (settings.range.0.0, settings.range.1.0);
    let keys = || notes.iter().filter(|note| !note.instrument.is_drums()).map(|note| note.key.0);
    let other = settings.answer.is_some_and(|answer| answer != settings.player);
    match (keys().min(), keys().max()) {
        (Some(least), Some(most)) if !other => {
            let (least, most) = (least.saturating_sub(BEYOND), most.saturating_add(BEYOND).min(127));
            // Where the two have nothing in common the player's word counts.
            if low.max(least) + 12 <= high.min(most) { (low.max(least), high.min(most)) } else { (low, high) }
        }
        _ => (low, high),
    }
}

fn recent(question: &Question) -> Vec<Note> {
    let from = question.notes.len().saturating_sub(MOST_NOTES);
    let notes = question.notes.iter().skip(from).copied();
    notes.filter(|note| note.at.0 >= question.start.0 - REACH && note.at.0 < question.start.0).collect()
}

fn prompt(frame: &Frame, notes: Vec<Note>, question: &Question, settings: &Settings, number: u64) -> Prompt {
    let part = settings.answer.unwrap_or(settings.player);
    let drummed = settings.answer.is_none() && notes.last().is_some_and(|note| note.instrument.is_drums());
    let part = if drummed { Instrument::DRUMS } else { part };
    Prompt {
        history: frame.events(&notes),
        first_by: Some(frame.tick(Beats(question.first_by.0))),
        controls: frame.events(&question.controls),
        constraints: constraints(&notes, question, settings, frame),
        start: frame.tick_after(question.start),
        end: frame.tick(question.end),
        instruments: Some(vec![part.0]),
        max_per_onset: settings.together,
        sampling: Sampling {
            temperature: settings.temperature,
            top_p: settings.top_p,
            seed: u64::from(settings.seed),
        },
        answer: number,
        ..Prompt::default()
    }
}
