//! One sounding note.
pub mod row;

use crate::{drums::drum, tables::Tables};
use continuo_timeline::{Channel, Instrument, Key, Velocity};
use row::Frame;

/// A voice that falls below this level is over.
const FAINTEST: f32 = 1e-5;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Free,
    Held,
    Pedalled,
    Released,
    Dying,
}

#[derive(Clone, Copy)]
pub struct Voice {
    pub stage: Stage,
    pub channel: u8,
    pub key: u8,
    pub drum: bool,
    pub age: u64,
    pub level: f32,
    timbre: usize,
    attack: f32,
    rising: bool,
    decay: f32,
    release: f32,
    quick: f32,
    phase: u32,
    second: u32,
    step: u32,
    settle: u32,
    glide: f32,
    extra: f32,
    wide: f64,
    low: f32,
    tone: f32,
    noise: f32,
    bright: bool,
    seed: u32,
    before: f32,
    left: f32,
    right: f32,
}

/// Timbre, attack, decay (60 dB; 0 holds) and release in seconds, and cents between two oscillators.
fn recipe(program: u8) -> (usize, f32, f32, f32, f64) {
    match program {
        0..=3 => (0, 0.002, 9.0, 0.25, 1.0),
        4..=7 => (1, 0.002, 7.0, 0.3, 1.5),
        8..=15 => (1, 0.001, 2.5, 0.8, 0.0),
        16..=23 => (2, 0.006, 0.0, 0.06, 0.0),
        24..=31 => (3, 0.002, 4.5, 0.2, 0.0),
        32..=39 => (3, 0.003, 6.0, 0.12, 0.0),
        40..=55 => (4, 0.07, 0.0, 0.4, 5.0),
        56..=63 => (5, 0.03, 0.0, 0.12, 2.0),
        64..=71 => (6, 0.025, 0.0, 0.1, 0.0),
        72..=79 => (7, 0.04, 0.0, 0.1, 0.0),
        80..=87 => (4, 0.005, 0.0, 0.1, 3.0),
        88..=103 => (4, 0.3, 0.0, 1.0, 6.0),
        104..=111 => (3, 0.002, 3.0, 0.2, 0.0),
        _ => (1, 0.002, 1.5, 0.2, 0.0),
    }
}

fn fall(seconds: f32, rate: f64) -> f32 {
    if seconds <= 0.0 { 1.0 } else { (-6.9078 / (f64::from(seconds) * rate)).exp() as f32 }
}

fn step(hertz: f64, rate: f64) -> u32 {
    (hertz / rate).clamp(0.0, 0.49).mul_add(4_294_967_296.0, 0.5) as u32
}

impl Voice {
    pub const FREE: Self = Self {
        stage: Stage::Free,
        channel: 0,
        key: 0,
        drum: false,
        age: 0,
        level: 0.0,
        timbre: 0,
        attack: 0.0,
        rising: false,
        decay: 1.0,
        release: 1.0,
        quick: 0.9,
        phase: 0,
        second: 0,
        step: 0,
        settle: 0,
        glide: 0.0,
        extra: 0.0,
        wide: 1.0,
        low: 0.0,
        tone: 1.0,
        noise: 0.0,
        bright: false,
        seed: 1,
        before: 0.0,
        left: 0.0,
        right: 0.0,
    };

