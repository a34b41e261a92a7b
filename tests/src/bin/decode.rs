//! Measures the engine on the default model: loading, prompts, tokens; and what this machine's memory lets through in
//! the same run, since one number means little without the other.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use continuo_inference::{Event, Model, Prompt, Sampling, Session, vocabulary as v};
use continuo_timeline::{Instrument, Key};

/// Tokens of the prompt: a first one and 85 triplets.
const PROMPT: usize = 256;
/// Tokens that are decoded.
const NEW: usize = 192;
/// Each is measured so often.
const TIMES: usize = 7;

fn main() -> Result<()> {
    let load = spread(|| drop(black_box(Model::from_compact(continuo_models::DEFAULT))));
    let model = Model::from_compact(continuo_models::DEFAULT)?;
    let ids = ids();
    ensure!(ids.len() == PROMPT, "the prompt has {} tokens", ids.len());
    let memory = bandwidth();
    println!("median (least to most) of {TIMES}; one thread, dev profile (optimised, opt-level 2)");
    println!("loading the default model      {}", shown(&load, 1000.0, "ms"));
    let prefill = spread(|| drop(black_box(model.feed(&mut model.cache(), &ids))));
    println!("prefill of {PROMPT} tokens          {}", shown(&rates(&prefill, PROMPT), 1.0, "tokens/s"));
    let first = spread(|| {
        let state = model.feed(&mut model.cache(), &ids);
        black_box(model.logits(&state, legal(0)));
    });
    println!("first token after them         {}", shown(&first, 1000.0, "ms"));
    let decode = decode(&model, &ids);
    println!("decode of {NEW}, legal rows     {}", shown(&rates(&decode, NEW), 1.0, "tokens/s"));
    session(&model)?;
    let bytes = bytes_a_token(&model);
    let limit = memory / bytes;
    println!("memory, read by one thread     {:.1} GB/s", memory / 1e9);
    println!("weights read for a token       {:.1} MB (blocks in f32, and the legal rows)", bytes / 1e6);
    println!("what memory alone would allow  {limit:.0} tokens/s");
    println!("decode, as a share of that     {:.2}", NEW as f64 / decode[TIMES / 2] / limit);
    Ok(())
}

/// Sorted seconds of a few runs.
fn spread(mut run: impl FnMut()) -> Vec<f64> {
    let once = |_| {
        let began = Instant::now();
        run();
        began.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..TIMES).map(once).collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

fn rates(seconds: &[f64], count: usize) -> Vec<f64> {
    seconds.iter().rev().map(|s| count as f64 / s).collect()
}

fn shown(sorted: &[f64], scale: f64, unit: &str) -> String {
    let at = |index: usize| sorted[index] * scale;
    format!("{:.1} {unit} ({:.1} to {:.1})", at(TIMES / 2), at(0), at(TIMES - 1))
}

fn history() -> Vec<Event> {
    let event = |i: i32| Event {
        onset: i * 12,
        duration: 12,
        instrument: Instrument(0),
        key: Key([60, 64, 67, 72, 69, 65, 62][i as usize % 7]),
    };
    (0..85).map(event).collect()
}

fn ids() -> Vec<u32> {
    let one =
        |e: &Event| [v::TIME + e.onset as u32, v::DUR + e.duration as u32, v::NOTE + u32::from(e.key.0)];
    std::iter::once(v::AUTOREGRESS).chain(history().iter().flat_map(one)).collect()
}

/// Rows that the session projects onto for each slot of a triplet: a hundred ticks, durations, keys of one instrument.
fn legal(slot: usize) -> Range<u32> {
    match slot % 3 {
        0 => v::TIME + 1020..v::TIME + 1121,
        1 => v::DUR..v::DUR + v::MAX_DUR,
        _ => v::NOTE..v::NOTE + 128,
    }
}

/// Seconds of decoding after the prompt, the likeliest token each time.
fn decode(model: &Arc<Model>, ids: &[u32]) -> Vec<f64> {
    let mut cache = model.cache();
    let after = model.feed(&mut cache, ids);
    spread(|| {
        cache.truncate(PROMPT);
        let mut state = after.clone();
        for slot in 0..NEW {
            let rows = legal(slot);
            let logits = model.logits(&state, rows.clone());
            let best = (0..).zip(&logits).max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
            state = model.feed(&mut cache, &[rows.start + best]);
        }
    })
}

/// The same through a session, sampling included.
fn session(model: &Arc<Model>) -> Result<()> {
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for answer in 0..TIMES as u64 {
        let mut session = Session::new(Arc::clone(model));
        let began = Instant::now();
        let sampling = Sampling { temperature: 1.0, top_p: 0.95, seed: 1 };
        session.begin(Prompt {
            history: history(),
            controls: Vec::new(),
            start: 1020,
            end: 2000,
            instruments: None,
            max_per_onset: 6,
            sampling,
            answer,
            ..Prompt::default()
        })?;
        session.next_note()?;
        first.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        let mut notes = 0;
        while notes < 60 && session.next_note()?.is_some() {
            notes += 1;
        }
        rest.push(f64::from(3 * notes) / began.elapsed().as_secs_f64());
    }
    first.sort_by(f64::total_cmp);
    rest.sort_by(f64::total_cmp);
    println!("session: first note            {}", shown(&first, 1000.0, "ms"));
    println!("session: notes, 3 tokens each  {}", shown(&rest, 1.0, "tokens/s"));
    Ok(())
}

/// Bytes a second that one thread reads from memory, at its best: more than any cache holds.
fn bandwidth() -> f64 {
    let data = vec![1_u64; 1 << 26];
    let seconds = spread(|| {
        let mut sums = [0_u64; 8];
        for part in data.chunks_exact(8) {
            sums.iter_mut().zip(part).for_each(|(sum, x)| *sum = sum.wrapping_add(*x));
        }
        black_box(sums);
    });
    (data.len() * 8) as f64 / seconds[0]
}

/// Bytes of weights read for a token: 12 width² for each block, and the mean of the legal rows.
fn bytes_a_token(model: &Model) -> f64 {
    let states = model.hidden(&[v::AUTOREGRESS]);
    let width = states[0].len() as f64;
    let rows: usize = (0..3).map(|slot| legal(slot).len()).sum();
    4.0 * ((states.len() - 1) as f64 * 12.0 * width * width + rows as f64 / 3.0 * width)
}
