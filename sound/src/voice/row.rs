//! Voices that play a cycle of a table, eight side by side.
//!
//! Each kind of code computes the same operations in the same order, so that a sample has the same bits on every processor
//! and on whichever way a voice is computed.
use super::{FAINTEST, Stage, Voice};
use crate::tables::Tables;
#[cfg(target_arch = "x86_64")]
use crate::tables::{BITS, FINE, UNIT};

/// Voices of a row.
pub const LANES: usize = 8;

/// One sample of the mix, left and right, by the place of a voice in its row. A voice adds to its own place whichever way
/// it is computed, so that no sum depends on how time is split.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Frame {
    pub left: [f32; LANES],
    pub right: [f32; LANES],
}

impl Frame {
    pub const SILENT: Self = Self { left: [0.0; LANES], right: [0.0; LANES] };

    /// All places together. Realtime: yes.
    pub fn sum(&self) -> (f32, f32) {
        let sum = |[a, b, c, d, e, f, g, h]: [f32; LANES]| ((a + e) + (c + g)) + ((b + f) + (d + h));
        (sum(self.left), sum(self.right))
    }
}

/// Which code computes a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Way {
    /// The fastest on this processor. It may ask the processor, which takes long in a virtual machine.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Portable
    }
}

/// What changes and what does not of up to eight voices. A place without one is silent at level 0.
#[derive(Default)]
struct Row {
    cycle: [u32; LANES],
    level: [f32; LANES],
    fall: [f32; LANES],
    /// What the level gains with each sample while all bits are set below.
    attack: [f32; LANES],
    rises: [u32; LANES],
    low: [f32; LANES],
    tone: [f32; LANES],
    left: [f32; LANES],
    right: [f32; LANES],
    phase: [u32; LANES],
    step: [u32; LANES],
    second: [u32; LANES],
    settle: [u32; LANES],
    wide: bool,
}

/// Adds a row of voices to a stretch of the mix. Realtime: yes.
pub fn add(way: Way, voices: &mut [Voice], tables: &Tables, mix: &mut [Frame]) {
    let mut row = Row::default();
    let mut any = false;
    for (lane, voice) in voices.iter_mut().enumerate().take(LANES) {
        match voice.stage {
            Stage::Free => {}
            _ if voice.drum => voice.add(tables, mix, lane),
            _ => {
                row.take(lane, voice);
                any = true;
            }
        }
    }
    if !any {
        return;
    }
    row.run(way, tables, mix);
    for (lane, voice) in voices.iter_mut().enumerate().take(LANES) {
        if voice.stage != Stage::Free && !voice.drum {
            row.give(lane, voice);
        }
    }
}

#[expect(clippy::indexing_slicing, reason = "lanes of arrays of as many")]
impl Row {
    fn take(&mut self, lane: usize, voice: &Voice) {
        let rises = voice.rising && matches!(voice.stage, Stage::Held | Stage::Pedalled);
        self.fall[lane] = match voice.stage {
            Stage::Dying => voice.quick,
            Stage::Released => voice.release,
            _ => voice.decay,
        };
        (self.attack[lane], self.rises[lane]) = (voice.attack, if rises { u32::MAX } else { 0 });
        (self.cycle[lane], self.level[lane]) = (Tables::place(voice.timbre, voice.key), voice.level);
        (self.low[lane], self.tone[lane]) = (voice.low, voice.tone);
        (self.left[lane], self.right[lane]) = (voice.left, voice.right);
        (self.phase[lane], self.step[lane]) = (voice.phase, voice.step);
        (self.second[lane], self.settle[lane]) = (voice.second, voice.settle);
        self.wide |= voice.wide > 1.0;
    }

    /// Gives back what changed.
    fn give(&self, lane: usize, voice: &mut Voice) {
        (voice.level, voice.low) = (self.level[lane], self.low[lane]);
        (voice.phase, voice.second) = (self.phase[lane], self.second[lane]);
        voice.rising = self.rises[lane] != 0;
        if voice.level == 0.0 {
            *voice = Voice::FREE;
        }
    }

