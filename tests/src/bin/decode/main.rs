//! Measures the engine: loading, prompts, tokens; on the default model and in the shape of the Stanford family's
//! smallest; and what this machine's memory lets through in the same run, since one number means little
//! without the other.

mod made_up;
mod memory;
mod peer;
mod peers;
mod play;

use std::sync::Arc;

use anyhow::Result;
use clap::{Parser, Subcommand};
use continuo_inference::kernel::{Bits, Kernel};
use continuo_inference::{Model, Precision};

/// Each is measured so often.
pub const TIMES: usize = 7;

/// Measures the engine.
#[derive(Parser)]
struct Asked {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Loading, prompts and tokens, of `default`, `small`, or `all`.
    Engine {
        #[arg(default_value = "all", value_parser = ["all", "default", "small"])]
        shape: String,
    },
    /// Ours beside other engines.
    Peers(peers::Asked),
}

fn main() -> Result<()> {
    match Asked::parse().what {
        What::Engine { shape } => engine(&shape),
        What::Peers(asked) => peers::compare(&asked),
    }
}

fn engine(wanted: &str) -> Result<()> {
    println!("median (least to most) of {TIMES}; kernels here: {:?}", Kernel::here());
    if matches!(wanted, "all" | "default") {
        println!("\nDEFAULT MODEL");
        for threads in [1, 2] {
            let model = |precision| Ok(Model::from_compact_as(continuo_models::DEFAULT, precision)?);
            shape(threads, &model)?;
        }
    }
    if matches!(wanted, "all" | "small") {
        println!("\n{}", made_up::SHAPE);
        let folder = made_up::folder()?;
        for threads in [1, 2] {
            shape(threads, &|precision| Ok(Model::load_as(&folder, precision)?))?;
        }
    }
    Ok(())
}

/// One shape with so many threads.
fn shape(threads: usize, model: &dyn Fn(Precision) -> Result<Arc<Model>>) -> Result<()> {
    println!("{threads} thread{}", if threads == 1 { "" } else { "s" });
    let precision = Precision::With(Kernel::best(), threads, Bits::Eight);
    let before = memory::resident();
    let load = play::spread(1, || drop(model(precision)));
    let model = model(precision)?;
    let (all, step) = model.sizes().unwrap_or_default();
    let bytes = step + play::cache_bytes(&model);
    println!("  loading                        {}", play::shown(&load, 1000.0, "ms"));
    println!(
        "  int8 weights                   {:.1} MB; resident {:.1} MB more than before",
        all as f64 / 1e6,
        (memory::resident() - before) / 1e6
    );
    let prefill = play::prefill(&model);
    println!(
        "  prefill of 256 tokens          {}",
        play::shown(&play::rates(&prefill, 256), 1.0, "tokens/s")
    );
    let first = play::first(&model);
    println!("  first token after them         {}", play::shown(&first, 1000.0, "ms"));
    let mut limits = Vec::new();
    for batch in [1, 4, 8] {
        let (mut rates, mut shares) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let limit = memory::rate(threads, all) / bytes as f64;
            let rate = play::decode(&model, batch);
            rates.push(rate);
            shares.push(rate / limit);
            limits.push(limit);
        }
        for list in [&mut rates, &mut shares] {
            list.sort_by(f64::total_cmp);
        }
        println!(
            "  decode of 192, batch {batch}         {}; share of the limit at batch 1 {:.2} ({:.2} to {:.2})",
            play::shown(&rates, 1.0, "tokens/s"),
            shares[TIMES / 2],
            shares[0],
            shares[TIMES - 1]
        );
    }
    limits.sort_by(f64::total_cmp);
    println!(
        "  limit: {:.1} MB a token, memory lets through {}",
        bytes as f64 / 1e6,
        play::shown(&limits, 1.0, "tokens/s")
    );
    Ok(())
}
