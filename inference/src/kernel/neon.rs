//! 128-bit vectors: a tile's four columns in four.

use std::arch::aarch64::{
    int8x16_t, int32x4_t, uint8x16_t, vandq_u8, vdupq_n_s32, vdupq_n_u8, veorq_u8, vld1q_s32, vld1q_u8,
    vmlaq_s32, vreinterpretq_s8_s32, vreinterpretq_s8_u8, vshrq_n_u8, vst1q_s32, vsubq_u8,
};
use std::arch::asm;

use super::{BLOCK, BLOCK_BYTES, GROUP, TILE};

/// See [`super::Kernel::eights`], which checks the sizes.
#[target_feature(enable = "neon,dotprod")]
pub fn eights(tiles: &[u8], inner: usize, x: &[i8], out: &mut [i32]) {
    let rows = tiles.len() / inner;
    for (tile, number) in tiles.chunks_exact(TILE * inner).zip(0..) {
        // Tile by tile, so that one is read from memory once for all tokens.
        for (x, out) in x.chunks(4 * inner).zip(out.chunks_mut(4 * rows)) {
            let out = (&mut out[number * TILE..], rows);
            match x.len() / inner {
                4 => block::<4>(tile, inner, x, out),
                3 => block::<3>(tile, inner, x, out),
                2 => block::<2>(tile, inner, x, out),
                _ => block::<1>(tile, inner, x, out),
            }
        }
    }
}

/// `M` tokens by a tile, all sums in registers.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn block<const M: usize>(tile: &[u8], inner: usize, x: &[i8], (out, rows): (&mut [i32], usize)) {
    let mut sums = [[vdupq_n_s32(0); 4]; M];
    let x: [&[[i8; 4]]; M] = std::array::from_fn(|m| x[m * inner..(m + 1) * inner].as_chunks::<4>().0);
    for (quad, weights) in tile.as_chunks::<{ 4 * TILE }>().0.iter().enumerate() {
        for part in 0..4 {
            // SAFETY: `weights` has 64 bytes.
            let weights = signed(unsafe { vld1q_u8(weights.as_ptr().add(16 * part)) });
            for m in 0..M {
                let four = i32::from_ne_bytes(x[m][quad].map(i8::cast_unsigned));
                sums[m][part] = dot(sums[m][part], weights, vreinterpretq_s8_s32(vdupq_n_s32(four)));
            }
        }
    }
    for (m, sums) in sums.iter().enumerate() {
        let out = &mut out[m * rows..m * rows + TILE];
        for (part, sum) in sums.iter().enumerate() {
            // SAFETY: `out` has 16 numbers.
            unsafe { vst1q_s32(out.as_mut_ptr().add(4 * part), *sum) };
        }
    }
}

/// See [`super::Kernel::fours`].
#[target_feature(enable = "neon,dotprod")]
pub fn fours(tiles: &[u8], inner: usize, x: &[i8], out: &mut [i32]) {
    let size = inner / BLOCK * BLOCK_BYTES;
    let rows = tiles.len() / size * TILE;
    for (tile, number) in tiles.chunks_exact(size).zip(0..) {
        for (x, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(rows)) {
            let mut sums = [vdupq_n_s32(0); 4];
            for (block, x) in tile.chunks_exact(BLOCK_BYTES).zip(x.chunks_exact(BLOCK)) {
                let (scales, weights) = block.split_at(4 * TILE);
                let halves = weights.chunks_exact(GROUP * TILE).zip(scales.chunks_exact(2 * TILE));
                for ((weights, scales), x) in halves.zip(x.chunks_exact(2 * GROUP)) {
                    pair(weights, scales, x, &mut sums);
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

/// Two groups of columns.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn pair(weights: &[u8], scales: &[u8], x: &[i8], sums: &mut [int32x4_t; 4]) {
    let mut groups = [[vdupq_n_s32(0); 4]; 2];
    let (low, high) = x.split_at(GROUP);
    let (offset, mask) = (vdupq_n_u8(8), vdupq_n_u8(15));
    let all = |x: &[i8; 4]| vreinterpretq_s8_s32(vdupq_n_s32(i32::from_ne_bytes(x.map(i8::cast_unsigned))));
    let quads = weights.as_chunks::<{ 4 * TILE }>().0.iter();
    for ((weights, low), high) in quads.zip(low.as_chunks::<4>().0).zip(high.as_chunks::<4>().0) {
        for part in 0..4 {
            // SAFETY: `weights` has 64 bytes.
            let both = unsafe { vld1q_u8(weights.as_ptr().add(16 * part)) };
            let below = vreinterpretq_s8_u8(vsubq_u8(vandq_u8(both, mask), offset));
            let above = vreinterpretq_s8_u8(vsubq_u8(vshrq_n_u8::<4>(both), offset));
            groups[0][part] = dot(groups[0][part], below, all(low));
            groups[1][part] = dot(groups[1][part], above, all(high));
        }
    }
    for part in 0..4 {
        for (group, sum) in groups.iter().enumerate() {
            let scale = |row: usize| i32::from(scales[2 * (4 * part + row) + group].cast_signed());
            let scales = [scale(0), scale(1), scale(2), scale(3)];
            // SAFETY: four numbers.
            sums[part] = vmlaq_s32(sums[part], sum[part], unsafe { vld1q_s32(scales.as_ptr()) });
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
