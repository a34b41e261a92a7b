//! Thru and sound, and the answer: the same at every block size and rate, from the linked plugin and the bundle.

mod linked;

use continuo_tests::host::{Act, Hosted, Pitched, Played, Recording, Song, Sound, Source, paired, parse};
use continuo_tests::require::bundle;

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9 C4@5.5 A3@6.5 len 0.5";

fn offline(source: &Source, rate: f64, block: u32) -> Hosted {
    let mut plugin = Hosted::new(source);
    plugin.offline();
    plugin.activate(rate, block);
    plugin
}

// What was generated: everything that came out and was not played in.
fn answer(out: &Recording, score: &[Played], song: &Song, rate: f64) -> Vec<Pitched> {
    let heard = |n: &Pitched| score.iter().any(|p| p.key == n.key && song.sample(p.at, rate) == n.at);
    paired(out).expect("every on has its off").into_iter().filter(|n| !heard(n)).collect()
}

// Rolls for 16 seconds and stands for one, so that what hangs is seen.
fn rolls(tempo: f64, seconds: f64) -> Song {
    let mut song = Song::steady(tempo);
    song.acts.push((seconds, Act::Stop));
    song
}

#[test]
fn what_is_played_sounds_on_its_sample() {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.activate(48_000.0, 512);
    let out = plugin.play(&parse("C4@1 len 1"), &Song::steady(120.0), 2.0, 512);
    assert_eq!(out.peak(0..24_000), 0.0, "silence before the note");
    let sounds = out.peak(24_000..30_000);
    assert!(sounds > 0.01 && sounds <= 1.0, "the note sounds, and within full scale: {sounds}");
    assert!(out.left.iter().chain(&out.right).all(|x| x.is_finite()));
}

#[test]
fn sound_is_the_same_at_every_block_size() {
    let heard = |block| {
        let mut plugin = Hosted::new(&linked::linked());
        plugin.turn("Mode", 0.0);
        plugin.activate(48_000.0, block);
        plugin.play(&parse("C4@0.1 E4@0.25 G4@0.3 len 0.2"), &Song::steady(120.0), 0.6, block)
    };
    let expected = heard(512);
    for block in [1, 16, 64, 333, 4096] {
        assert!(heard(block) == expected, "another sound at blocks of {block}");
    }
}

#[test]
fn the_answer_is_the_same_at_every_block_size() {
    let score = parse(PHRASE);
    let song = rolls(120.0, 9.0);
    let play = |block| {
        let mut plugin = offline(&linked::linked(), 48_000.0, block);
        plugin.play(&score, &song, 10.0, block)
    };
    let first = play(512);
    let expected = answer(&first, &score, &song, 48_000.0);
    assert!(expected.len() >= 3, "an answer of some notes: {expected:?}");
    let end = song.sample(7.0, 48_000.0);
    assert!(expected.iter().all(|n| n.at > end), "it answers after the phrase: {expected:?}");
    for block in [1, 16, 64, 333, 1024, 4096] {
        let other = play(block);
        assert_eq!(answer(&other, &score, &song, 48_000.0), expected, "at blocks of {block}");
        assert!(other.events == first.events, "other events at blocks of {block}");
    }
}

#[test]
fn the_answer_is_the_same_at_every_rate() {
    let score = parse(PHRASE);
    let song = rolls(120.0, 9.0);
    let play = |rate: f64| {
        let mut plugin = offline(&linked::linked(), rate, 512);
        let out = plugin.play(&score, &song, 10.0, 512);
        answer(&out, &score, &song, rate)
    };
    let expected = play(48_000.0);
    assert!(!expected.is_empty());
    for rate in [44_100.0, 96_000.0] {
        let other = play(rate);
        assert_eq!(other.len(), expected.len(), "at {rate}");
        for (a, b) in other.iter().zip(&expected) {
            assert_eq!((a.key, a.velocity), (b.key, b.velocity), "at {rate}");
            let late = (a.at as f64 / rate - b.at as f64 / 48_000.0) * rate;
            assert!(late.abs() <= 2.0, "an onset off by {late} samples at {rate}");
        }
    }
}

#[test]
fn onsets_are_on_the_grid_of_the_model() {
    // 48 ticks a beat at 120 bpm and 48 kHz: a tick is 500 samples.
    let score = parse(PHRASE);
    let song = rolls(120.0, 9.0);
    let out = offline(&linked::linked(), 48_000.0, 256).play(&score, &song, 10.0, 256);
    for note in answer(&out, &score, &song, 48_000.0) {
        let off = note.at % 500;
        assert!(off <= 1 || off >= 499, "onset {} is {off} samples off the grid", note.at);
    }
}

#[test]
fn a_tempo_ramp_moves_the_plan() {
    let score = parse(PHRASE);
    let mut song = Song::ramp(90.0, 150.0, 24);
    song.acts.push((12.0, Act::Stop));
    let out = offline(&linked::linked(), 48_000.0, 64).play(&score, &song, 13.0, 64);
    let notes = answer(&out, &score, &song, 48_000.0);
    assert!(!notes.is_empty());
    for note in notes {
        let ticks = song.stand(note.at, 48_000.0).beats * 48.0;
        // The host tells a tempo a block: 64 samples at 150 bpm are 0.16 ticks.
        assert!((ticks - ticks.round()).abs() < 0.2, "onset at tick {ticks}");
    }
}

#[test]
fn the_bundle_answers_as_the_linked_plugin_does() {
    let Some(path) = bundle("the_bundle_answers_as_the_linked_plugin_does", "Continuo.clap") else { return };
    let score = parse(PHRASE);
    let song = rolls(120.0, 9.0);
    let play = |source: &Source| offline(source, 48_000.0, 512).play(&score, &song, 10.0, 512).events;
    assert_eq!(play(&Source::Bundle(path)), play(&linked::linked()));
}

#[test]
fn off_means_silence() {
    let mut plugin = offline(&linked::linked(), 48_000.0, 512);
    plugin.turn("Mode", 0.0);
    let score = parse(PHRASE);
    let song = rolls(120.0, 9.0);
    let out = plugin.play(&score, &song, 10.0, 512);
    assert_eq!(answer(&out, &score, &song, 48_000.0), []);
}

#[test]
fn without_a_transport_the_internal_clock_serves() {
    let mut song = Song::stopped(120.0);
    song.given = false;
    let score = parse(PHRASE);
    let out = offline(&linked::linked(), 48_000.0, 512).play(&score, &song, 9.0, 512);
    let end = song.sample(7.0, 48_000.0);
    assert!(out.events.iter().any(|(at, e)| *at > end && matches!(e, Sound::On { .. })), "no answer");
}
