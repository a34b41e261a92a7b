//! Answers to prompts: by a model, and by shuffling a model's answers.

use std::sync::Arc;

use anyhow::Result;
use continuo_inference::compound::Compound;
use continuo_inference::{Event, Model, Prompt, Sampling, Session};
use continuo_timeline::{Instrument, Key};

use super::prompts::{Draws, Made};
use crate::host::Played;

/// Bars of an answer.
pub const BARS: i32 = 4;
/// Ticks in a beat.
pub const TICKS: i32 = 48;
/// Prompts have 8 bars of 4 beats.
const START: i32 = 8 * 4 * TICKS;
const END: i32 = START + BARS * 4 * TICKS;

/// Notes as the model counts them: channel 10 is the drum kit, all else the piano.
pub fn events(notes: &[Played]) -> Vec<Event> {
    let tick = |beats: f64| (beats * f64::from(TICKS)).round() as i32;
    let event = |n: &Played| Event {
        onset: tick(n.at),
        instrument: if n.channel == 9 { Instrument::DRUMS } else { Instrument(0) },
        key: Key(n.key),
        duration: tick(n.len).clamp(1, 999),
    };
    let mut events: Vec<Event> = notes.iter().map(event).collect();
    events.sort_unstable();
    events.dedup_by_key(|e| (e.onset, e.instrument, e.key));
    events
}

/// What `model` plays after each prompt, in ticks from the end of the prompt.
pub fn answers(model: &Arc<Model>, prompts: &[Made]) -> Result<Vec<Vec<Event>>> {
    let mut session = Session::new(Arc::clone(model));
    let mut all = Vec::new();
    for (answer, made) in (0..).zip(prompts) {
        session.begin(Prompt {
            history: events(&made.notes),
            controls: Vec::new(),
            start: START,
            end: END,
            instruments: None,
            max_per_onset: 8,
            sampling: Sampling { temperature: 1.0, top_p: 0.95, seed: 1 },
            answer,
            ..Prompt::default()
        })?;
        let mut notes = Vec::new();
        while let Some(event) = session.next_note()? {
            notes.push(Event { onset: event.onset - START, ..event });
        }
        all.push(notes);
    }
    Ok(all)
}

/// The same numbers of notes, with keys from anywhere in all answers and onsets anywhere in the span.
pub fn shuffled(answers: &[Vec<Event>], seed: u64) -> Vec<Vec<Event>> {
    let mut draws = Draws(seed);
    let keys: Vec<Key> =
        answers.iter().flatten().filter(|e| !e.instrument.is_drums()).map(|e| e.key).collect();
    let span = (END - START) as usize;
    let one = |event: &Event, draws: &mut Draws| Event {
        onset: draws.below(span) as i32,
        key: if event.instrument.is_drums() { event.key } else { keys[draws.below(keys.len())] },
        ..*event
    };
    let mut all: Vec<Vec<Event>> =
        answers.iter().map(|notes| notes.iter().map(|event| one(event, &mut draws)).collect()).collect();
    all.iter_mut().for_each(|notes| notes.sort_unstable());
    all
}

/// An answer with its notes dealt out anew: keys from anywhere in it, onsets anywhere on a grid of `step` from `from` to `until`.
pub fn dealt(answer: &[Compound], from: i64, until: i64, step: i64) -> Vec<Compound> {
    let mut draws = Draws(1);
    let drums = |note: &Compound| note.instrument == Instrument::DRUMS.0;
    let keys: Vec<u8> = answer.iter().filter(|note| !drums(note)).map(|note| note.key).collect();
    let places = ((until - from) / step).max(1) as usize;
    let one = |note: &Compound| Compound {
        onset: from + draws.below(places) as i64 * step,
        key: if drums(note) { note.key } else { keys[draws.below(keys.len())] },
        ..*note
    };
    answer.iter().map(one).collect()
}
