//! The audio thread alone, with plans of our own: the late rule, and what a control or a mode does to what sounds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use continuo_timeline::{Beats, Channel, Epoch, FromWorker, Host, Instrument, Key, Note, ToWorker, Velocity};

use super::Audio;
use crate::events::{Events, Input, Output};
use crate::link::{WorkerSide, link};
use crate::params::ContinuoParams;
use crate::view::View;

const RATE: f64 = 48_000.0;
const BLOCK: usize = 480;

/// A host's events of one block: some come in, what goes out is kept.
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

/// An audio thread at 120 beats a minute: 10 ms a block.
struct Stage {
    audio: Audio,
    worker: WorkerSide,
    view: Arc<View>,
    blocks: u32,
    out: Vec<(u32, Output)>,
}

impl Stage {
    fn new() -> Self {
        let (side, worker) = link();
        let view = Arc::new(View::default());
        let params = Arc::new(ContinuoParams::new(Arc::default(), Arc::default(), Arc::default()));
        let audio = Audio::new(params, Arc::clone(&view), side, RATE, false);
        let mut stage = Self { audio, worker, view, blocks: 0, out: Vec::new() };
        stage.play(1, &[]);
        stage
    }

    /// Blocks of 10 ms; what comes in comes with the first.
    fn play(&mut self, blocks: u32, into: &[(u32, Input)]) {
        let mut into = into.to_vec();
        for _ in 0..blocks {
            let song = f64::from(self.blocks) * BLOCK as f64 / RATE * 2.0;
            let host =
                Host { playing: true, song: Some(song), tempo: Some(120.0), meter: None, looped: None };
            let mut block = Block { into: std::mem::take(&mut into), out: Vec::new() };
            let (mut left, mut right) = ([0.0; BLOCK], [0.0; BLOCK]);
            self.audio.process(&host, &mut block, &mut left, &mut right);
            let start = self.blocks * BLOCK as u32;
            self.out.extend(block.out.iter().map(|(frame, output)| (start + frame, *output)));
            self.blocks += 1;
        }
    }

    /// The epoch that the audio thread told of last.
    fn epoch(&mut self) -> Epoch {
        let mut epoch = self.audio.clock.epoch();
        while let Some(message) = self.worker.receive() {
            if let ToWorker::Epoch { epoch: newer, .. } = message {
                epoch = newer;
            }
        }
        epoch
    }

    /// Plans a note of half a beat, so many milliseconds from now.
    fn plan(&mut self, key: u8, milliseconds: f64) {
        let at = Beats(self.audio.clock.line().0 + milliseconds / 500.0);
        let note = Note {
            at,
            len: Beats(0.5),
            key: Key(key),
            velocity: Velocity(80),
            instrument: Instrument(0),
            channel: Channel(0),
        };
        let epoch = self.epoch();
        self.worker.send(FromWorker::Planned { note, epoch }).expect("room");
    }

    fn ons(&self) -> Vec<u8> {
        let on = |(_, output): &(u32, Output)| match output {
            Output::On { key, .. } => Some(key.0),
            Output::Off { .. } => None,
        };
        self.out.iter().filter_map(on).collect()
    }

    fn offs(&self) -> usize {
        self.out.iter().filter(|(_, output)| matches!(output, Output::Off { .. })).count()
    }

    fn late(&self) -> u32 {
        self.view.late.load(Ordering::Relaxed)
    }
}

#[test]
fn notes_a_little_late_are_played_and_late_ones_alone_or_not_at_all() {
    // Up to 20 ms: at once, even if another follows.
    let mut stage = Stage::new();
    stage.plan(60, -18.0);
    stage.plan(62, -1.0);
    stage.play(60, &[]);
    assert_eq!((stage.ons(), stage.late(), stage.offs()), (vec![60, 62], 0, 2));
    // Up to 100 ms: only when nothing follows it.
    let mut stage = Stage::new();
    stage.plan(60, -90.0);
    stage.play(60, &[]);
    assert_eq!((stage.ons(), stage.late()), (vec![60], 0));
    let mut stage = Stage::new();
    stage.plan(60, -90.0);
    stage.plan(62, -1.0);
    stage.play(60, &[]);
    assert_eq!((stage.ons(), stage.late(), stage.offs()), (vec![62], 1, 1), "its end is dropped with it");
    // Later: never.
    let mut stage = Stage::new();
    stage.plan(60, -110.0);
    stage.play(60, &[]);
    assert_eq!((stage.ons(), stage.late(), stage.offs()), (vec![], 1, 0));
}

#[test]
fn what_comes_all_too_late_is_no_burst() {
    let mut stage = Stage::new();
    for number in 0..20 {
        stage.plan(60 + number, -400.0 + 20.0 * f64::from(number));
    }
    stage.play(60, &[]);
    // Of 20 notes of the last 400 ms those of the last 20 are played.
    assert_eq!(stage.ons(), [79]);
    assert_eq!(stage.late(), 19);
}

#[test]
fn a_plan_plays_on_its_sample_until_another_replaces_it() {
    let mut stage = Stage::new();
    for (key, at) in [(60, 100.0), (62, 200.0), (64, 300.0)] {
        stage.plan(key, at);
    }
    stage.play(12, &[]);
    let from = Beats(stage.audio.clock.line().0 + 0.1);
    let epoch = stage.epoch();
    stage.worker.send(FromWorker::Replan { from, epoch }).expect("room");
    stage.plan(67, 150.0);
    stage.play(60, &[]);
    assert_eq!(stage.ons(), [60, 67]);
    // 10 ms had passed when the first was planned 100 ms ahead.
    assert_eq!(stage.out[0].0, 480 + 4_800);
}

#[test]
fn a_player_who_comes_in_ends_the_answer_at_once() {
    let mut stage = Stage::new();
    let (asked, end, epoch) = (stage.audio.clock.line(), Beats(20.0), stage.epoch());
    stage.worker.send(FromWorker::AnswerEnds { asked, end, epoch }).expect("room");
    stage.plan(60, 50.0);
    stage.plan(62, 200.0);
    stage.play(10, &[]);
    let on = Input::On { key: Key(40), channel: Channel(0), velocity: Velocity(90) };
    let before = stage.blocks * BLOCK as u32;
    stage.play(60, &[(33, on)]);
    assert_eq!(stage.ons(), [60]);
    let (at, _) = stage.out.iter().find(|(_, output)| matches!(output, Output::Off { .. })).expect("an end");
    assert_eq!(*at, before + 33);
}
