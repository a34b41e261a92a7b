//! One head of attention over caches in half precision: plain loops over sixteen lanes, which become vectors
//! in the functions of each processor.
//!
//! Tokens that see the same positions are computed together, so that keys and values are read once for all of them;
//! what comes out for one of them is the same to the bit as if it were alone.

use crate::quick::numbers::{LANES, exp, fold};

/// A stretch of positions of a head.
#[derive(Clone, Copy)]
pub struct Stretch<'a> {
    /// Keys `(blocks of 16 positions, room, 16)`, halves.
    pub keys: &'a [u16],
    /// Values `(positions, room)`, halves.
    pub values: &'a [u16],
    /// Positions in it.
    pub positions: usize,
}

/// A token that looks.
pub struct Query<'a> {
    /// What it asks for, `(room)`, `room` a multiple of 16.
    pub q: &'a [f32],
    /// Positions that it sees behind those which all see.
    pub own: Stretch<'a>,
    /// What it gets, `(room)`.
    pub out: &'a mut [f32],
}

/// Tokens that look at the same positions, and each at some of its own.
pub struct Look<'a, 'b> {
    /// Positions that all see, a multiple of 16.
    pub common: Stretch<'a>,
    /// The tokens, each of which sees at least one position.
    pub queries: &'b mut [Query<'a>],
    /// What scores are multiplied by.
    pub scale: f32,
}

/// How far ahead of what is computed memory is asked for, in bytes.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // elsewhere the processor sees it by itself
pub const AHEAD: usize = 2048;

/// Sixteen numbers as a processor holds them.
///
/// # Safety
/// Functions may only be called where the processor has the instructions of the type.
pub trait Lanes: Copy {
    /// The same number in each.
    unsafe fn all(x: f32) -> Self;
    /// Asks for what lies [`AHEAD`] bytes behind these.
    unsafe fn ahead(from: &[u16; LANES]);
    /// From halves.
    unsafe fn halves(from: &[u16; LANES]) -> Self;
    /// `self + a * b`, rounded once where the processor can.
    unsafe fn and_product(self, a: Self, b: Self) -> Self;
    /// Sums.
    unsafe fn and(self, other: Self) -> Self;
    /// To numbers.
    unsafe fn numbers(self) -> [f32; LANES];
}

/// All queries, up to `MOST` at a time. `scores` is room to work in.
///
/// # Safety
/// The processor has the instructions of `L`.
#[inline(always)]
pub unsafe fn attend<L: Lanes, const MOST: usize>(look: Look<'_, '_>, scores: &mut Vec<f32>) {
    let Look { common, queries, scale } = look;
    let mut rest = queries;
    while !rest.is_empty() {
        let some = match rest.len().min(MOST) {
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        let (now, later) = rest.split_at_mut(some);
        let look = Look { common, queries: now, scale };
        // SAFETY: as promised.
        unsafe {
            match some {
                4 => few::<L, 4>(look, scores),
                2 => few::<L, 2>(look, scores),
                _ => few::<L, 1>(look, scores),
            }
        }
        rest = later;
    }
}

/// `G` queries.
#[inline(always)]
unsafe fn few<L: Lanes, const G: usize>(look: Look<'_, '_>, scores: &mut Vec<f32>) {
    let Look { common, queries, scale } = look;
    let seen: [usize; G] = std::array::from_fn(|g| common.positions + queries[g].own.positions);
    let stride = seen.iter().copied().max().unwrap_or(0).next_multiple_of(LANES);
    scores.clear();
    scores.resize(G * stride, f32::NEG_INFINITY);
    let asked: [&[f32]; G] = std::array::from_fn(|g| queries[g].q);
    // SAFETY: as promised; for all of these functions.
    unsafe { score::<L, G>(common, asked, (scores, stride), scale) };
    for (g, query) in queries.iter().enumerate() {
        let own = &mut scores[g * stride + common.positions..(g + 1) * stride];
        // SAFETY: as above.
        unsafe { score::<L, 1>(query.own, [query.q], (own, 0), scale) };
    }
    let mut totals = [0.0; G];
    for (g, total) in totals.iter_mut().enumerate() {
        let scores = &mut scores[g * stride..g * stride + seen[g].next_multiple_of(LANES)];
        scores[seen[g]..].fill(f32::NEG_INFINITY);
        *total = soften(scores);
    }
    let weights = (&scores[..], stride);
    match queries[0].out.len() / LANES {
        // SAFETY: as above.
        2 => unsafe { mix::<L, 2, G>(common, queries, weights, totals, 0) },
        // SAFETY: as above.
        4 => unsafe { mix::<L, 4, G>(common, queries, weights, totals, 0) },
        count => {
            for part in 0..count {
                // SAFETY: as above.
                unsafe { mix::<L, 1, G>(common, queries, weights, totals, part) };
            }
        }
    }
}

/// Query times key for each position of a stretch; what fills up the last sixteen is whatever lies there.
#[inline(always)]
unsafe fn score<L: Lanes, const G: usize>(
    from: Stretch<'_>,
    asked: [&[f32]; G],
    (scores, stride): (&mut [f32], usize),
    scale: f32,
) {
    let room = asked[0].len();
    let asked = asked.map(|q| &q[..room]);
    let blocks = from.positions.div_ceil(LANES);
    // SAFETY: as promised; for all that `L` does.
    unsafe {
        for (block, keys) in from.keys.chunks_exact(room * LANES).take(blocks).enumerate() {
            // Four sums, each of every fourth dimension, so that none waits for the one before it.
            let mut sums = [[L::all(0.0); 4]; G];
            for (four, keys) in keys.as_chunks::<{ 4 * LANES }>().0.iter().enumerate() {
                let keys = keys.as_chunks::<LANES>().0;
                for part in 0..4 {
                    L::ahead(&keys[part]);
                    let keys = L::halves(&keys[part]);
                    for g in 0..G {
                        sums[g][part] = sums[g][part].and_product(L::all(asked[g][four * 4 + part]), keys);
                    }
                }
            }
            for (g, [a, b, c, d]) in sums.into_iter().enumerate() {
                let sum = a.and(b).and(c.and(d)).numbers();
                let scores = &mut scores[g * stride + block * LANES..][..LANES];
                scores.iter_mut().zip(sum).for_each(|(score, sum)| *score = sum * scale);
            }
        }
    }
}

/// Scores to weights; gives their sum.
#[inline(always)]
fn soften(scores: &mut [f32]) -> f32 {
    let mut highest = [f32::NEG_INFINITY; LANES];
    for scores in scores.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            highest[lane] = if scores[lane] > highest[lane] { scores[lane] } else { highest[lane] };
        }
    }
    let highest =
        highest.iter().fold(f32::NEG_INFINITY, |most, &score| if score > most { score } else { most });
    let mut sums = [0.0_f32; LANES];
    for scores in scores.as_chunks_mut::<LANES>().0 {
        for lane in 0..LANES {
            scores[lane] = if scores[lane] == f32::NEG_INFINITY { 0.0 } else { exp(scores[lane] - highest) };
            sums[lane] += scores[lane];
        }
    }
    fold(sums)
}

