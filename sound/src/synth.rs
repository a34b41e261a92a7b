//! The instrument: who plays, who is stolen, what the pedal holds.
use crate::{
    drums::is_hat,
    room::Room,
    tables::Tables,
    voice::{
        Stage, Voice,
        row::{self, Frame, LANES, Way},
    },
};
use continuo_timeline::{Channel, Instrument, Key, Velocity};

/// Notes that may sound at once; 16 more places let stolen ones fade.
const VOICES: usize = 64;
const STRETCH: usize = 64;

/// The built-in instrument. Everything is allocated by [`Synth::new`].
pub struct Synth {
    rate: f64,
    way: Way,
    tables: Tables,
    voices: Vec<Voice>,
    pedals: [bool; 16],
    bends: [f32; 16],
    room: Room,
    gain: f32,
    age: u64,
}

impl Synth {
    /// An instrument at `rate` samples a second.
    pub fn new(rate: f64) -> Self {
        let rate = if rate.is_finite() { rate.clamp(8000.0, 768_000.0) } else { 48_000.0 };
        Self {
            rate,
            way: Way::best(),
            tables: Tables::new(rate),
            voices: vec![Voice::FREE; VOICES + 16],
            pedals: [false; 16],
            bends: [0.0; 16],
            room: Room::new(rate),
            gain: 1.0,
            age: 0,
        }
    }

    /// Starts a note; the quietest released or else the oldest makes room. Realtime: yes.
    pub fn note_on(&mut self, instrument: Instrument, key: Key, velocity: Velocity, channel: Channel) {
        if instrument.is_drums() && is_hat(key.0) {
            self.voices
                .iter_mut()
                .filter(|v| v.drum && v.stage != Stage::Free && is_hat(v.key))
                .for_each(|v| v.stage = Stage::Dying);
        }
        if self.voices() >= VOICES {
            let worth = |v: &Voice| {
                (
                    v.stage != Stage::Released,
                    if v.stage == Stage::Released { (v.level * 1e6) as u64 } else { v.age },
                )
            };
            if let Some(v) = self
                .voices
                .iter_mut()
                .filter(|v| !matches!(v.stage, Stage::Free | Stage::Dying))
                .min_by_key(|v| worth(v))
            {
                v.stage = Stage::Dying;
            }
        }
        let (age, rate) = (self.age, self.rate);
        self.age += 1;
        let bend = self.bends.get(usize::from(channel.0)).copied().unwrap_or(0.0);
        let place = |v: &Voice| (v.stage != Stage::Free, v.stage != Stage::Dying, (v.level * 1e6) as u64);
        if let Some(v) = self.voices.iter_mut().min_by_key(|v| place(v)) {
            *v = Voice::start(rate, instrument, key, velocity, channel, bend, age);
        }
    }

    /// Lets a note go; drums ring on. Realtime: yes.
    pub fn note_off(&mut self, channel: Channel, key: Key) {
        let held = self.pedals.get(usize::from(channel.0)).copied().unwrap_or(false);
        let next = if held { Stage::Pedalled } else { Stage::Released };
        self.voices
            .iter_mut()
            .filter(|v| v.stage == Stage::Held && !v.drum && v.channel == channel.0 && v.key == key.0)
            .for_each(|v| v.stage = next);
    }

    /// The sustain pedal of a channel. Realtime: yes.
    pub fn pedal(&mut self, channel: Channel, down: bool) {
        if let Some(p) = self.pedals.get_mut(usize::from(channel.0)) {
            *p = down;
        }
        if !down {
            self.voices
                .iter_mut()
                .filter(|v| v.stage == Stage::Pedalled && v.channel == channel.0)
                .for_each(|v| v.stage = Stage::Released);
        }
    }

    /// Bends what a channel plays, in semitones (-24 to 24). Realtime: yes.
    pub fn bend(&mut self, channel: Channel, semitones: f32) {
        let semitones = if semitones.is_finite() { semitones.clamp(-24.0, 24.0) } else { 0.0 };
        if let Some(b) = self.bends.get_mut(usize::from(channel.0)) {
            *b = semitones;
        }
        let rate = self.rate;
        self.voices
            .iter_mut()
            .filter(|v| v.stage != Stage::Free && v.channel == channel.0)
            .for_each(|v| v.bend(rate, semitones));
    }

    /// Lets every note of a channel go, or of all where none is named, and lifts its pedal; tails ring out. Realtime: yes.
    pub fn all_off(&mut self, channel: Option<Channel>) {
        let is_meant = |number: usize| channel.is_none_or(|channel| usize::from(channel.0) == number);
        self.pedals
            .iter_mut()
            .enumerate()
            .filter(|(number, _)| is_meant(*number))
            .for_each(|(_, pedal)| *pedal = false);
        self.voices
            .iter_mut()
            .filter(|v| is_meant(usize::from(v.channel)) && matches!(v.stage, Stage::Held | Stage::Pedalled))
            .for_each(|v| v.stage = Stage::Released);
    }

    /// How loud all of it is from the next sample on; the limiter keeps it within full scale. Realtime: yes.
    pub fn level(&mut self, gain: f32) {
        self.gain = if gain.is_finite() { gain.clamp(0.0, 16.0) } else { 1.0 };
    }

    /// Silence at once, bends and pedals at rest. Realtime: yes.
    pub fn cut(&mut self) {
        self.voices.fill(Voice::FREE);
        (self.pedals, self.bends, self.age) = ([false; 16], [0.0; 16], 0);
        self.room.clear();
    }

    /// Writes the next samples; the result does not depend on how time is split. Realtime: yes.
    pub fn render(&mut self, left: &mut [f32], right: &mut [f32]) {
        for (left, right) in left.chunks_mut(STRETCH).zip(right.chunks_mut(STRETCH)) {
            let mut mix = [Frame::SILENT; STRETCH];
            let Some(mix) = mix.get_mut(..left.len()) else { return };
            for row in self.voices.chunks_mut(LANES) {
                row::add(self.way, row, &self.tables, mix);
            }
            for ((l, r), frame) in left.iter_mut().zip(right.iter_mut()).zip(mix) {
                let (left, right) = frame.sum();
                (*l, *r) = self.room.next(left, right, self.gain);
            }
        }
    }

    /// Notes that sound, those fading after a steal not counted.
    pub fn voices(&self) -> usize {
        self.voices.iter().filter(|v| !matches!(v.stage, Stage::Free | Stage::Dying)).count()
    }
}
