//! The line: where the music stands, block by block.
//!
//! The host says where its song is, how fast and whether it rolls; where it says nothing an internal tempo
//! serves, and the song position runs on. See [`crate::message`] for what the line is.

use crate::bars::Bars;
use crate::message::{Cut, GRID, Tick};
use crate::pulse::{Moves, Pulse};
use crate::units::{Beats, Bpm, Epoch, Meter};

/// What a host says at the start of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Host {
    /// Whether its transport rolls.
    pub playing: bool,
    /// Song position in quarter notes, if it says so.
    pub song: Option<f64>,
    /// Beats a minute, if it says so.
    pub tempo: Option<f64>,
    /// Time signature, if it says so.
    pub meter: Option<Meter>,
    /// Song position of the bar line at or before `song`, if it says so.
    pub bar: Option<f64>,
    /// Song positions between which it loops, if it does.
    pub looped: Option<(f64, f64)>,
    /// Whether it has no song that anybody steers: what it says of one is its own.
    pub alone: bool,
}

/// Where the music stands at the current sample.
#[derive(Clone, Debug)]
pub struct Clock {
    rate: f64,
    line: f64,
    song: f64,
    tempo: Bpm,
    pulse: Pulse,
    meter: Meter,
    bars: Bars,
    playing: bool,
    epoch: Epoch,
    wrapped: bool,
    looped: Option<(f64, f64)>,
    /// Song position at the start of the block.
    began: f64,
    grid: f64, // number of the next grid point on the line
}

/// A song position this many beats away from the expected one is a jump; tempo ramps stay below.
const JUMP: f64 = 0.05;
/// No host is slower.
const SLOWEST: Bpm = Bpm(5.0);
/// Some hosts (Ardour) count song positions in whole 1920ths of a beat.
const HOST_TICKS: f64 = 1920.0;
/// Share of a difference within a host's tick that is made good each block.
const SHARE: f64 = 1.0 / 32.0;
/// Samples by which rounding may miss: a note less than this after a sample belongs to it.
const SLACK: f64 = 1e-3;

impl Clock {
    /// A clock at 0, at rest. `rate` in samples a second. Realtime: yes.
    pub fn new(rate: f64) -> Self {
        Self {
            rate: if rate > 0.0 { rate } else { 48_000.0 },
            line: 0.0,
            song: 0.0,
            tempo: Bpm(120.0),
            pulse: Pulse::default(),
            meter: Meter::COMMON,
            bars: Bars::default(),
            playing: false,
            epoch: Epoch(0),
            wrapped: false,
            looped: None,
            began: 0.0,
            grid: 0.0,
        }
    }

    /// The same music at another sample rate. Realtime: yes.
    pub fn at_rate(mut self, rate: f64) -> Self {
        self.pulse.rest(None);
        Self { rate: if rate > 0.0 { rate } else { self.rate }, ..self }
    }

    /// Takes in what the host says; gives the reason of a new epoch, if one begins. `internal` is the tempo
    /// where the host has none and nothing else says it. Realtime: yes.
    pub fn begin(&mut self, host: &Host, internal: Bpm) -> Option<Cut> {
        let (playing, song, found) = self.listen(host, internal);
        self.meter =
            host.meter.filter(|meter| meter.numerator > 0 && meter.denominator > 0).unwrap_or(self.meter);
        self.looped = host.looped.filter(|(from, to)| from.is_finite() && to.is_finite() && to > from);
        let cut = match (song, playing == self.playing) {
            (song, false) => Some((song, Cut::Transport)),
            (Some(song), true) => self.go_on(song, found).map(|why| (Some(song), why)),
            (None, true) => None,
        };
        self.playing = playing;
        self.follow_bars(host, song, cut.is_some_and(|(_, why)| why == Cut::Transport), cut.is_some());
        if let Some((song, _)) = cut {
            self.jump(song.unwrap_or(self.song));
        }
        self.began = self.song;
        cut.map(|(_, why)| why)
    }

