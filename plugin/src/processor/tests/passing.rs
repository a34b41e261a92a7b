//! What the player plays and what of it goes on: it ends, also where the door was closed meanwhile; and it is told from an
//! echo of our own.

use super::*;

fn pedal(down: bool) -> Input {
    Input::Pedal { channel: Channel(0), down }
}

fn bend(semitones: f32) -> Input {
    Input::Bend { channel: Channel(0), semitones }
}

/// Keys that the worker was told of: struck, and let go.
fn heard(stage: &mut Stage) -> (Vec<u8>, Vec<u8>) {
    let told = stage.told();
    let struck = told.iter().filter_map(|message| match message {
        ToWorker::On { key, .. } => Some(key.0),
        _ => None,
    });
    let let_go = told.iter().filter_map(|message| match message {
        ToWorker::Off { key, .. } => Some(key.0),
        _ => None,
    });
    (struck.collect(), let_go.collect())
}

#[test]
fn a_pedal_and_a_bend_come_back_after_the_door_was_closed() {
    for target in [Target::Bypass, Target::Thru] {
        let mut stage = Stage::new();
        stage.turn(Target::Thru, f32::from(u8::from(target == Target::Thru)));
        stage.turn(Target::Bypass, f32::from(u8::from(target == Target::Bypass)));
        stage.play(2, &[(0, pedal(true)), (1, bend(1.5))]);
        assert_eq!(stage.passed, [pedal(true), bend(1.5)], "{target:?} is open");
        stage.turn(target, 0.0);
        stage.play(2, &[(0, bend(0.7)), (1, pedal(false)), (2, bend(0.0)), (3, pedal(true)), (4, bend(0.1))]);
        assert_eq!(stage.passed[2..], [pedal(false), bend(0.0)], "{target:?} was closed");
    }
}

#[test]
fn what_was_passed_on_ends_with_a_reset_and_with_the_audio_thread() {
    let ends = [
        Output::Off { key: Key(60), channel: Channel(0) },
        Output::PedalUp { channel: Channel(0) },
        Output::BendBack { channel: Channel(0) },
    ];
    let played = [(0, on(60)), (1, pedal(true)), (2, bend(-2.0))];
    let mut stage = Stage::new();
    stage.play(2, &played);
    stage.audio.reset();
    stage.play(1, &[]);
    assert_eq!(stage.out.iter().map(|(_, output)| *output).collect::<Vec<_>>(), ends);
    // The key that comes up later is no second end.
    stage.play(1, &[(0, off(60))]);
    assert_eq!(stage.passed, played.map(|(_, input)| input));
    for goes_on in [false, true] {
        let mut stage = Stage::new();
        stage.play(2, &played);
        let (side, worker) = link();
        let next = Audio::new(Arc::clone(&stage.params), Arc::clone(&stage.view), side, RATE, false);
        let (left, clock) = std::mem::replace(&mut stage.audio, next).leave();
        stage.audio.inherit(left, RATE, goes_on.then_some((clock, continuo_timeline::Cut::Restart)));
        stage.worker = worker;
        stage.play(1, &[]);
        assert_eq!(stage.out.iter().map(|(_, output)| *output).collect::<Vec<_>>(), ends, "{goes_on}");
    }
}

#[test]
fn a_unison_with_an_answer_is_heard_and_an_echo_is_not() {
    let strikes = Input::On { key: Key(60), channel: Channel(0), velocity: Velocity(80) };
    let mut stage = Stage::new();
    stage.turn(Target::Mode, 0.75);
    stage.play(1, &[]);
    // The answer's note begins with the sixth block from now, at its sample 100.
    let sent = 5 * 480 + 100;
    stage.plan(60, f64::from(sent) / 48.0);
    stage.play(6, &[]);
    assert_eq!(stage.out.last().map(|(at, _)| at % 480), Some(100));
    stage.told();
    // A host that feeds our output back to us.
    stage.play(1, &[(100, strikes)]);
    assert_eq!(heard(&mut stage), (vec![], vec![]), "an echo");
    // The player, two blocks and a sample later, with the same key as loud.
    stage.play(1, &[(101, strikes)]);
    assert_eq!(heard(&mut stage), (vec![60], vec![]), "a unison");
    // The answer's note ended there: the echo of that end is none of the player's.
    let ended = stage.out.last().map(|(at, _)| at % 480).expect("it ended");
    stage.play(1, &[(ended, off(60))]);
    assert_eq!(heard(&mut stage), (vec![], vec![]), "the echo of an end");
    stage.play(1, &[(200, off(60))]);
    assert_eq!(heard(&mut stage), (vec![], vec![60]));
}
