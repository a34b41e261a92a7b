//! What asks for an answer and what does not, what is kept of answers, and makers that are away for a moment: the real
//! worker and engine.

use continuo_plugin::partner::Partner;
use continuo_plugin::view::ServiceState;
use continuo_tests::host::{Played, parse};
use continuo_tests::rehearsal::Rehearsal;
use continuo_timeline::{Mode, Press, Quantise, Settings, Trigger};

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9 C4@5.5 A3@6.5 len 0.5";

fn phrase(from: f64) -> Vec<Played> {
    parse(PHRASE).into_iter().map(|note| Played { at: note.at + from, ..note }).collect()
}

fn settings() -> Settings {
    Settings { bars: 2, quantise: Quantise::Beat, seed: 5, ..Settings::default() }
}

/// First onset of an answer at or after a beat.
fn first_from(rehearsal: &Rehearsal, beat: f64) -> f64 {
    rehearsal.notes.iter().map(|note| note.at.0).filter(|at| *at >= beat).fold(f64::INFINITY, f64::min)
}

#[test]
fn what_was_played_and_pressed_while_off_asks_for_nothing_later() {
    for idle in [Mode::Off, Mode::Duet] {
        let mut rehearsal = Rehearsal::offline(Settings { mode: idle, ..settings() });
        rehearsal.play(&phrase(0.0), 8.0);
        rehearsal.press(Press::Answer);
        rehearsal.play(&[], 9.0);
        rehearsal.set(|settings| settings.mode = Mode::Respond);
        rehearsal.notes.clear();
        rehearsal.ends.clear();
        rehearsal.play(&[], 16.0);
        assert!(rehearsal.ends.is_empty(), "{idle:?}: {:?}", rehearsal.notes);
        rehearsal.play(&phrase(16.0), 27.0);
        assert!(!rehearsal.ends.is_empty(), "and what is played now is answered");
    }
}

#[test]
fn an_answer_that_is_asked_for_during_another_takes_its_place() {
    for press in [Press::Answer, Press::Again] {
        let mut rehearsal = Rehearsal::offline(Settings { bars: 4, ..settings() });
        rehearsal.play(&phrase(0.0), 10.0);
        assert!(first_from(&rehearsal, 0.0) < 10.0, "an answer plays");
        rehearsal.press(press);
        rehearsal.play(&[], 30.0);
        let onsets: Vec<f64> = rehearsal.notes.iter().map(|note| note.at.0).collect();
        assert!(onsets.is_sorted(), "{press:?}: two at once: {onsets:?}");
        assert_eq!(rehearsal.ends.len(), 2);
    }
}

#[test]
fn the_same_again_waits_for_its_place() {
    let again = |settings: Settings| {
        let mut rehearsal = Rehearsal::offline(settings);
        rehearsal.play(&phrase(0.0), 13.3);
        rehearsal.press(Press::Again);
        rehearsal.play(&[], 20.0);
        (first_from(&rehearsal, 13.3) * 48.0).round() / 48.0
    };
    assert_eq!(again(Settings { quantise: Quantise::Bar, ..settings() }), 16.0);
    assert_eq!(again(Settings { trigger: Trigger::BarLine, quantise: Quantise::None, ..settings() }), 16.0);
    assert_eq!(again(settings()), 14.0);
    let free = again(Settings { quantise: Quantise::None, ..settings() });
    assert!((13.4..14.8).contains(&free), "{free}");
}

#[test]
fn a_pedal_asks_when_it_comes_up_after_it_was_down() {
    let mut rehearsal = Rehearsal::offline(Settings { trigger: Trigger::Pedal, ..settings() });
    rehearsal.play(&phrase(0.0), 2.0);
    // On its way down, and at a stop of the host, it says that it is up.
    rehearsal.pedal(false);
    rehearsal.play(&phrase(0.0), 4.0);
    rehearsal.pedal(true);
    rehearsal.play(&phrase(0.0), 8.0);
    assert!(rehearsal.ends.is_empty(), "nobody asked");
    rehearsal.pedal(false);
    rehearsal.play(&[], 10.0);
    assert_eq!(rehearsal.ends.len(), 1);
    let heard = rehearsal.picture().heard.clone();
    assert!(heard.len() == 8 && heard.iter().all(|note| note.len.0 < 1.0), "it held notes: {heard:?}");
}

