//! `continue`: the start of a file stays note for note, and new notes come after it, or over it.

use continuo_inference::{Model, tasks};
use continuo_timeline::Beats;

use super::given::open;
use super::page::{Page, frame};
use super::{Plan, heard, wishes};
use crate::serve::ask::Ask;
use crate::serve::failure::Failure;
use crate::song::Song;

/// New notes from the end of the prime on.
pub fn plan(ask: &Ask, model: &Model) -> Result<Plan, Failure> {
    let (song, prime) = primed(ask, model)?;
    let start = song.beat(prime);
    let end = song.beat(prime + ask.length());
    let (frame, before) = heard(model, &song, start);
    let span = (frame.tick_after(start), frame.tick(end));
    let mut prompt = tasks::bridge(frame.events(before), Vec::new(), span, ask.sampling);
    prompt.instruments = Some(ask.instruments.clone().unwrap_or_else(|| instruments(&song)));
    let notes = song.notes.clone();
    let page = Page::new(song, frame, (start, end));
    let plan = Plan { prime: Some(prime), ..Plan::new(prompt, page, prime + ask.length()) };
    Ok(wishes::grant(ask, plan, &notes))
}

/// New notes over the prime, which is known beforehand, and after it.
pub fn accompany(ask: &Ask, model: &Model) -> Result<Plan, Failure> {
    let (song, prime) = primed(ask, model)?;
    let end = song.beat(prime + ask.length());
    let frame = frame(model, &song, Beats(0.0));
    let parts = ask.instruments.clone().unwrap_or_else(|| instruments(&song));
    let prompt = tasks::accompany(frame.events(&song.notes), parts, frame.tick(end), ask.sampling);
    let notes = song.notes.clone();
    let page = Page::new(song, frame, (Beats(0.0), end));
    let plan = Plan { prime: Some(prime), ..Plan::new(prompt, page, prime + ask.length()) };
    Ok(wishes::grant(ask, plan, &notes))
}

/// The prime alone, and how long it is: no longer than the file, which lasts to the bar line at which it goes on.
fn primed(ask: &Ask, model: &Model) -> Result<(Song, f64), Failure> {
    let given = open(model, "midi_input", ask.input.as_deref().unwrap_or_default())?;
    let (song, line) = (&given.song, given.next_bar());
    let prime = ask.prime.min(song.seconds(line.at));
    let head = song.head(song.beat(prime), song.beat(prime + ask.length()));
    if head.notes.is_empty() {
        let first = song.notes.first().map_or(0.0, |note| song.seconds(note.at));
        let text = format!(
            "midi_input has no note in its first {prime} s; its first is at {first:.2} s: raise prime_seconds"
        );
        return Err(Failure::field("prime_seconds", text));
    }
    Ok((head, prime))
}

/// Who plays in a song, each once.
pub fn instruments(song: &Song) -> Vec<u8> {
    let mut parts: Vec<u8> = song.notes.iter().map(|note| note.instrument.0).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}
