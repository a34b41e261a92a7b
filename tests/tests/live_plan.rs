//! Random performances through the real audio thread, worker and engine: while the model can answer the plan never runs
//! dry, nothing is late, and every note that sounds ends. Transports and input as they fall, malformed ones too.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use continuo_plugin::events::{Events, Input, Output};
use continuo_plugin::link::link;
use continuo_plugin::params::{ContinuoParams, Target};
use continuo_plugin::processor::Audio;
use continuo_plugin::view::{Activity, View};
use continuo_plugin::worker::{Memory, Worker};
use continuo_tests::random::Random;
use continuo_timeline::{Channel, Host, Key, Meter, Velocity};

const RATE: f64 = 16_000.0;

/// A host's events of one block.
#[derive(Default)]
struct Block {
    into: Vec<(u32, Input)>,
    out: Vec<(u32, Output)>,
}

impl Events for Block {
    fn next(&mut self) -> Option<(u32, Input)> {
        (!self.into.is_empty()).then(|| self.into.remove(0))
    }

    fn pass(&mut self) {}

    fn send(&mut self, frame: u32, output: Output) {
        self.out.push((frame, output));
    }
}

/// One instance, its host and its player.
struct Performance {
    audio: Audio,
    _worker: Worker,
    view: Arc<View>,
    random: Random,
    block: usize,
    song: f64,
    tempo: f64,
    /// Beats a minute that a second adds.
    ramp: f64,
    looped: Option<(f64, f64)>,
    meter: Meter,
    playing: bool,
    /// The player's next note, in beats from now, and what is held for how long.
    next: f64,
    held: Vec<(f64, Key)>,
    /// Keys of answers that sound.
    sounding: Vec<(Channel, Key)>,
    /// Beats since the host did something other than to go on.
    steady: f64,
    /// Beats at which a plan had to be there.
    looked: u32,
}

impl Performance {
    fn new(seed: u64, mode: f32) -> Self {
        let view = Arc::new(View::default());
        let params = Arc::new(ContinuoParams::new(Arc::default(), Arc::default(), Arc::default()));
        // Modes are a list of five.
        params.learnt.0.put(Target::Mode, mode / 4.0);
        let (side, worker) = link();
        let memory = Memory::new(Arc::clone(&view), Arc::default(), Arc::default());
        let worker = Worker::start(worker, memory);
        let audio = Audio::new(params, Arc::clone(&view), side, RATE, true);
        let mut random = Random(seed);
        let (block, tempo) = (random.one(&[32, 100, 256, 480, 1024, 4096]), random.between(50.0, 200.0));
        Self {
            audio,
            _worker: worker,
            view,
            random,
            block,
            song: 0.0,
            tempo,
            ramp: 0.0,
            looped: None,
            meter: Meter::COMMON,
            playing: true,
            next: 0.3,
            held: Vec::new(),
            sounding: Vec::new(),
            steady: 0.0,
            looked: 0,
        }
    }

    /// Something happens to the transport.
    fn act(&mut self) {
        self.ramp = 0.0;
        match self.random.below(7) {
            0 => self.song = self.random.between(-2.0, 60.0),
            1 => self.playing = !self.playing,
            2 => self.tempo = self.random.between(50.0, 220.0),
            3 => self.ramp = self.random.between(-15.0, 15.0),
            4 => {
                let from = self.random.between(0.0, 30.0).floor();
                self.looped = Some((from, from + self.random.one(&[1.0, 2.5, 4.0, 8.0])));
                self.song = from;
            }
            5 => self.looped = None,
            _ => {
                let (numerator, denominator) = self.random.one(&[(3, 4), (7, 8), (4, 4), (5, 4), (6, 8)]);
                self.meter = Meter { numerator, denominator };
                return;
            }
        }
        self.steady = 0.0;
    }

    /// What the host says, sometimes less, sometimes nonsense that it must not say.
    fn host(&mut self) -> Host {
        let nonsense = self.random.below(400) == 0;
        Host {
            playing: self.playing,
            song: Some(if nonsense { f64::NAN } else { self.song }),
            tempo: Some(if nonsense { f64::INFINITY } else { self.tempo }),
            meter: (self.random.below(9) > 0).then_some(self.meter),
            bar: None,
            looped: self.looped,
        }
    }

