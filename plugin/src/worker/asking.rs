//! One answer under way: asked of the engine, its notes placed on the line.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use continuo_inference::{Constraints, Prompt, Sampling, Step, TimeFrame};
use continuo_music::expression::Dynamics;
use continuo_music::feel::Feel;
use continuo_music::frame::Frame;
use continuo_music::history::in_order;
use continuo_music::{groove, key};
use continuo_timeline::{
    Beats, Bpm, Epoch, Instrument, Meter, Mode, Note, Quantise, Settings, Tick, Velocity,
};

use super::maker::{Maker, Reply};

/// What is answered, and where: kept so that the same can be asked again.
#[derive(Clone, Debug)]
pub struct Question {
    /// What was heard, in order.
    pub notes: Vec<Note>,
    /// What of it the player played.
    pub own: Vec<Note>,
    /// Whether it is a whole: a phrase, with a beginning and an end.
    pub whole: bool,
    /// First onset of the answer, at the earliest.
    pub start: Beats,
    /// First onset of the answer, at the latest.
    pub first_by: Beats,
    /// It ends here.
    pub end: Beats,
    /// What of it still sounds.
    pub held: Vec<Note>,
    /// What others play, known beforehand.
    pub controls: Vec<Note>,
    /// A bar line, and the length of a bar.
    pub bar: (Beats, f64),
    /// Time signature when it was asked.
    pub meter: Meter,
    /// Tempo when it was asked.
    pub tempo: Bpm,
    /// Where the music stood then.
    pub now: Beats,
}

/// Notes of the prompt at most, and how far back it reaches.
const MOST_NOTES: usize = 120;
const REACH: f64 = 60.0;
/// Notes that a player's manner is taken from, at most, and how far back they reach in beats.
const MOST_LATELY: usize = 96;
const LATELY: f64 = 32.0;
/// In beats.
const SIXTEENTH: f64 = 0.25;
/// An answer that falls silent this long before its end is asked to go on.
const GAP: f64 = 1.0;
/// So often.
const RETRIES: u32 = 2;
/// What is needed in so many seconds is not needed soon.
const FAR: f64 = 3600.0;

impl Question {
    /// The answer to `notes` that starts at `start` and lasts for the bars asked for, to a bar line.
    pub fn new(notes: Vec<Note>, start: Beats, tick: &Tick, settings: &Settings) -> Self {
        // An answer that waits is no answer: on a beat or bar line it begins there, else within a sixteenth.
        let on_a_line = settings.waits_for_bars();
        let first_by = match settings.quantise {
            Quantise::None if !on_a_line => Beats(start.0 + SIXTEENTH),
            _ => start,
        };
        let length = tick.meter.bar().0;
        let into = (start.0 - tick.bar.0).rem_euclid(length);
        let whole = if into < 1e-6 || length - into < 1e-6 { start.0 } else { start.0 - into + length };
        let end = Beats(whole + f64::from(settings.bars.max(1)) * length);
        let whole = settings.mode == Mode::Respond;
        Self {
            notes,
            own: Vec::new(),
            whole,
            held: Vec::new(),
            controls: Vec::new(),
            start,
            first_by,
            end,
            bar: (tick.bar, length),
            meter: tick.meter,
            tempo: tick.tempo,
            now: tick.at,
        }
    }

    /// A plan for `beats` beats from `start` on, with what others will play meanwhile.
    pub fn plan(notes: Vec<Note>, controls: Vec<Note>, start: Beats, beats: f64, tick: &Tick) -> Self {
        let bar = (tick.bar, tick.meter.bar().0);
        let end = Beats(start.0 + beats);
        let (own, held, whole) = (Vec::new(), Vec::new(), false);
        let (meter, tempo, now) = (tick.meter, tick.tempo, tick.at);
        Self { notes, own, whole, held, controls, start, first_by: end, end, bar, meter, tempo, now }
    }

    /// What is held goes on until the answer begins at least, and the model says how much longer: nobody means a note to
    /// end where an answer to it is thought of.
    pub fn hold(&mut self, held: Vec<Note>) {
        let start = self.start.0;
        let holds = |note: &Note| {
            held.iter().any(|one| (one.at, one.key, one.instrument) == (note.at, note.key, note.instrument))
        };
        for note in self.notes.iter_mut().filter(|note| holds(note)) {
            note.len.0 = note.len.0.max(start - note.at.0);
        }
        self.held = held;
    }

    /// How the player placed notes lately.
    fn feel(&self) -> Feel {
        Feel::of(self.lately(), self.bar.0)
    }

    /// How loud the player played lately.
    fn dynamics(&self) -> Dynamics {
        Dynamics::of(self.lately(), self.bar.0, self.meter)
    }

