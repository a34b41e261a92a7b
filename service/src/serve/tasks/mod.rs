//! Tasks: what each asks of the model, and how the notes become a file.
//!
//! ```text
//! Ask ─▶ plan: Prompt + Page ─▶ play: notes of each variation ─▶ Page::sheet: MIDI file, facts
//! ```

mod bridging;
mod continuing;
pub mod embedding;
pub mod facts;
mod given;
pub mod gm;
mod looping;
pub mod page;
mod ramp;
mod scratch;
mod seeded;
pub mod wishes;

use continuo_inference::{Model, Prompt};
use continuo_music::frame::Frame;
use continuo_remote::wire::{Mode, Task};
use continuo_timeline::{Beats, Note};

use super::ask::Ask;
use super::failure::Failure;
use page::Page;

/// What a task asks of the model.
pub struct Plan {
    /// The prompt, for the request's own seed.
    pub prompt: Prompt,
    /// How notes become a file.
    pub page: Page,
    /// A second prompt after the first, of [`looping`].
    pub again: Option<i32>,
    /// Length of the whole file where the length decides, in seconds.
    pub seconds: f64,
    /// `continue`: how much of the file stays.
    pub prime: Option<f64>,
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// Wishes that are not held to.
    pub unsupported: Vec<String>,
}

/// The plan of a task that makes music.
pub fn plan(ask: &Ask, model: &Model) -> Result<Plan, Failure> {
    let mut plan = match (ask.task, ask.mode) {
        (Task::Generate, _) => scratch::plan(ask, model),
        (Task::Continue, Mode::Continue) => continuing::plan(ask, model),
        (Task::Continue, Mode::Accompany) => continuing::accompany(ask, model),
        (Task::GenerateSeeded, _) => seeded::plan(ask, model),
        (Task::Bridge, _) => bridging::plan(ask, model),
        (Task::Loops, _) => looping::plan(ask, model),
        (Task::Embed | Task::Classify, _) => Err(no_music(ask.task)),
    }?;
    plan.page.joining = plan.prompt.instruments.clone().unwrap_or_default();
    Ok(plan)
}

fn no_music(task: Task) -> Failure {
    Failure::unavailable(match task {
        Task::Classify => "no classifier is configured; this service has none".into(),
        other => format!("task {} makes no music; ask for it at /predict", other.name()),
    })
}

/// The notes that a model is told before `start`, and the frame that begins with their first bar.
fn heard<'a>(model: &Model, song: &'a crate::song::Song, start: Beats) -> (Frame, &'a [Note]) {
    let (frame, notes) = crate::continuing::reach(model.frame(), song, start);
    (page::exact(model, frame), notes)
}

impl Plan {
    /// With nothing to be said about it.
    fn new(mut prompt: Prompt, page: Page, seconds: f64) -> Self {
        prompt.bar.get_or_insert(page.frame.ticks(page.song.meter(page.span.0).1.bar()));
        Self {
            prompt,
            page,
            again: None,
            seconds,
            prime: None,
            warnings: Vec::new(),
            unsupported: Vec::new(),
        }
    }

    /// The prompt after the one that is done, if there is one.
    pub fn then(&self, done: &Prompt, events: &[continuo_inference::Event]) -> Option<Prompt> {
        self.again.filter(|end| done.end < *end).and_then(|end| looping::rest(done, events, end))
    }
}
