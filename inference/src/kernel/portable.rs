//! The kernel that runs everywhere, and that the others are compared with.

use super::attention::{self, Lanes, Look};
use super::{BLOCK, BLOCK_BYTES, GROUP, OFFSET, OFFSET_4, TILE};
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

/// See [`super::Kernel::fours`].
pub fn fours(tiles: &[u8], inner: usize, x: &[i8], out: &mut [i32]) {
    let size = inner / BLOCK * BLOCK_BYTES;
    let rows = tiles.len() / size * TILE;
    for (tile, number) in tiles.chunks_exact(size).zip(0..) {
        for (x, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(rows)) {
            let sums = &mut out[number * TILE..(number + 1) * TILE];
            sums.fill(0);
            for (block, x) in tile.chunks_exact(BLOCK_BYTES).zip(x.chunks_exact(BLOCK)) {
                let (scales, weights) = block.split_at(4 * TILE);
                let halves = weights.chunks_exact(GROUP * TILE).zip(scales.chunks_exact(2 * TILE));
                for ((weights, scales), x) in halves.zip(x.chunks_exact(2 * GROUP)) {
                    pair(weights, scales, x, sums);
                }
            }
        }
    }
}

/// Two groups of columns.
fn pair(weights: &[u8], scales: &[u8], x: &[i8], sums: &mut [i32]) {
    let mut groups = [[0_i32; TILE]; 2];
    let (low, high) = x.split_at(GROUP);
    let quads = weights.as_chunks::<{ 4 * TILE }>().0.iter();
    for ((weights, low), high) in quads.zip(low.as_chunks::<4>().0).zip(high.as_chunks::<4>().0) {
        for (row, weights) in weights.as_chunks::<4>().0.iter().enumerate() {
            for column in 0..4 {
                let byte = i32::from(weights[column]);
                groups[0][row] += ((byte & 15) - OFFSET_4) * i32::from(low[column]);
                groups[1][row] += ((byte >> 4) - OFFSET_4) * i32::from(high[column]);
            }
        }
    }
    for (row, (sum, scales)) in sums.iter_mut().zip(scales.as_chunks::<2>().0).enumerate() {
        let [low, high] = scales.map(|scale| i32::from(scale.cast_signed()));
        *sum += groups[0][row] * low + groups[1][row] * high;
    }
}

// Nothing is needed of the processor.
impl Lanes for [f32; TILE] {
    unsafe fn all(x: f32) -> Self {
        [x; TILE]
    }

    unsafe fn ahead(_: &[u16; TILE]) {}

    unsafe fn halves(from: &[u16; TILE]) -> Self {
        from.map(half_to_float)
    }

    unsafe fn and_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + a[lane] * b[lane])
    }

    unsafe fn and(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + other[lane])
    }

    unsafe fn numbers(self) -> [f32; TILE] {
        self
    }
}

/// See [`super::Kernel::attend`].
pub fn attend(look: Look<'_, '_>, scores: &mut Vec<f32>) {
    // SAFETY: plain numbers need no instructions of their own.
    unsafe { attention::attend::<[f32; TILE], 1>(look, scores) };
}