    fn lately(&self) -> &[Note] {
        let from = self.own.len().saturating_sub(MOST_LATELY);
        let own = self.own.get(from..).unwrap_or_default();
        let recent = own.partition_point(|note| note.at.0 < self.start.0 - LATELY - 1e-6);
        own.get(recent..).unwrap_or_default()
    }

    /// The moment at which the music will be at `at`, at the tempo of when it was asked.
    fn moment(&self, asked: Instant, at: f64) -> Instant {
        let seconds = (at - self.now.0) * 60.0 / self.tempo.0;
        asked + Duration::try_from_secs_f64(seconds.min(FAR)).unwrap_or_default()
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
    maker: Maker,
    answer: Reply,
    writing: Writing,
    /// What of the player's feel is put on the answer.
    feel: Feel,
    settings: Settings,
    dynamics: Dynamics,
    retries: u32,
    thinned: u32,
    /// How often another maker took over.
    handed: u32,
    /// When something was heard of the maker last.
    heard: Instant,
    /// Beats by which it was put off: its place was past when it came.
    put_off: f64,
    asked: Instant,
    /// Seconds until the first note, until they are asked for.
    waited: Option<f64>,
}

/// Lets the engine compute what an answer to this question would begin with.
pub fn prepare(maker: &Maker, question: &Question, settings: &Settings) {
    let recent = recent(question);
    if !recent.is_empty() {
        let writing = Writing::of(maker, question, &recent);
        maker.prepare(prompt(&writing, recent, question, settings, 0));
    }
}

/// How the line is written for the model: straight, in ticks of its frame.
struct Writing {
    frame: Frame,
    feel: Feel,
    bar: Beats,
}

impl Writing {
    fn of(maker: &Maker, question: &Question, recent: &[Note]) -> Self {
        let first = recent.first().map_or(question.start, |note| note.at);
        let known = question.controls.iter().map(|note| note.at);
        let first = known.fold(first, |a, b| if b.0 < a.0 { b } else { a });
        let (feel, bar) = (question.feel(), question.bar.0);
        // What is played a little before its bar line stands on it.
        let origin = question.bar_before(feel.straight(first, bar).0.min(first.0));
        let frame = match maker.frame() {
            TimeFrame::Beats { ticks_per_beat } => Frame::beats(ticks_per_beat, origin),
            TimeFrame::Seconds => Frame::seconds(question.tempo, origin),
        };
        Self { frame, feel, bar }
    }

    fn straight(&self, notes: &[Note]) -> Vec<Note> {
        notes.iter().map(|note| self.feel.straightened(note, self.bar)).collect()
    }

    /// The first tick not before a place on the line.
    fn tick_after(&self, at: Beats) -> i32 {
        self.frame.tick_after(self.feel.straight(at, self.bar))
    }

    fn tick(&self, at: Beats) -> i32 {
        self.frame.tick(self.feel.straight(at, self.bar))
    }

    /// The first tick of the answer, and the last one that its first note may have. A place that is given exactly is one
    /// of the straight line: whoever plays behind the beat means the bar line and not what lies before it.
    fn begins(&self, question: &Question) -> (i32, i32) {
        if question.first_by.0 <= question.start.0 {
            let start = self.frame.tick_after(question.start);
            return (start, start);
        }
        (self.tick_after(question.start), self.tick(question.first_by))
    }
}

impl Asking {
    /// Asks.
    pub fn new(maker: Maker, question: Question, settings: Settings, number: u64, epoch: Epoch) -> Self {
        let recent = recent(&question);
        let writing = Writing::of(&maker, &question, &recent);
        let prompt = prompt(&writing, recent, &question, &settings, number);
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
            retries: 0,
            thinned: 0,
            handed: 0,
            heard: asked,
            put_off: 0.0,
            asked,
            waited: None,
        }
    }

