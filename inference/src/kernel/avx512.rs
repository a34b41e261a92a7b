//! 512-bit vectors: a tile's four columns in one.

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256, _mm512_add_epi32, _mm512_add_ps,
    _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_storeu_ps, _mm512_storeu_si512,
};

use super::attention::{self, AHEAD, Lanes, Look};
use super::{Loops, OFFSET, TILE, Tokens};

/// See [`super::Kernel::eights`], which checks the sizes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn eights(tiles: &[u8], inner: usize, Tokens { x, sums }: Tokens<'_>, out: &mut [i32]) {
    let size = TILE * inner;
    let count = tiles.len() / size;
    let mut tile = 0;
    while tile < count {
        let (at, left) = (&tiles[tile * size..], count - tile);
        let mut job =
            Job { tiles: at, inner, x, sums, out: &mut *out, rows: count * TILE, first: tile * TILE };
        tile += if left > 1 { job.tokens::<2>() } else { job.tokens::<1>() };
    }
}

/// A few tiles for all tokens.
struct Job<'a> {
    tiles: &'a [u8],
    inner: usize,
    x: &'a [i8],
    sums: &'a [i32],
    out: &'a mut [i32],
    rows: usize,
    first: usize,
}

impl Job<'_> {
    /// `N` tiles side by side; gives `N`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn tokens<const N: usize>(&mut self) -> usize {
        let tokens = self.sums.len();
        let mut token = 0;
        while token < tokens {
            // With few tokens several sums of each, so that none waits for the one before it.
            token += match tokens - token {
                8.. => self.block::<8, N, 1>(token),
                7 => self.block::<7, N, 1>(token),
                6 => self.block::<6, N, 2>(token),
                5 => self.block::<5, N, 2>(token),
                4 => self.block::<4, N, 2>(token),
                3 => self.block::<3, N, 2>(token),
                2 => self.block::<2, N, 4>(token),
                _ => self.block::<1, N, 4>(token),
            };
        }
        N
    }

    /// `M` tokens by `N` tiles, `U` sums each, all in registers; gives `M`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn block<const M: usize, const N: usize, const U: usize>(&mut self, token: usize) -> usize {
        let size = TILE * self.inner;
        assert!(self.tiles.len() >= N * size && self.x.len() >= (token + M) * self.inner);
        let mut sums = [[[_mm512_set1_epi32(0); N]; M]; U];
        for m in 0..M {
            sums[0][m] = [_mm512_set1_epi32(-OFFSET * self.sums[token + m]); N];
        }
        let (tiles, x) = (self.tiles.as_ptr(), self.x[token * self.inner..].as_ptr());
        let quads = self.inner / 4;
        for quad in (0..quads / U).map(|step| step * U) {
            for (u, sums) in sums.iter_mut().enumerate() {
                // SAFETY: both have these columns (asserted above).
                unsafe { four(tiles.add((quad + u) * 64), x.add((quad + u) * 4), self.inner, sums) };
            }
        }
        for quad in quads / U * U..quads {
            // SAFETY: as above.
            unsafe { four(tiles.add(quad * 64), x.add(quad * 4), self.inner, &mut sums[0]) };
        }
        let (first, more) = sums.split_at_mut(1);
        for sums in more {
            for (all, sum) in first[0].as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                *all = _mm512_add_epi32(*all, *sum);
            }
        }
        self.store(token, &first[0]);
        M
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn store<const M: usize, const N: usize>(&mut self, token: usize, sums: &[[__m512i; N]; M]) {
        for (m, sums) in sums.iter().enumerate() {
            let at = (token + m) * self.rows + self.first;
            for (sum, out) in sums.iter().zip(self.out[at..at + N * TILE].chunks_exact_mut(TILE)) {
                // SAFETY: `out` has 16 numbers of 4 bytes.
                unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *sum) };
            }
        }
    }
}

/// Four columns of `M` tokens and `N` tiles of `inner` columns, added to `sums`.
///
/// # Safety
/// From `tiles` on there are 64 bytes in each of `N` tiles, from `x` on four activations of each of `M` tokens.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn four<const M: usize, const N: usize>(
    tiles: *const u8,
    x: *const i8,
    inner: usize,
    sums: &mut [[__m512i; N]; M],
) {
    let mut weights = [_mm512_set1_epi32(0); N];
    for n in 0..N {
        // SAFETY: the caller's promise; what is asked for ahead is a hint, and may lie outside.
        unsafe {
            let at = tiles.add(n * TILE * inner);
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
            weights[n] = _mm512_loadu_si512(at.cast());
        }
    }
    for m in 0..M {
        // SAFETY: the caller's promise.
        let four = _mm512_set1_epi32(unsafe { x.add(m * inner).cast::<i32>().read_unaligned() });
        for n in 0..N {
            sums[m][n] = _mm512_dpbusd_epi32(sums[m][n], weights[n], four);
        }
    }
}

/// Sixteen numbers in a vector.
#[derive(Clone, Copy)]
struct Wide(__m512);

// SAFETY of all: the trait's promise.
impl Lanes for Wide {
    #[inline(always)]
    unsafe fn all(x: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn ahead(from: &[u16; TILE]) {
        // A hint; it may lie outside.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().cast::<i8>().wrapping_add(AHEAD)) };
    }

    #[inline(always)]
    unsafe fn halves(from: &[u16; TILE]) -> Self {
        Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast())) })
    }

    #[inline(always)]
    unsafe fn and_product(self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn numbers(self) -> [f32; TILE] {
        let mut numbers = [0.0; TILE];
        unsafe { _mm512_storeu_ps(numbers.as_mut_ptr(), self.0) };
        numbers
    }
}

/// See [`super::Kernel::attend`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub fn attend(look: Look<'_, '_>, scores: &mut Vec<f32>) {
    // SAFETY: this function is only called where these instructions are.
    unsafe { attention::attend::<Wide, 4>(look, scores) };
}

/// See [`super::Kernel::wide`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn wide<W: Loops>(work: W) -> W::Made {
    work.run()
}
