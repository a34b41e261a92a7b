//! The real worker and the default model, driven message by message.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use continuo_timeline::{
    Beats, Bpm, Channel, Cut, Epoch, FromWorker, Key, Meter, Note, Press, Quantise, Settings, Tick, ToWorker,
    Velocity,
};

use super::{Memory, Worker};
use crate::link::{AudioSide, link};
use crate::state::{Take, TakeStore};
use crate::view::{ModelState, View};

fn memory(view: &Arc<View>) -> Memory {
    Memory::new(Arc::clone(view), Arc::default(), Arc::default())
}

/// A grid point on the line and in the song, and where and by how much the song comes round.
pub(super) fn grid_point(at: f64, song: f64, wrap: Option<(f64, f64)>) -> Tick {
    Tick {
        at: Beats(at),
        song: Beats(song),
        bar: Beats(at),
        wrap: wrap.map(|(at, length)| (Beats(at), Beats(length))),
        meter: Meter::COMMON,
        tempo: Bpm(120.0),
        playing: true,
        offline: false,
        epoch: Epoch(0),
    }
}

fn settings() -> Settings {
    Settings {
        bars: 2,
        quantise: Quantise::Beat,
        temperature: 1.0,
        in_key: false,
        channel: Channel(2),
        seed: 5,
        ..Settings::default()
    }
}

fn tick(step: u32) -> ToWorker {
    tick_of(step, true)
}

fn tick_of(step: u32, offline: bool) -> ToWorker {
    let at = f64::from(step) / 24.0;
    ToWorker::Tick(Tick {
        at: Beats(at),
        song: Beats(at),
        bar: Beats((at / 4.0 + 1e-9).floor() * 4.0),
        wrap: None,
        meter: Meter::COMMON,
        tempo: Bpm(120.0),
        playing: true,
        offline,
        epoch: Epoch(1),
    })
}

/// How long a worker may take for anything.
const MOST: Duration = Duration::from_secs(60);

/// A phrase of four beats, then silence; notes that came, and the answer's end. The audio half waits at every
/// `stride`-th tick only.
fn played(stride: u64) -> (Vec<Note>, f64) {
    played_by(memory(&Arc::default()), stride, &[])
}

/// The same by a worker of our own, with more messages before some steps.
fn played_by(memory: Memory, stride: u64, more: &[(u32, ToWorker)]) -> (Vec<Note>, f64) {
    let (mut audio, side) = link();
    let worker = Worker::start(side, memory);
    audio.send(ToWorker::Epoch { at: Beats(0.0), heard: Beats(0.0), epoch: Epoch(1), why: Cut::Transport });
    audio.send(ToWorker::Settings(settings()));
    let (mut notes, mut end) = (Vec::new(), 0.0);
    for step in 0..16 * 24_u32 {
        let at = Beats(f64::from(step) / 24.0);
        let now = more.iter().filter(|(when, _)| *when == step);
        now.for_each(|(_, message)| assert!(audio.send(*message)));
        let (key, channel, epoch) =
            (Key([60, 64, 67, 72, 71, 67, 64, 62][step as usize / 12 % 8]), Channel(0), Epoch(1));
        if step < 96 && step % 12 == 0 {
            audio.send(ToWorker::On { at, key, velocity: Velocity(90), channel, epoch });
        }
        if step < 96 && step % 12 == 10 {
            audio.send(ToWorker::Off { at, key, channel, epoch });
        }
        audio.send(tick(step));
        let began = Instant::now();
        while u64::from(step + 1) % stride == 0 && audio.acked() < u64::from(step + 1) {
            assert!(began.elapsed() < MOST, "step {step} is not taken in");
            std::thread::yield_now();
        }
        while let Some(message) = audio.receive() {
            match message {
                FromWorker::Planned { note, epoch: Epoch(1) } => notes.push(note),
                FromWorker::AnswerEnds { end: at, .. } => end = at.0,
                _ => {}
            }
        }
    }
    drop(audio);
    drop(worker);
    (notes, end)
}

#[test]
fn a_phrase_is_answered_in_its_place_whenever_the_ring_is_drained() {
    let (notes, end) = played(1);
    // The last note ends at 3.917, a beat of silence later the tick at 4.917 decides, the next beat is 6,
    // and two bars from there end on the bar line at 16.
    assert!((end - 16.0).abs() < 1e-9, "{end}");
    assert!(notes.len() >= 4, "{notes:?}");
    assert!(
        notes.iter().all(|note| note.at.0 >= 5.0 && note.at.0 < end && note.at.0 + note.len.0 <= end + 1e-6)
    );
    assert!(
        notes.iter().all(|note| note.channel == Channel(2) && (60..=110).contains(&note.velocity.0)),
        "{notes:?}"
    );
    assert_eq!(played(1), (notes.clone(), end));
    assert_eq!(played(16), (notes, end));
}

#[test]
fn what_is_kept_while_it_comes_is_kept_whole() {
    let kept = |step: u32| {
        let takes = Arc::new(TakeStore::default());
        let memory = Memory::new(Arc::default(), Arc::clone(&takes), Arc::default());
        let press =
            ToWorker::Press { at: Beats(f64::from(step) / 24.0), press: Press::Keep, epoch: Epoch(1) };
        let (notes, _) = played_by(memory, 1, &[(step, press)]);
        (notes, takes.takes().remove(0))
    };
    // The answer begins at beat 6 and lasts ten; a beat of it is there ahead.
    let (notes, early) = kept(8 * 24);
    assert_eq!(early.notes.len(), notes.len());
    assert_eq!((early.context.len(), early.asked.as_ref().unwrap().bars), (16, 2));
    let late = kept(15 * 24).1;
    assert_eq!(Take { id: early.id.clone(), ..late }, early, "called after what was there when it was kept");
    assert!(early.weights.len() == 32 && early.around.is_empty() && early.after.is_empty());
}