    /// A player who never stops for longer than a beat and a half, and sends what no keyboard sends.
    fn play(&mut self, beats: f64) -> Vec<(u32, Input)> {
        let mut into = Vec::new();
        let (channel, velocity) = (Channel(0), Velocity(80));
        self.next -= beats;
        for (left, key) in &mut self.held {
            *left -= beats;
            if *left <= 0.0 {
                into.push((0, Input::Off { key: *key, channel }));
            }
        }
        self.held.retain(|(left, _)| *left > 0.0);
        if self.next <= 0.0 {
            let key = Key(self.random.one(&[57, 60, 62, 64, 65, 67, 69, 72]));
            into.push((0, Input::On { key, channel, velocity }));
            self.held.push((self.random.between(0.1, 2.0), key));
            self.next = self.random.one(&[0.25, 0.5, 0.5, 1.0, 1.5]);
        }
        let frame = u32::try_from(self.block).unwrap_or(1) - 1;
        match self.random.below(60) {
            0 => into.push((frame, Input::Off { key: Key(99), channel: Channel(3) })),
            1 => into.extend(
                (0..2048_u32)
                    .map(|n| (frame, Input::Controller { channel, number: (n % 128) as u8, value: 0.5 })),
            ),
            2 => into.push((frame, Input::Pedal { channel, down: true })),
            3 => into.push((frame, Input::Pedal { channel, down: false })),
            4 => into.push((frame, Input::Bend { channel: Channel(15), semitones: f32::NAN })),
            // Behind the end of the block.
            5 => into.push((frame + 999, Input::Other)),
            _ => {}
        }
        into
    }

    fn step(&mut self) {
        let seconds = self.block as f64 / RATE;
        self.tempo = (self.tempo + self.ramp * seconds).clamp(45.0, 230.0);
        let beats = seconds * self.tempo / 60.0;
        let host = self.host();
        let mut block = Block { into: self.play(beats), out: Vec::new() };
        let (mut left, mut right) = (vec![0.0; self.block], vec![0.0; self.block]);
        self.audio.process(&host, &mut block, &mut left, &mut right);
        assert!(left.iter().chain(&right).all(|x| x.is_finite() && x.abs() <= 1.0));
        assert!(block.out.is_sorted_by_key(|(frame, _)| *frame), "out of order: {:?}", block.out);
        block.out.iter().for_each(|(_, output)| self.heard(*output));
        self.go_on(beats);
        self.look(beats);
    }

    /// Ends before beginnings: a key that sounds does not begin.
    fn heard(&mut self, output: Output) {
        match output {
            Output::On { key, channel, .. } => {
                assert!(!self.sounding.contains(&(channel, key)), "{key:?} began twice");
                self.sounding.push((channel, key));
            }
            Output::Off { key, channel } => self.sounding.retain(|one| *one != (channel, key)),
        }
    }

    fn go_on(&mut self, beats: f64) {
        if !self.playing {
            return;
        }
        self.song += beats;
        if let Some((from, to)) = self.looped.filter(|(_, to)| self.song >= *to && self.song - beats < *to) {
            self.song -= to - from;
            // Around a loop of broken beats the line starts anew.
            if (to - from).fract() != 0.0 {
                self.steady = 0.0;
            }
        }
    }

    /// Whoever plays along has something in hand by two beats after the host did anything.
    fn look(&mut self, beats: f64) {
        self.steady += beats;
        if self.steady < 3.0 {
            return;
        }
        self.looked += 1;
        let picture = Arc::clone(&self.view.picture.lock().unwrap_or_else(PoisonError::into_inner));
        assert!(
            matches!(picture.activity, Activity::Playing | Activity::Thinking | Activity::Listening),
            "{:?} after {} beats",
            picture.activity,
            self.steady
        );
        let line = f64::from_bits(self.view.line.load(Ordering::Relaxed));
        let planned = picture.answer_at.unwrap_or(f64::NEG_INFINITY) + 2.0 * self.meter.bar().0;
        assert!(planned > line, "the plan ends at {planned}, and the music is at {line}");
    }
}

/// Plays for so many seconds; how often the plan was looked at, and beats that were hit.
fn perform(seed: u64, mode: f32, seconds: f64) -> (u32, u32) {
    let mut performance = Performance::new(seed, mode);
    let (mut at, mut act) = (0.0, 4.0);
    while at < seconds {
        at += performance.block as f64 / RATE;
        if at >= act {
            performance.act();
            act = at + performance.random.between(0.5, 5.0);
        }
        performance.step();
    }
    let count = |counter: &std::sync::atomic::AtomicU32| counter.load(Ordering::Relaxed);
    let view = &performance.view;
    let counts = (count(&view.misses), count(&view.late), count(&view.dropped));
    assert_eq!(counts, (0, 0, 0), "beats missed, notes late, messages lost");
    // Everything ends when the host stops the plugin.
    performance.audio.reset();
    performance.ramp = 0.0;
    let mut block = Block::default();
    let host = performance.host();
    performance.audio.process(&host, &mut block, &mut [0.0; 64], &mut [0.0; 64]);
    block.out.iter().for_each(|(_, output)| performance.heard(*output));
    assert_eq!(performance.sounding, [], "they hang");
    (performance.looked, count(&performance.view.hits))
}

#[test]
fn the_plan_of_a_duet_never_runs_dry() {
    let (mut looked, mut hits) = (0, 0);
    for seed in 0..8 {
        let (more, beats) = perform(seed, 3.0, 12.0);
        (looked, hits) = (looked + more, hits + beats);
    }
    assert!(looked > 500 && hits > 60, "{looked} looks and {hits} beats show little");
}
