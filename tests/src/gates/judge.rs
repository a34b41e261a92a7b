//! Intervals by resampling, and whether one kind of answer is clearly better than another.

use super::figures::Figures;
use super::prompts::Draws;

/// Resamplings of an interval.
const TIMES: usize = 2000;

/// A mean with its 95 % interval, over prompts drawn with replacement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Mean.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Whether the model is clearly better than some other kind of answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Share of notes in key: the model's less the other's.
    pub in_key: Interval,
    /// Distance from the grid in ticks: the other's less the model's.
    pub on_grid: Interval,
}

impl Verdict {
    /// Both differences are above 0 over the whole of their intervals.
    pub fn clear(&self) -> bool {
        self.in_key.low > 0.0 && self.on_grid.low > 0.0
    }
}

/// Compares answers to the same prompts.
pub fn judge(model: &[Figures], other: &[Figures]) -> Verdict {
    let differences = |of: fn(&Figures) -> Option<f64>, sign: f64| {
        let pairs = model.iter().zip(other).map(|(a, b)| Some((of(a)? - of(b)?) * sign));
        interval(&pairs.collect::<Vec<_>>())
    };
    Verdict { in_key: differences(|f| f.in_key, 1.0), on_grid: differences(|f| f.off_grid, -1.0) }
}

/// Mean and interval of the values that are there; not a number when none is.
pub fn interval(values: &[Option<f64>]) -> Interval {
    let there: Vec<f64> = values.iter().flatten().copied().collect();
    if there.is_empty() {
        return Interval { mean: f64::NAN, low: f64::NAN, high: f64::NAN };
    }
    let mut draws = Draws(1);
    let again = |draws: &mut Draws| {
        (0..there.len()).map(|_| there[draws.below(there.len())]).sum::<f64>() / there.len() as f64
    };
    let mut means: Vec<f64> = (0..TIMES).map(|_| again(&mut draws)).collect();
    means.sort_by(f64::total_cmp);
    Interval { mean: mean(&there), low: means[TIMES / 40], high: means[TIMES - 1 - TIMES / 40] }
}

/// Mean of some values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_difference_is_one() {
        let figures = |in_key: f64, off_grid: f64| Figures {
            in_key: Some(in_key),
            off_grid: Some(off_grid),
            ..Figures::default()
        };
        let good: Vec<_> = (0..10).map(|i| figures(0.9 + f64::from(i % 2) / 50.0, 0.3)).collect();
        let bad: Vec<_> = (0..10).map(|i| figures(0.5 + f64::from(i % 3) / 10.0, 1.5)).collect();
        assert!(judge(&good, &bad).clear());
        assert!(!judge(&bad, &good).clear());
        assert!(!judge(&good, &good).clear());
        assert!(!judge(&[], &[]).clear());
    }
}
