//! 256-bit vectors: a tile's four columns in two.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_abs_epi8, _mm256_add_epi32, _mm256_cvtph_ps, _mm256_dpbusd_avx_epi32,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_sign_epi8, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::attention::{self, Look};
use super::{OFFSET, TILE, Tokens};

/// See [`super::Kernel::eights`], which checks the sizes.
#[target_feature(enable = "avx2")]
pub fn eights(tiles: &[u8], inner: usize, x: Tokens<'_>, out: &mut [i32]) {
    let step = |sum, weights, four| {
        // The unsigned side takes the activation's size, its sign goes to the weight: 2 * 127 * 127 fits 16 bits.
        let weights = _mm256_xor_si256(weights, _mm256_set1_epi8(i8::MIN));
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(four), _mm256_sign_epi8(weights, four));
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    };
    blocks(tiles, inner, (x, 0), out, step);
}

/// The same with one instruction for four bytes.
#[target_feature(enable = "avx2,avxvnni")]
pub fn eights_vnni(tiles: &[u8], inner: usize, x: Tokens<'_>, out: &mut [i32]) {
    blocks(tiles, inner, (x, -OFFSET), out, |sum, weights, four| _mm256_dpbusd_avx_epi32(sum, weights, four));
}

/// Tile by tile, so that one is read from memory once for all tokens; sums start at `start` times a token's.
#[inline(always)]
fn blocks(
    tiles: &[u8],
    inner: usize,
    (x, start): (Tokens<'_>, i32),
    out: &mut [i32],
    step: impl Fn(__m256i, __m256i, __m256i) -> __m256i + Copy,
) {
    let rows = tiles.len() / inner;
    for (tile, number) in tiles.chunks_exact(TILE * inner).zip(0..) {
        let mut token = 0;
        while token < x.sums.len() {
            let at = token * rows + number * TILE;
            token += match x.sums.len() - token {
                4.. => block::<4>(tile, inner, (x, start, token), (&mut out[at..], rows), step),
                _ => block::<1>(tile, inner, (x, start, token), (&mut out[at..], rows), step),
            };
        }
    }
}

/// `M` tokens by a tile, all sums in registers; gives `M`.
#[inline(always)]
fn block<const M: usize>(
    tile: &[u8],
    inner: usize,
    (x, start, token): (Tokens<'_>, i32, usize),
    (out, rows): (&mut [i32], usize),
    step: impl Fn(__m256i, __m256i, __m256i) -> __m256i + Copy,
) -> usize {
    let activations = &x.x[token * inner..(token + M) * inner];
    let sums = &x.sums[token..token + M];
    assert!(tile.len() == TILE * inner && out.len() >= (M - 1) * rows + TILE);
    // SAFETY: only called where the processor has AVX2; a tile has 64 bytes for each four columns, a token
    // four activations, and `out` has 16 numbers for each token (asserted above).
    unsafe {
        let mut made = [[_mm256_set1_epi32(0); 2]; M];
        for m in 0..M {
            made[m] = [_mm256_set1_epi32(start * sums[m]); 2];
        }
        for quad in 0..inner / 4 {
            let at = tile.as_ptr().add(quad * 64);
            let weights = [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())];
            for m in 0..M {
                let four = activations.as_ptr().add(m * inner + quad * 4).cast::<i32>().read_unaligned();
                let four = _mm256_set1_epi32(four);
                for half in 0..2 {
                    made[m][half] = step(made[m][half], weights[half], four);
                }
            }
        }
        for m in 0..M {
            for half in 0..2 {
                _mm256_storeu_si256(out.as_mut_ptr().add(m * rows + 8 * half).cast(), made[m][half]);
            }
        }
    }
    M
}

/// See [`super::Kernel::attend`].
#[target_feature(enable = "avx2,fma,f16c")]
pub fn attend(look: Look<'_>, q: &[f32], scores: &mut Vec<f32>, out: &mut [f32]) {
    let wide = |halves: &[u16; TILE]| {
        let mut floats = [0.0_f32; TILE];
        for half in 0..2 {
            // SAFETY: 16 of 32 bytes are read, 32 of 64 written.
            unsafe {
                let few = _mm_loadu_si128(halves.as_ptr().add(8 * half).cast());
                _mm256_storeu_ps(floats.as_mut_ptr().add(8 * half), _mm256_cvtph_ps(few));
            }
        }
        floats
    };
    attention::attend(look, q, scores, out, wide, |a, b, c| a.mul_add(b, c));
}

/// See [`super::Kernel::wide`].
#[target_feature(enable = "avx2,fma")]
pub fn wide<R>(work: impl FnOnce() -> R) -> R {
    work()
}