    /// Realtime: yes.
    pub fn start(
        rate: f64,
        what: Instrument,
        key: Key,
        velocity: Velocity,
        channel: Channel,
        bend: f32,
        age: u64,
    ) -> Self {
        let hit = f32::from(velocity.0.clamp(1, 127)) / 127.0;
        let mut v = Self {
            stage: Stage::Held,
            channel: channel.0,
            key: key.0.min(127),
            drum: what.is_drums(),
            age,
            rising: true,
            quick: fall(0.006, rate),
            ..Self::FREE
        };
        v.seed = (age as u32).wrapping_mul(2_654_435_769) | 1;
        let pan =
            if v.drum { (f32::from(v.key % 7) - 3.0) * 0.08 } else { (f32::from(v.key) - 60.0) * 0.006 };
        let loud = 0.3 * hit.powf(1.5);
        (v.left, v.right) = (loud * (1.0 - pan).sqrt(), loud * (1.0 + pan).sqrt());
        if v.drum {
            let d = drum(v.key);
            (v.timbre, v.noise, v.bright) = (1, d.noise, d.bright);
            (v.attack, v.decay) = ((1.0 / (0.0005 * rate)) as f32, fall(d.decay, rate));
            v.settle = step(f64::from(d.to), rate);
            v.extra = step(f64::from(d.from), rate).saturating_sub(v.settle) as f32;
            v.glide = fall(0.12, rate);
            v.tone = 0.4 + 0.6 * hit;
            return v;
        }
        let (timbre, attack, decay, release, cents) = recipe(what.0);
        let short = 2f32.powf((60.0 - f32::from(v.key)) / 24.0).clamp(0.15, 2.0);
        (v.timbre, v.attack) = (timbre, (1.0 / (f64::from(attack) * rate)) as f32);
        (v.decay, v.release) = (fall(decay * short, rate), fall(release, rate));
        v.wide = 2f64.powf(cents / 1200.0);
        v.bend(rate, bend);
        let corner = (step_hertz(v.key) * (1.5 + 10.0 * f64::from(hit * hit))).min(0.45 * rate);
        v.tone = (1.0 - (-std::f64::consts::TAU * corner / rate).exp()) as f32;
        v
    }

    /// Realtime: yes.
    pub fn bend(&mut self, rate: f64, semitones: f32) {
        if !self.drum {
            let hertz = step_hertz(self.key) * 2f64.powf(f64::from(semitones) / 12.0);
            self.step = step(hertz / self.wide.sqrt(), rate);
            self.settle = step(hertz * self.wide.sqrt(), rate);
        }
    }

    /// The level of the next sample of a drum, which rings out whether its key is held or not.
    fn envelope(&mut self) {
        if self.stage == Stage::Dying {
            self.level *= self.quick;
        } else if self.rising {
            self.level += self.attack;
            if self.level >= 1.0 {
                (self.level, self.rising) = (1.0, false);
            }
            return;
        } else {
            self.level *= self.decay;
        }
        if self.level < FAINTEST {
            *self = Self::FREE;
        }
    }

    /// Its next sample, before the filter: a sine that glides, and noise.
    fn raw(&mut self, tables: &Tables, sine: u32) -> f32 {
        self.extra *= self.glide;
        self.phase = self.phase.wrapping_add(self.settle.wrapping_add(self.extra as u32));
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 17;
        self.seed ^= self.seed << 5;
        let white = self.seed as i32 as f32 * (1.0 / 2_147_483_648.0);
        let hiss = if self.bright { 0.6 * (white - self.before) } else { white };
        self.before = white;
        1.3 * (tables.look(sine, self.phase) * (1.0 - self.noise) + hiss * self.noise)
    }

    /// Adds a drum to a stretch of the mix, at its place in a row. Realtime: yes.
    fn add(&mut self, tables: &Tables, mix: &mut [Frame], lane: usize) {
        let sine = Tables::sine();
        for frame in mix {
            self.envelope();
            if self.stage == Stage::Free {
                return;
            }
            let raw = self.raw(tables, sine);
            self.low += self.tone * (raw - self.low);
            let out = self.low * self.level;
            if let (Some(left), Some(right)) = (frame.left.get_mut(lane), frame.right.get_mut(lane)) {
                *left += out * self.left;
                *right += out * self.right;
            }
        }
    }
}

fn step_hertz(key: u8) -> f64 {
    440.0 * 2f64.powf((f64::from(key) - 69.0) / 12.0)
}
