//! The audio thread alone, with plans and takes of our own: the late rule, and what a control, a loop or a mode does to
//! what sounds.

mod own;
mod passing;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use continuo_timeline::{
    Beats, Bpm, Channel, Epoch, FromWorker, Host, Instrument, Key, Note, Press, ToWorker, Velocity,
};

use super::Audio;
use crate::events::{Events, Input, Output};
use crate::link::{WorkerSide, link};
use crate::params::{ContinuoParams, Target};
use crate::view::View;

const RATE: f64 = 48_000.0;
const BLOCK: usize = 480;

/// A host's events of one block: some come in, what goes out is kept.
#[derive(Default)]
struct Block {
    into: Vec<(u32, Input)>,
    out: Vec<(u32, Output)>,
    /// What came in last, and what of it was passed on.
    newest: Option<Input>,
    passed: Vec<Input>,
}

impl Events for Block {
    fn next(&mut self) -> Option<(u32, Input)> {
        let next = (!self.into.is_empty()).then(|| self.into.remove(0));
        self.newest = next.map(|(_, input)| input);
        next
    }

    fn pass(&mut self) {
        self.passed.extend(self.newest);
    }

    fn send(&mut self, frame: u32, output: Output) {
        self.out.push((frame, output));
    }
}

/// An audio thread at 120 beats a minute: 10 ms a block.
struct Stage {
    audio: Audio,
    worker: WorkerSide,
    view: Arc<View>,
    params: Arc<ContinuoParams>,
    /// Song positions between which the host loops; it says so with the next block.
    looped: Option<(f64, f64)>,
    /// Whether the host has no song that anybody steers, and says that it rolls.
    alone: Option<bool>,
    rounds: u32,
    blocks: u32,
    out: Vec<(u32, Output)>,
    passed: Vec<Input>,
    /// Loudest of each block, in 1/255.
    peaks: Vec<u8>,
}

impl Stage {
    fn new() -> Self {
        let (side, worker) = link();
        let view = Arc::new(View::default());
        let params = Arc::new(ContinuoParams::new(Arc::default(), Arc::default(), Arc::default()));
        let audio = Audio::new(Arc::clone(&params), Arc::clone(&view), side, RATE, false);
        let (looped, alone) = (None, None);
        let (out, passed, peaks) = (Vec::new(), Vec::new(), Vec::new());
        let mut stage =
            Self { audio, worker, view, params, looped, alone, rounds: 0, blocks: 0, out, passed, peaks };
        stage.play(1, &[]);
        stage
    }

    /// Where the host's song is.
    fn song(&mut self) -> f64 {
        let played = f64::from(self.blocks) * BLOCK as f64 / RATE * 2.0;
        let Some((from, to)) = self.looped else { return played };
        if played - f64::from(self.rounds) * (to - from) >= to - 1e-9 {
            self.rounds += 1;
        }
        played - f64::from(self.rounds) * (to - from)
    }

    /// A learnt controller turns a parameter to a share of its range.
    fn turn(&self, target: Target, share: f32) {
        self.params.learnt.0.put(target, share);
    }

    /// A take: keys and song positions, each an eighth of a beat long.
    fn take(&mut self, notes: &[(u8, f64)]) {
        self.take_of(notes, 0.125);
    }

    /// Of notes of so many beats.
    fn take_of(&mut self, notes: &[(u8, f64)], len: f64) {
        let take = |&(key, at): &(u8, f64)| FromWorker::TakeNote(note(key, at, len));
        let table =
            [FromWorker::TakeBegin].into_iter().chain(notes.iter().map(take)).chain([FromWorker::TakeEnd]);
        table.for_each(|message| self.worker.send(message).expect("room"));
    }

    /// An answer that lasts until beat 20, of which notes sound.
    fn answer(&mut self) {
        let (asked, end, epoch) = (self.audio.clock.line(), Beats(20.0), self.epoch());
        self.worker.send(FromWorker::AnswerEnds { asked, end, epoch }).expect("room");
        self.plan(60, 50.0);
        self.plan(62, 200.0);
        self.play(10, &[]);
    }

    /// A button is pressed between two blocks; what goes out then.
    fn press(&mut self, press: Press) -> Vec<Output> {
        let mut block = Block::default();
        self.audio.press(press, &mut block, 0);
        block.out.into_iter().map(|(_, output)| output).collect()
    }

    /// What the worker was told since.
    fn told(&mut self) -> Vec<ToWorker> {
        std::iter::from_fn(|| self.worker.receive()).collect()
    }

