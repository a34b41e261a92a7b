//! 128-bit vectors: a tile's four columns in four.

use std::arch::aarch64::{
    int8x16_t, int32x4_t, uint8x16_t, vdupq_n_s32, vdupq_n_u8, veorq_u8, vld1q_u8, vreinterpretq_s8_s32,
    vreinterpretq_s8_u8, vst1q_s32,
};
use std::arch::asm;

use super::TILE;

/// See [`super::Kernel::eights`], which checks the sizes.
#[target_feature(enable = "neon,dotprod")]
pub fn eights(tiles: &[u8], inner: usize, x: &[i8], out: &mut [i32]) {
    let rows = tiles.len() / inner;
    for (tile, number) in tiles.chunks_exact(TILE * inner).zip(0..) {
        for (x, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(rows)) {
            let mut sums = [vdupq_n_s32(0); 4];
            for (weights, x) in tile.as_chunks::<{ 4 * TILE }>().0.iter().zip(x.as_chunks::<4>().0) {
                let four = vreinterpretq_s8_s32(vdupq_n_s32(i32::from_ne_bytes(x.map(i8::cast_unsigned))));
                for (part, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: `weights` has 64 bytes.
                    let weights = unsafe { vld1q_u8(weights.as_ptr().add(16 * part)) };
                    *sum = dot(*sum, signed(weights), four);
                }
            }
            let out = &mut out[number * TILE..(number + 1) * TILE];
            for (part, sum) in sums.iter().enumerate() {
                // SAFETY: `out` has 16 numbers.
                unsafe { vst1q_s32(out.as_mut_ptr().add(4 * part), *sum) };
            }
        }
    }
}

/// Bytes without their offset.
#[inline]
#[target_feature(enable = "neon")]
fn signed(weights: uint8x16_t) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(weights, vdupq_n_u8(0x80)))
}

/// Four products a lane, added to `sum`. (The intrinsic is not in stable Rust.)
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: one instruction on registers; the processor has it, which is asked for above.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sum, in(vreg) a, in(vreg) b, options(pure, nomem, nostack));
    }
    sum
}
