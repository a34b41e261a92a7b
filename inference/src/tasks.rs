//! What a model is good for besides answering: prompts for playing alone, along, between and instead; and
//! what it thinks of music that is there already.

use std::ops::ControlFlow;

use crate::masks::softmax;
use crate::model::Model;
use crate::vocabulary as v;
use crate::{Error, Event, Prompt, Sampling, Session};

/// Notes that a model may put on one onset.
const MOST_PER_ONSET: u8 = 8;

/// From tick 0 to `end` after nothing, for `instruments`.
pub fn generate(instruments: Vec<u8>, end: i32, sampling: Sampling) -> Prompt {
    prompt((Vec::new(), Vec::new()), (0, end), Some(instruments), sampling)
}

/// `instruments` play along with a `melody` that is known beforehand.
pub fn accompany(melody: Vec<Event>, instruments: Vec<u8>, end: i32, sampling: Sampling) -> Prompt {
    prompt((Vec::new(), melody), (0, end), Some(instruments), sampling)
}

/// From the end of what was (`span.0`) to the start of what will be (`span.1`), which is known beforehand.
pub fn bridge(before: Vec<Event>, after: Vec<Event>, span: (i32, i32), sampling: Sampling) -> Prompt {
    prompt((before, after), span, None, sampling)
}

/// What `span` of `events` could be instead, by the instruments that play there.
pub fn vary(events: &[Event], span: (i32, i32), sampling: Sampling) -> Prompt {
    let before = events.iter().filter(|event| event.onset < span.0).copied().collect();
    let after = events.iter().filter(|event| event.onset >= span.1).copied().collect();
    let inside = events.iter().filter(|event| (span.0..span.1).contains(&event.onset));
    let mut instruments: Vec<u8> = inside.map(|event| event.instrument.0).collect();
    instruments.sort_unstable();
    instruments.dedup();
    prompt((before, after), span, Some(instruments), sampling)
}

fn prompt(
    (history, controls): (Vec<Event>, Vec<Event>),
    (start, end): (i32, i32),
    instruments: Option<Vec<u8>>,
    sampling: Sampling,
) -> Prompt {
    Prompt {
        history,
        controls,
        start,
        end,
        instruments,
        max_per_onset: MOST_PER_ONSET,
        sampling,
        answer: 0,
        ..Prompt::default()
    }
}

/// The whole answer to `prompt`; `each` sees its notes as they come, and may end it: [`Error::Cancelled`].
pub fn answer(
    session: &mut Session,
    prompt: Prompt,
    mut each: impl FnMut(&Event) -> ControlFlow<()>,
) -> Result<Vec<Event>, Error> {
    session.begin(prompt)?;
    let mut notes = Vec::new();
    while let Some(event) = session.next_note()? {
        if each(&event).is_break() {
            return Err(Error::Cancelled);
        }
        notes.push(event);
    }
    Ok(notes)
}

/// The mean of `states` `(tokens, width)` over the tokens, summed wide.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // states are f32
pub fn mean(states: &[f32], width: usize) -> Vec<f32> {
    let tokens = states.len() / width.max(1);
    let column = |i: usize| states.iter().skip(i).step_by(width).copied().map(f64::from).sum::<f64>();
    (0..width).map(|i| (column(i) / tokens.max(1) as f64) as f32).collect()
}

/// A vector for the start of a piece: the mean of the hidden states of `layer` over as many tokens as the
/// model takes, without a first token. Layers are numbered as in [`Model::hidden`], negative ones from the end.
/// [`Error::Prompt`] if there are no tokens, or no such layer.
pub fn embed(model: &Model, tokens: &[u32], layer: i64) -> Result<Vec<f32>, Error> {
    let tokens = &tokens[..tokens.len().min(model.positions())];
    let layers = model.hidden(tokens);
    let count = i64::try_from(layers.len()).unwrap_or(i64::MAX);
    let index = usize::try_from(if layer < 0 { count + layer } else { layer }).unwrap_or(usize::MAX);
    match layers.get(index) {
        Some(states) if !states.is_empty() => Ok(mean(states, states.len() / tokens.len())),
        Some(_) => Err(Error::Prompt("it has no notes in the first 100 s".into())),
        None => Err(Error::Prompt(format!("layer {layer} is outside {} to {}", -count, count - 1))),
    }
}

