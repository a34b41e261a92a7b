//! Products of small whole numbers, in the widest instructions that the processor has.
//!
//! Weights lie in tiles of [`TILE`] rows: for each four columns, four bytes of each row in turn, so that one
//! vector holds the same four columns of all rows of the tile.
//!
//! ```text
//! tile: | row 0: c0 c1 c2 c3 | row 1: c0 c1 c2 c3 | … | row 15: c0 c1 c2 c3 | row 0: c4 c5 c6 c7 | …
//! ```
//! Sums of whole numbers are exact, so every kernel gives the same bits, whatever it computes at once.

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

pub use attention::{Look, Query, Stretch};

/// Rows that lie together.
pub const TILE: usize = 16;

/// What a weight of -127 … 127 is stored with added, so that its byte has no sign.
pub const OFFSET: i32 = 128;

/// Columns of four-bit weights that share a scale.
pub const GROUP: usize = 32;

/// Columns of four-bit weights that lie together: see [`Kernel::fours`].
pub const BLOCK: usize = 4 * GROUP;

/// Bytes of a tile's block: a scale of a byte for each row and group, then the weights.
pub const BLOCK_BYTES: usize = TILE * 4 + TILE * BLOCK / 2;

/// What a four-bit weight of -8 … 7 is stored with added.
pub const OFFSET_4: i32 = 8;

/// Bits of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// A byte, and a scale for each row.
    Eight,
    /// Half a byte, and a scale for each [`GROUP`] of columns.
    Four,
}

impl Bits {
    /// Bytes of a tile of `inner` columns.
    pub fn tile(self, inner: usize) -> usize {
        match self {
            Self::Eight => TILE * inner,
            Self::Four => inner / BLOCK * BLOCK_BYTES,
        }
    }
}

/// Instructions that products are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Whatever the compiler makes of plain loops.
    Portable,
    /// 256-bit vectors, pairs of bytes at a time (x86-64).
    Avx2,
    /// 256-bit vectors, four bytes at a time (x86-64).
    AvxVnni,
    /// 512-bit vectors, four bytes at a time (x86-64).
    Avx512Vnni,
    /// 128-bit vectors, four bytes at a time (aarch64).
    NeonDot,
}

