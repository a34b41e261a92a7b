//! `bench`: what programs in `tests/` measure: behaviour in time, the engine, the model.

use anyhow::Result;
use clap::Subcommand;

use crate::bundle;
use crate::run::{must, program, target};

/// What is measured.
#[derive(Subcommand, Clone, Copy)]
pub enum Bench {
    /// The bundled plugin in a host of ours: cost, onsets, time to the answer, late and hanging notes.
    Live,
    /// The engine: loading, prompts, tokens a second, against this machine's memory.
    Decode,
    /// Fifty answers of the model against chance; fails if it is not clearly better.
    Model,
}

/// Builds, and measures.
pub fn bench(what: Bench) -> Result<()> {
    let bundled = bundle::bundle(false)?;
    match what {
        Bench::Live => must(tool("measure").arg(bundled.join("Continuo.clap"))),
        Bench::Decode => must(&mut tool("decode")),
        Bench::Model => must(&mut tool("gates")),
    }
}

/// A program of ours in the dev profile, which [`bundle::bundle`] built.
pub fn tool(name: &str) -> std::process::Command {
    let path = target().join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    program(&path.to_string_lossy(), &[])
}
