//! Numbers that are the same every time (SplitMix64).

/// A source of them, by its seed.
pub struct Random(pub u64);

impl Random {
    /// From 0 to below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % most
    }

    /// From one number to another.
    #[allow(clippy::cast_precision_loss)] // a million is exact
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.below(1_000_000) as f64 / 1e6
    }

    /// From 0 to below `most`, as far as it is a byte.
    pub fn byte(&mut self, most: u64) -> u8 {
        u8::try_from(self.below(most)).unwrap_or(0)
    }

    /// One of a list.
    pub fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap_or(0)]
    }
}
