//! What is done to the numbers of one token between products: plain loops over sixteen lanes, which become
//! vectors inside [`Kernel::wide`](crate::kernel::Kernel::wide). Sums are taken in an order of their own, so that they do not
//! depend on the processor.

use crate::kernel::{GROUP, Loops};

/// Lanes that are summed side by side.
pub const LANES: usize = 16;

/// Activations as small whole numbers.
#[derive(Clone, Default)]
pub struct Small {
    /// `(tokens, inner)`, within ±127.
    pub q: Vec<i8>,
    /// What a token's numbers are multiplied by.
    pub scales: Vec<f32>,
    /// The sum of a token's numbers.
    pub sums: Vec<i32>,
    /// The sums of each [`GROUP`] of them, `(tokens, inner / GROUP)`, where `inner` is a multiple of it.
    pub groups: Vec<i32>,
    /// Columns, a multiple of 4: those over hold 0.
    pub inner: usize,
}

impl Small {
    /// Tokens in it.
    pub fn tokens(&self) -> usize {
        self.scales.len()
    }

    /// Empties it for tokens of `columns`.
    pub fn clear(&mut self, columns: usize) {
        self.inner = columns.next_multiple_of(4);
        self.q.clear();
        self.scales.clear();
        self.sums.clear();
        self.groups.clear();
    }

    /// One more token: whole numbers of 127ths of its largest.
    #[inline(always)]
    pub fn push(&mut self, x: &[f32]) {
        let start = self.q.len();
        self.q.resize(start + self.inner, 0);
        let highest = highest(x);
        let scale = if highest > 0.0 && highest.is_finite() { highest / 127.0 } else { 1.0 };
        let inverse = 1.0 / scale;
        for (q, x) in self.q[start..].iter_mut().zip(x) {
            *q = whole((x * inverse).clamp(-127.0, 127.0));
        }
        self.scales.push(scale);
        let mut sum = 0_i32;
        let (groups, rest) = self.q[start..].as_chunks::<GROUP>();
        for group in groups {
            let own: i32 = group.iter().map(|&q| i32::from(q)).sum();
            if rest.is_empty() {
                self.groups.push(own);
            }
            sum += own;
        }
        rest.iter().for_each(|&q| sum += i32::from(q));
        self.sums.push(sum);
    }
}

/// Tokens of `columns`, `stride` apart, to small numbers.
pub struct Shrink<'a> {
    pub x: &'a [f32],
    pub stride: usize,
    pub columns: usize,
    pub into: &'a mut Small,
}

impl Loops for Shrink<'_> {
    type Made = ();

    #[inline(always)]
    fn run(self) {
        for x in self.x.chunks_exact(self.stride) {
            self.into.push(&x[..self.columns]);
        }
    }
}

/// Tokens, normed and made small.
pub struct NormSmall<'a> {
    /// `(tokens, width)`.
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub epsilon: f32,
    pub into: &'a mut Small,
}

impl Loops for NormSmall<'_> {
    type Made = ();

    #[inline(always)]
    fn run(self) {
        let mut normed = Vec::with_capacity(self.weight.len());
        for x in self.x.chunks_exact(self.weight.len()) {
            norm(x, (self.weight, self.bias), self.epsilon, &mut normed);
            self.into.push(&normed);
        }
    }
}

/// One token, normed.
pub struct NormOne<'a> {
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub epsilon: f32,
}

impl Loops for NormOne<'_> {
    type Made = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let mut normed = Vec::new();
        norm(self.x, (self.weight, self.bias), self.epsilon, &mut normed);
        normed
    }
}

/// The largest of all sizes; 0 for none.
#[inline(always)]
fn highest(x: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (parts, rest) = x.as_chunks::<LANES>();
    for part in parts {
        lanes
            .iter_mut()
            .zip(part)
            .for_each(|(lane, x)| *lane = if x.abs() > *lane { x.abs() } else { *lane });
    }
    lanes.iter().chain(rest).fold(0.0, |most, x| if x.abs() > most { x.abs() } else { most })
}

