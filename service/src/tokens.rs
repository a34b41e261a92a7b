//! `continuo tokens`: a MIDI file as notes and as tokens, number for number as the reference has them.

use std::path::PathBuf;

use clap::Args;
use continuo_inference::compound;
use continuo_inference::midi::Midi;
use serde_json::{Value, json};

/// Arguments of `continuo tokens`.
#[derive(Args)]
#[command(
    after_help = "Prints {\"compound\": [...], \"events\": [...]}: five numbers a note (onset and duration in 10 ms, key, program, velocity), and\nthree (onset, 10000 + duration, 11000 + 128 program + key). A file that cannot be read: {\"error\": \"...\"}, and exit code 2."
)]
pub struct Tokens {
    /// A MIDI file (type 0 or 1).
    input: PathBuf,
}

impl Tokens {
    /// Runs the command: the numbers, or what is wrong with the file under `error`.
    pub fn run(&self) -> Value {
        self.read().unwrap_or_else(|what| json!({ "error": format!("{}: {what}", self.input.display()) }))
    }

    fn read(&self) -> Result<Value, String> {
        let bytes = std::fs::read(&self.input).map_err(|error| error.to_string())?;
        let notes = compound::from_midi(&Midi::parse(&bytes).map_err(|error| error.to_string())?);
        let flat: Vec<_> = notes.iter().flat_map(|note| note.flat()).collect();
        Ok(json!({ "compound": flat, "events": compound::to_events(&notes) }))
    }
}
