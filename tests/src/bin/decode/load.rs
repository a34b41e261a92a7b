//! What a process holds while it loads a model and begins to use it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use continuo_inference::Model;
use continuo_inference::kernel::Bits;

use crate::memory::Held;
use crate::play;
use crate::shape::{self, Shape};

/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(1);

/// In a process of its own: loads, and computes a prompt and a token.
pub fn once(shape: Shape, threads: usize, bits: Bits) -> Result<()> {
    let began = Instant::now();
    let model = shape.model(threads, bits)?;
    let seconds = began.elapsed().as_secs_f64();
    play::first(&model, 1);
    println!("{seconds}");
    Ok(())
}

/// Seconds of loading in a new process, and the most that it held until its first token.
pub fn watched(shape: Shape, threads: usize, bits: Bits) -> Result<(f64, Held)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["load", shape.word(), shape::word(bits), &threads.to_string()]).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut most = Held::default();
    while child.try_wait()?.is_none() {
        most.raise(&Held::of(&child.id().to_string()));
        std::thread::sleep(PAUSE);
    }
    let out = child.wait_with_output()?;
    let seconds = String::from_utf8_lossy(&out.stdout).trim().parse();
    Ok((seconds.context("the process that loads failed")?, most))
}

/// Bytes of the weights and of one cache.
pub fn needed(model: &Model) -> usize {
    let (config, (all, _)) = (model.config(), model.sizes().unwrap_or_default());
    all + 2 * 2 * config.n_layer * config.n_positions * config.n_embd
}
