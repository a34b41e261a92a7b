//! 256-bit vectors: a tile's four columns in two.

use std::arch::x86_64::{
    __m256, __m256i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_abs_epi8, _mm256_add_epi32,
    _mm256_add_ps, _mm256_cvtph_ps, _mm256_dpbusd_avx_epi32, _mm256_fmadd_ps, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_sign_epi8, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::attention::{self, AHEAD, Lanes, Look};
use super::{Loops, OFFSET, TILE, Tokens};

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

/// Sixteen numbers in two vectors.
#[derive(Clone, Copy)]
struct Wide(__m256, __m256);

// SAFETY of all: the trait's promise.
impl Lanes for Wide {
    #[inline(always)]
    unsafe fn all(x: f32) -> Self {
        let all = unsafe { _mm256_set1_ps(x) };
        Self(all, all)
    }

    #[inline(always)]
    unsafe fn ahead(from: &[u16; TILE]) {
        // A hint; it may lie outside.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().cast::<i8>().wrapping_add(AHEAD)) };
    }

    #[inline(always)]
    unsafe fn halves(from: &[u16; TILE]) -> Self {
        let half = |at: usize| unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().add(at).cast())) };
        Self(half(0), half(8))
    }

    #[inline(always)]
    unsafe fn and_product(self, a: Self, b: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn numbers(self) -> [f32; TILE] {
        let mut numbers = [0.0; TILE];
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