/// Ticks that a window of [`score`] spans at most, so that every onset has a token.
const MOST_SPAN: i32 = 9_000;

/// How much each of `events`, which are in order, surprises the model: nats for onset, duration and note
/// together. RESTs in silence are counted to the note that ends it. A window that is full moves on by half.
/// `each` is told after every window how many are scored, and may end it: [`Error::Cancelled`].
pub fn score(
    model: &Model,
    events: &[Event],
    mut each: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<f64>, Error> {
    let triplets = triplets(events);
    let most = (model.positions() - 1) / 3;
    let (mut scores, mut waiting) = (Vec::new(), 0.0);
    let (mut from, mut scored) = (0, 0);
    while scored < triplets.len() {
        let first = triplets[from].0;
        let fits = |triplet: &&(i32, i32, u32)| triplet.0 - first < MOST_SPAN;
        let count = triplets[from..].iter().take(most).take_while(fits).count();
        let window = &triplets[from..from + count];
        for (triplet, nats) in window.iter().zip(surprises(model, window, first)?).skip(scored - from) {
            waiting += nats;
            if triplet.2 != v::REST {
                scores.push(std::mem::take(&mut waiting));
            }
        }
        scored = from + count;
        if each(scores.len()).is_break() {
            return Err(Error::Cancelled);
        }
        from += count.div_ceil(2);
    }
    Ok(scores)
}

/// (onset, duration, note) with a REST for every 100 ticks of silence.
fn triplets(events: &[Event]) -> Vec<(i32, i32, u32)> {
    let mut triplets = Vec::new();
    let mut last = events.first().map_or(0, |event| event.onset);
    for event in events {
        while event.onset > last + v::REST_EVERY {
            last += v::REST_EVERY;
            triplets.push((last, 0, v::REST));
        }
        last = event.onset;
        triplets.push((event.onset, event.duration, note(event)));
    }
    triplets
}

/// Events as tokens from tick 0, up to the last onset that has a token.
pub fn tokens(events: &[Event]) -> Vec<u32> {
    let known = events.iter().filter(|event| (0..10_000).contains(&event.onset));
    known.flat_map(|event| ids(&(event.onset, event.duration, note(event)), 0)).collect()
}

fn note(event: &Event) -> u32 {
    v::NOTE + 128 * u32::from(event.instrument.0.min(128)) + u32::from(event.key.0 & 127)
}

fn ids(triplet: &(i32, i32, u32), first: i32) -> [u32; 3] {
    let onset = u32::try_from(triplet.0 - first).unwrap_or(0).min(v::MAX_TIME - 1);
    let duration = u32::try_from(triplet.1).unwrap_or(0).min(v::MAX_DUR - 1);
    [v::TIME + onset, v::DUR + duration, triplet.2]
}

/// Nats of each triplet of a window, given those before it.
fn surprises(model: &Model, window: &[(i32, i32, u32)], first: i32) -> Result<Vec<f64>, Error> {
    let tokens = window.iter().flat_map(|triplet| ids(triplet, first));
    let tokens: Vec<u32> = std::iter::once(v::AUTOREGRESS).chain(tokens).collect();
    let states = model.hidden(&tokens).pop().filter(|states| !states.is_empty()).ok_or(Error::NotFinite)?;
    let states: Vec<&[f32]> = states.chunks_exact(states.len() / tokens.len()).collect();
    let open = [v::TIME..v::DUR, v::DUR..v::NOTE, v::NOTE..v::REST + 1];
    let nats = |place: usize| {
        let mut rows = open[place % 3].clone();
        if let Some(last) = chord(window, place / 3).filter(|_| place % 3 == 2 && model.ascends()) {
            rows = last + 1..v::REST;
        }
        let share =
            softmax(&model.logits(states[place], rows.clone()))[(tokens[place + 1] - rows.start) as usize];
        -f64::from(share.max(f32::MIN_POSITIVE)).ln()
    };
    let all: Vec<f64> = (0..tokens.len() - 1).map(nats).collect();
    Ok(all.as_chunks::<3>().0.iter().map(|three| three.iter().sum()).collect())
}

/// The note that one of a window stands above on the same onset.
fn chord(window: &[(i32, i32, u32)], at: usize) -> Option<u32> {
    let (last, this) = (window.get(at.checked_sub(1)?)?, window.get(at)?);
    (last.0 == this.0 && last.2 < this.2).then_some(last.2)
}