    fn run(&mut self, way: Way, tables: &Tables, mix: &mut [Frame]) {
        match (way, self.wide) {
            (Way::Portable, true) => self.portable::<true>(tables, mix),
            (Way::Portable, false) => self.portable::<false>(tables, mix),
            // SAFETY: this way is only taken where the processor was found to have AVX2.
            #[cfg(target_arch = "x86_64")]
            (Way::Avx2, true) => unsafe { self.avx2::<true>(tables, mix) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            (Way::Avx2, false) => unsafe { self.avx2::<false>(tables, mix) },
        }
    }

    fn portable<const WIDE: bool>(&mut self, tables: &Tables, mix: &mut [Frame]) {
        let look = |cycle: &[u32; LANES], phase: &[u32; LANES]| -> [f32; LANES] {
            std::array::from_fn(|j| tables.look(cycle[j], phase[j]))
        };
        for frame in mix {
            for j in 0..LANES {
                let (up, down) = (self.level[j] + self.attack[j], self.level[j] * self.fall[j]);
                let down = if down >= FAINTEST { down } else { 0.0 };
                let top = if up < 1.0 { up } else { 1.0 };
                let still = if up < 1.0 { u32::MAX } else { 0 };
                self.level[j] = if self.rises[j] != 0 { top } else { down };
                self.rises[j] &= still;
                self.phase[j] = self.phase[j].wrapping_add(self.step[j]);
                self.second[j] = self.second[j].wrapping_add(self.settle[j]);
            }
            let mut raw = look(&self.cycle, &self.phase);
            if WIDE {
                let second = look(&self.cycle, &self.second);
                raw = std::array::from_fn(|j| 0.5 * (raw[j] + second[j]));
            }
            for (j, raw) in raw.into_iter().enumerate() {
                self.low[j] += self.tone[j] * (raw - self.low[j]);
                let out = self.low[j] * self.level[j];
                frame.left[j] += out * self.left[j];
                frame.right[j] += out * self.right[j];
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2<const WIDE: bool>(&mut self, tables: &Tables, mix: &mut [Frame]) {
        use std::{arch::x86_64::*, mem::transmute};
        let samples = tables.samples().as_ptr();
        // SAFETY: eight numbers become eight numbers.
        let floats = |from: [f32; LANES]| unsafe { transmute::<[f32; LANES], __m256>(from) };
        // SAFETY: as above.
        let apart = |from: __m256| unsafe { transmute::<__m256, [f32; LANES]>(from) };
        // SAFETY: as above.
        let whole = |from: [u32; LANES]| unsafe { transmute::<[u32; LANES], __m256i>(from) };
        // SAFETY: as above.
        let wholes_apart = |from: __m256i| unsafe { transmute::<__m256i, [u32; LANES]>(from) };
        let cycle = whole(self.cycle);
        let unit = _mm256_set1_ps(UNIT);
        let fine = _mm256_set1_epi32(FINE as i32);
        let look = |phase: __m256i| -> __m256 {
            let at = _mm256_add_epi32(cycle, _mm256_srli_epi32::<{ 32 - BITS as i32 }>(phase));
            // Places 0, 1, 4, 5 and 2, 3, 6, 7: what lies side by side is shuffled within halves below.
            let at = _mm256_permute4x64_epi64::<0b11_01_10_00>(at);
            // SAFETY: a place of a cycle (`Tables::place`, or 0) and less than its length: there, and behind it, is a sample.
            let (a, b) = unsafe {
                let samples = samples.cast::<f64>();
                (
                    _mm256_i32gather_pd::<4>(samples, _mm256_castsi256_si128(at)),
                    _mm256_i32gather_pd::<4>(samples, _mm256_extracti128_si256::<1>(at)),
                )
            };
            let (a, b) = (_mm256_castpd_ps(a), _mm256_castpd_ps(b));
            let (a, b) = (_mm256_shuffle_ps::<0b10_00_10_00>(a, b), _mm256_shuffle_ps::<0b11_01_11_01>(a, b));
            let part = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_and_si256(phase, fine)), unit);
            _mm256_add_ps(a, _mm256_mul_ps(_mm256_sub_ps(b, a), part))
        };
        let (fall, tone) = (floats(self.fall), floats(self.tone));
        let (to_left, to_right) = (floats(self.left), floats(self.right));
        let (step, settle) = (whole(self.step), whole(self.settle));
        let (attack, top) = (floats(self.attack), _mm256_set1_ps(1.0));
        let mut rises = _mm256_castsi256_ps(whole(self.rises));
        let (faintest, half) = (_mm256_set1_ps(FAINTEST), _mm256_set1_ps(0.5));
        let (mut level, mut low) = (floats(self.level), floats(self.low));
        let (mut phase, mut second) = (whole(self.phase), whole(self.second));
        for frame in mix {
            let (up, down) = (_mm256_add_ps(level, attack), _mm256_mul_ps(level, fall));
            let down = _mm256_and_ps(down, _mm256_cmp_ps::<_CMP_GE_OQ>(down, faintest));
            level = _mm256_blendv_ps(down, _mm256_min_ps(up, top), rises);
            rises = _mm256_and_ps(rises, _mm256_cmp_ps::<_CMP_LT_OQ>(up, top));
            phase = _mm256_add_epi32(phase, step);
            second = _mm256_add_epi32(second, settle);
            let mut raw = look(phase);
            if WIDE {
                raw = _mm256_mul_ps(half, _mm256_add_ps(raw, look(second)));
            }
            low = _mm256_add_ps(low, _mm256_mul_ps(tone, _mm256_sub_ps(raw, low)));
            let out = _mm256_mul_ps(low, level);
            let left = _mm256_add_ps(floats(frame.left), _mm256_mul_ps(out, to_left));
            let right = _mm256_add_ps(floats(frame.right), _mm256_mul_ps(out, to_right));
            frame.left = apart(left);
            frame.right = apart(right);
        }
        self.level = apart(level);
        self.low = apart(low);
        self.rises = wholes_apart(_mm256_castps_si256(rises));
        self.phase = wholes_apart(phase);
        self.second = wholes_apart(second);
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;
    use continuo_timeline::{Channel, Instrument, Key, Velocity};

    const RATE: f64 = 48_000.0;

    /// A row of eight with a drum among them, in every stage.
    fn voices() -> Vec<Voice> {
        let voice = |(place, program): (u8, u8)| {
            let bend = if place == 3 { 0.7 } else { 0.0 };
            let (key, velocity) = (Key(31 + 11 * place), Velocity(40 + 10 * place));
            Voice::start(RATE, Instrument(program), key, velocity, Channel(0), bend, u64::from(place))
        };
        (0..8).zip([0, 16, 24, 40, 128, 60, 88, 73]).map(voice).collect()
    }

    fn play(way: Way, stretch: usize) -> Vec<u32> {
        let (tables, mut voices, mut samples) = (Tables::new(RATE), voices(), Vec::new());
        let stages = [Stage::Held, Stage::Pedalled, Stage::Released, Stage::Dying];
        for number in 0..96_000 / stretch {
            let mut mix = vec![Frame::SILENT; stretch];
            add(way, &mut voices, &tables, &mut mix);
            samples.extend(mix.iter().flat_map(|frame| [frame.left, frame.right].concat()).map(f32::to_bits));
            // One voice after the other is let go, or stolen, while it rises or later.
            let (voice, stage) = (&mut voices[number * 7 % 8], stages[number / 3 % 4]);
            if number % 3 == 0 && voice.stage != Stage::Free {
                voice.stage = stage;
            }
        }
        samples
    }

    /// On a processor without AVX2 both are the same code.
    #[test]
    fn each_way_gives_the_same_bits() {
        for stretch in [1600, 64, 7] {
            let samples = play(Way::Portable, stretch);
            assert!(samples.iter().filter(|bits| **bits != 0).count() > 10_000);
            assert!(samples == play(Way::best(), stretch), "stretches of {stretch}");
        }
    }

    #[test]
    fn a_voice_rises_to_the_top_and_is_free_once_it_has_faded() {
        let (tables, mut voices) = (Tables::new(RATE), voices());
        let mut heard = 0.0_f32;
        for _ in 0..2 * 48_000 / 64 {
            let mut mix = [Frame::SILENT; 64];
            add(Way::best(), &mut voices, &tables, &mut mix);
            heard = voices.iter().fold(heard, |most, voice| most.max(voice.level));
        }
        assert_eq!(heard, 1.0);
        assert!(voices.iter().all(|voice| voice.drum || !voice.rising));
        voices.iter_mut().for_each(|voice| voice.stage = Stage::Released);
        (0..8 * 48_000 / 64).for_each(|_| add(Way::best(), &mut voices, &tables, &mut [Frame::SILENT; 64]));
        assert!(voices.iter().all(|voice| voice.stage == Stage::Free));
    }
}