    /// Blocks of 10 ms; what comes in comes with the first.
    fn play(&mut self, blocks: u32, into: &[(u32, Input)]) {
        let mut into = into.to_vec();
        for _ in 0..blocks {
            let host = Host {
                playing: self.alone.unwrap_or(true),
                alone: self.alone.is_some(),
                song: Some(self.song()),
                tempo: Some(120.0),
                looped: self.looped,
                ..Host::default()
            };
            let mut block = Block { into: std::mem::take(&mut into), ..Block::default() };
            let (mut left, mut right) = ([0.0; BLOCK], [0.0; BLOCK]);
            self.audio.process(&host, &mut block, &mut left, &mut right);
            let start = self.blocks * BLOCK as u32;
            self.out.extend(block.out.iter().map(|(frame, output)| (start + frame, *output)));
            self.passed.extend(block.passed);
            self.peaks.push(self.view.peak.load(Ordering::Relaxed));
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
        let note = note(key, self.audio.clock.line().0 + milliseconds / 500.0, 0.5);
        let epoch = self.epoch();
        self.worker.send(FromWorker::Planned { note, epoch }).expect("room");
    }

    fn ons(&self) -> Vec<u8> {
        let on = |(_, output): &(u32, Output)| match output {
            Output::On { key, .. } => Some(key.0),
            _ => None,
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

fn note(key: u8, at: f64, len: f64) -> Note {
    let (velocity, instrument, channel) = (Velocity(80), Instrument(0), Channel(0));
    Note { at: Beats(at), len: Beats(len), key: Key(key), velocity, instrument, channel }
}

fn on(key: u8) -> Input {
    Input::On { key: Key(key), channel: Channel(0), velocity: Velocity(100) }
}

fn off(key: u8) -> Input {
    Input::Off { key: Key(key), channel: Channel(0) }
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
    // A chord is not followed by itself.
    for (follows, ons, late) in [(false, vec![60, 64, 67], 0), (true, vec![72], 3)] {
        let mut stage = Stage::new();
        [60, 64, 67].into_iter().for_each(|key| stage.plan(key, -90.0));
        if follows {
            stage.plan(72, -1.0);
        }
        stage.play(60, &[]);
        assert_eq!((stage.ons(), stage.late()), (ons, late));
    }
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
    stage.answer();
    let before = stage.blocks * BLOCK as u32;
    stage.play(60, &[(33, on(40))]);
    assert_eq!(stage.ons(), [60]);
    let (at, _) = stage.out.iter().find(|(_, output)| matches!(output, Output::Off { .. })).expect("an end");
    assert_eq!(*at, before + 33);
}

#[test]
fn an_answer_that_yields_at_the_next_beat_plays_until_then() {
    let mut stage = Stage::new();
    stage.turn(Target::Yield, 1.0);
    // At beat 1.02.
    stage.plan(64, 500.0);
    stage.answer();
    stage.told();
    stage.play(60, &[(33, on(40))]);
    assert_eq!((stage.ons(), stage.offs()), (vec![60, 62], 2), "62 was planned before the beat");
    let heard = stage.told().into_iter().find_map(|message| match message {
        ToWorker::Epoch { heard, .. } => Some(heard.0),
        _ => None,
    });
    assert_eq!(heard, Some(1.0));
    // One that has not begun does not begin.
    let mut stage = Stage::new();
    stage.turn(Target::Yield, 1.0);
    let (asked, end, epoch) = (stage.audio.clock.line(), Beats(20.0), stage.epoch());
    stage.worker.send(FromWorker::AnswerEnds { asked, end, epoch }).expect("room");
    stage.plan(60, 200.0);
    stage.play(1, &[]);
    stage.play(60, &[(33, on(40))]);
    assert!(stage.ons().is_empty());
}

#[test]
fn another_answer_ends_the_one_that_plays() {
    for press in [Press::Answer, Press::Again] {
        let mut stage = Stage::new();
        stage.answer();
        let before = stage.audio.clock.epoch();
        let ended = stage.press(press);
        assert_eq!(ended, [Output::Off { key: Key(60), channel: Channel(0) }], "{press:?}");
        assert!(stage.audio.clock.epoch() > before);
        stage.play(60, &[]);
        assert_eq!(stage.ons(), [60], "nothing more of the first answer");
    }
    // The key that asks for answers does the same.
    let mut stage = Stage::new();
    stage.turn(Target::Trigger, 0.8);
    stage.play(1, &[]);
    stage.answer();
    stage.play(60, &[(100, on(36))]);
    assert_eq!((stage.ons(), stage.offs()), (vec![60], 1));
    // What is played along with the player goes on.
    let mut stage = Stage::new();
    stage.turn(Target::Mode, 0.75);
    stage.play(1, &[]);
    stage.answer();
    assert_eq!((stage.press(Press::Answer), stage.press(Press::Again)), (vec![], vec![]));
    stage.play(60, &[]);
    assert_eq!(stage.ons(), [60, 62]);
}

#[test]
fn a_take_begins_where_the_song_is() {
    let mut stage = Stage::new();
    let notes: Vec<(u8, f64)> = (0..40).map(|step| (40 + step, 0.1 + 0.1 * f64::from(step))).collect();
    stage.take(&notes);
    // Half a beat passes before takes are to play, and as much again in bypass.
    stage.play(24, &[]);
    stage.turn(Target::Source, 1.0);
    stage.play(10, &[]);
    assert_eq!(stage.ons(), [44, 45], "at beats 0.5 and 0.6");
    stage.turn(Target::Bypass, 1.0);
    stage.play(25, &[]);
    stage.turn(Target::Bypass, 0.0);
    stage.out.clear();
    stage.play(10, &[]);
    assert_eq!(stage.ons(), [51, 52], "at beats 1.2 and 1.3");
}

/// Samples at which a take's first note, and the one in its middle, begin in a loop whose end lies within a block.
fn rounds(to: f64, blocks: u32) -> Vec<(u32, u8)> {
    let mut stage = Stage::new();
    stage.looped = Some((0.01, to));
    stage.turn(Target::Source, 1.0);
    stage.take(&[(60, 0.01), (62, 0.5), (64, to + 0.005)]);
    stage.play(blocks, &[]);
    let on = |(at, output): &(u32, Output)| match output {
        Output::On { key, .. } => Some((*at, key.0)),
        _ => None,
    };
    stage.out.iter().filter_map(on).collect()
}

#[test]
fn a_take_comes_round_with_a_loop_that_ends_within_a_block() {
    // A beat is 24,000 samples. What stands behind the loop's end is not heard. The first block is over when the take comes.
    assert_eq!(rounds(1.01, 130), [(12_000, 62), (24_240, 60), (36_000, 62), (48_240, 60), (60_000, 62)]);
    // Half a beat more is of whole grid steps too.
    assert_eq!(rounds(1.51, 110), [(12_000, 62), (36_240, 60), (48_000, 62)]);
    // Around a loop that is not it is the host that says so, with its next block.
    assert_eq!(rounds(1.52, 110), [(12_000, 62), (76 * 480, 60), (48_240, 62)]);
}

#[test]
fn all_keys_of_a_channel_end_one_by_one() {
    let mut stage = Stage::new();
    stage.play(2, &[(0, on(60)), (1, on(64))]);
    stage.told();
    stage.play(
        1,
        &[(7, Input::AllOff { channel: Some(Channel(1)) }), (9, Input::AllOff { channel: Some(Channel(0)) })],
    );
    let ended: Vec<Output> = stage.out.iter().map(|(_, output)| *output).collect();
    let ends = |key| Output::Off { key: Key(key), channel: Channel(0) };
    assert_eq!(ended, [ends(60), ends(64)]);
    assert!(
        stage
            .told()
            .iter()
            .any(|message| matches!(message, ToWorker::AllOff { channel: Some(Channel(0)), .. }))
    );
    stage.play(300, &[]);
    assert_eq!(stage.view.voices.load(Ordering::Relaxed), 0, "the built-in sound has ended");
    // Whose off was lost ends with panic.
    stage.play(2, &[(0, on(67))]);
    assert_eq!(stage.press(Press::Panic), [ends(67)]);
    assert_eq!(stage.press(Press::Panic), []);
}

#[test]
fn a_pedal_that_asks_for_answers_holds_nothing() {
    let pedal = |down| Input::Pedal { channel: Channel(0), down };
    let mut stage = Stage::new();
    // It held something when it was chosen to ask.
    stage.play(2, &[(0, pedal(true)), (1, on(60)), (300, off(60))]);
    stage.turn(Target::Trigger, 0.6);
    stage.play(2, &[(0, pedal(false))]);
    stage.play(300, &[]);
    assert_eq!(stage.view.voices.load(Ordering::Relaxed), 0);
    stage.play(2, &[(0, pedal(true)), (1, on(60)), (300, off(60))]);
    stage.play(300, &[]);
    assert_eq!(stage.view.voices.load(Ordering::Relaxed), 0);
}

#[test]
fn a_tapped_tempo_lasts_until_the_parameter_is_moved() {
    let mut stage = Stage::new();
    stage.audio.tap_tempo = Some(Bpm(90.0));
    assert_eq!((stage.audio.internal_tempo(), stage.audio.internal_tempo()), (Bpm(90.0), Bpm(90.0)));
    stage.turn(Target::Tempo, 0.5);
    assert_eq!(stage.audio.internal_tempo(), Bpm(160.0));
}

#[test]
fn a_level_above_full_scale_is_limited() {
    let mut stage = Stage::new();
    stage.turn(Target::Level, 1.0);
    let chord: Vec<(u32, Input)> = (50..62).map(|key| (0, on(key))).collect();
    stage.play(60, &chord);
    let peak = stage.peaks.iter().copied().max().unwrap_or(0);
    assert!((200..=250).contains(&peak), "{peak} of 255");
}
