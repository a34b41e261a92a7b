//! Never a stuck note: stops, seeks, loops, bypass, panic, reset, deactivation, and input that makes no sense.

mod linked;

use continuo_tests::host::{Act, Hosted, Recording, Song, Sound, paired, parse};

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9 C4@5.5 A3@6.5 len 0.5";

fn offline() -> Hosted {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.offline();
    plugin.activate(48_000.0, 480);
    plugin
}

// Notes that came out beyond those of the score, which are passed on.
fn generated(out: &Recording, score: &str) -> usize {
    let ons = out.events.iter().filter(|(_, e)| matches!(e, Sound::On { .. })).count();
    ons.checked_sub(parse(score).len()).expect("what is played is passed on")
}

fn ons_after(out: &Recording, sample: u64) -> usize {
    out.events.iter().filter(|(at, e)| *at > sample && matches!(e, Sound::On { .. })).count()
}

fn must_pair(out: &Recording) {
    paired(out).unwrap_or_else(|why| panic!("{why}"));
}

// Ends the answer in the middle, somehow, then lets a second pass.
fn cut_by(cut: impl FnOnce(&mut Hosted)) {
    let mut plugin = offline();
    let song = Song::steady(120.0);
    let mut out = plugin.play(&parse(PHRASE), &song, 5.5, 480);
    assert!(ons_after(&out, song.sample(7.0, 48_000.0)) > 0, "the answer had begun");
    cut(&mut plugin);
    let rest = plugin.play(&[], &Song::stopped(120.0), 1.0, 480);
    out.events.extend(rest.events.iter().map(|(at, e)| (at + 264_000, *e)));
    must_pair(&out);
    assert!(rest.peak(24_000..48_000) < 0.05, "sounds half a second later: {}", rest.peak(24_000..48_000));
}

#[test]
fn after_a_stop() {
    cut_by(|_| {});
}

#[test]
fn after_a_reset() {
    cut_by(Hosted::reset);
}

#[test]
fn after_bypass() {
    cut_by(|plugin| plugin.turn("Bypass", 1.0));
}

#[test]
fn after_panic() {
    cut_by(|plugin| plugin.turn("Panic", 1.0));
}

#[test]
fn after_mode_off() {
    cut_by(|plugin| plugin.turn("Mode", 0.0));
}

#[test]
fn after_deactivation() {
    cut_by(|plugin| {
        plugin.deactivate();
        plugin.offline();
        plugin.activate(44_100.0, 480);
    });
}

#[test]
fn after_seeks() {
    let mut song = Song::steady(120.0);
    song.acts.extend([
        (4.6, Act::Play(64.0)),
        (5.1, Act::Play(3.3)),
        (5.2, Act::Play(0.0)),
        (9.0, Act::Stop),
    ]);
    let out = offline().play(&parse(PHRASE), &song, 10.0, 480);
    must_pair(&out);
    assert!(generated(&out, PHRASE) > 0, "nothing was there to be cut");
}

#[test]
fn around_a_loop() {
    let mut song = Song::steady(120.0);
    song.looped = Some((0.0, 5.0));
    song.acts.push((11.0, Act::Stop));
    let out = offline().play(&parse(PHRASE), &song, 12.0, 480);
    must_pair(&out);
    assert!(generated(&out, PHRASE) > 0, "nothing was there to go round");
}

#[test]
fn a_reset_ends_the_answer_and_what_follows_is_the_same_every_time() {
    let song = Song::steady(120.0);
    let whole = |plugin: &mut Hosted| plugin.play(&parse(PHRASE), &song, 7.0, 480).events;
    let first = whole(&mut offline());
    let run = || {
        let mut plugin = offline();
        let first = plugin.play(&parse(PHRASE), &song, 5.0, 480);
        assert!(generated(&first, PHRASE) > 0, "nothing that could be ended");
        plugin.reset();
        // The song goes on where it was, and with it would the answer.
        let goes_on = Song { acts: vec![(0.0, Act::Play(10.0))], ..Song::steady(120.0) };
        let rest = plugin.play(&[], &goes_on, 2.0, 480);
        assert!(!rest.events.iter().any(|(_, e)| matches!(e, Sound::On { .. })), "{:?}", rest.events);
        plugin.reset();
        whole(&mut plugin)
    };
    assert_eq!(run(), first, "what was heard before the reset is still known");
}

#[test]
fn a_host_that_ends_all_notes_at_once_is_understood() {
    // "All notes off", "all sound off", and a note-off for any key.
    for end in [[0xb0, 123, 0], [0xb0, 120, 0], [0x80, 255, 0]] {
        let mut plugin = offline();
        let input = [(100, [0x90, 60, 90]), (24_100, [0x90, 64, 90]), (48_000, end)];
        let mut out = plugin.play_raw(&input, &Song::steady(120.0), 6.0, 480);
        for key in [60, 64] {
            let off = (48_000, Sound::Off { channel: 0, key });
            assert!(out.events.contains(&off), "{end:?}: key {key} goes on");
        }
        assert!(ons_after(&out, 48_000) > 0, "{end:?}: nothing is held, so it is answered");
        let rest = plugin.play(&[], &Song::stopped(120.0), 1.0, 480);
        out.events.extend(rest.events.iter().map(|(at, e)| (at + 288_000, *e)));
        must_pair(&out);
    }
}

#[test]
fn malformed_input_is_harmless() {
    let mut plugin = offline();
    let mut input = Vec::new();
    // Offs without ons, ons twice, ons of velocity 0, a key that never ends.
    for key in 0..128u8 {
        input.push((10, [0x80, key, 0]));
        input.push((20, [0x9f, key, 0]));
        input.push((30, [0x93, key, 100]));
        input.push((31, [0x93, key, 100]));
    }
    // A session load: every controller of every channel at one sample, the pedal half down.
    for channel in 0..16u8 {
        input.extend((0..128u8).map(|cc| (4_000, [0xb0 | channel, cc, 64])));
        input.push((4_000, [0xe0 | channel, 127, 127]));
    }
    input.extend((0..128u8).map(|key| (9_000, [0x83, key, 0])));
    input.extend(
        (0..16u8).flat_map(|channel| [(9_000, [0xb0 | channel, 64, 0]), (9_000, [0xe0 | channel, 0, 64])]),
    );
    let out = plugin.play_raw(&input, &Song::steady(120.0), 6.0, 480);
    assert!(out.left.iter().chain(&out.right).all(|x| x.is_finite() && x.abs() <= 1.0));
    cut_everything(&mut plugin, out);
}

fn cut_everything(plugin: &mut Hosted, mut out: Recording) {
    let rest = plugin.play(&[], &Song::stopped(120.0), 1.0, 480);
    let length = out.left.len() as u64;
    out.events.extend(rest.events.iter().map(|(at, e)| (at + length, *e)));
    must_pair(&out);
}

#[test]
fn a_song_at_odd_places_is_harmless() {
    for beats in [-8.0, -0.01, 1e7] {
        let mut song = Song::steady(120.0);
        song.acts = vec![(0.0, Act::Play(beats)), (2.0, Act::Play(-beats)), (3.0, Act::Stop)];
        let out = offline().play(&parse("C4@0 E4@1 G4@2"), &song, 4.0, 480);
        must_pair(&out);
        assert!(generated(&out, "C4@0 E4@1 G4@2") > 0, "at {beats} nothing was there to be cut");
    }
}
