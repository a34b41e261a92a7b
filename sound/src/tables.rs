//! One cycle of each timbre, for each octave of keys, without partials above half the sample rate.
use std::f32::consts::TAU;

pub const BITS: u32 = 11;
/// Samples of a cycle.
const SIZE: usize = 1 << BITS;
/// From one cycle to the next: behind each stands its first sample again, so that two neighbours are read at once.
const STRIDE: usize = SIZE + 16;
const BANDS: usize = 11;
const TIMBRES: usize = 8;
/// All samples of all cycles.
const PLACES: usize = TIMBRES * BANDS * STRIDE;
/// The bits of a phase that lie between two samples, and what one of them is worth.
pub const FINE: u32 = (1 << (32 - BITS)) - 1;
pub const UNIT: f32 = 1.0 / (FINE + 1) as f32;

pub struct Tables(Box<[f32; PLACES]>);

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
        let mut all = Vec::with_capacity(PLACES);
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
                let samples = cycle.iter().cycle().take(STRIDE);
                all.extend(samples.map(|x| x * 0.5 / power.sqrt().max(1e-6)));
            }
        }
        // PANIC: as many were added, one cycle after the other.
        #[expect(clippy::unwrap_used)]
        Self(all.into_boxed_slice().try_into().unwrap())
    }

    /// Where the cycle of a timbre for a key begins among all [`samples`](Self::samples). Realtime: yes.
    pub fn place(timbre: usize, key: u8) -> u32 {
        ((timbre.min(TIMBRES - 1) * BANDS + usize::from(key.min(127) / 12)) * STRIDE) as u32
    }

    /// A cycle that has its first partial only, as the highest have. Realtime: yes.
    pub fn sine() -> u32 {
        Self::place(TIMBRES - 1, 127)
    }

    /// All cycles, one after the other.
    #[cfg(target_arch = "x86_64")]
    pub fn samples(&self) -> &[f32] {
        &self.0[..]
    }

    /// The cycle that begins at `place`, at a phase of a whole turn in 32 bits. Realtime: yes.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "held within the tables")]
    pub fn look(&self, place: u32, phase: u32) -> f32 {
        // Within the tables whatever the place is, so that it is not looked at twice.
        let at = (place.wrapping_add(phase >> (32 - BITS)) as usize).min(PLACES - 2);
        let (a, b) = (self.0[at], self.0[at + 1]);
        a + (b - a) * part(phase)
    }
}

/// How far a phase is from one sample to the next.
fn part(phase: u32) -> f32 {
    (phase & FINE) as i32 as f32 * UNIT
}