/// Values by weight, `N` times sixteen dimensions from `part` on.
#[inline(always)]
unsafe fn mix<L: Lanes, const N: usize, const G: usize>(
    common: Stretch<'_>,
    queries: &mut [Query<'_>],
    (weights, stride): (&[f32], usize),
    totals: [f32; G],
    part: usize,
) {
    let here = (part, queries[0].out.len());
    let of = |g: usize| &weights[g * stride..];
    // SAFETY: as promised; for all of this.
    unsafe {
        let mut sums = [[L::all(0.0); N]; G];
        add::<L, N, G>(common, here, std::array::from_fn(of), &mut sums);
        for (g, query) in queries.iter_mut().enumerate() {
            let mut own = [sums[g]];
            add::<L, N, 1>(query.own, here, [&of(g)[common.positions..]], &mut own);
            for (sum, out) in own[0].iter().zip(&mut query.out.as_chunks_mut::<LANES>().0[part..part + N]) {
                *out = sum.numbers().map(|sum| sum / totals[g]);
            }
        }
    }
}

/// Values of a stretch by the weights of its positions, onto `sums`.
#[inline(always)]
unsafe fn add<L: Lanes, const N: usize, const G: usize>(
    from: Stretch<'_>,
    (part, room): (usize, usize),
    weights: [&[f32]; G],
    sums: &mut [[L; N]; G],
) {
    let weights = weights.map(|weights| &weights[..from.positions]);
    let mut kept = *sums; // in registers
    for (place, row) in from.values.chunks_exact(room).take(from.positions).enumerate() {
        let row = &row.as_chunks::<LANES>().0[part..part + N];
        for n in 0..N {
            // SAFETY: as promised.
            unsafe {
                L::ahead(&row[n]);
                let values = L::halves(&row[n]);
                for g in 0..G {
                    kept[g][n] = kept[g][n].and_product(L::all(weights[g][place]), values);
                }
            }
        }
    }
    *sums = kept;
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::kernel::Kernel;

    fn numbers(len: usize, step: usize) -> Vec<f32> {
        (0..len).map(|i| (i * step % 97) as f32 / 48.5 - 1.0).collect()
    }

    fn halves(len: usize, step: usize) -> Vec<u16> {
        numbers(len, step).into_iter().map(|x| f16::from_f32(x).to_bits()).collect()
    }

    /// Lists of no more than the numbers that are told of, so that a sanitizer sees what is read beside them.
    fn attend(kernel: Kernel, room: usize, common: usize, own: &[usize]) -> Vec<f32> {
        let lists = |positions: usize, step| {
            let blocks = positions.next_multiple_of(LANES);
            (halves(blocks * room, step), halves(positions * room, step + 2))
        };
        let shared = lists(common, 31);
        let each: Vec<_> = own.iter().map(|positions| lists(*positions, 37 + positions)).collect();
        let (q, mut out) = (numbers(own.len() * room, 53), vec![0.0; own.len() * room]);
        let mut queries: Vec<Query<'_>> = Vec::new();
        for (((q, out), (keys, values)), positions) in
            q.chunks(room).zip(out.chunks_mut(room)).zip(&each).zip(own)
        {
            queries.push(Query { q, own: Stretch { keys, values, positions: *positions }, out });
        }
        let common = Stretch { keys: &shared.0, values: &shared.1, positions: common };
        kernel.attend(Look { common, queries: &mut queries, scale: 0.2 }, &mut Vec::new());
        out
    }

    #[test]
    fn every_kernel_attends_as_the_portable_one_does() {
        for (room, common, own) in [
            (16, 0, vec![1]),
            (16, 16, vec![3, 17]),
            (64, 32, vec![1, 5, 40]),
            (80, 0, vec![33, 64, 7, 16, 2]),
        ] {
            let expected = attend(Kernel::Portable, room, common, &own);
            for kernel in Kernel::here() {
                let ours = attend(kernel, room, common, &own);
                let far =
                    ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap();
                assert!(far < 1e-4, "{kernel:?}, room {room}, {common} and {own:?}: {far}");
            }
        }
    }
}
