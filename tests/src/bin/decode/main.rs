//! Measures the engine: loading, prompts, tokens; on the default model and in the shape of the Stanford family's
//! smallest; and what this machine's memory and arithmetic let through in the same run, since one number means little
//! without the other.

mod arithmetic;
mod busy;
mod count;
mod engine;
mod load;
mod made_up;
mod memory;
mod peer;
mod peers;
mod play;
mod shape;

use anyhow::Result;
use clap::{Parser, Subcommand};
use continuo_inference::kernel::Bits;

use shape::Shape;

/// Measures the engine.
#[derive(Parser)]
struct Asked {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Loading, prompts and tokens.
    Engine(engine::Asked),
    /// Ours beside other engines.
    Peers(peers::Asked),
    /// Decodes so many tokens, to be counted from outside.
    Count {
        shape: Shape,
        #[arg(value_parser = shape::bits)]
        bits: Bits,
        steps: usize,
    },
    /// Loads a model, uses it once, and ends.
    #[command(hide = true)]
    Load {
        shape: Shape,
        #[arg(value_parser = shape::bits)]
        bits: Bits,
        threads: usize,
    },
    /// Keeps a processor busy until its input ends.
    #[command(hide = true)]
    Spin,
}

fn main() -> Result<()> {
    match Asked::parse().what {
        What::Engine(asked) => engine::measure(&asked),
        What::Peers(asked) => peers::compare(&asked),
        What::Count { shape, bits, steps } => count::count(shape, bits, steps),
        What::Load { shape, bits, threads } => load::once(shape, threads, bits),
        What::Spin => busy::spin(),
    }
}
