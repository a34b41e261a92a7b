//! `continuo logits` and `continuo sample --exact`: the model and the reference's sampler, to compare with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use continuo_inference::generate::{Request, generate, logits_of};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::models;

/// Arguments of `continuo logits`.
#[derive(Args)]
pub struct Logits {
    /// A checkpoint folder, a compact model file, or the name of a model.
    #[arg(long, value_name = "DIR")]
    model: Option<String>,
    /// The tokens: a JSON list of numbers.
    #[arg(long, value_name = "FILE.json")]
    tokens: PathBuf,
    /// Also the hidden states of all layers: their means over the tokens and the last token's. The first is
    /// what goes into the first block, the last is after the final norm.
    #[arg(long)]
    hidden: bool,
}

impl Logits {
    /// Runs the command.
    pub fn run(&self) -> Result<Value> {
        let ids: Vec<u32> = read(&self.tokens, "a list of token numbers")?;
        let model = models::load(self.model.as_deref())?;
        let mut report = json!({ "logits": logits_of(&model)(&ids)? });
        if self.hidden {
            let layers = model.hidden(&ids);
            report["hidden"] = layers.iter().map(|states| layer(states, ids.len())).collect();
        }
        Ok(report)
    }
}

/// Hidden states `(tokens, width)`, pooled.
fn layer(states: &[f32], tokens: usize) -> Value {
    let width = states.len() / tokens.max(1);
    json!({
        "mean": continuo_inference::tasks::mean(states, width),
        "last": states[states.len() - width..],
    })
}

/// Arguments of `continuo sample`.
#[derive(Args)]
pub struct Sample {
    /// As the reference samples, quirks included; the other commands sample as the plugin does.
    #[arg(long, required = true)]
    exact: bool,
    /// A checkpoint folder, a compact model file, or the name of a model.
    #[arg(long, value_name = "DIR")]
    model: Option<String>,
    /// What is wanted: start_time, end_time, inputs, controls, delta, top_p, uniforms; each may be absent.
    #[arg(long, value_name = "FILE.json")]
    request: PathBuf,
}

impl Sample {
    /// Runs the command.
    pub fn run(&self) -> Result<Value> {
        let request: Request = read(&self.request, "a request (start_time, end_time, inputs, ...)")?;
        let model = models::load(self.model.as_deref())?;
        let output = generate(&mut logits_of(&model), &request)?;
        Ok(json!({ "ok": output.events, "sampled_tokens": output.sampled }))
    }
}

fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not {what} in JSON", path.display()))
}
