//! `generate_seeded`: new music in the manner of a seed; or, where its melody or its rhythm stays, the seed
//! played anew.

use continuo_inference::{Model, tasks};
use continuo_music::frame::Frame;
use continuo_timeline::{Beats, Note};

use super::continuing::instruments;
use super::given::{Given, open};
use super::page::{Page, blank, frame};
use super::{Plan, heard, wishes};
use crate::serve::ask::Ask;
use crate::serve::failure::Failure;

/// Longest seed that is played anew, in seconds.
const LONGEST: f64 = 120.0;

/// New music, or the seed anew.
pub fn plan(ask: &Ask, model: &Model) -> Result<Plan, Failure> {
    let seed = open(model, "midi_input", ask.input.as_deref().unwrap_or_default())?;
    let anew = ask.wishes.preserve_melody == Some(true) || ask.wishes.vary_rhythm == Some(false);
    let plan = if anew { again(ask, model, &seed) } else { after(ask, model, &seed) }?;
    Ok(wishes::grant(ask, plan, &seed.song.notes))
}

/// What could come after the seed, in a file of its own that begins with it.
fn after(ask: &Ask, model: &Model, seed: &Given) -> Result<Plan, Failure> {
    let line = seed.next_bar();
    let start = line.at;
    let (told, before) = heard(model, &seed.song, start);
    let from = told.tick(start);
    let song = blank(model, line.tempo, line.meter)?;
    let end = song.beat(ask.length());
    let ticks = Frame { origin: Beats(0.0), ..told }.tick(end);
    let mut prompt = tasks::bridge(told.events(before), Vec::new(), (from, from + ticks), ask.sampling);
    prompt.instruments = Some(ask.instruments.clone().unwrap_or_else(|| instruments(&seed.song)));
    let place = Frame { origin: Beats(told.origin.0 - start.0), ..told };
    Ok(Plan::new(prompt, Page::new(song, place, (Beats(0.0), end)), ask.length()))
}

/// The seed with some of it kept and the rest new.
fn again(ask: &Ask, model: &Model, given: &Given) -> Result<Plan, Failure> {
    let seed = &given.song;
    let seconds = seed.seconds(seed.end());
    if seconds > LONGEST {
        let text = format!(
            "midi_input lasts {seconds:.0} s; a seed that is played anew may last {LONGEST:.0}: send less of it"
        );
        return Err(Failure::field("midi_input", text));
    }
    let end = given.next_bar().at;
    let frame = frame(model, seed, Beats(0.0));
    let kept = if ask.wishes.preserve_melody == Some(true) { melody(&seed.notes) } else { Vec::new() };
    let parts = ask.instruments.clone().unwrap_or_else(|| instruments(seed));
    let mut prompt = tasks::accompany(frame.events(&kept), parts, frame.tick(end), ask.sampling);
    if ask.wishes.vary_rhythm == Some(false) {
        prompt.onsets = Some(onsets(&frame, &seed.notes));
    }
    let mut page = Page::new(seed.without(Beats(0.0), Beats(end.0 + 1.0)), frame, (Beats(0.0), end));
    page.fixed = kept;
    Ok(Plan::new(prompt, page, seconds))
}

/// The highest voice: of the notes on an onset that are no drums the highest, unless a higher one still sounds.
pub fn melody(notes: &[Note]) -> Vec<Note> {
    let mut found: Vec<Note> = Vec::new();
    for note in notes.iter().filter(|note| !note.instrument.is_drums()) {
        match found.last_mut() {
            Some(last) if (note.at.0 - last.at.0).abs() < 1e-6 => {
                if note.key > last.key {
                    *last = *note;
                }
            }
            Some(last) if last.at.0 + last.len.0 > note.at.0 + 1e-6 && last.key > note.key => {}
            _ => found.push(*note),
        }
    }
    found
}

/// Where notes begin, each tick once.
fn onsets(frame: &Frame, notes: &[Note]) -> Vec<i32> {
    let mut ticks: Vec<i32> = notes.iter().map(|note| frame.tick(note.at)).collect();
    ticks.sort_unstable();
    ticks.dedup();
    ticks
}
