//! The kernel that runs everywhere, and that the others are compared with.

use super::attention::{self, Lanes, Look};
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
