//! 256-bit vectors: a tile's four columns in two.

use std::arch::x86_64::{
    __m256, __m256i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_abs_epi8, _mm256_add_epi16,
    _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256, _mm256_blend_epi16, _mm256_cvtepi8_epi16,
    _mm256_cvtph_ps, _mm256_dpbusd_avx_epi32, _mm256_fmadd_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_sign_epi8, _mm256_slli_epi32, _mm256_srli_epi16, _mm256_storeu_ps, _mm256_storeu_si256,
    _mm256_sub_epi32, _mm256_xor_si256,
};

use super::attention::{self, AHEAD, Lanes, Look};
use super::{BLOCK, BLOCK_BYTES, GROUP, Loops, OFFSET, OFFSET_4, TILE, Tokens};

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
                4.. => block::<4, 1>(tile, inner, (x, start, token), (&mut out[at..], rows), step),
                3 => block::<3, 1>(tile, inner, (x, start, token), (&mut out[at..], rows), step),
                2 => block::<2, 2>(tile, inner, (x, start, token), (&mut out[at..], rows), step),
                _ => block::<1, 2>(tile, inner, (x, start, token), (&mut out[at..], rows), step),
            };
        }
    }
}

/// `M` tokens by a tile, `U` sums each, all in registers; gives `M`.
#[inline(always)]
fn block<const M: usize, const U: usize>(
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
        let mut made = [[[_mm256_set1_epi32(0); 2]; M]; U];
        for m in 0..M {
            made[0][m] = [_mm256_set1_epi32(start * sums[m]); 2];
        }
        let quads = inner / 4;
        for quad in (0..quads / U).map(|part| part * U) {
            for u in 0..U {
                four(tile.as_ptr(), activations.as_ptr(), (inner, quad + u), &mut made[u], step);
            }
        }
        for quad in quads / U * U..quads {
            four(tile.as_ptr(), activations.as_ptr(), (inner, quad), &mut made[0], step);
        }
        for m in 0..M {
            for half in 0..2 {
                let mut sum = made[0][m][half];
                for more in &made[1..] {
                    sum = _mm256_add_epi32(sum, more[m][half]);
                }
                _mm256_storeu_si256(out.as_mut_ptr().add(m * rows + 8 * half).cast(), sum);
            }
        }
    }
    M
}

/// Four columns of `M` tokens and a tile, added to `made`.
///
/// # Safety
/// The processor has AVX2, and both have these columns.
#[inline(always)]
unsafe fn four<const M: usize>(
    tile: *const u8,
    x: *const i8,
    (inner, quad): (usize, usize),
    made: &mut [[__m256i; 2]; M],
    step: impl Fn(__m256i, __m256i, __m256i) -> __m256i + Copy,
) {
    // SAFETY: the caller's promise; what is asked for ahead is a hint, and may lie outside.
    unsafe {
        let at = tile.add(quad * 64);
        _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>().wrapping_add(AHEAD));
        let weights = [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())];
        for m in 0..M {
            let four = x.add(m * inner + quad * 4).cast::<i32>().read_unaligned();
            let four = _mm256_set1_epi32(four);
            for half in 0..2 {
                made[m][half] = step(made[m][half], weights[half], four);
            }
        }
    }
}

/// See [`super::Kernel::fours`], which checks the sizes.
#[target_feature(enable = "avx2")]
pub fn fours(tiles: &[u8], inner: usize, Tokens { x, sums: groups }: Tokens<'_>, out: &mut [i32]) {
    let size = inner / BLOCK * BLOCK_BYTES;
    let rows = tiles.len() / size * TILE;
    for (tile, number) in tiles.chunks_exact(size).zip(0..) {
        let tokens = x.chunks_exact(inner).zip(groups.chunks_exact(inner / GROUP));
        for ((x, groups), out) in tokens.zip(out.chunks_exact_mut(rows)) {
            let mut sums = [_mm256_set1_epi32(0); 2];
            let x = x.chunks_exact(BLOCK).zip(groups.as_chunks::<4>().0);
            for (block, (x, groups)) in tile.chunks_exact(BLOCK_BYTES).zip(x) {
                for half in 0..2 {
                    pair(block, half, (&x[half * 2 * GROUP..], &groups[2 * half..]), &mut sums);
                }
            }
            let out = &mut out[number * TILE..(number + 1) * TILE];
            for half in 0..2 {
                // SAFETY: `out` has 16 numbers.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(8 * half).cast(), sums[half]) };
            }
        }
    }
}

