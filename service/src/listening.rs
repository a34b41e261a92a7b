//! `continuo embed` and `continuo score`: what a model makes of a file that is there already.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use continuo_inference::midi::Midi;
use continuo_inference::{Event, Model, TimeFrame, compound, tasks};
use continuo_timeline::{Beats, Instrument, Key};
use serde_json::{Value, json};

use crate::song::Song;
use crate::{models, playing};

/// Arguments of `continuo embed`.
#[derive(Args)]
#[command(
    after_help = "Example:\n  continuo embed song.mid > song.json\nPrints model, layer, tokens (as many as the model takes at once) and embedding, a list of numbers.\nPieces whose vectors lie near each other sound alike to the model."
)]
pub struct Embed {
    /// The MIDI file.
    input: PathBuf,
    /// The layer whose hidden states are averaged: 0 goes into the first block; negative ones count from the
    /// end, where -1 is after the final norm.
    #[arg(long, default_value_t = -3, allow_negative_numbers = true)]
    layer: i64,
    /// A checkpoint folder, a compact model file, or the name of a model.
    #[arg(long, value_name = "PATH")]
    model: Option<String>,
}

impl Embed {
    /// Runs the command.
    pub fn run(&self) -> Result<Value> {
        let model = models::load(self.model.as_deref())?;
        let tokens = tasks::tokens(&read(&model, &self.input)?);
        let embedding = tasks::embed(&model, &tokens, self.layer)?;
        let used = tokens.len().min(model.positions());
        Ok(json!({ "model": model.name(), "layer": self.layer, "tokens": used, "embedding": embedding }))
    }
}

/// Arguments of `continuo score`.
#[derive(Args)]
#[command(
    after_help = "Example:\n  continuo score song.mid\nPrints nats, a number for each note in order of onset, and nats_per_event, their mean.\nA note that the model was sure of costs 0; one of a thousand that were as likely costs ln 1000 = 6.9."
)]
pub struct Score {
    /// The MIDI file.
    input: PathBuf,
    /// A checkpoint folder, a compact model file, or the name of a model.
    #[arg(long, value_name = "PATH")]
    model: Option<String>,
}

impl Score {
    /// Runs the command.
    #[allow(clippy::cast_precision_loss)] // notes are thousands
    pub fn run(&self) -> Result<Value> {
        let model = models::load(self.model.as_deref())?;
        let events = read(&model, &self.input)?;
        let progress = indicatif::ProgressBar::new(events.len() as u64);
        let nats = tasks::score(&model, &events, |scored| {
            progress.set_position(scored as u64);
            ControlFlow::Continue(())
        })?;
        progress.finish_and_clear();
        let mean = nats.iter().sum::<f64>() / nats.len().max(1) as f64;
        Ok(json!({ "model": model.name(), "events": nats.len(), "nats_per_event": mean, "nats": nats }))
    }
}

/// Ticks of 10 ms that a file may last: silence is counted out in tokens.
const DAY: i64 = 8_640_000;

/// The notes of a file as the model counts them: as the reference does for models in seconds.
fn read(model: &Model, path: &Path) -> Result<Vec<Event>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    events(model, path, &bytes)
}

/// The same of bytes; `path` is what errors call them.
pub fn events(model: &Model, path: &Path, bytes: &[u8]) -> Result<Vec<Event>> {
    if matches!(model.frame(), TimeFrame::Beats { .. }) {
        let song = Song::parse(path, bytes.to_vec())?;
        let origin = song.bar_before(song.notes.first().map_or(Beats(0.0), |note| note.at));
        return Ok(playing::frame(model.frame(), &song, origin, origin).events(&song.notes));
    }
    let midi = Midi::parse(bytes).with_context(|| path.display().to_string())?;
    let notes = compound::from_midi(&midi);
    if let Some(note) = notes.iter().find(|note| note.onset > DAY) {
        bail!("{} has a note after {} s, and a day is the most; cut it", path.display(), note.onset / 100);
    }
    let tokens = compound::to_events(&notes);
    let notes = compound::from_events(&tokens, compound::Fold::ByNote)?;
    let event = |note: compound::Compound| -> Result<Event> {
        let (onset, duration) = (i32::try_from(note.onset)?, i32::try_from(note.duration)?);
        Ok(Event { onset, duration, instrument: Instrument(note.instrument), key: Key(note.key) })
    };
    notes.into_iter().map(event).collect()
}
