//! Random performances through the real audio thread, worker and engine: while the model can answer the plan never runs
//! dry, nothing is late, and every note that sounds ends. Transports and input as they fall, malformed ones too.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use continuo_plugin::events::{Events, Input, Output};
use continuo_plugin::link::link;
use continuo_plugin::params::{ContinuoParams, Target};
use continuo_plugin::processor::Audio;
use continuo_plugin::state::{Take, TakeNote, TakeStore};
use continuo_plugin::view::{Activity, View};
use continuo_plugin::worker::{Memory, Worker};
use continuo_tests::random::Random;
use continuo_timeline::{Channel, Host, Key, Meter, Velocity};

const RATE: f64 = 16_000.0;
/// The channel of the take that is played around, which answers do not use.
const TAKE: u8 = 5;
/// Who plays on is never silent for so many beats.
const SILENCE: f64 = 8.0;

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
    /// Whether the host stopped and the player has not played since: then nobody plays along.
    waits: bool,
    /// Beats that the player still plays.
    plays: f64,
    /// Beats since a generated note began; none before the first.
    quiet: Option<f64>,
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
        let takes = Arc::new(TakeStore::default());
        takes.keep(take());
        let memory = Memory::new(Arc::clone(&view), takes, Arc::default());
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
            waits: false,
            plays: f64::INFINITY,
            quiet: None,
            looked: 0,
        }
    }

    /// Something happens to the transport.
    fn act(&mut self, which: u64) {
        self.ramp = 0.0;
        match which {
            0 => self.song = self.random.between(-2.0, 60.0),
            1 => {
                self.waits |= self.playing;
                self.playing = !self.playing;
            }
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
            alone: false,
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
        self.plays -= beats;
        if self.next <= 0.0 && self.plays > 0.0 {
            if std::mem::take(&mut self.waits) {
                self.steady = 0.0;
            }
            let key = Key(self.random.one(&[57, 60, 62, 64, 65, 67, 69, 72]));
            into.push((0, Input::On { key, channel, velocity }));
            self.held.push((self.random.between(0.1, 2.0), key));
            self.next = self.random.one(&[0.25, 0.5, 0.5, 1.0, 1.5]);
        }
        let frame = u32::try_from(self.block).unwrap_or(1) - 1;
        if self.plays <= 0.0 {
            into.push((frame, Input::Pedal { channel, down: false }));
            return into;
        }
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
        self.quiet = self.quiet.map(|quiet| quiet + beats);
        self.go_on(beats);
    }

    /// Ends before beginnings: a key that sounds does not begin.
    fn heard(&mut self, output: Output) {
        match output {
            Output::On { key, channel, .. } => {
                assert!(!self.sounding.contains(&(channel, key)), "{key:?} began twice");
                if channel.0 != TAKE {
                    self.quiet = Some(0.0);
                }
                self.sounding.push((channel, key));
            }
            Output::Off { key, channel } => self.sounding.retain(|one| *one != (channel, key)),
            Output::PedalUp { .. } | Output::BendBack { .. } => {}
        }
    }

    fn go_on(&mut self, beats: f64) {
        if !self.playing {
            return;
        }
        self.song += beats;
        if let Some((from, to)) = self.looped.filter(|(_, to)| self.song >= *to && self.song - beats < *to) {
            self.song -= to - from;
            // Around a loop of broken grid steps the line starts anew.
            if ((to - from) * 24.0).fract() != 0.0 {
                self.steady = 0.0;
            }
        }
    }

    /// Whoever plays along has something in hand as soon as a plan can begin after the host did anything.
    fn look(&mut self) {
        self.steady += self.block as f64 / RATE * self.tempo / 60.0;
        // What is committed at least, and half a beat.
        let horizon = (0.2 * self.tempo / 60.0).max(0.5);
        if self.waits || self.steady < horizon + 0.5 {
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

/// Quarter notes and a bass, longer than any song here.
fn take() -> Take {
    let note = |beat: u32| TakeNote {
        at: f64::from(beat),
        len: 0.9,
        key: [48, 55, 60, 64][beat as usize % 4],
        velocity: 80,
        instrument: 0,
        channel: TAKE,
    };
    Take { notes: (0..240).map(note).collect(), ..Take::default() }
}

/// Plays for so many seconds; how often the plan was looked at, and beats that were hit.
fn perform(seed: u64, mode: f32, seconds: f64) -> (u32, u32) {
    let mut performance = Performance::new(seed, mode);
    let (mut at, mut act) = (0.0, 4.0);
    while at < seconds {
        at += performance.block as f64 / RATE;
        if at >= act {
            let which = performance.random.below(7);
            performance.act(which);
            act = at + performance.random.between(0.5, 5.0);
        }
        performance.step();
        performance.look();
    }
    let looked = performance.looked;
    (looked, performance.end())
}

/// Who holds goes on, and who plays around a take does, whatever the host does but stop: judged by what is heard. The
/// player stops after a few beats. How many notes there were.
fn goes_on(seed: u64, mode: f32, seconds: f64) -> u32 {
    let mut performance = Performance::new(seed, mode);
    performance.plays = 5.0;
    let (mut at, mut act) = (0.0, 8.0);
    while at < seconds {
        at += performance.block as f64 / RATE;
        if at >= act {
            let which = performance.random.one(&[0, 2, 3, 4, 5, 6]);
            performance.act(which);
            act = at + performance.random.between(3.0, 6.0);
        }
        performance.step();
        let quiet = performance.quiet.unwrap_or(if at > 16.0 { f64::INFINITY } else { 0.0 });
        assert!(quiet < SILENCE, "seed {seed}, mode {mode}: silent for {quiet} beats at {at} s");
    }
    let notes = performance.view.notes_out.load(Ordering::Relaxed);
    performance.end();
    notes
}

impl Performance {
    /// The host stops the plugin: beats that were hit.
    fn end(mut self) -> u32 {
        let count = |counter: &std::sync::atomic::AtomicU32| counter.load(Ordering::Relaxed);
        let counts = (count(&self.view.misses), count(&self.view.late), count(&self.view.dropped));
        assert_eq!(counts, (0, 0, 0), "beats missed, notes late, messages lost");
        // Everything ends when the host stops the plugin.
        self.audio.reset();
        self.ramp = 0.0;
        let mut block = Block::default();
        let host = self.host();
        self.audio.process(&host, &mut block, &mut [0.0; 64], &mut [0.0; 64]);
        block.out.iter().for_each(|(_, output)| self.heard(*output));
        assert_eq!(self.sounding, [], "they hang");
        count(&self.view.hits)
    }
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

#[test]
fn who_holds_and_who_accompanies_are_heard_all_the_time() {
    for mode in [2.0, 4.0] {
        let notes: u32 = (0..3).map(|seed| goes_on(seed, mode, 24.0)).sum();
        assert!(notes > 100, "mode {mode}: {notes} notes show little");
    }
}
