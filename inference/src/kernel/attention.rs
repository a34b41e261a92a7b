//! One head of attention over a cache in half precision: plain loops over sixteen lanes, which become vectors
//! in the functions of each processor.

use crate::quick::numbers::{LANES, exp, fold};

/// What a head looks at.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// Keys `(blocks of 16 positions, room, 16)`, halves.
    pub keys: &'a [u16],
    /// Values `(positions, room)`, halves.
    pub values: &'a [u16],
    /// Positions that it may see, at least 1.
    pub seen: usize,
    /// What scores are multiplied by.
    pub scale: f32,
}

/// `out` `(room)` for a query `q` `(room)`, `room` a multiple of 16. `scores` is room to work in. `wide` makes sixteen halves
/// floats, `fused` multiplies and adds.
#[inline(always)]
pub fn attend(
    look: Look<'_>,
    q: &[f32],
    scores: &mut Vec<f32>,
    out: &mut [f32],
    wide: impl Fn(&[u16; LANES]) -> [f32; LANES] + Copy,
    fused: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    score(look, q, scores, wide, fused);
    let total = soften(scores);
    match out.len() / LANES {
        0 => {}
        2 => mix::<2>(look, scores, total, 0, out, wide, fused),
        4 => mix::<4>(look, scores, total, 0, out, wide, fused),
        count => (0..count).for_each(|part| mix::<1>(look, scores, total, part, out, wide, fused)),
    }
}

/// Query times key for each position; minus infinity for those that fill up the last sixteen.
#[inline(always)]
fn score(
    look: Look<'_>,
    q: &[f32],
    scores: &mut Vec<f32>,
    wide: impl Fn(&[u16; LANES]) -> [f32; LANES] + Copy,
    fused: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    let blocks = look.seen.div_ceil(LANES);
    scores.clear();
    scores.resize(blocks * LANES, f32::NEG_INFINITY);
    for (block, scores) in look.keys.chunks_exact(q.len() * LANES).zip(scores.as_chunks_mut::<LANES>().0) {
        // Four sums, each of every fourth dimension, so that none waits for the one before it.
        let mut sums = [[0.0_f32; LANES]; 4];
        for (keys, q) in block.as_chunks::<{ 4 * LANES }>().0.iter().zip(q.as_chunks::<4>().0) {
            for ((sum, keys), q) in sums.iter_mut().zip(keys.as_chunks::<LANES>().0).zip(q) {
                let keys = wide(keys);
                for lane in 0..LANES {
                    sum[lane] = fused(*q, keys[lane], sum[lane]);
                }
            }
        }
        for lane in 0..LANES {
            scores[lane] = ((sums[0][lane] + sums[1][lane]) + (sums[2][lane] + sums[3][lane])) * look.scale;
        }
    }
    scores[look.seen..].fill(f32::NEG_INFINITY);
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
fn mix<const N: usize>(
    look: Look<'_>,
    weights: &[f32],
    total: f32,
    part: usize,
    out: &mut [f32],
    wide: impl Fn(&[u16; LANES]) -> [f32; LANES] + Copy,
    fused: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    let mut sums = [[0.0_f32; LANES]; N];
    for (weight, row) in weights[..look.seen].iter().zip(look.values.chunks_exact(out.len())) {
        let row = &row.as_chunks::<LANES>().0[part..part + N];
        for (sum, values) in sums.iter_mut().zip(row) {
            let values = wide(values);
            for lane in 0..LANES {
                sum[lane] = fused(*weight, values[lane], sum[lane]);
            }
        }
    }
    for (sum, out) in sums.iter().zip(&mut out.as_chunks_mut::<LANES>().0[part..part + N]) {
        for lane in 0..LANES {
            out[lane] = sum[lane] / total;
        }
    }
}
