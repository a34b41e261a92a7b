//! Prompts and tokens, timed.

use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

use continuo_inference::{Cache, Feed, Model, vocabulary as v};

use crate::peer::Run;

/// Tokens of the prompt: a first one and 85 triplets.
const PROMPT: u32 = 256;
/// Tokens that are decoded.
pub const NEW: usize = 192;

/// Which rows of the head are computed.
#[derive(Clone, Copy)]
pub enum Rows {
    /// Those that may stand in a token's place.
    Legal,
    /// All of the vocabulary.
    All,
}

/// Sorted seconds of a few runs.
pub fn spread(times: usize, mut run: impl FnMut()) -> Vec<f64> {
    let once = |_| {
        let began = Instant::now();
        run();
        began.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..times).map(once).collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// Sorted rates of so many tokens.
pub fn rates(seconds: &[f64], count: usize) -> Vec<f64> {
    seconds.iter().rev().map(|s| count as f64 / s).collect()
}

/// Median, least and most.
pub fn shown(sorted: &[f64], scale: f64, unit: &str) -> String {
    let digits = if unit == "times" { 2 } else { 1 };
    let at = |index: usize| sorted[index] * scale;
    format!(
        "{:.digits$} {unit} ({:.digits$} to {:.digits$})",
        at(sorted.len() / 2),
        at(0),
        at(sorted.len() - 1)
    )
}

/// The prompt.
pub fn ids() -> Vec<u32> {
    let keys = [60, 64, 67, 72, 69, 65, 62];
    let one = |i: u32| [v::TIME + i * 12, v::DUR + 12, v::NOTE + keys[i as usize % 7]];
    std::iter::once(v::AUTOREGRESS).chain((0..PROMPT / 3).flat_map(one)).collect()
}

/// All rows that may be said in each slot of a triplet.
pub fn legal(slot: usize) -> Range<u32> {
    match slot % 3 {
        0 => v::TIME..v::TIME + v::MAX_TIME,
        1 => v::DUR..v::DUR + v::MAX_DUR,
        _ => v::NOTE..v::REST + 1,
    }
}

/// Seconds of computing the prompt.
pub fn prefill(model: &Model, times: usize) -> Vec<f64> {
    spread(times, || drop(black_box(model.feed(&mut model.cache(), &ids()))))
}

/// Seconds until the first token after it.
pub fn first(model: &Model, times: usize) -> Vec<f64> {
    spread(times, || {
        let state = model.feed(&mut model.cache(), &ids());
        black_box(model.logits(&state, legal(0)));
    })
}

/// Tokens a second of `batch` sequences decoded side by side, the likeliest token each time.
#[allow(clippy::cast_precision_loss)] // hundreds of tokens
pub fn decode(model: &Model, batch: usize) -> f64 {
    (batch * NEW) as f64 / run(model, batch, Rows::Legal).rest
}

/// A prompt, the first token after it and [`NEW`] more, for `batch` sequences side by side.
pub fn run(model: &Model, batch: usize, rows: Rows) -> Run {
    let rows = |slot: usize| match rows {
        Rows::Legal => legal(slot),
        Rows::All => 0..v::VOCABULARY,
    };
    let began = Instant::now();
    let mut caches: Vec<Cache> = (0..batch).map(|_| model.cache()).collect();
    let states: Vec<Vec<f32>> = caches.iter_mut().map(|cache| model.feed(cache, &ids())).collect();
    go_on(model, &mut caches, states, rows, began)
}

/// Tokens a second of `batch` sequences side by side that begin with one prompt, which is held once.
#[allow(clippy::cast_precision_loss)] // hundreds of tokens
pub fn variations(model: &Model, batch: usize) -> f64 {
    let mut caches = vec![model.cache()];
    let states = vec![model.feed(&mut caches[0], &ids()); batch];
    while caches.len() < batch {
        let other = caches[0].fork();
        caches.push(other);
    }
    (batch * NEW) as f64 / go_on(model, &mut caches, states, legal, Instant::now()).rest
}

fn go_on(
    model: &Model,
    caches: &mut [Cache],
    mut states: Vec<Vec<f32>>,
    rows: impl Fn(usize) -> Range<u32>,
    began: Instant,
) -> Run {
    let mut tokens = likeliest(model, &states, rows(0));
    let (first, began) = (began.elapsed().as_secs_f64(), Instant::now());
    for slot in 1..=NEW {
        let pairs = caches.iter_mut().zip(tokens.chunks(1));
        let mut feeds: Vec<Feed<'_>> = pairs.map(|(cache, ids)| Feed { cache, ids }).collect();
        states = model.feed_all(&mut feeds, &|| true).unwrap_or_default();
        tokens = likeliest(model, &states, rows(slot));
    }
    Run { first, rest: began.elapsed().as_secs_f64() }
}

/// The likeliest of some rows after each state.
pub fn likeliest(model: &Model, states: &[Vec<f32>], rows: Range<u32>) -> Vec<u32> {
    let views: Vec<&[f32]> = states.iter().map(Vec::as_slice).collect();
    model.logits_all(&views, rows.clone()).iter().map(|logits| rows.start + best(logits)).collect()
}

fn best(logits: &[f32]) -> u32 {
    let better = |best: (u32, f32), next: (u32, f32)| if next.1 > best.1 { next } else { best };
    (0..).zip(logits.iter().copied()).fold((0, f32::NEG_INFINITY), better).0
}

/// Bytes of keys and values that a token of these runs reads on average.
pub fn cache_bytes(model: &Model) -> usize {
    let config = model.config();
    (PROMPT as usize + NEW / 2) * config.n_embd * config.n_layer * 2 * 2
}
