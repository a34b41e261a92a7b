//! 512-bit vectors: a tile's four columns in one.

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_loadu_si256, _mm512_add_epi32,
    _mm512_add_ps, _mm512_and_si512, _mm512_cvtepi8_epi16, _mm512_cvtph_ps, _mm512_dpbusd_epi32,
    _mm512_dpwssd_epi32, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_mask_blend_epi16, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32, _mm512_srli_epi16, _mm512_storeu_ps,
    _mm512_storeu_si512,
};

use super::attention::{self, AHEAD, Lanes, Look};
use super::{BLOCK, BLOCK_BYTES, GROUP, Loops, OFFSET, OFFSET_4, TILE, Tokens};

/// What memory is asked for while tiles are computed: nothing,
const NONE: u8 = 0;
/// what comes [`AHEAD`] of what is computed,
const NEAR: u8 = 1;
/// or the next tiles.
const NEXT: u8 = 2;

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
            let left = tokens - token;
            token += match (tokens, left) {
                // What is read once is asked for just ahead; of what is read again and again, the next, near the end.
                (..=8, _) => self.few::<N, NEAR>(token, left),
                (_, ..=16) => self.few::<N, NEXT>(token, left),
                _ => self.block::<8, N, 1, NONE>(token),
            };
        }
        N
    }

    /// Up to eight tokens. With few of them several sums of each, so that none waits for the one before it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn few<const N: usize, const ASK: u8>(&mut self, token: usize, left: usize) -> usize {
        match left {
            8.. => self.block::<8, N, 1, ASK>(token),
            7 => self.block::<7, N, 1, ASK>(token),
            6 => self.block::<6, N, 2, ASK>(token),
            5 => self.block::<5, N, 2, ASK>(token),
            4 => self.block::<4, N, 2, ASK>(token),
            3 => self.block::<3, N, 2, ASK>(token),
            2 => self.block::<2, N, 4, ASK>(token),
            _ => self.block::<1, N, 4, ASK>(token),
        }
    }

    /// `M` tokens by `N` tiles, `U` sums each, all in registers; gives `M`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn block<const M: usize, const N: usize, const U: usize, const ASK: u8>(
        &mut self,
        token: usize,
    ) -> usize {
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
                unsafe {
                    four::<M, N, ASK>(tiles.add((quad + u) * 64), x.add((quad + u) * 4), self.inner, sums)
                };
            }
        }
        for quad in quads / U * U..quads {
            // SAFETY: as above.
            unsafe { four::<M, N, ASK>(tiles.add(quad * 64), x.add(quad * 4), self.inner, &mut sums[0]) };
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
/// `ASK` says what is asked for meanwhile.
///
/// # Safety
/// From `tiles` on there are 64 bytes in each of `N` tiles, from `x` on four activations of each of `M` tokens.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn four<const M: usize, const N: usize, const ASK: u8>(
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
            match ASK {
                NEAR => _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast()),
                // Not so near that what is in use has to go.
                NEXT => _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(N * TILE * inner).cast()),
                _ => {}
            }
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

/// See [`super::Kernel::fours`], which checks the sizes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn fours(tiles: &[u8], inner: usize, Tokens { x, sums: groups }: Tokens<'_>, out: &mut [i32]) {
    let size = inner / BLOCK * BLOCK_BYTES;
    let count = tiles.len() / size;
    let tokens = x.len() / inner;
    let mut tile = 0;
    while tile < count {
        let two = count - tile > 1;
        let mut token = 0;
        while token < tokens {
            let x = (&x[token * inner..], &groups[token * inner / GROUP..]);
            let job = Fours { tiles: &tiles[tile * size..], inner, x: x.0, groups: x.1 };
            let to = (&mut out[token * count * TILE + tile * TILE..], count * TILE);
            token += match (tokens - token, two) {
                (4.., true) => job.block::<4, 2>(to),
                (3, true) => job.block::<3, 2>(to),
                (2, true) => job.block::<2, 2>(to),
                (1, true) => job.block::<1, 2>(to),
                (8.., _) => job.block::<8, 1>(to),
                (4.., _) => job.block::<4, 1>(to),
                _ => job.block::<1, 1>(to),
            };
        }
        tile += if two { 2 } else { 1 };
    }
}

/// A few tiles of four-bit weights for a few tokens.
struct Fours<'a> {
    tiles: &'a [u8],
    inner: usize,
    x: &'a [i8],
    groups: &'a [i32],
}

