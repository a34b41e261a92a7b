//! The line: where the music stands, block by block.
//!
//! The host says where its song is, how fast and whether it rolls; where it says nothing an internal tempo
//! serves, and the song position runs on. See [`crate::message`] for what the line is.

use crate::bars::Bars;
use crate::message::{Cut, GRID, Tick};
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
}

/// Where the music stands at the current sample.
#[derive(Clone, Debug)]
pub struct Clock {
    rate: f64,
    line: f64,
    song: f64,
    tempo: Bpm,
    meter: Meter,
    bars: Bars,
    playing: bool,
    epoch: Epoch,
    wrapped: bool,
    looped: Option<(f64, f64)>,
    grid: f64, // number of the next grid point on the line
}

/// A song position this many beats away from the expected one is a jump; tempo ramps stay below.
const JUMP: f64 = 0.05;
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
            meter: Meter::COMMON,
            bars: Bars::default(),
            playing: false,
            epoch: Epoch(0),
            wrapped: false,
            looped: None,
            grid: 0.0,
        }
    }

    /// The same music at another sample rate. Realtime: yes.
    pub fn at_rate(self, rate: f64) -> Self {
        Self { rate: if rate > 0.0 { rate } else { self.rate }, ..self }
    }

    /// Takes in what the host says; gives the reason of a new epoch, if one begins. `internal` is the tempo
    /// where the host has none. Realtime: yes.
    pub fn begin(&mut self, host: &Host, internal: Bpm) -> Option<Cut> {
        let tempo = host.tempo.filter(|tempo| tempo.is_finite() && (5.0..=2000.0).contains(tempo));
        self.tempo = tempo.map_or(internal, Bpm);
        self.meter =
            host.meter.filter(|meter| meter.numerator > 0 && meter.denominator > 0).unwrap_or(self.meter);
        self.looped = host.looped.filter(|(from, to)| from.is_finite() && to.is_finite() && to > from);
        let song = host.song.filter(|song| song.is_finite() && song.abs() < 1e9 && host.playing);
        let cut = match (song, host.playing == self.playing) {
            (song, false) => Some((song, Cut::Transport)),
            (Some(song), true) if self.comes_round(song, host.looped) => {
                self.wrapped = true;
                let length = host.looped.map_or(0.0, |(from, to)| to - from);
                if is_whole(length) {
                    self.song -= length;
                    self.drift(song);
                }
                (!is_whole(length)).then_some((Some(song), Cut::Seek))
            }
            (Some(song), true) if libm::fabs(song - self.song) > JUMP => Some((Some(song), Cut::Seek)),
            (Some(song), true) => {
                self.drift(song);
                None
            }
            (None, true) => None,
        };
        self.playing = host.playing;
        self.follow_bars(host, song, cut.is_some_and(|(_, why)| why == Cut::Transport), cut.is_some());
        let (song, why) = cut?;
        self.jump(song.unwrap_or(self.song));
        Some(why)
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

    /// Whether the host is back at the start of a loop, where it was expected behind its end. Around a loop of whole beats
    /// the line runs on, and what is planned stays.
    fn comes_round(&self, song: f64, looped: Option<(f64, f64)>) -> bool {
        let length = looped.map(|(from, to)| to - from).filter(|length| *length > JUMP);
        length.is_some_and(|length| libm::fabs(self.song - length - song) < 1.01 / HOST_TICKS)
    }

    /// The loop that the song is in, from and to, if it is in one. Realtime: yes.
    pub fn looped(&self) -> Option<(Beats, Beats)> {
        let inside = |(from, to): &(f64, f64)| self.song > from - 1e-6 && self.song < to - 1e-6;
        self.looped.filter(inside).map(|(from, to)| (Beats(from), Beats(to)))
    }

    /// Whether the line runs on where the loop begins anew. Realtime: yes.
    pub fn goes_around(&self) -> bool {
        self.looped.is_some_and(|(from, to)| is_whole(to - from))
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
        Tick { at: Beats(at), song: Beats(self.song + at - self.line), ..self.tick(offline) }
    }

    /// Where the music stands now. Realtime: yes.
    pub fn tick(&self, offline: bool) -> Tick {
        let into = self.bars.since(self.song, self.meter);
        Tick {
            at: Beats(self.line),
            song: Beats(self.song),
            bar: Beats(self.line - into),
            wrap: self.wrap(),
            meter: self.meter,
            tempo: self.tempo,
            playing: self.playing,
            offline,
            epoch: self.epoch,
        }
    }

    /// Where on the line the loop wraps next, and how long it is.
    fn wrap(&self) -> Option<(Beats, Beats)> {
        let (from, to) = self.looped.filter(|(from, to)| (*from..*to).contains(&self.song))?;
        Some((Beats(self.line + to - self.song), Beats(to - from)))
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

fn is_whole(length: f64) -> bool {
    libm::fabs(length - libm::round(length)) < 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(song: f64, tempo: f64) -> Host {
        Host { playing: true, song: Some(song), tempo: Some(tempo), ..Host::default() }
    }

    /// Grid points passed, as (sample, 24ths of a beat), for blocks of `block` samples.
    fn grid(block: u32, tempo: f64, rate: f64, samples: u32) -> std::vec::Vec<(u32, i64)> {
        let mut clock = Clock::new(rate);
        let mut passed = std::vec::Vec::new();
        let mut now = 0;
        while now < samples {
            clock.begin(&host(f64::from(now) * tempo / 60.0 / rate, tempo), Bpm(120.0));
            let mut left = block;
            loop {
                let next = clock.samples_to_grid();
                if next >= left {
                    clock.advance(left);
                    now += left;
                    break;
                }
                clock.advance(next);
                now += next;
                left -= next;
                #[allow(clippy::cast_possible_truncation)]
                passed.push((now, (clock.pass_grid(false).at.0 * 24.0).round() as i64));
            }
        }
        passed.retain(|&(at, _)| at < samples);
        passed
    }

    #[test]
    fn grid_points_fall_on_the_same_samples_at_any_block_size() {
        for (tempo, rate) in [(120.0, 48_000.0), (97.3, 44_100.0), (61.0, 96_000.0)] {
            let whole = grid(4096, tempo, rate, 100_000);
            assert!(whole.len() > 20);
            for block in [1, 16, 333, 1000] {
                assert_eq!(grid(block, tempo, rate, 100_000), whole, "block {block} at {tempo}");
            }
        }
    }

    #[test]
    fn a_seek_starts_an_epoch_and_the_line_goes_on_with_the_fraction_of_the_song() {
        let mut clock = Clock::new(48_000.0);
        assert_eq!(clock.begin(&host(7.25, 120.0), Bpm(120.0)), Some(Cut::Transport));
        clock.advance(24_000);
        let before = clock.line().0;
        assert_eq!(clock.begin(&host(8.25, 120.0), Bpm(120.0)), None);
        assert_eq!(clock.begin(&host(0.5, 120.0), Bpm(120.0)), Some(Cut::Seek));
        assert!(clock.line().0 >= before && (clock.line().0.fract() - 0.5).abs() < 1e-9);
        assert_eq!(clock.epoch(), Epoch(2));
        assert!((clock.tick(false).bar.0 - (clock.line().0 - 0.5)).abs() < 1e-9);
    }

    #[test]
    fn without_a_host_the_internal_tempo_serves() {
        let mut clock = Clock::new(48_000.0);
        assert_eq!(clock.begin(&Host::default(), Bpm(90.0)), None);
        clock.advance(32_000);
        assert!((clock.line().0 - 1.0).abs() < 1e-9);
        assert_eq!(clock.begin(&Host { tempo: Some(f64::NAN), ..Host::default() }, Bpm(60.0)), None);
        assert_eq!(clock.tempo(), Bpm(60.0));
    }

    #[test]
    fn a_loop_of_whole_beats_goes_on_and_another_is_a_seek() {
        for (to, cut) in [(4.0, None), (4.5, Some(Cut::Seek))] {
            let mut clock = Clock::new(48_000.0);
            clock.begin(&host(to - 1.0, 120.0), Bpm(120.0));
            clock.advance(24_000);
            let before = clock.line().0;
            let wrap = Host { looped: Some((0.0, to)), ..host(0.0, 120.0) };
            assert_eq!(clock.begin(&wrap, Bpm(120.0)), cut);
            assert!(clock.take_wrap() && !clock.take_wrap(), "it came round, and that is told once");
            assert_eq!(clock.song().0, 0.0);
            assert!(cut.is_some() || clock.line().0 == before);
        }
    }

    #[test]
    fn bars_are_where_the_host_says() {
        let mut clock = Clock::new(48_000.0);
        let waltz = Meter { numerator: 3, denominator: 4 };
        let told = |song, bar| Host { meter: Some(waltz), bar: Some(bar), ..host(song, 120.0) };
        // After four bars of four: beat 17 is the second of a bar.
        clock.begin(&told(17.0, 16.0), Bpm(120.0));
        assert!((clock.tick(false).bar.0 - (clock.line().0 - 1.0)).abs() < 1e-9);
        clock.advance(60_000);
        assert!((clock.tick(false).bar.0 - (clock.line().0 - 0.5)).abs() < 1e-9, "the next bar began at 19");
        clock.begin(&told(2.0, 0.0), Bpm(120.0));
        assert!((clock.tick(false).bar.0 - (clock.line().0 - 2.0)).abs() < 1e-9);
    }

    #[test]
    fn a_host_that_rounds_its_position_moves_no_note() {
        let mut clock = Clock::new(48_000.0);
        let per_block = 512.0 * 120.0 / 60.0 / 48_000.0;
        clock.begin(&host(0.0, 120.0), Bpm(120.0));
        for block in 1..2000_u32 {
            clock.advance(512);
            let song = f64::from(block) * per_block;
            clock.begin(&host((song * 1920.0).floor() / 1920.0, 120.0), Bpm(120.0));
            // Half a tick is the rounding's mean; what is left must be less than a sample.
            let samples = (clock.song().0 - song) / per_block * 512.0;
            assert!((-7.5..=0.5).contains(&samples), "{samples} samples at block {block}");
        }
        let before = clock.song().0;
        clock.advance(512);
        assert!((clock.song().0 - before - per_block).abs() < 1e-9);
    }

    #[test]
    fn ramps_are_not_seeks() {
        let mut clock = Clock::new(48_000.0);
        let mut song = 0.0;
        clock.begin(&host(song, 60.0), Bpm(120.0));
        for block in 0..400_u32 {
            let tempo = 60.0 + f64::from(block) * 0.5;
            // The ramp inside the block: the host is ahead of a constant tempo.
            song += 512.0 * (tempo + 0.25) / 60.0 / 48_000.0;
            clock.advance(512);
            assert_eq!(clock.begin(&host(song, tempo + 0.5), Bpm(120.0)), None);
        }
    }
}
