//! `embed`: a vector for a file, as the reference's hidden states give it.

use continuo_inference::{Model, tasks};

use crate::listening;
use crate::serve::ask::Ask;
use crate::serve::failure::Failure;

/// A vector, and how many tokens it stands for.
pub struct Embedding {
    /// The mean of the hidden states.
    pub vector: Vec<f32>,
    /// Tokens that were averaged.
    pub used: usize,
    /// Tokens of the file.
    pub all: usize,
}

/// The mean of the states of one layer over the first tokens, as many as the model takes.
pub fn embed(ask: &Ask, model: &Model) -> Result<Embedding, Failure> {
    let layers = i64::try_from(model.config().n_layer).unwrap_or(0);
    if !(-layers - 1..=layers).contains(&ask.layer) {
        let text = format!("embed_layer {} is outside {} to {layers}", ask.layer, -layers - 1);
        return Err(Failure::field("embed_layer", text));
    }
    let wrong = |error: String| Failure::field("midi_input", format!("midi_input: {error}"));
    let bytes = ask.input.as_deref().unwrap_or_default();
    let events = listening::events(model, std::path::Path::new("midi_input"), bytes)
        .map_err(|error| wrong(format!("{error:#}")))?;
    if events.is_empty() {
        return Err(wrong("the file has no notes; send one with at least one".into()));
    }
    let tokens = tasks::tokens(&events);
    let vector = tasks::embed(model, &tokens, ask.layer).map_err(|error| wrong(error.to_string()))?;
    Ok(Embedding { vector, used: tokens.len().min(model.positions()), all: 3 * events.len() })
}