impl Fours<'_> {
    /// `M` tokens by `N` tiles, into rows of `out` that are so far apart; gives `M`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn block<const M: usize, const N: usize>(&self, (out, stride): (&mut [i32], usize)) -> usize {
        let (inner, size) = (self.inner, self.inner / BLOCK * BLOCK_BYTES);
        assert!(self.tiles.len() >= N * size && self.x.len() >= M * inner);
        assert!(self.groups.len() >= M * inner / GROUP && out.len() >= (M - 1) * stride + N * TILE);
        let mut sums = [[_mm512_set1_epi32(0); N]; M];
        for block in 0..inner / BLOCK {
            for half in 0..2 {
                let column = block * BLOCK + half * 2 * GROUP;
                // SAFETY: tiles, activations and sums have these columns (asserted above).
                unsafe {
                    let tile = self.tiles.as_ptr().add(block * BLOCK_BYTES);
                    let x = (self.x.as_ptr().add(column), self.groups.as_ptr().add(column / GROUP));
                    pair(tile, half, (size, inner), x, &mut sums);
                }
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            for (sum, out) in sums.iter().zip(out[m * stride..][..N * TILE].chunks_exact_mut(TILE)) {
                // SAFETY: `out` has 16 numbers of 4 bytes.
                unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *sum) };
            }
        }
        M
    }
}

/// Two groups of columns of `M` tokens, `inner` apart, and `N` tiles, `size` bytes apart: the first or the second pair
/// of the block that `tile` begins with.
///
/// # Safety
/// There are whole blocks, from `x` on two groups of activations of each token, and their sums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn pair<const M: usize, const N: usize>(
    tile: *const u8,
    pair: usize,
    (size, inner): (usize, usize),
    (x, groups): (*const i8, *const i32),
    sums: &mut [[__m512i; N]; M],
) {
    let mask = _mm512_set1_epi8(15);
    // SAFETY: the caller's promise, for all of this; what is asked for ahead is a hint, and may lie outside.
    unsafe {
        let mut made = [[[_mm512_set1_epi32(0); 2]; N]; M];
        for m in 0..M {
            for group in 0..2 {
                let start = _mm512_set1_epi32(-OFFSET_4 * *groups.add(m * (inner / GROUP) + group));
                for n in 0..N {
                    made[m][n][group] = start;
                }
            }
        }
        for quad in 0..GROUP / 4 {
            let mut low = [mask; N];
            let mut high = [mask; N];
            for n in 0..N {
                let at = tile.add(n * size + 4 * TILE + pair * GROUP * TILE + quad * 64);
                _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>().wrapping_add(AHEAD));
                let both = _mm512_loadu_si512(at.cast());
                low[n] = _mm512_and_si512(both, mask);
                high[n] = _mm512_and_si512(_mm512_srli_epi16::<4>(both), mask);
            }
            for m in 0..M {
                let x = x.add(m * inner + quad * 4);
                let first = _mm512_set1_epi32(x.cast::<i32>().read_unaligned());
                let second = _mm512_set1_epi32(x.add(GROUP).cast::<i32>().read_unaligned());
                for n in 0..N {
                    made[m][n][0] = _mm512_dpbusd_epi32(made[m][n][0], low[n], first);
                    made[m][n][1] = _mm512_dpbusd_epi32(made[m][n][1], high[n], second);
                }
            }
        }
        for n in 0..N {
            let scales = _mm256_loadu_si256(tile.add(n * size + pair * 2 * TILE).cast());
            let scales = _mm512_cvtepi8_epi16(scales);
            for m in 0..M {
                // Both groups' sums fit 16 bits: side by side, for one product with their scales.
                let [first, second] = made[m][n];
                let both = _mm512_mask_blend_epi16(0xAAAA_AAAA, first, _mm512_slli_epi32::<16>(second));
                sums[m][n] = _mm512_dpwssd_epi32(sums[m][n], both, scales);
            }
        }
    }
}

/// Sixteen numbers in a vector.
#[derive(Clone, Copy)]
struct Wide(__m512);

impl Lanes for Wide {
    #[inline(always)]
    unsafe fn all(x: f32) -> Self {
        // SAFETY: the trait's promise.
        Self(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn ahead(from: &[u16; TILE]) {
        // SAFETY: a hint, which may lie outside.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().cast::<i8>().wrapping_add(AHEAD)) };
    }

    #[inline(always)]
    unsafe fn halves(from: &[u16; TILE]) -> Self {
        // SAFETY: the trait's promise.
        Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast())) })
    }

    #[inline(always)]
    unsafe fn and_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the trait's promise.
        Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        // SAFETY: the trait's promise.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn numbers(self) -> [f32; TILE] {
        let mut numbers = [0.0; TILE];
        // SAFETY: the trait's promise.
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
