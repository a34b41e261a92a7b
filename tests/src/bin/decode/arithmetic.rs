//! What this machine's processors multiply in a second, and what a prompt needs at the least.

use std::hint::black_box;
use std::time::Instant;

use continuo_inference::Config;
use continuo_inference::kernel::{Kernel, TILE};

/// Tokens that are multiplied at a time, as in a prompt.
const TOKENS: usize = 32;
/// Rows and columns of weights that stay in the nearest caches.
const ROWS: usize = 4 * TILE;
const COLUMNS: usize = 512;
/// Products of these that are timed together: some milliseconds.
const TURNS: usize = 2_000;

/// Multiplications and additions of int8 a second by our best kernel on so many threads, each with weights and
/// activations that lie in its nearest caches.
#[allow(clippy::cast_precision_loss)] // billions
pub fn rate(threads: usize) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(turns);
            }
        });
        best = best.min(began.elapsed().as_secs_f64());
    }
    (threads * TURNS * 2 * TOKENS * ROWS * COLUMNS) as f64 / best
}

fn turns() {
    let (tiles, x) = (vec![200_u8; ROWS * COLUMNS], vec![3_i8; TOKENS * COLUMNS]);
    let sums = vec![3 * COLUMNS as i32; TOKENS];
    let mut out = vec![0; TOKENS * ROWS];
    for _ in 0..TURNS {
        Kernel::best().eights(black_box(&tiles), COLUMNS, (black_box(&x), &sums), &mut out);
    }
    black_box(out);
}

/// Seconds that the matrices of a prompt take at the least, at such a rate; attention, norms and the rest not counted.
#[allow(clippy::cast_precision_loss)] // as above
pub fn floor(config: &Config, tokens: usize, rate: f64) -> f64 {
    (2 * 12 * config.n_embd * config.n_embd * config.n_layer * tokens) as f64 / rate
}
