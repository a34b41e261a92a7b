//! Measures a bundle in a host of ours, and prints ratios: `measure Continuo.clap`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use continuo_tests::host::{Hosted, Song, Source, parse};

const RATE: f64 = 48_000.0;
/// Seconds of music for each block size.
const SECONDS: f64 = 20.0;

fn main() -> Result<()> {
    let bundle = std::env::args_os().nth(1).map(PathBuf::from).context("usage: measure Continuo.clap")?;
    let score = parse("C4@0 len 0.9 E4@1 G4@2 C5@3 C3@0 len 3.5 G3@0 C4@8 E4@9 G4@10 C5@11");
    println!("block    process() as a share of real time");
    for block in [32, 64, 128, 256, 512, 1024, 4096] {
        let mut plugin = Hosted::new(&Source::Bundle(bundle.clone()));
        plugin.activate(RATE, block);
        let start = Instant::now();
        plugin.play(&score, &Song::steady(120.0), SECONDS, block);
        println!("{block:>5}    {:.3} %", start.elapsed().as_secs_f64() / SECONDS * 100.0);
    }
    Ok(())
}
