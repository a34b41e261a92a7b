//! What can go wrong, with the way out in each message.

use std::path::PathBuf;

/// Errors of this crate.
#[allow(missing_docs)] // the messages say what the fields are
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// A checkpoint is not what it should be.
    #[error(
        "{path}: {what}; expected a GPT-2 folder (config.json with model.safetensors, its shards or pytorch_model.bin) or a compact model file: fetch or copy it again, or name another"
    )]
    Checkpoint { path: PathBuf, what: String },
    /// A prompt that no answer can be made for.
    #[error("the prompt cannot be answered: {0}")]
    Prompt(String),
    /// Nobody waits for the answer any more.
    #[error("the answer was cancelled")]
    Cancelled,
    /// The tensor library or its device failed.
    #[error("the device could not compute: {0}; use the processor instead")]
    Device(#[from] candle_core::Error),
    /// The model gave numbers that are not numbers.
    #[error("the model's output is not finite; its file is damaged: fetch or train it again")]
    NotFinite,
}
