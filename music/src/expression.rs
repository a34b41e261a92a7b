//! Velocity of an answer: the model has none, so it comes from what the player did.

use continuo_timeline::{Beats, Note, Velocity};

/// How loud a player played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dynamics {
    mean: f64,
    spread: f64,
    /// Mean key, to lean on what lies above it.
    middle: f64,
}

impl Dynamics {
    /// Of these notes; moderate where there are none.
    pub fn of(notes: &[Note]) -> Self {
        if notes.is_empty() {
            return Self { mean: 80.0, spread: 8.0, middle: 60.0 };
        }
        #[allow(clippy::cast_precision_loss)] // thousands of notes
        let count = notes.len() as f64;
        let mean = notes.iter().map(|note| f64::from(note.velocity.0)).sum::<f64>() / count;
        let spread =
            notes.iter().map(|note| (f64::from(note.velocity.0) - mean).powi(2)).sum::<f64>() / count;
        let middle = notes.iter().map(|note| f64::from(note.key.0)).sum::<f64>() / count;
        Self { mean, spread: spread.sqrt().clamp(3.0, 20.0), middle }
    }

    /// Velocity of a note at `at` in a bar that begins at `bar`: bar lines and beats are leaned on, so is
    /// what lies high; within the player's own spread.
    pub fn velocity(&self, at: Beats, bar: Beats, key: u8) -> Velocity {
        let into = at.0 - bar.0;
        let on = |grid: f64| ((into / grid).round() * grid - into).abs() < 0.03;
        let place = if into.abs() < 0.03 {
            1.0
        } else if on(1.0) {
            0.5
        } else if on(0.5) {
            -0.2
        } else {
            -0.6
        };
        let height = ((f64::from(key) - self.middle) / 24.0).clamp(-0.6, 0.6);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and 127
        let velocity = (self.mean + self.spread * (place + height)).round().clamp(1.0, 127.0) as u8;
        Velocity(velocity)
    }
}