#[test]
fn a_defect_is_survived() {
    let view = Arc::new(View::default());
    let (notes, _) = played_by(memory(&view), 1, &[(0, ToWorker::Late { at: Beats(f64::NAN) })]);
    assert!(notes.len() >= 4, "{notes:?}");
    assert_eq!(view.defects.load(Ordering::Relaxed), 1);
    assert!(matches!(view.picture.lock().unwrap().model, ModelState::Ready(_)), "the model outlives it");
}

/// Notes of an answer to a phrase of four beats, where the music is at beat 12 before the engine has said a word.
fn answered_late(quantise: Quantise) -> Vec<Note> {
    let (mut audio, side) = link();
    audio.send(ToWorker::Epoch { at: Beats(0.0), heard: Beats(0.0), epoch: Epoch(1), why: Cut::Transport });
    audio.send(ToWorker::Settings(Settings { quantise, ..settings() }));
    for step in 0..12 * 24_u32 {
        let at = Beats(f64::from(step) / 24.0);
        let (key, channel, epoch) = (Key(60 + 2 * (step / 24) as u8), Channel(0), Epoch(1));
        if step < 96 && step % 24 == 0 {
            audio.send(ToWorker::On { at, key, velocity: Velocity(90), channel, epoch });
        }
        if step < 96 && step % 24 == 20 {
            audio.send(ToWorker::Off { at, key, channel, epoch });
        }
        audio.send(tick_of(step, false));
    }
    // Only now: all of it is there at once.
    let worker = Worker::start(side, memory(&Arc::default()));
    let (mut notes, mut end) = (Vec::new(), 0.0);
    let began = Instant::now();
    while notes.len() < 3 {
        assert!(began.elapsed() < MOST, "{notes:?}");
        match audio.receive() {
            Some(FromWorker::Planned { note, .. }) => notes.push(note),
            Some(FromWorker::AnswerEnds { end: at, .. }) => end = at.0,
            _ => std::thread::yield_now(),
        }
    }
    assert!(end > 12.0 && notes.iter().all(|note| note.at.0 < end), "{end}: {notes:?}");
    drop((audio, worker));
    notes
}

#[test]
fn an_answer_that_misses_its_place_waits_for_the_next() {
    let beat = answered_late(Quantise::Beat);
    assert!((12.0..13.1).contains(&beat[0].at.0), "the next beat: {beat:?}");
    // In time the answer would have begun at beat 8.
    let bar = answered_late(Quantise::Bar);
    assert!((bar[0].at.0 - 12.0).abs() < 1e-6 || (bar[0].at.0 - 16.0).abs() < 1e-6, "a bar line: {bar:?}");
    assert!(bar.windows(2).all(|pair| pair[0].at.0 <= pair[1].at.0), "{bar:?}");
}

#[test]
fn what_the_line_jumps_over_was_not_heard() {
    let view = Arc::new(View::default());
    let (mut audio, side) = link();
    let worker = Worker::start(side, memory(&view));
    audio.send(ToWorker::Epoch { at: Beats(0.0), heard: Beats(0.0), epoch: Epoch(1), why: Cut::Transport });
    audio.send(ToWorker::Settings(settings()));
    let wait = |audio: &mut AudioSide, ticks: u64, notes: &mut Vec<Note>| {
        while audio.acked() < ticks {
            std::thread::yield_now();
        }
        while let Some(message) = audio.receive() {
            notes.extend(match message {
                FromWorker::Planned { note, .. } => Some(note),
                _ => None,
            });
        }
    };
    // An answer under way: the last tick is that at beat 8.
    let mut planned = Vec::new();
    for step in 0..=8 * 24_u32 {
        let at = Beats(f64::from(step) / 24.0);
        let (key, channel, epoch) = (Key(60 + (step / 12 % 5) as u8 * 2), Channel(0), Epoch(1));
        if step < 96 && step % 12 == 0 {
            audio.send(ToWorker::On { at, key, velocity: Velocity(90), channel, epoch });
        }
        if step < 96 && step % 12 == 10 {
            audio.send(ToWorker::Off { at, key, channel, epoch });
        }
        audio.send(tick(step));
        wait(&mut audio, u64::from(step + 1), &mut planned);
    }
    let over = |note: &Note| (8.05..8.9).contains(&note.at.0);
    assert!(planned.iter().any(over) && planned.iter().any(|note| note.at.0 < 8.0), "{planned:?}");
    // A seek takes the line to 8.9; then an answer to all that was heard.
    let at = Beats(8.9);
    audio.send(ToWorker::Epoch { at, heard: at, epoch: Epoch(2), why: Cut::Seek });
    audio.send(ToWorker::Press { at, press: Press::Answer, epoch: Epoch(2) });
    audio.send(ToWorker::Tick(Tick { epoch: Epoch(2), offline: true, ..grid_point(9.0, 1.0, None) }));
    wait(&mut audio, 194, &mut planned);
    let heard = Arc::clone(&view.picture.lock().unwrap()).heard.clone();
    assert!(heard.iter().any(|note| (5.0..8.0).contains(&note.at.0)), "{heard:?}");
    assert!(!heard.iter().any(over), "{heard:?}");
    drop((audio, worker));
}