impl Kernel {
    /// All that this processor has, the best first.
    pub fn here() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vnni") {
                found.push(Self::Avx512Vnni);
            }
            let wide = has!("avx2") && has!("fma") && has!("f16c");
            if wide && has!("avxvnni") {
                found.push(Self::AvxVnni);
            }
            if wide {
                found.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            found.push(Self::NeonDot);
        }
        found.push(Self::Portable);
        found
    }

    /// The best that this processor has.
    pub fn best() -> Self {
        Self::here()[0]
    }

    /// Sums of weight times activation, both within ±127: `tiles` of `inner` columns, `x` `(tokens, inner)`,
    /// `inner` a multiple of 4, into `out` `(tokens, rows)`.
    pub fn eights(self, tiles: &[u8], inner: usize, (x, sums): (&[i8], &[i32]), out: &mut [i32]) {
        check(tiles.len(), inner, (x.len(), sums.len()), out.len());
        let x = Tokens { x, sums };
        match self {
            Self::Portable => portable::eights(tiles, inner, x.x, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `here` gives these only where the processor has them; the sizes are checked above.
            Self::Avx2 => unsafe { avx2::eights(tiles, inner, x, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::AvxVnni => unsafe { avx2::eights_vnni(tiles, inner, x, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx512Vnni => unsafe { avx512::eights(tiles, inner, x, out) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Self::NeonDot => unsafe { neon::eights(tiles, inner, x.x, out) },
            #[allow(unreachable_patterns)] // kernels of other processors
            _ => portable::eights(tiles, inner, x.x, out),
        }
    }

    /// The same with weights of four bits, `inner` a multiple of [`BLOCK`]; `groups` are the sums of each [`GROUP`] of a
    /// token's activations.
    ///
    /// ```text
    /// block:   | scales of groups 0 and 1 | scales of groups 2 and 3 | weights of both | weights of both |
    /// scales:  | row 0: group 0, group 1 | row 1: … |                                  a byte with a sign each
    /// weights: | row 0: c0 c1 c2 c3 | row 1: … |, eight times;  a byte: a column of the first group below, the same
    ///                                                           column of the second group above
    /// ```
    /// A sum is that of each group by its scale, all of it whole numbers.
    pub fn fours(self, tiles: &[u8], inner: usize, (x, groups): (&[i8], &[i32]), out: &mut [i32]) {
        check_fours(tiles.len(), inner, (x.len(), groups.len()), out.len());
        let x = Tokens { x, sums: groups };
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `here` gives these only where the processor has them; the sizes are checked above.
            Self::Avx2 | Self::AvxVnni => unsafe { avx2::fours(tiles, inner, x, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx512Vnni => unsafe { avx512::fours(tiles, inner, x, out) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Self::NeonDot => unsafe { neon::fours(tiles, inner, x.x, out) },
            _ => portable::fours(tiles, inner, x.x, out),
        }
    }

    /// One head of attention; `scores` is room to work in.
    pub fn attend(self, look: Look<'_, '_>, scores: &mut Vec<f32>) {
        check_look(&look);
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `here` gives these only where the processor has them.
            Self::Avx2 | Self::AvxVnni => unsafe { avx2::attend(look, scores) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx512Vnni => unsafe { avx512::attend(look, scores) },
            _ => portable::attend(look, scores),
        }
    }

    /// Does `work` in this kernel's vectors.
    #[inline]
    pub fn wide<W: Loops>(self, work: W) -> W::Made {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `here` gives these only where the processor has them.
            Self::Avx2 | Self::AvxVnni => unsafe { avx2::wide(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx512Vnni => unsafe { avx512::wide(work) },
            _ => work.run(),
        }
    }

    /// Tells the processor that these numbers will be wanted.
    pub fn fetch<T>(numbers: &[T]) {
        #[cfg(target_arch = "x86_64")]
        for line in (0..size_of_val(numbers)).step_by(64) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a hint; the address is within the numbers.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(numbers.as_ptr().cast::<i8>().add(line)) };
        }
        let _ = numbers;
    }
}

/// Plain loops that the compiler makes into the vectors of whatever kernel they are run with. A trait and no closure,
/// as only a function can be told to be put where the kernel's instructions are known.
pub trait Loops {
    /// What comes out.
    type Made;

    /// The loops. To be marked `#[inline(always)]`, and all that they call.
    fn run(self) -> Self::Made;
}

/// Activations `(tokens, inner)`, and the sum of each token's.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    x: &'a [i8],
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // instructions with signs need none
    sums: &'a [i32],
}

/// What attention relies on.
fn check_look(look: &Look<'_, '_>) {
    assert!(look.common.positions.is_multiple_of(TILE), "{} positions in common", look.common.positions);
    for Query { q, own, out } in &*look.queries {
        assert!(q.len() == out.len() && q.len().is_multiple_of(TILE), "a head of {}", q.len());
        assert!(look.common.positions + own.positions > 0, "a token that sees nothing");
    }
}

/// What the kernels rely on.
fn check(tiles: usize, inner: usize, (x, sums): (usize, usize), out: usize) {
    assert!(inner > 0 && inner.is_multiple_of(4), "{inner} columns, not a multiple of 4");
    assert!(
        tiles.is_multiple_of(TILE * inner) && x.is_multiple_of(inner),
        "{tiles} weights, {x} activations"
    );
    assert_eq!(x, sums * inner, "sums of activations");
    assert_eq!(tiles / inner * sums, out, "sums");
}

/// The same for weights of four bits.
fn check_fours(tiles: usize, inner: usize, (x, groups): (usize, usize), out: usize) {
    assert!(inner > 0 && inner.is_multiple_of(BLOCK), "{inner} columns, not a multiple of {BLOCK}");
    let size = inner / BLOCK * BLOCK_BYTES;
    assert!(tiles.is_multiple_of(size) && x.is_multiple_of(inner), "{tiles} bytes, {x} activations");
    assert_eq!(x, groups * GROUP, "sums of activations");
    assert_eq!(tiles / size * TILE * (x / inner), out, "sums");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that repeat after a long while.
    fn bytes(len: usize, seed: u32) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn sums(x: &[i8], inner: usize) -> Vec<i32> {
        x.chunks(inner).map(|x| x.iter().map(|&x| i32::from(x)).sum()).collect()
    }

    /// The definition: `tiles` and `x` as in [`Kernel::eights`].
    fn by_definition(tiles: &[u8], inner: usize, x: &[i8]) -> Vec<i32> {
        let rows = tiles.len() / inner;
        let weight = |row: usize, column: usize| {
            let tile = &tiles[row / TILE * TILE * inner..];
            i32::from(tile[column / 4 * 4 * TILE + row % TILE * 4 + column % 4]) - OFFSET
        };
        let sum = |token: &[i8], row: usize| {
            token.iter().enumerate().map(|(column, &x)| weight(row, column) * i32::from(x)).sum()
        };
        x.chunks(inner).flat_map(|token| (0..rows).map(|row| sum(token, row)).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_kernel_gives_the_same_sums() {
        for (rows, inner, tokens) in
            [(16, 4, 1), (32, 8, 3), (80, 64, 1), (96, 36, 9), (48, 256, 21), (112, 68, 7)]
        {
            let tiles = bytes(rows * inner, 1 + u32::try_from(rows).unwrap());
            let tiles: Vec<u8> = tiles.into_iter().map(|byte| byte.max(1)).collect();
            let x: Vec<i8> = bytes(tokens * inner, 7).into_iter().map(|b| (b as i8).max(-127)).collect();
            let expected = by_definition(&tiles, inner, &x);
            for kernel in Kernel::here() {
                let mut out = vec![0; rows * tokens];
                kernel.eights(&tiles, inner, (&x, &sums(&x, inner)), &mut out);
                assert_eq!(out, expected, "{kernel:?}, {rows} rows of {inner}, {tokens} tokens");
            }
        }
    }

    /// The definition of [`Kernel::fours`].
    fn fours_by_definition(tiles: &[u8], inner: usize, x: &[i8]) -> Vec<i32> {
        let size = inner / BLOCK * BLOCK_BYTES;
        let weight = |tile: &[u8], row: usize, column: usize| {
            let block = &tile[column / BLOCK * BLOCK_BYTES..][..BLOCK_BYTES];
            let (pair, within) = (column % BLOCK / (2 * GROUP), column % (2 * GROUP));
            let (group, column) = (within / GROUP, within % GROUP);
            let scale = i32::from(block[pair * 2 * TILE + row * 2 + group] as i8);
            let byte = block[4 * TILE + pair * 8 * 64 + column / 4 * 64 + row * 4 + column % 4];
            (i32::from(byte >> (4 * group) & 15) - OFFSET_4) * scale
        };
        let mut out = Vec::new();
        for x in x.chunks(inner) {
            for tile in tiles.chunks(size) {
                let one = |row, column: usize| weight(tile, row, column) * i32::from(x[column]);
                out.extend((0..TILE).map(|row| (0..inner).map(|column| one(row, column)).sum::<i32>()));
            }
        }
        out
    }

    #[test]
    fn every_kernel_gives_the_same_sums_of_four_bits() {
        for (tiles, inner, tokens) in [(1, 128, 1), (2, 256, 2), (3, 384, 3), (5, 128, 9), (2, 768, 21)] {
            let weights = bytes(tiles * inner / BLOCK * BLOCK_BYTES, 3);
            let x: Vec<i8> = bytes(tokens * inner, 7).into_iter().map(|b| (b as i8).max(-127)).collect();
            same_fours(&weights, inner, &x);
        }
        for (scale, weight, x) in
            [(127_i8, 0_u8, 127_i8), (-127, 0xff, -127), (127, 0xff, 127), (-127, 0, -127)]
        {
            let block: Vec<u8> = [vec![scale as u8; 4 * TILE], vec![weight; BLOCK_BYTES - 4 * TILE]].concat();
            same_fours(&block.repeat(24), 24 * BLOCK, &[x; 24 * BLOCK]);
        }
    }

    fn same_fours(weights: &[u8], inner: usize, x: &[i8]) {
        let expected = fours_by_definition(weights, inner, x);
        for kernel in Kernel::here() {
            let mut out = vec![0; expected.len()];
            kernel.fours(weights, inner, (x, &sums(x, GROUP)), &mut out);
            assert_eq!(out, expected, "{kernel:?}, {inner} columns, {} tokens", x.len() / inner);
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let (inner, tokens) = (64, 2);
        for (weight, x) in [(1_u8, 127_i8), (255, 127), (1, -127), (255, -127)] {
            let (tiles, x) = (vec![weight; TILE * inner], vec![x; tokens * inner]);
            let expected = by_definition(&tiles, inner, &x);
            for kernel in Kernel::here() {
                let mut out = vec![0; TILE * tokens];
                kernel.eights(&tiles, inner, (&x, &sums(&x, inner)), &mut out);
                assert_eq!(out, expected, "{kernel:?}, {weight} times {}", x[0]);
            }
        }
    }
}
