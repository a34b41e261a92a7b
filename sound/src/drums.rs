//! The kit: each General MIDI drum key as a falling tone and filtered noise.

/// How a drum is made.
pub struct Drum {
    /// Hertz at the strike and where it settles.
    pub from: f32,
    pub to: f32,
    /// Share of noise, 0 to 1.
    pub noise: f32,
    /// Whether the noise keeps only its top.
    pub bright: bool,
    /// Seconds to fall by 60 dB.
    pub decay: f32,
}

/// The recipe of a drum key. Realtime: yes.
pub fn drum(key: u8) -> Drum {
    let d = |from, to, noise, bright, decay| Drum { from, to, noise, bright, decay };
    match key {
        35 | 36 => d(160.0, 48.0, 0.05, false, 0.45),
        37 => d(1700.0, 1600.0, 0.4, true, 0.08),
        38 | 40 => d(240.0, 180.0, 0.7, false, 0.3),
        39 => d(900.0, 900.0, 0.95, false, 0.25),
        42 | 44 => d(6000.0, 6000.0, 0.97, true, 0.1),
        46 => d(6000.0, 6000.0, 0.97, true, 0.7),
        41 | 43 | 45 | 47 | 48 | 50 => {
            let low = 70.0 + 14.0 * f32::from(key - 41);
            d(low * 1.6, low, 0.08, false, 0.6)
        }
        49 | 52 | 55 | 57 => d(4200.0, 4200.0, 0.96, true, 2.2),
        51 | 53 | 59 => d(3600.0, 3600.0, 0.85, true, 1.4),
        54 | 69 | 70 | 82 => d(7000.0, 7000.0, 0.97, true, 0.15),
        56 => d(562.0, 560.0, 0.02, false, 0.3),
        _ => d(420.0, 330.0, 0.2, false, 0.2),
    }
}

/// Whether a key is one of the hats, which silence each other. Realtime: yes.
pub fn is_hat(key: u8) -> bool {
    matches!(key, 42 | 44 | 46)
}
