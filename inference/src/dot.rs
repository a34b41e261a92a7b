//! The products that all the time goes into, in the widest instructions that the processor has.
//!
//! A sum is taken in an order that depends on its length and on the processor alone: never on how many
//! rows or tokens are computed beside it.

/// Σ a·b over the shorter of the two.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if is_wide() {
        // SAFETY: the processor has AVX2 and FMA, which is all that the function asks for.
        return unsafe { wide::dot(a, b) };
    }
    plain(a, b)
}

/// `x` (tokens, inner) times the rows of `weight` (rows, inner), as `out` (tokens, rows).
pub fn products(weight: &[f32], x: &[f32], inner: usize, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_wide() {
        // SAFETY: as above.
        unsafe { wide::products(weight, x, inner, out) };
        return;
    }
    rows(weight, x, inner, out, plain);
}

/// `out += scale * values`.
pub fn add_scaled(out: &mut [f32], values: &[f32], scale: f32) {
    #[cfg(target_arch = "x86_64")]
    if is_wide() {
        // SAFETY: as above.
        unsafe { wide::add_scaled(out, values, scale) };
        return;
    }
    out.iter_mut().zip(values).for_each(|(out, value)| *out += scale * value);
}

#[cfg(target_arch = "x86_64")]
fn is_wide() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

fn plain(a: &[f32], b: &[f32]) -> f32 {
    lanes::<8>(a, b, |sum, a, b| sum + a * b)
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{lanes, rows};

    #[target_feature(enable = "avx2,fma")]
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        lanes::<32>(a, b, |sum, a, b| a.mul_add(b, sum))
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn products(weight: &[f32], x: &[f32], inner: usize, out: &mut [f32]) {
        rows(weight, x, inner, out, |a, b| dot(a, b));
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn add_scaled(out: &mut [f32], values: &[f32], scale: f32) {
        out.iter_mut().zip(values).for_each(|(out, value)| *out = scale.mul_add(*value, *out));
    }
}

/// Row by row, so that a row is read once for all tokens.
#[inline(always)]
fn rows(weight: &[f32], x: &[f32], inner: usize, out: &mut [f32], dot: impl Fn(&[f32], &[f32]) -> f32) {
    let count = weight.len() / inner;
    for (number, row) in weight.chunks_exact(inner).enumerate() {
        for (x, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(count)) {
            out[number] = dot(row, x);
        }
    }
}

/// `N` sums side by side, which the compiler turns into vectors.
#[inline(always)]
fn lanes<const N: usize>(a: &[f32], b: &[f32], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; N];
    let (a_parts, b_parts) = (a.chunks_exact(N), b.chunks_exact(N));
    let rest: f32 = a_parts.remainder().iter().zip(b_parts.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_parts.zip(b_parts) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = step(*sum, *a, *b);
        }
    }
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0] + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, step: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * step % 101) as f32 - 50.0) / 50.0).collect()
    }

    #[test]
    fn agrees_with_a_plain_sum() {
        for len in [0, 1, 7, 32, 33, 256, 1000] {
            let (a, b) = (numbers(len, 37), numbers(len, 53));
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-3, "length {len}");
            assert!((f64::from(plain(&a, &b)) - exact).abs() < 1e-3, "length {len}, without vectors");
        }
    }

    #[test]
    fn many_tokens_at_once_are_to_the_bit_what_one_is() {
        let (weight, x) = (numbers(48 * 5, 29), numbers(48 * 3, 71));
        let mut out = vec![0.0; 15];
        products(&weight, &x, 48, &mut out);
        for (token, out) in x.chunks(48).zip(out.chunks(5)) {
            let alone: Vec<f32> = weight.chunks(48).map(|row| dot(row, token)).collect();
            assert_eq!(alone, out);
        }
    }
}