    /// Whether the host rolls and where, and how fast: as it says, or as its positions say; and whether these say so for the first
    /// time. Until then the line hardly moves: it may be put forward, and not back.
    fn listen(&mut self, host: &Host, internal: Bpm) -> (bool, Option<f64>, bool) {
        let song = host.song.filter(|song| song.is_finite() && song.abs() < 1e9 && host.playing);
        let tempo = host.tempo.filter(|tempo| tempo.is_finite() && (SLOWEST.0..=2000.0).contains(tempo));
        let (None, Some(place)) = (tempo, song) else {
            self.pulse.rest(tempo.map(Bpm));
            self.tempo = tempo.map_or(internal, Bpm);
            return (host.playing, song, false);
        };
        let known = self.pulse.tempo().is_some();
        let moves = self.pulse.hear(place, self.rate);
        self.tempo = match moves {
            Moves::Not => internal,
            _ => self.pulse.tempo().unwrap_or(SLOWEST),
        };
        let found = !known && self.pulse.tempo().is_some();
        (moves != Moves::Not, song.filter(|_| moves == Moves::On), found)
    }

    /// The host rolls on and is at `song`: as was expected, around its loop, or elsewhere; ahead, where its tempo was just found.
    fn go_on(&mut self, song: f64, found: bool) -> Option<Cut> {
        if let Some(length) = self.comes_round(song) {
            self.wrapped = true;
            if !is_on_grid(length) {
                return Some(Cut::Seek);
            }
            self.song -= length;
        } else if libm::fabs(song - self.song) > JUMP && !(found && song > self.song) {
            return Some(Cut::Seek);
        }
        self.drift(song);
        None
    }

    fn follow_bars(&mut self, host: &Host, song: Option<f64>, started: bool, jumped: bool) {
        let Some(song) = song else { return };
        if started {
            self.bars.start();
        }
        if jumped || self.wrapped {
            self.bars.moved(song);
        }
        self.bars.follow(song, host.bar, self.meter);
    }

    /// The length of the loop at whose start the host is back, where it was expected behind its end: right there, or as
    /// far after it as the block went beyond the end. Around a loop of whole grid steps the line runs on, and what is
    /// planned stays.
    fn comes_round(&self, song: f64) -> Option<f64> {
        let (from, to) = self.looped?;
        let length = to - from;
        let near = libm::fmin(JUMP, length / 2.0);
        let over = self.began < to && self.song > to - near && song > from - near;
        (length > JUMP && over && libm::fabs(self.song - length - song) < near).then_some(length)
    }

    /// The loop that the song is in, from and to, if it is in one. Realtime: yes.
    pub fn looped(&self) -> Option<(Beats, Beats)> {
        let inside = |(from, to): &(f64, f64)| self.song > from - 1e-6 && self.song < to - 1e-6;
        self.looped.filter(inside).map(|(from, to)| (Beats(from), Beats(to)))
    }

    /// Whether the line runs on where the loop begins anew. Realtime: yes.
    pub fn goes_around(&self) -> bool {
        self.looped.is_some_and(|(from, to)| is_on_grid(to - from))
    }

    /// Whether the song came round a loop since this was asked last. Realtime: yes.
    pub fn take_wrap(&mut self) -> bool {
        core::mem::take(&mut self.wrapped)
    }

    /// The host is a little elsewhere than its tempo led to expect: it is right, but the line never goes back
    /// over a grid point. Where the host rounds to ticks of its own, its rounding is not followed but averaged:
    /// at 120 BPM and 48 kHz it would move notes by up to 12 samples.
    fn drift(&mut self, song: f64) {
        let ticks = song * HOST_TICKS;
        let is_rounded = libm::fabs(ticks - libm::round(ticks)) < 1e-6;
        let by = song - self.song;
        let by = if is_rounded && libm::fabs(by) < 1.01 / HOST_TICKS { by * SHARE } else { by };
        self.song += by;
        self.line += by;
    }

    /// The line moves forward to where its fraction of a beat is the song's.
    fn jump(&mut self, song: f64) {
        let ahead = song - libm::floor(song) - (self.line - libm::floor(self.line));
        let ahead = if ahead < -1e-9 { ahead + 1.0 } else { libm::fmax(ahead, 0.0) };
        self.line += ahead;
        self.song = song;
        self.grid = libm::ceil(self.line * f64::from(GRID) - 1e-6);
        self.cut();
    }

    /// Starts a new epoch. Realtime: yes.
    pub fn cut(&mut self) {
        self.epoch = Epoch(self.epoch.0.wrapping_add(1));
    }

