//! `loops`: whole bars that can be repeated. The first bar is made, and then the others, with the first known
//! to come again behind them: so the seam is music too.

use continuo_inference::{Event, Model, Prompt, TimeFrame, tasks};
use continuo_timeline::{Beats, Bpm, Meter};

use super::given::{Given, open};
use super::page::{CLOCK, Page, blank, frame};
use super::{Plan, wishes};
use crate::serve::ask::Ask;
use crate::serve::failure::Failure;

/// Bars of a loop whose length is not said.
const BARS: f64 = 4.0;

/// The first bar; the rest follows in [`rest`]. A seed lends its tempo, its meter and its instruments.
pub fn plan(ask: &Ask, model: &Model) -> Result<Plan, Failure> {
    let seed = ask.input.as_deref().map(|bytes| open(model, "midi_input", bytes)).transpose()?;
    let (tempo, meter) = pace(ask, model, seed.as_ref());
    let seconds = 60.0 * meter.bar().0 / tempo.0;
    let mut song = blank(model, tempo, meter)?;
    let bar = match model.frame() {
        TimeFrame::Beats { .. } => meter.bar().0,
        // A whole number of ticks, so that each bar is as long as the first.
        TimeFrame::Seconds => (100.0 * seconds).round().max(1.0) / CLOCK,
    };
    let bars = ask.seconds.map_or(BARS, |wanted| (wanted / seconds).round().clamp(1.0, 64.0));
    let end = Beats(bars * bar);
    let frame = frame(model, &song, Beats(0.0));
    let own = seed.as_ref().map(|seed| super::continuing::instruments(&seed.song));
    let parts = ask.instruments.clone().or(own).unwrap_or_else(|| vec![0]);
    let first = frame.tick(Beats(bar));
    let prompt = tasks::generate(parts, first, ask.sampling);
    let seconds = song.seconds(end);
    song.notes.clear();
    let mut page = Page::new(song, frame, (Beats(0.0), end));
    page.until = Some(end);
    let plan = Plan { again: Some(frame.tick(end)), ..Plan::new(prompt, page, seconds) };
    Ok(wishes::grant(ask, plan, &seed.map(|seed| seed.song.notes).unwrap_or_default()))
}

/// Tempo and meter: those where the seed's first note is, else what is asked, in four quarters. Models in seconds heed
/// only a seed.
fn pace(ask: &Ask, model: &Model, seed: Option<&Given>) -> (Bpm, Meter) {
    match (seed.map(Given::first_bar), model.frame()) {
        (Some(line), _) => (line.tempo, line.meter),
        (None, TimeFrame::Beats { .. }) => (Bpm(ask.tempo), Meter::COMMON),
        (None, TimeFrame::Seconds) => (Bpm(120.0), Meter::COMMON),
    }
}

/// The bars after the first, up to tick `end`; none if there is but one.
pub fn rest(first: &Prompt, events: &[Event], end: i32) -> Option<Prompt> {
    let again = events.iter().map(|event| Event { onset: event.onset + end, ..*event });
    let second = Prompt {
        history: events.to_vec(),
        controls: again.collect(),
        start: first.end,
        end,
        answer: first.answer + 1,
        ..first.clone()
    };
    (end > first.end).then_some(second)
}
