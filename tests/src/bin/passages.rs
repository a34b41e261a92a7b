//! What a model makes of passages, for judges in other languages: `passages MODEL [exact | 8 | 4]` reads one JSON document a
//! line and writes one a line; 8 and 4 are the bits of weights as they are played. Events are `[onset, duration, instrument, key]` in ticks of the model.
//!
//! ```text
//! {"history": [events], "start": 1536, "end": 2304, "instruments": [0, 128], "answer": 3}  ─▶  {"answer": [events]}
//! {"score": [events]}                                                                      ─▶  {"nats": [...]}
//! ```
//!
//! Answers are the plugin's: its sampler, seed 1, and where the question has no `top_p` or `temperature`, 0.95 and 1. Without
//! `instruments` those of the history play.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use continuo_inference::kernel::{Bits, Kernel};
use continuo_inference::{Constraints, Event, Model, Precision, Prompt, Sampling, Session, tasks};
use continuo_music::key;
use continuo_tests::gates::notes;
use continuo_timeline::{Instrument, Key};
use serde::Deserialize;
use serde_json::{Value, json};

/// Onset, duration, instrument, key.
type Row = (i32, i32, u8, u8);

/// One line.
#[derive(Deserialize)]
#[serde(untagged)]
enum Asked {
    Answer {
        history: Vec<Row>,
        start: i32,
        end: i32,
        instruments: Option<Vec<u8>>,
        #[serde(default)]
        answer: u64,
        bar: Option<i32>,
        #[serde(default)]
        beside: Vec<u8>,
        /// Whether the answer keeps to the key of the history, as the plugin's *Stay in key* has it.
        #[serde(default)]
        in_key: bool,
        top_p: Option<f32>,
        temperature: Option<f32>,
    },
    Score {
        score: Vec<Row>,
    },
}

fn main() -> Result<()> {
    let usage = "usage: passages MODEL [exact | 8 | 4]";
    let path = std::env::args_os().nth(1).map(PathBuf::from).context(usage)?;
    let precision = match std::env::args().nth(2).as_deref() {
        None | Some("exact") => Precision::Exact,
        Some("8") => Precision::With(Kernel::best(), 1, Bits::Eight),
        Some("4") => Precision::With(Kernel::best(), 1, Bits::Four),
        Some(_) => bail!(usage),
    };
    let model = Model::load_as(&path, precision)?;
    let mut session = Session::new(Arc::clone(&model));
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let asked = serde_json::from_str(&line?).context("a line that is neither an answer nor a score")?;
        writeln!(out, "{}", reply(&model, &mut session, asked)?)?;
    }
    Ok(())
}

fn reply(model: &Model, session: &mut Session, asked: Asked) -> Result<Value> {
    match asked {
        Asked::Score { score } => {
            Ok(json!({ "nats": tasks::score(model, &events(&score), |_| ControlFlow::Continue(()))? }))
        }
        Asked::Answer {
            history,
            start,
            end,
            instruments,
            beside,
            in_key,
            answer,
            bar,
            top_p,
            temperature,
        } => {
            let history = events(&history);
            let (temperature, top_p) = (temperature.unwrap_or(1.0), top_p.unwrap_or(0.95));
            let sampling = Sampling { temperature, top_p, seed: 1 };
            let scale = if in_key { key::scale(&notes(&history)) } else { 0xFFF };
            let constraints = Constraints { scale, ..Constraints::default() };
            let prompt = Prompt {
                history,
                start,
                end,
                instruments,
                beside,
                constraints,
                sampling,
                answer,
                bar,
                ..Prompt::default()
            };
            let rows = |e: Event| (e.onset, e.duration, e.instrument.0, e.key.0);
            let notes = tasks::answer(session, prompt, |_| ControlFlow::Continue(()))?;
            Ok(json!({ "answer": notes.into_iter().map(rows).collect::<Vec<Row>>() }))
        }
    }
}

fn events(rows: &[Row]) -> Vec<Event> {
    let event = |&(onset, duration, instrument, key): &Row| Event {
        onset,
        duration,
        instrument: Instrument(instrument.min(128)),
        key: Key(key & 127),
    };
    rows.iter().map(event).collect()
}