/// 1.5 · 2²³: a sum with it has no bits left below 1, and whole numbers in its lowest.
const MAGIC: f32 = 12_582_912.0;

/// To the nearest whole number, ties to even, for sizes up to 127.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // the lowest byte is what is wanted
fn whole(x: f32) -> i8 {
    (x + MAGIC).to_bits() as i8
}

/// The sum, lane by lane.
#[inline(always)]
pub fn sum(x: &[f32], each: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (parts, rest) = x.as_chunks::<LANES>();
    for part in parts {
        lanes.iter_mut().zip(part).for_each(|(lane, x)| *lane += each(*x));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += each(*x));
    fold(lanes)
}

/// The lanes of a sum, halves onto halves.
#[inline(always)]
pub fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// e to the power of `x` for `x` up to 88, to about 2 units in the last place; 0 far below.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let power = shifted - MAGIC;
    let rest = x - power * 0.693_359_4 + power * 2.121_944_4e-4; // ln 2 in two parts
    // The first terms of the series, the last ones fitted to ±ln 2 / 2.
    let mut p = 1.987_569_1e-4;
    for term in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * rest + term;
    }
    // The power in the exponent's place, counted from 127.
    let two = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (p * rest * rest + rest + 1.0) * two
}

/// GELU by the hyperbolic tangent, as GPT-2 has it: `x / (1 + exp(-2 u))`.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    let u = 0.797_884_6 * (x + 0.044_715 * x * x * x);
    x / (1.0 + exp(-2.0 * u))
}

/// Mean 0, variance 1, then weight and bias; into `out`.
#[inline(always)]
pub fn norm(x: &[f32], (weight, bias): (&[f32], &[f32]), epsilon: f32, out: &mut Vec<f32>) {
    #[allow(clippy::cast_precision_loss)] // widths are thousands
    let count = x.len() as f32;
    let mean = sum(x, |x| x) / count;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / count;
    let scale = 1.0 / (variance + epsilon).sqrt();
    out.clear();
    out.extend(x.iter().zip(weight).zip(bias).map(|((x, w), b)| (x - mean) * scale * w + b));
}

/// A half-precision number of any kind but infinities and what is not a number.
#[inline(always)]
pub fn half_to_float(bits: u16) -> f32 {
    let bits = u32::from(bits);
    // The exponent counts from 15 there and from 127 here; the product mends that, small numbers included.
    f32::from_bits((bits & 0x7FFF) << 13 | (bits & 0x8000) << 16) * 5.192_296_9e33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_the_library() {
        for x in (-8000..=800).map(|x| x as f32 / 100.0) {
            let (ours, theirs) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours / theirs - 1.0).abs() < 4e-7, "{x}: {ours} for {theirs}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn halves_are_those_of_the_library() {
        for bits in (0..=u16::MAX).filter(|bits| bits & 0x7C00 != 0x7C00) {
            let (ours, theirs) = (half_to_float(bits), half::f16::from_bits(bits).to_f32());
            assert_eq!(ours.to_bits(), theirs.to_bits(), "{bits:#06x}");
        }
    }

    #[test]
    fn gelu_is_that_of_the_definition() {
        for x in (-900..=900).map(|x| f64::from(x) / 100.0) {
            let exact = 0.5 * x * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x * x * x)).tanh());
            assert!((f64::from(gelu(x as f32)) - exact).abs() < 2e-6, "{x}");
        }
    }

    #[test]
    fn small_numbers_are_near_and_never_out_of_range() {
        let x: Vec<f32> = (0..39).map(|i| (i as f32 - 20.0) * 0.37).collect();
        let mut small = Small::default();
        small.clear(x.len());
        small.push(&x);
        small.push(&[0.0; 39]);
        small.push(&[f32::INFINITY; 39]);
        assert_eq!((small.tokens(), small.inner, small.q.len()), (3, 40, 120));
        for (x, q) in x.iter().zip(&small.q) {
            assert!((f32::from(*q) * small.scales[0] - x).abs() <= small.scales[0] * 0.501);
        }
        assert!(small.q.iter().all(|q| *q > i8::MIN));
    }
}