    /// Moves on by `samples`. Realtime: yes.
    pub fn advance(&mut self, samples: u32) {
        let beats = f64::from(samples) * self.step();
        self.line += beats;
        self.song += beats;
        self.pulse.advance(samples);
    }

    fn step(&self) -> f64 {
        self.tempo.beats_per_sample(self.rate)
    }

    /// Samples from now to the first one at or after `at`; 0 if that is past. Realtime: yes.
    pub fn samples_to(&self, at: Beats) -> u32 {
        let samples = libm::ceil((at.0 - self.line) / self.step() - SLACK);
        if samples >= f64::from(u32::MAX) {
            u32::MAX
        } else {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and u32::MAX
            let samples = libm::fmax(samples, 0.0) as u32;
            samples
        }
    }

    /// Samples to the next grid point. Realtime: yes.
    pub fn samples_to_grid(&self) -> u32 {
        self.samples_to(Beats(self.grid / f64::from(GRID)))
    }

    /// The grid point reached, and on to the next. Realtime: yes.
    pub fn pass_grid(&mut self, offline: bool) -> Tick {
        let at = self.grid / f64::from(GRID);
        self.grid += 1.0;
        let song = self.around(self.song + at - self.line);
        Tick { at: Beats(at), song: Beats(song), ..self.tick(offline) }
    }

    /// Where the music stands now. Realtime: yes.
    pub fn tick(&self, offline: bool) -> Tick {
        let song = self.around(self.song);
        Tick {
            at: Beats(self.line),
            song: Beats(song),
            bar: Beats(plain(self.line - self.bars.since(song, self.meter))),
            wrap: self.wrap(song),
            meter: self.meter,
            tempo: self.tempo,
            playing: self.playing,
            offline,
            epoch: self.epoch,
        }
    }

    /// A song position of this block, around the loop where that ends within it: a host may say so only with its next block.
    fn around(&self, song: f64) -> f64 {
        match self.looped.filter(|_| self.playing && self.goes_around()) {
            Some((from, to)) if (from..to).contains(&self.began) && song > to - 1e-6 => song - (to - from),
            _ => song,
        }
    }

    /// Where on the line the loop wraps next, and how long it is.
    fn wrap(&self, song: f64) -> Option<(Beats, Beats)> {
        let (from, to) = self.looped.filter(|(from, to)| (from - 1e-6..to - 1e-6).contains(&song))?;
        Some((Beats(self.line + to - song), Beats(to - from)))
    }

    /// Beats since the last bar line. Realtime: yes.
    pub fn into_bar(&self) -> Beats {
        Beats(self.bars.since(self.around(self.song), self.meter))
    }

    /// The time signature. Realtime: yes.
    pub fn meter(&self) -> Meter {
        self.meter
    }

    /// Where on the line the next beat of the song is, or this one. Realtime: yes.
    pub fn next_beat(&self) -> Beats {
        let song = self.around(self.song);
        Beats(self.line + libm::fmax(libm::ceil(song - 1e-6) - song, 0.0))
    }

    /// Position on the line. Realtime: yes.
    pub fn line(&self) -> Beats {
        Beats(self.line)
    }

    /// Song position. Realtime: yes.
    pub fn song(&self) -> Beats {
        Beats(self.song)
    }

    /// The current epoch. Realtime: yes.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether the host rolls. Realtime: yes.
    pub fn playing(&self) -> bool {
        self.playing
    }

    /// Tempo. Realtime: yes.
    pub fn tempo(&self) -> Bpm {
        self.tempo
    }

    /// Milliseconds since `at`; negative if it is ahead. Realtime: yes.
    pub fn milliseconds_since(&self, at: Beats) -> f64 {
        (self.line - at.0) * 60_000.0 / self.tempo.0
    }
}

/// Without the last bits, which depend on how the host cuts time into blocks: no answer may.
fn plain(place: f64) -> f64 {
    const PARTS: f64 = 1_048_576.0;
    libm::round(place * PARTS) / PARTS
}

/// Whether grid points of the line stay those of the song around a loop of this length.
fn is_on_grid(length: f64) -> bool {
    let steps = length * f64::from(GRID);
    libm::fabs(steps - libm::round(steps)) < 1e-5
}
