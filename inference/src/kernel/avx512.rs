//! 512-bit vectors: a tile's four columns in one.

use std::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_storeu_ps, _mm512_storeu_si512,
};

use super::attention::{self, Look};
use super::{OFFSET, TILE, Tokens};

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
        tile += match (sums.len(), left) {
            (0..=4, 4..) => job.tokens::<4>(),
            (_, 2..) => job.tokens::<2>(),
            _ => job.tokens::<1>(),
        };
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
            token += match tokens - token {
                8.. => self.block::<8, N>(token),
                4.. => self.block::<4, N>(token),
                2.. => self.block::<2, N>(token),
                _ => self.block::<1, N>(token),
            };
        }
        N
    }

    /// `M` tokens by `N` tiles, all sums in registers; gives `M`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn block<const M: usize, const N: usize>(&mut self, token: usize) -> usize {
        let size = TILE * self.inner;
        assert!(self.tiles.len() >= N * size && self.x.len() >= (token + M) * self.inner);
        let mut sums = [[_mm512_set1_epi32(0); N]; M];
        for m in 0..M {
            sums[m] = [_mm512_set1_epi32(-OFFSET * self.sums[token + m]); N];
        }
        let (tiles, x) = (self.tiles.as_ptr(), self.x[token * self.inner..].as_ptr());
        for quad in 0..self.inner / 4 {
            let mut weights = [_mm512_set1_epi32(0); N];
            for n in 0..N {
                // SAFETY: 64 bytes of tile n, which `tiles` has (asserted above).
                weights[n] = unsafe { _mm512_loadu_si512(tiles.add(n * size + quad * 64).cast()) };
            }
            for m in 0..M {
                // SAFETY: four bytes of token m, which `x` has (asserted above).
                let four = unsafe { x.add(m * self.inner + quad * 4).cast::<i32>().read_unaligned() };
                let four = _mm512_set1_epi32(four);
                for n in 0..N {
                    sums[m][n] = _mm512_dpbusd_epi32(sums[m][n], weights[n], four);
                }
            }
        }
        self.store(token, &sums);
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

/// See [`super::Kernel::attend`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub fn attend(look: Look<'_>, q: &[f32], scores: &mut Vec<f32>, out: &mut [f32]) {
    let wide = |halves: &[u16; TILE]| {
        let mut floats = [0.0_f32; TILE];
        // SAFETY: 32 bytes are read and 64 written, which both have.
        unsafe {
            _mm512_storeu_ps(floats.as_mut_ptr(), _mm512_cvtph_ps(_mm256_loadu_si256(halves.as_ptr().cast())))
        };
        floats
    };
    attention::attend(look, q, scores, out, wide, |a, b, c| a.mul_add(b, c));
}

/// See [`super::Kernel::wide`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn wide<R>(work: impl FnOnce() -> R) -> R {
    work()
}
