//! `generate`: music from nothing.

use continuo_inference::{Model, tasks};
use continuo_timeline::{Beats, Bpm, Meter};

use super::page::{Page, blank, frame};
use super::{Plan, wishes};
use crate::serve::ask::Ask;
use crate::serve::failure::Failure;

/// From the first beat on, for a piano if nobody is named.
pub fn plan(ask: &Ask, model: &Model) -> Result<Plan, Failure> {
    let song = blank(model, Bpm(ask.tempo), Meter::COMMON)?;
    let end = song.beat(ask.length());
    let frame = frame(model, &song, Beats(0.0));
    let instruments = ask.instruments.clone().unwrap_or_else(|| vec![0]);
    let prompt = tasks::generate(instruments, frame.tick(end), ask.sampling);
    let page = Page::new(song, frame, (Beats(0.0), end));
    Ok(wishes::grant(ask, Plan::new(prompt, page, ask.length()), &[]))
}
