//! Learnt keys and controllers: they move what they were learnt for, and are neither heard nor passed on.

mod linked;

use continuo_plugin::params::Target;
use continuo_tests::host::{Hosted, Played, Raw, Recording, Song, Sound, paired, parse};

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9 C4@5.5 A3@6.5 len 0.5";
const SECOND: u64 = 48_000;
/// A key far from the phrase.
const KEY: u8 = 24;
const CC: u8 = 20;

fn plugin(block: u32) -> Hosted {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.offline();
    plugin.activate(48_000.0, block);
    plugin
}

/// Waits for a control by the parameter "Learn", and moves it.
fn learn(plugin: &mut Hosted, target: Target, control: [u8; 3]) -> Recording {
    #[allow(clippy::cast_precision_loss)] // a small number
    plugin.turn("Learn", (target.number() + 2) as f64);
    let up = (2_000, [0x80, control[1], 0]);
    let moves: Vec<Raw> =
        if control[0] & 0xf0 == 0x90 { vec![(900, control), up] } else { vec![(900, control)] };
    let out = plugin.play_raw(&moves, &Song::stopped(120.0), 0.1, 512);
    plugin.turn("Learn", 0.0);
    out
}

fn key(velocity: u8) -> [u8; 3] {
    [if velocity == 0 { 0x80 } else { 0x90 }, KEY, velocity]
}

fn controller(value: u8) -> [u8; 3] {
    [0xb0, CC, value]
}

fn raw(score: &[Played]) -> Vec<Raw> {
    let song = Song::steady(120.0);
    let ends = |n: &Played| {
        let (on, off) = (song.sample(n.at, 48_000.0), song.sample(n.at + n.len, 48_000.0));
        [(on, [0x90, n.key, n.velocity]), (off, [0x80, n.key, 0])]
    };
    score.iter().flat_map(ends).collect()
}

/// The phrase with some raw messages before it or after.
fn performed(plugin: &mut Hosted, more: &[Raw], block: u32) -> Recording {
    let mut input = raw(&parse(PHRASE));
    input.extend(more);
    let mut song = Song::steady(120.0);
    song.acts.push((11.0, continuo_tests::host::Act::Stop));
    plugin.play_raw(&input, &song, 12.0, block)
}

/// Generated notes: what was not played in.
fn answer(out: &Recording) -> Vec<(u64, u8)> {
    let played = raw(&parse(PHRASE));
    let notes = paired(out).unwrap_or_else(|why| panic!("{why}"));
    let own = |at: u64, key: u8| played.iter().any(|(when, bytes)| *when == at && bytes[1] == key);
    notes.iter().filter(|n| !own(n.at, n.key)).map(|n| (n.at, n.key)).collect()
}

#[test]
fn a_learnt_key_asks_for_the_answer_and_is_no_music() {
    let play = |block: u32| {
        let mut plugin = plugin(block.max(512));
        let taught = learn(&mut plugin, Target::AnswerNow, key(90));
        assert!(taught.events.is_empty(), "the stroke that teaches is passed on: {:?}", taught.events);
        plugin.turn("Trigger", 5.0);
        // Beat 8 is at 4 s; the key 777 samples later, so that no block begins there.
        let at = 4 * SECOND + 777;
        performed(&mut plugin, &[(at, key(100)), (at + 9_000, key(0))], block)
    };
    let out = play(512);
    let notes = answer(&out);
    assert!(notes.iter().all(|(_, key)| *key != KEY), "the key came out");
    let first = notes.first().expect("an answer").0;
    assert!((4 * SECOND..5 * SECOND).contains(&first), "answered at {first}");
    for block in [64, 333] {
        assert_eq!(play(block).events, out.events, "at blocks of {block}");
    }
}

#[test]
fn a_controller_moves_through_the_whole_range_as_the_host_would() {
    let by_controller = |value: u8| {
        let mut plugin = plugin(512);
        learn(&mut plugin, Target::Density, controller(64));
        answer(&performed(&mut plugin, &[(100, controller(value))], 512))
    };
    let by_host = |value: f64| {
        let mut plugin = plugin(512);
        plugin.turn("Density", value);
        answer(&performed(&mut plugin, &[], 512))
    };
    let (few, many) = (by_controller(0), by_controller(127));
    assert!(few.len() < many.len(), "{} and {} notes", few.len(), many.len());
    let range = plugin(512).param("Density").range;
    assert_eq!((few, many), (by_host(range.0), by_host(range.1)));
}

#[test]
fn who_moved_last_counts_the_host_or_the_controller() {
    let mut plugin = plugin(512);
    learn(&mut plugin, Target::Density, controller(64));
    plugin.play_raw(&[(0, controller(0))], &Song::stopped(120.0), 0.1, 512);
    let range = plugin.param("Density").range;
    plugin.turn("Density", range.1);
    let automated = answer(&performed(&mut plugin, &[], 512));
    let expected = {
        let mut other = self::plugin(512);
        other.turn("Density", range.1);
        other.play_raw(&[], &Song::stopped(120.0), 0.2, 512);
        answer(&performed(&mut other, &[], 512))
    };
    assert_eq!(automated.len(), expected.len());
}

#[test]
fn a_learnt_controller_is_not_passed_on_and_others_are() {
    let mut plugin = plugin(512);
    learn(&mut plugin, Target::Temperature, controller(64));
    let moves = [(100, controller(90)), (200, [0xb0, 21, 5]), (300, [0xb1, CC, 6])];
    let out = plugin.play_raw(&moves, &Song::stopped(120.0), 0.1, 512);
    // The same controller of another channel is another one.
    let passed = [(200, Sound::Midi([0xb0, 21, 5])), (300, Sound::Midi([0xb1, CC, 6]))];
    assert_eq!(out.events, passed);
}

