//! Weights of four bits: each group of columns has a scale, which is a whole number times that of its row.

use crate::kernel::{BLOCK, BLOCK_BYTES, GROUP, Loops, OFFSET_4, TILE};

use super::numbers::{LANES, fold};

/// Scales that are tried for a group: the largest weight becomes -8 · (1 ± 0.6).
const TRIED: i32 = 6;

/// A row as it is stored.
pub struct Row {
    /// What every group's scale is multiplied by.
    pub scale: f32,
    /// A scale for each group.
    pub groups: Vec<i8>,
    /// Weights with [`OFFSET_4`] added, 0 to 15.
    pub weights: Vec<u8>,
}

/// Finds a row's scales and weights; it is made of whole groups.
pub struct Quarter<'a>(pub &'a [f32]);

impl Loops for Quarter<'_> {
    type Made = Row;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 127, and 0 to 15
    fn run(self) -> Row {
        let groups = self.0.as_chunks::<GROUP>().0;
        let wanted: Vec<f32> = groups.iter().map(best).collect();
        let scale = wanted.iter().fold(0.0_f32, |most, scale| most.max(scale.abs())) / 127.0;
        if scale == 0.0 || !scale.is_finite() {
            let (groups, weights) = (vec![0; groups.len()], vec![OFFSET_4 as u8; self.0.len()]);
            return Row { scale: 1.0, groups, weights };
        }
        let mut made = Row { scale, groups: Vec::with_capacity(groups.len()), weights: Vec::new() };
        for (group, wanted) in groups.iter().zip(wanted) {
            let least = if wanted == 0.0 { 0.0 } else { 1.0_f32.copysign(wanted) };
            let whole = (wanted / scale).round();
            let whole = if whole == 0.0 { least } else { whole };
            let inverse = if whole == 0.0 { 0.0 } else { 1.0 / (whole * scale) };
            made.groups.push(whole as i8);
            let offset = OFFSET_4 as f32;
            made.weights.extend(group.map(|w| (nearest((w * inverse).clamp(-8.0, 7.0)) + offset) as u8));
        }
        made
    }
}

/// The scale with which a group loses least; its sign is such that the largest weight is negative, as there is one more
/// step on that side.
#[inline(always)]
#[allow(clippy::cast_precision_loss)] // a few tenths
fn best(group: &[f32; GROUP]) -> f32 {
    let largest = group.iter().fold(0.0_f32, |most, w| if w.abs() > most.abs() { *w } else { most });
    if largest == 0.0 || !largest.is_finite() {
        return 0.0;
    }
    let mut found = (-1.0_f32, 0.0);
    for tried in -TRIED..=TRIED {
        let inverse = (-8.0 + 0.1 * tried as f32) / largest;
        // Of all scales the best for these whole numbers is their product with the weights over their own.
        let (mut products, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for weights in group.as_chunks::<LANES>().0 {
            for lane in 0..LANES {
                let whole = nearest((weights[lane] * inverse).clamp(-8.0, 7.0));
                products[lane] += weights[lane] * whole;
                squares[lane] += whole * whole;
            }
        }
        let (product, square) = (fold(products), fold(squares));
        let explained = product * product / square;
        if explained > found.0 {
            found = (explained, product / square);
        }
    }
    found.1
}

/// The nearest whole number of a small one.
#[inline(always)]
fn nearest(x: f32) -> f32 {
    /// 1.5 · 2²³: a sum with it has no bits left below 1.
    const MAGIC: f32 = 12_582_912.0;
    x + MAGIC - MAGIC
}

/// Puts a row where kernels look for it, in a tile of [`Kernel::fours`](crate::kernel::Kernel::fours).
pub fn put(tile: &mut [u8], row: usize, from: &Row) {
    let blocks = tile.chunks_exact_mut(BLOCK_BYTES).zip(from.weights.chunks_exact(BLOCK));
    for ((block, weights), scales) in blocks.zip(from.groups.as_chunks::<4>().0) {
        for (group, scale) in scales.iter().enumerate() {
            block[group / 2 * 2 * TILE + row * 2 + group % 2] = scale.cast_unsigned();
        }
        let pairs = block[4 * TILE..].chunks_exact_mut(GROUP * TILE).zip(weights.chunks_exact(2 * GROUP));
        for (block, weights) in pairs {
            let (low, high) = weights.split_at(GROUP);
            for (column, (low, high)) in low.iter().zip(high).enumerate() {
                block[column / 4 * 4 * TILE + row * 4 + column % 4] = low | high << 4;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<f32> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..len).map(|_| next() + next() + next()).collect()
    }

    fn value(row: &Row, column: usize) -> f32 {
        let whole = i32::from(row.weights[column]) - OFFSET_4;
        whole as f32 * f32::from(row.groups[column / GROUP]) * row.scale
    }

    #[test]
    fn a_row_is_near() {
        let mut row = noise(512);
        row[64..96].fill(0.0);
        row[96..128].iter_mut().for_each(|w| *w *= 1e-3);
        row[200] = 4.0;
        let made = Quarter(&row).run();
        let square = |of: &dyn Fn(usize) -> f32, columns: std::ops::Range<usize>| -> f32 {
            columns.map(|c| of(c) * of(c)).sum()
        };
        for group in (0..512).step_by(32).filter(|group| ![96, 192].contains(group)) {
            let all = square(&|c| row[c], group..group + 32);
            let lost = square(&|c| row[c] - value(&made, c), group..group + 32);
            assert!(lost <= 0.012 * all, "{group}: {lost} of {all}");
        }
        assert_eq!(value(&made, 70), 0.0);
        assert!((96..128).all(|c| value(&made, c).abs() < 0.02));
        assert!((value(&made, 200) - 4.0).abs() < 0.5);
    }

    #[test]
    fn nothing_and_what_is_no_number_make_zeros() {
        for bad in [0.0, f32::NAN, f32::INFINITY] {
            let row = Quarter(&[bad; 128]).run();
            assert!((0..128).all(|column| value(&row, column) == 0.0), "{bad}");
        }
    }
}