#[test]
fn keys_whose_ends_were_lost_are_let_go_together() {
    let mut rehearsal = Rehearsal::offline(settings());
    rehearsal.play(&parse("A3@0 len 0.9 C4@1 E4@2 A4@3 len 90"), 9.0);
    assert!(rehearsal.ends.is_empty(), "a key is down");
    rehearsal.all_off();
    rehearsal.play(&[], 13.0);
    assert_eq!(rehearsal.ends.len(), 1);
}

#[test]
fn what_is_kept_stands_where_it_was_in_the_song() {
    let mut rehearsal = Rehearsal::offline(Settings { quantise: Quantise::Bar, ..settings() });
    rehearsal.looped = Some((0.0, 12.0));
    // The answer goes from one round into the next, and is kept in the one after that.
    rehearsal.play(&parse("A3@0 len 0.9 C4@1 E4@2"), 25.0);
    rehearsal.press(Press::Keep);
    rehearsal.play(&[], 26.0);
    let take = rehearsal.takes.takes().remove(0);
    let mut places: Vec<f64> =
        rehearsal.notes.iter().map(|note| (note.at.0 + 1e-9).rem_euclid(12.0)).collect();
    places.sort_by(f64::total_cmp);
    let kept: Vec<f64> = take.notes.iter().map(|note| note.at).collect();
    assert_eq!(kept.len(), places.len());
    assert!(kept.iter().zip(&places).all(|(a, b)| (a - b).abs() < 1e-6), "{kept:?}, not {places:?}");
    assert!(places[0] < 4.0 && places.last() >= Some(&8.0), "of both rounds: {places:?}");
}

#[test]
fn of_a_duet_what_was_heard_is_kept() {
    let mut rehearsal = Rehearsal::offline(Settings { mode: Mode::Duet, bars: 4, ..settings() });
    rehearsal.play(&phrase(0.0), 8.0);
    rehearsal.play(&phrase(8.0), 13.0);
    rehearsal.press(Press::Keep);
    rehearsal.play(&phrase(8.0), 13.1);
    let mut heard: Vec<f64> = rehearsal.notes.iter().map(|note| note.at.0).filter(|at| *at < 12.95).collect();
    heard.sort_by(f64::total_cmp);
    let kept: Vec<f64> = rehearsal.takes.takes().remove(0).notes.iter().map(|note| note.at).collect();
    assert!(!kept.is_empty());
    assert_eq!(kept, heard);
}

#[test]
fn until_the_next_answer_begins_the_one_before_is_kept() {
    let mut rehearsal = Rehearsal::offline(Settings { mode: Mode::Hold, bars: 1, ..settings() });
    rehearsal.play(&[], 0.5);
    rehearsal.press(Press::Keep);
    rehearsal.play(&[], 1.0);
    assert!(rehearsal.picture().message.contains("no answer to keep"), "{:?}", rehearsal.picture().message);
    rehearsal.play(&phrase(1.0), 16.0);
    for step in 1..=32 {
        let now = 16.0 + 0.25 * f64::from(step);
        rehearsal.press(Press::Keep);
        rehearsal.play(&[], now);
        let takes = rehearsal.takes.takes();
        assert_eq!(takes.len(), step as usize, "nothing was kept before {now}");
        let first = takes.last().and_then(|take| take.notes.first()).expect("a note").at;
        assert!(first < now - 0.2, "what begins at {first} was not heard before {now}");
    }
}

#[test]
fn a_duet_and_an_answer_that_holds_outlive_a_maker_that_is_away() {
    for mode in [Mode::Duet, Mode::Hold] {
        let mut rehearsal = Rehearsal::offline(Settings { mode, bars: 1, ..settings() });
        let score: Vec<Played> = match mode {
            Mode::Duet => (0..8).flat_map(|bar| phrase(8.0 * f64::from(bar))).collect(),
            _ => phrase(0.0),
        };
        rehearsal.play(&score, 14.0);
        assert!(first_from(&rehearsal, 0.0) < 14.0);
        // A service that is not there, and nobody in its place.
        let address = "http://127.0.0.1:9".into();
        rehearsal.partner.choose(Partner { address, falls_back: false, ..Partner::default() });
        rehearsal.play(&score, 24.0);
        assert_ne!(rehearsal.picture().service, ServiceState::None);
        rehearsal.partner.choose(Partner::default());
        rehearsal.play(&score, 40.0);
        assert!(first_from(&rehearsal, 25.0) < 40.0, "{mode:?} has stopped for good");
    }
}