#[test]
fn keys_go_through_a_list_and_strike_numbers_by_force() {
    let mut plugin = plugin(512);
    plugin.turn("Mode", 0.0);
    learn(&mut plugin, Target::Mode, key(90));
    // Off, Respond: two strokes from Off are Hold.
    plugin.play_raw(
        &[(0, key(9)), (400, key(0)), (900, key(9)), (1_000, key(0))],
        &Song::stopped(120.0),
        0.1,
        512,
    );
    let saved = String::from_utf8_lossy(&plugin.save()).into_owned();
    assert!(saved.contains(r#"\\\"mode\\\":0.5"#), "{saved}");
    learn(&mut plugin, Target::TopP, [0x90, KEY + 1, 90]);
    plugin.play_raw(&[(0, [0x90, KEY + 1, 127]), (500, [0x80, KEY + 1, 0])], &Song::stopped(120.0), 0.1, 512);
    let saved = String::from_utf8_lossy(&plugin.save()).into_owned();
    assert!(saved.contains(r#"\\\"top-p\\\":1.0"#), "{saved}");
}

#[test]
fn what_is_learnt_and_moved_is_in_the_project() {
    let mut first = plugin(512);
    learn(&mut first, Target::Density, controller(64));
    learn(&mut first, Target::AnswerNow, key(64));
    first.play_raw(&[(0, controller(127))], &Song::stopped(120.0), 0.1, 512);
    first.turn("Trigger", 5.0);
    first.play_raw(&[], &Song::stopped(120.0), 0.1, 512);
    let state = first.save();
    let mut second = Hosted::new(&linked::linked());
    assert!(second.load(&state));
    second.offline();
    second.activate(48_000.0, 512);
    assert_eq!(second.save(), state);
    let again = answer(&performed(&mut second, &[(4 * SECOND, key(100)), (5 * SECOND, key(0))], 512));
    let sparse = {
        let mut other = plugin(512);
        learn(&mut other, Target::AnswerNow, key(64));
        other.turn("Trigger", 5.0);
        answer(&performed(&mut other, &[(4 * SECOND, key(100)), (5 * SECOND, key(0))], 512))
    };
    assert!(again.len() > sparse.len(), "{} notes, {} without the controller", again.len(), sparse.len());
}

#[test]
fn panic_and_bypass_work_while_the_answer_sounds() {
    for target in [Target::Panic, Target::Bypass, Target::Mute] {
        let mut plugin = plugin(512);
        learn(&mut plugin, target, key(90));
        let before = answer(&performed(&mut self::plugin(512), &[], 512));
        // While the second note of the answer sounds.
        let at = before[1].0 + 100;
        let out = performed(&mut plugin, &[(at, key(90)), (at + 50, key(0))], 512);
        let notes = paired(&out).unwrap_or_else(|why| panic!("{target:?}: {why}"));
        assert!(notes.iter().any(|n| (n.at, n.key) == before[1]), "{target:?}: the answer had begun");
        assert!(notes.iter().all(|n| n.end <= at), "{target:?}: something sounds after the key");
    }
}

#[test]
fn a_host_that_restores_its_controllers_moves_nothing() {
    let mut plugin = plugin(512);
    learn(&mut plugin, Target::Density, [0xb0, 1, 64]);
    let burst: Vec<Raw> =
        (0..16).flat_map(|ch| (0..128).map(move |cc| (4_000, [0xb0 | ch, cc, 0]))).collect();
    plugin.play_raw(&burst, &Song::stopped(120.0), 0.2, 512);
    let moved = String::from_utf8_lossy(&plugin.save()).contains(r#"\\\"density\\\":0"#);
    assert!(!moved, "a burst is no player");
    plugin.play_raw(&[(4_000, [0xb0, 1, 0])], &Song::stopped(120.0), 0.2, 512);
    let saved = String::from_utf8_lossy(&plugin.save()).into_owned();
    assert!(saved.contains(r#"\\\"density\\\":0"#), "{saved}");
}

#[test]
fn a_key_that_is_learnt_or_forgotten_while_it_is_down_hangs_nowhere() {
    let mut plugin = plugin(512);
    // Down as music, then learnt by a second stroke without an end between; then forgotten while down.
    let down = plugin.play_raw(&[(0, key(90))], &Song::stopped(120.0), 0.05, 512);
    let mut events = down.events;
    let mut then = |out: Recording| {
        let from = events.last().map_or(0, |(at, _)| *at) + 10_000;
        events.extend(out.events.iter().map(|(at, event)| (from + at, *event)));
    };
    #[allow(clippy::cast_precision_loss)] // a small number
    plugin.turn("Learn", (Target::Mute.number() + 2) as f64);
    then(plugin.play_raw(&[(100, key(80))], &Song::stopped(120.0), 0.05, 512));
    then(plugin.play_raw(&[(100, key(0)), (300, key(0))], &Song::stopped(120.0), 0.05, 512));
    then(plugin.play_raw(&[(100, key(80))], &Song::stopped(120.0), 0.05, 512));
    plugin.turn("Learn", 1.0);
    then(plugin.play_raw(&[(100, key(0)), (300, key(90)), (500, key(0))], &Song::stopped(120.0), 0.05, 512));
    let notes = paired(&Recording { events, ..Recording::default() }).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(notes.len(), 2, "the first stroke and the last are music: {notes:?}");
}