    /// The next note, if one is there; with `wait`, when it is there. `Err` says what went wrong.
    pub fn next(&mut self, wait: bool) -> Result<Option<Note>, String> {
        while !self.done {
            match if wait { self.answer.wait() } else { self.answer.poll() } {
                Step::Note(event) => {
                    self.heard = Instant::now();
                    let note = self.place(&event);
                    if self.notes.is_empty() {
                        self.waited = Some(self.asked.elapsed().as_secs_f64());
                    }
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
        self.ask_from(until);
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
        self.handed += 1;
        self.done = false;
        self.heard = Instant::now();
        let frontier = if self.notes.is_empty() { question.start.0 } else { self.frontier().0 + SIXTEENTH };
        if frontier.max(now.0) >= question.end.0 - 1e-6 {
            self.done = true;
        } else {
            self.ask_from(frontier.max(now.0));
        }
    }

    /// What is left is asked for with this share of the density.
    pub fn thin_out(&mut self, density: f32) {
        self.settings.density *= density;
        self.thinned += 1;
        self.ask_from(self.frontier().0 + SIXTEENTH);
    }

    /// Puts off the answer and its notes so far by so many beats.
    pub fn put_off(&mut self, beats: f64) {
        self.put_off += beats;
        let question = &mut self.question;
        for at in [&mut question.start, &mut question.first_by, &mut question.end] {
            at.0 += beats;
        }
        self.notes.iter_mut().for_each(|note| note.at.0 += beats);
    }

    /// Asks again for what begins at `until`.
    fn ask_from(&mut self, until: f64) {
        let mut question = self.question.clone();
        // Where it was asked for at first: what the model has heard does not move.
        let back = Beats(self.put_off);
        question.notes.extend(self.notes.iter().map(|note| Note { at: note.at - back, ..*note }));
        question.start = Beats(until) - back;
        question.end = question.end - back;
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
        let number = self.number.wrapping_add(u64::from(self.retries + self.thinned + self.handed) << 32);
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

fn constraints(notes: &[Note], question: &Question, settings: &Settings, frame: &Frame) -> Constraints {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a whole number below 1000
    let ticks_per_beat = frame.ticks_per_beat as u32;
    let ensemble: Vec<Note> = notes.iter().chain(&question.controls).copied().collect();
    // Who plays around a take alone takes its groove and its register.
    let played = if notes.is_empty() { &ensemble } else { notes };
    Constraints {
        density: settings.density,
        phases: groove::phases(played, question.bar.0, ticks_per_beat, settings.grid),
        keys: register(played, settings),
        scale: if settings.in_key { key::scale(&ensemble) } else { 0xFFF },
        balance: BALANCE,
    }
}

/// Nats a beat that bring in an instrument that was chosen with others and is silent.
const BALANCE: f32 = 1.0;

/// Answers go so many semitones beyond what was played: a small model left alone climbs out of its register.
const BEYOND: u8 = 7;

/// Lowest and highest key: what the player allows, and near what was played if the same instrument answers.
fn register(notes: &[Note], settings: &Settings) -> (u8, u8) {
    let (low, high) = (settings.range.0.0, settings.range.1.0);
    let keys = || notes.iter().filter(|note| !note.instrument.is_drums()).map(|note| note.key.0);
    let other = settings.parts().any(|part| part != settings.player);
    match (keys().min(), keys().max()) {
        (Some(least), Some(most)) if !other => {
            let (least, most) = (least.saturating_sub(BEYOND), most.saturating_add(BEYOND).min(127));
            // Where the two have nothing in common the player's word counts.
            if low.max(least) + 12 <= high.min(most) { (low.max(least), high.min(most)) } else { (low, high) }
        }
        _ => (low, high),
    }
}

/// What was heard last before the question.
fn recent(question: &Question) -> Vec<Note> {
    let from = question.start.0 - REACH - 1e-6;
    let heard = |note: &&Note| note.at.0 >= from && note.at.0 < question.start.0 - 1e-6;
    let mut notes = in_order(question.notes.iter().filter(heard).copied().collect());
    notes.split_off(notes.len().saturating_sub(MOST_NOTES))
}

/// What others play, as far as it is heard and not known beforehand: it goes on beside the answer.
fn beside(question: &Question, parts: &[u8], player: Instrument) -> Vec<u8> {
    let played = |one: u8| question.own.iter().any(|note| note.instrument.0 == one);
    let own = |one: u8| one == player.0 || parts.contains(&one) || played(one);
    let mut others: Vec<u8> = question.notes.iter().map(|note| note.instrument.0).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|one| question.controls.is_empty() && !own(*one));
    others
}

fn prompt(
    writing: &Writing,
    notes: Vec<Note>,
    question: &Question,
    settings: &Settings,
    number: u64,
) -> Prompt {
    // Who answers a drummer without being told drums too: what the player does counts, not what the band does.
    let drummed =
        settings.answer.is_none() && question.own.last().is_some_and(|note| note.instrument.is_drums());
    let first = drummed.then_some(Instrument::DRUMS);
    let skipped = usize::from(drummed);
    let others = settings.parts().skip(skipped).filter(|part| !drummed || !part.is_drums());
    let parts: Vec<u8> = first.into_iter().chain(others).map(|part| part.0).collect();
    let notes = writing.straight(&notes);
    let held = writing.frame.events(&writing.straight(&question.held));
    let (start, first_by) = writing.begins(question);
    Prompt {
        history: writing.frame.events(&notes),
        bar: Some(writing.frame.ticks(Beats(question.bar.1))),
        first_by: Some(first_by),
        controls: writing.frame.events(&writing.straight(&question.controls)),
        constraints: constraints(&notes, question, settings, &writing.frame),
        start,
        end: writing.tick(question.end),
        held: held.iter().map(|event| (event.onset, event.instrument, event.key)).collect(),
        beside: beside(question, &parts, settings.player),
        instruments: Some(parts),
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
