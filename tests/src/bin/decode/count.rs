//! Tokens to be counted in instructions, which no neighbour disturbs: `cargo xtask bench counts` runs this in callgrind.

use std::hint::black_box;

use anyhow::Result;
use continuo_inference::kernel::{Bits, Kernel};
use continuo_inference::{Cache, Model};

use crate::play;
use crate::shape::Shape;

/// After a prompt, so many tokens on one thread.
pub fn count(shape: Shape, bits: Bits, steps: usize) -> Result<()> {
    let model = shape.model(1, bits)?;
    let mut cache = model.cache();
    // A short prompt: what is before the tokens takes its time in there.
    let state = model.feed(&mut cache, &play::ids()[..64]);
    println!("{:?}", Kernel::best());
    counted_steps(&model, &mut cache, state, steps);
    Ok(())
}

/// What is counted; by this name it is found.
#[inline(never)]
fn counted_steps(model: &Model, cache: &mut Cache, mut state: Vec<f32>, steps: usize) {
    for slot in 0..steps {
        let token = play::likeliest(model, std::slice::from_ref(&state), play::legal(slot));
        state = model.feed(cache, &token);
    }
    black_box(state);
}
