//! One cycle of each timbre, for each octave of keys, without partials above half the sample rate.
use std::f32::consts::TAU;

const BITS: u32 = 11;
/// Samples of a cycle.
pub const SIZE: usize = 1 << BITS;
const BANDS: usize = 11;
pub const TIMBRES: usize = 8;

pub struct Tables(Vec<f32>);

/// Strength of partial `n` (from 1) of a timbre.
fn partial(timbre: usize, n: usize) -> f32 {
    let f = n as f32;
    match timbre {
        0 => (-0.35 * (f - 1.0)).exp(),                                  // piano
        1 => [1.0, 0.12, 0.05, 0.18].get(n - 1).copied().unwrap_or(0.0), // bells, mallets, electric piano
        2 => [1.0, 0.8, 0.5, 0.4, 0.0, 0.3, 0.0, 0.25].get(n - 1).copied().unwrap_or(0.0), // organ
        3 => (0.7 * f).sin().abs() / f,                                  // plucked string
        4 => 1.0 / f,                                                    // bowed strings, lead
        5 => (-0.22 * (f - 2.0).abs()).exp(),                            // brass
        6 => {
            if n % 2 == 1 {
                1.0 / f
            } else {
                0.15 / f
            }
        } // reed
        _ => [1.0, 0.25, 0.08, 0.02].get(n - 1).copied().unwrap_or(0.0), // flute
    }
}

impl Tables {
    pub fn new(rate: f64) -> Self {
        let sine: Vec<f32> = (0..SIZE).map(|i| (TAU * i as f32 / SIZE as f32).sin()).collect();
        let mut all = Vec::with_capacity(TIMBRES * BANDS * SIZE);
        for timbre in 0..TIMBRES {
            for band in 0..BANDS {
                // Two semitones above the band, so that a bend up stays clean.
                let top = 440.0 * 2f64.powf((12.0 * band as f64 + 13.0 - 69.0) / 12.0);
                let count = ((0.5 * rate / top) as usize).clamp(1, 48);
                let mut cycle = vec![0.0f32; SIZE];
                for n in 1..=count {
                    let a = partial(timbre, n);
                    for (i, x) in cycle.iter_mut().enumerate() {
                        *x += a * sine.get((i * n) & (SIZE - 1)).copied().unwrap_or(0.0);
                    }
                }
                let power = cycle.iter().map(|x| x * x).sum::<f32>() / SIZE as f32;
                all.extend(cycle.iter().map(|x| x * 0.5 / power.sqrt().max(1e-6)));
            }
        }
        Self(all)
    }

    /// The cycle of a timbre for a key. Realtime: yes.
    pub fn cycle(&self, timbre: usize, key: u8) -> &[f32] {
        let at = (timbre.min(TIMBRES - 1) * BANDS + usize::from(key.min(127) / 12)) * SIZE;
        self.0.get(at..at + SIZE).unwrap_or(&[])
    }
}

/// The cycle at a phase of a whole turn in 32 bits. Realtime: yes.
pub fn look(cycle: &[f32], phase: u32) -> f32 {
    let i = (phase >> (32 - BITS)) as usize;
    let part = (phase << BITS) as f32 * (1.0 / 4_294_967_296.0);
    let a = cycle.get(i).copied().unwrap_or(0.0);
    let b = cycle.get((i + 1) & (SIZE - 1)).copied().unwrap_or(0.0);
    a + (b - a) * part
}
