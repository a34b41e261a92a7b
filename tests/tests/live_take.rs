//! Takes that are played around: brought in from a file, with several instruments, looping with the host; and a phrase
//! that goes on while the host changes its rate.

use std::path::PathBuf;

use continuo_inference::compound::{self, Compound};
use continuo_plugin::view::ModelState;
use continuo_tests::host::{Played, parse};
use continuo_tests::place::Place;
use continuo_tests::rehearsal::Rehearsal;
use continuo_timeline::{Channel, Instrument, Mode, Press, Quantise, Settings};

const BASS: Instrument = Instrument(33);
const STRINGS: Instrument = Instrument(48);

/// Four bars of piano, bass and drums: a file as any program writes it, two beats a second.
fn band(place: &Place) -> PathBuf {
    let chords = [[60, 64, 67], [57, 60, 64], [53, 57, 60], [55, 59, 62]];
    let mut notes = Vec::new();
    let mut add = |beat: i64, beats: i64, key: u8, instrument: u8| {
        notes.push(Compound { onset: 50 * beat, duration: 50 * beats, key, instrument, velocity: 80 });
    };
    for (bar, chord) in (0..).zip(chords) {
        chord.into_iter().for_each(|key| add(4 * bar, 3, key, 0));
        add(4 * bar, 2, chord[0] - 24, BASS.0);
        (0..4).for_each(|beat| add(4 * bar + beat, 1, 36, 128));
    }
    place.file("band.mid", compound::to_midi(&notes).unwrap()).into()
}

fn settings(answer: Option<Instrument>) -> Settings {
    let others = [Some(STRINGS), None, None];
    Settings { mode: Mode::Accompany, answer, others, channel: Channel(5), seed: 3, ..Settings::default() }
}

#[test]
fn chosen_instruments_play_around_a_file_and_the_file_leaves_them_room() {
    let place = Place::new("around");
    let mut rehearsal = Rehearsal::offline(settings(Some(BASS)));
    rehearsal.takes.want(band(&place));
    rehearsal.play(&[], 16.0);
    let count = |part: Instrument| rehearsal.table.iter().filter(|note| note.instrument == part).count();
    assert_eq!((count(Instrument(0)), count(Instrument::DRUMS), count(BASS)), (12, 16, 0));
    for (part, channel) in [(BASS, 5), (STRINGS, 6)] {
        let own: Vec<_> = rehearsal.notes.iter().filter(|note| note.instrument == part).collect();
        assert!(!own.is_empty(), "{part:?} plays nothing");
        assert!(own.iter().all(|note| note.channel == Channel(channel)), "{own:?}");
    }
    assert!(rehearsal.notes.len() >= 8, "{:?}", rehearsal.notes);
    assert!(rehearsal.notes.iter().all(|note| [BASS, STRINGS].contains(&note.instrument)));
    // What is kept of it says around what it was played, and by which weights.
    rehearsal.press(Press::Keep);
    rehearsal.play(&[], 16.1);
    let [file, kept] = &rehearsal.takes.takes()[..] else { panic!("{:?}", rehearsal.takes.takes()) };
    assert_eq!((&kept.around[..], &kept.after[..]), (std::slice::from_ref(&file.id), &[][..]));
    assert_eq!((kept.model.as_str(), kept.weights.len(), file.weights.len()), ("continuo-default", 32, 0));
    rehearsal.takes.load("");
    rehearsal.takes.want(band(&place));
    // Played as it was, the file has its bass again.
    rehearsal.set(|settings| settings.mode = Mode::Respond);
    rehearsal.play(&[], 17.0);
    assert_eq!(rehearsal.table.iter().filter(|note| note.instrument == BASS).count(), 4);
}

#[test]
fn what_is_no_file_is_told_and_nothing_is_lost() {
    let mut rehearsal = Rehearsal::offline(settings(Some(BASS)));
    rehearsal.takes.want("/nowhere/song.mid".into());
    rehearsal.play(&[], 1.0);
    assert!(rehearsal.picture().message.contains("/nowhere/song.mid"));
    assert!(rehearsal.takes.takes().is_empty());
}

#[test]
fn around_a_loop_it_goes_on_for_as_long_as_the_host_loops() {
    let place = Place::new("looped");
    let mut rehearsal = Rehearsal::offline(settings(Some(BASS)));
    rehearsal.takes.want(band(&place));
    rehearsal.looped = Some((0.0, 8.0));
    rehearsal.play(&[], 40.0);
    // The take itself has no more than two bars: without its coming round this would end four bars after them.
    for bar in 4..9 {
        let bar = f64::from(bar) * 4.0;
        let there = rehearsal.notes.iter().any(|note| (bar..bar + 4.0).contains(&note.at.0));
        assert!(there, "nothing in the bar at {bar}");
    }
}

#[test]
fn a_phrase_goes_on_while_the_host_changes_its_rate() {
    let played = |restarts: &[f64]| {
        let settings = Settings { quantise: Quantise::Bar, bars: 2, seed: 9, ..Settings::default() };
        let mut rehearsal = Rehearsal::live(settings, 480.0);
        let score: Vec<Played> = parse("A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9");
        assert!(rehearsal.wait(|rehearsal| matches!(rehearsal.picture().model, ModelState::Ready(_))));
        for &restart in restarts {
            rehearsal.play(&score, restart);
            rehearsal.restart();
        }
        rehearsal.play(&score, 6.0);
        assert!(rehearsal.until(16.0, |rehearsal| rehearsal.notes.len() > 2), "no answer");
        rehearsal.picture().heard.iter().map(|note| (note.at.0, note.key.0)).collect::<Vec<_>>()
    };
    let whole = played(&[]);
    assert_eq!(whole.len(), 6);
    assert_eq!(played(&[2.95, 4.0]), whole);
}
