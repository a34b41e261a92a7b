//! Choosing a token: temperature, nucleus, and draws that anyone can repeat.

/// How answers are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Softmax temperature, more than 0.
    pub temperature: f32,
    /// Nucleus mass, 0 to 1; 0 takes the likeliest.
    pub top_p: f32,
    /// Seed of all draws.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 0.95, seed: 0 }
    }
}

/// A uniform number in [0, 1): a function of its arguments alone. Each is mixed in by the finaliser of
/// SplitMix64 (Steele, Lea and Flood, 2014), so that neighbours share nothing; after another mixing each,
/// so that they cannot stand in for one another.
#[allow(clippy::cast_precision_loss)] // 53 bits are exact
pub fn draw(seed: u64, answer: u64, index: u64) -> f64 {
    let mixed = [answer, index].iter().fold(mix(seed), |state, part| mix(state ^ part));
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Index of the choice among `logits` (-inf: forbidden), for a uniform `u`; `None` if all are forbidden or
/// none is a number.
pub fn choose(logits: &[f32], sampling: &Sampling, u: f64) -> Option<usize> {
    let (best, &highest) = logits
        .iter()
        .enumerate()
        .filter(|(_, logit)| logit.is_finite())
        .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))?;
    if sampling.top_p <= 0.0 {
        return Some(best);
    }
    let temperature = f64::from(sampling.temperature.max(0.01));
    let mut weights: Vec<(usize, f64)> = logits
        .iter()
        .enumerate()
        .filter(|(_, logit)| logit.is_finite())
        .map(|(index, &logit)| (index, (f64::from(logit - highest) / temperature).exp()))
        .filter(|(_, weight)| *weight > 1e-12)
        .collect();
    if sampling.top_p < 1.0 {
        keep_nucleus(&mut weights, f64::from(sampling.top_p));
    }
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0.0;
    for (index, weight) in &weights {
        sum += weight;
        if sum > u * total {
            return Some(*index);
        }
    }
    weights.last().map(|(index, _)| *index)
}

/// Keeps the likeliest whose sum reaches `mass`, the one that crosses it included; order of vocabulary.
fn keep_nucleus(weights: &mut Vec<(usize, f64)>, mass: f64) {
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut sum = 0.0;
    let keep = weights.iter().take_while(|(_, weight)| {
        let before = sum;
        sum += weight;
        before <= mass * total
    });
    let keep = keep.count();
    weights.truncate(keep);
    weights.sort_by_key(|(index, _)| *index);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(sampling: &Sampling) -> [u32; 4] {
        let logits = [0.0, 1.0, f32::NEG_INFINITY, 2.0];
        let mut counts = [0; 4];
        for index in 0..10_000 {
            counts[choose(&logits, sampling, draw(7, 1, index)).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn draws_follow_the_softmax_and_leave_out_what_is_forbidden() {
        let counts = shares(&Sampling { temperature: 1.0, top_p: 1.0, seed: 0 });
        for (count, share) in counts.iter().zip([0.0900, 0.2447, 0.0, 0.6652]) {
            assert!((f64::from(*count) / 10_000.0 - share).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn a_nucleus_leaves_out_the_tail_and_zero_is_greedy() {
        let counts = shares(&Sampling { temperature: 1.0, top_p: 0.8, seed: 0 });
        assert!(counts[0] == 0 && counts[1] > 0 && counts[3] > 0, "{counts:?}");
        assert_eq!(shares(&Sampling { temperature: 1.0, top_p: 0.0, seed: 0 }), [0, 0, 0, 10_000]);
    }

    #[test]
    fn nothing_to_choose_from() {
        assert_eq!(choose(&[f32::NEG_INFINITY; 3], &Sampling::default(), 0.5), None);
        assert_eq!(choose(&[f32::NAN], &Sampling::default(), 0.5), None);
    }

    #[test]
    fn draws_differ_with_each_argument() {
        let draws = [draw(1, 1, 1), draw(2, 1, 1), draw(1, 2, 1), draw(1, 1, 2)];
        for (i, a) in draws.iter().enumerate() {
            assert!(draws.iter().skip(i + 1).all(|b| a != b), "{draws:?}");
        }
    }
}
