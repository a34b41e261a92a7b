//! What the model is asked: how the line is written for it, and what it may play.

use continuo_inference::{Constraints, Prompt, Sampling, TimeFrame};
use continuo_music::feel::Feel;
use continuo_music::frame::Frame;
use continuo_music::history::in_order;
use continuo_music::{groove, key};
use continuo_timeline::{Beats, Instrument, Note, Settings};

use super::Question;
use crate::worker::maker::Maker;

/// Notes of the prompt at most, and how far back it reaches.
const MOST_NOTES: usize = 120;
const REACH: f64 = 60.0;

/// Lets the engine compute what an answer to this question would begin with.
pub fn prepare(maker: &Maker, question: &Question, settings: &Settings) {
    let recent = recent(question);
    if !recent.is_empty() {
        let writing = Writing::of(maker, question, &recent);
        maker.prepare(prompt(&writing, recent, question, settings, 0));
    }
}

/// How the line is written for the model: straight, in ticks of its frame.
pub(super) struct Writing {
    pub(super) frame: Frame,
    pub(super) feel: Feel,
    pub(super) bar: Beats,
}

impl Writing {
    pub(super) fn of(maker: &Maker, question: &Question, recent: &[Note]) -> Self {
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

    /// Whether a note has room between a place and another.
    pub(super) fn has_room(&self, from: Beats, until: Beats) -> bool {
        self.tick_after(from) < self.tick(until)
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
pub fn recent(question: &Question) -> Vec<Note> {
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

pub(super) fn prompt(
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