/// Two groups of columns: the first or the second pair of a block.
#[inline]
#[target_feature(enable = "avx2")]
fn pair(block: &[u8], pair: usize, (x, groups): (&[i8], &[i32]), sums: &mut [__m256i; 2]) {
    assert!(block.len() == BLOCK_BYTES && pair < 2 && x.len() >= 2 * GROUP);
    let (scales, weights) =
        (block[pair * 2 * TILE..].as_ptr(), block[4 * TILE + pair * GROUP * TILE..].as_ptr());
    let mask = _mm256_set1_epi8(15);
    // Of two columns each, in 16 bits: sixteen products of at most 15 * 127 fit.
    let mut made = [[_mm256_set1_epi16(0); 2]; 2];
    for quad in 0..GROUP / 4 {
        // SAFETY: two groups of activations (asserted above).
        let four =
            |group: usize| unsafe { x.as_ptr().add(group * GROUP + quad * 4).cast::<i32>().read_unaligned() };
        for half in 0..2 {
            // SAFETY: eight times 64 bytes (asserted above).
            let both = unsafe { _mm256_loadu_si256(weights.add(quad * 64 + half * 32).cast()) };
            if half == 0 {
                let ahead = weights.wrapping_add(quad * 64 + AHEAD);
                // A hint; it may lie outside.
                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
            }
            let nibbles =
                [_mm256_and_si256(both, mask), _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask)];
            for group in 0..2 {
                let products = _mm256_maddubs_epi16(nibbles[group], _mm256_set1_epi32(four(group)));
                made[group][half] = _mm256_add_epi16(made[group][half], products);
            }
        }
    }
    for half in 0..2 {
        let whole = |group: usize| {
            let sum = _mm256_madd_epi16(made[group][half], _mm256_set1_epi16(1));
            _mm256_sub_epi32(sum, _mm256_set1_epi32(OFFSET_4 * groups[group]))
        };
        // Both groups' sums fit 16 bits: side by side, for one product with their scales.
        let both = _mm256_blend_epi16::<0xAA>(whole(0), _mm256_slli_epi32::<16>(whole(1)));
        // SAFETY: 32 scales (asserted above).
        let scales = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(scales.add(16 * half).cast()) });
        sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(both, scales));
    }
}

/// Sixteen numbers in two vectors.
#[derive(Clone, Copy)]
struct Wide(__m256, __m256);

impl Lanes for Wide {
    #[inline(always)]
    unsafe fn all(x: f32) -> Self {
        // SAFETY: the trait's promise.
        let all = unsafe { _mm256_set1_ps(x) };
        Self(all, all)
    }

    #[inline(always)]
    unsafe fn ahead(from: &[u16; TILE]) {
        // SAFETY: a hint, which may lie outside.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().cast::<i8>().wrapping_add(AHEAD)) };
    }

    #[inline(always)]
    unsafe fn halves(from: &[u16; TILE]) -> Self {
        // SAFETY: the trait's promise.
        let half = |at: usize| unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().add(at).cast())) };
        Self(half(0), half(8))
    }

    #[inline(always)]
    unsafe fn and_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn numbers(self) -> [f32; TILE] {
        let mut numbers = [0.0; TILE];
        // SAFETY: the trait's promise.
        unsafe {
            _mm256_storeu_ps(numbers.as_mut_ptr(), self.0);
            _mm256_storeu_ps(numbers.as_mut_ptr().add(8), self.1);
        }
        numbers
    }
}

/// See [`super::Kernel::attend`].
#[target_feature(enable = "avx2,fma,f16c")]
pub fn attend(look: Look<'_, '_>, scores: &mut Vec<f32>) {
    // One at a time: sixteen registers hold no more.
    // SAFETY: this function is only called where these instructions are.
    unsafe { attention::attend::<Wide, 1>(look, scores) };
}

/// See [`super::Kernel::wide`].
#[target_feature(enable = "avx2,fma")]
pub fn wide<W: Loops>(work: W) -> W::Made {
    work.run()
}
