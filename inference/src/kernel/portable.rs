//! The kernel that runs everywhere, and that the others are compared with.

use super::attention::{self, Look};
use super::{OFFSET, TILE};
use crate::quick::numbers::half_to_float;

/// See [`super::Kernel::eights`].
pub fn eights(tiles: &[u8], inner: usize, x: &[i8], out: &mut [i32]) {
    let rows = tiles.len() / inner;
    for (tile, number) in tiles.chunks_exact(TILE * inner).zip(0..) {
        for (x, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(rows)) {
            let mut sums = [0_i32; TILE];
            for (weights, x) in tile.as_chunks::<{ 4 * TILE }>().0.iter().zip(x.as_chunks::<4>().0) {
                for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
                    let products =
                        weights.iter().zip(x).map(|(&w, &x)| (i32::from(w) - OFFSET) * i32::from(x));
                    *sum += products.sum::<i32>();
                }
            }
            out[number * TILE..(number + 1) * TILE].copy_from_slice(&sums);
        }
    }
}

/// See [`super::Kernel::attend`].
pub fn attend(look: Look<'_>, q: &[f32], scores: &mut Vec<f32>, out: &mut [f32]) {
    attention::attend(look, q, scores, out, |halves| halves.map(half_to_float), |a, b, c| a * b + c);
}
