//! What the model is asked, given what was heard: without an engine.

use continuo_inference::Prompt;
use continuo_music::frame::Frame;
use continuo_timeline::{Bpm, Channel, Instrument, Key, Meter, Quantise, Tick};

use super::*;

fn note(at: f64, key: u8, instrument: Instrument) -> Note {
    let (len, channel) = (Beats(0.4), Channel(0));
    Note { at: Beats(at), len, key: Key(key), velocity: Velocity(80), instrument, channel }
}

fn tick(at: f64) -> Tick {
    Tick {
        at: Beats(at),
        song: Beats(at),
        bar: Beats((at / 4.0).floor() * 4.0),
        wrap: None,
        meter: Meter::COMMON,
        tempo: Bpm(120.0),
        playing: true,
        offline: true,
        epoch: Epoch(0),
    }
}

/// The prompt of an answer from beat 16 on to what was played before; `own` of it by the player.
fn asked(notes: Vec<Note>, own: Vec<Note>, settings: &Settings) -> Prompt {
    let question = Question { own, ..Question::new(notes.clone(), Beats(16.0), &tick(15.5), settings) };
    let (feel, bar) = (question.feel(), question.bar.0);
    let writing = Writing { frame: Frame::beats(48, Beats(0.0)), feel, bar };
    prompt(&writing, notes, &question, settings, 0)
}

#[test]
fn the_kit_answers_a_drummer_and_not_a_pianist_beside_one() {
    const PIANO: Instrument = Instrument(0);
    let own = vec![note(12.0, 60, PIANO), note(13.0, 64, PIANO)];
    let mut all = own.clone();
    // The model's own kit, or a drummer on another track, has the last word.
    all.push(note(15.0, 36, Instrument::DRUMS));
    let band = Settings { others: [Some(Instrument::DRUMS), None, None], ..Settings::default() };
    assert_eq!(asked(all.clone(), own.clone(), &band).instruments, Some(vec![0, 128]));
    let bass = Settings { player: Instrument(33), ..Settings::default() };
    assert_eq!(asked(all, own, &bass).instruments, Some(vec![33]));
    let drummed = vec![note(14.0, 36, Instrument::DRUMS), note(15.0, 38, Instrument::DRUMS)];
    for settings in [Settings::default(), band] {
        assert_eq!(asked(drummed.clone(), drummed.clone(), &settings).instruments, Some(vec![128]));
    }
}

#[test]
fn an_answer_on_a_line_begins_on_it_however_the_player_lies_to_the_beat() {
    for behind in [-0.04, 0.0, 0.03, 0.06] {
        let own: Vec<Note> =
            (0..30).map(|i| note(f64::from(i) / 2.0 + behind, 60, Instrument(0))).skip(1).collect();
        let settings = Settings { quantise: Quantise::Bar, ..Settings::default() };
        let prompt = asked(own.clone(), own, &settings);
        assert_eq!((prompt.start, prompt.first_by), (16 * 48, Some(16 * 48)), "{behind} behind");
        assert!(prompt.history.iter().all(|event| event.onset <= prompt.start));
    }
}
