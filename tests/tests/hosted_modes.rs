//! Modes and triggers: what is played when, beside the player's own notes.

mod linked;

use continuo_tests::host::{Hosted, Played, Recording, Song, Sound, paired, parse};

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9 C4@5.5 A3@6.5 len 0.5";
const SECOND: u64 = 48_000;

fn offline(turned: &[(&str, f64)], block: u32) -> Hosted {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.offline();
    plugin.activate(48_000.0, block);
    for (name, value) in turned {
        plugin.turn(name, *value);
    }
    // Only what is generated comes out.
    plugin.turn("Thru", 0.0);
    plugin
}

/// Plays, then turns the mode off and stops the transport, so that whatever sounds must end.
fn played(plugin: &mut Hosted, score: &[Played], seconds: f64) -> Recording {
    let mut out = plugin.play(score, &Song::steady(120.0), seconds, 480);
    plugin.turn("Mode", 0.0);
    let rest = plugin.play(&[], &Song::stopped(120.0), 0.5, 480);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some seconds
    let end = (seconds * 48_000.0) as u64;
    out.events.extend(rest.events.iter().map(|(at, event)| (at + end, *event)));
    paired(&out).unwrap_or_else(|why| panic!("{why}"));
    out
}

/// Samples at which generated notes begin.
fn onsets(out: &Recording) -> Vec<u64> {
    out.events.iter().filter(|(_, e)| matches!(e, Sound::On { .. })).map(|(at, _)| *at).collect()
}

#[test]
fn an_answer_at_the_bar_line_begins_on_it() {
    // Played through the bar line at beat 4: the answer would begin there, but the player goes on; at 8 it begins.
    let score = parse(PHRASE);
    let out = played(&mut offline(&[("Trigger", 1.0)], 480), &score, 10.0);
    assert_eq!(onsets(&out).first(), Some(&(4 * SECOND)), "two beats a second: beat 8 is at 4 s");
}

#[test]
fn a_key_asks_for_the_answer_and_is_no_note() {
    // C2 a moment before the bar line of beat 8, which is at 4 s; MIDI out and thru are on.
    let mut score = parse(PHRASE);
    score.extend(parse("C2@7.97 len 0.2"));
    for (quantise, first) in [(2.0, 4 * SECOND), (1.0, 4 * SECOND)] {
        let mut plugin = offline(&[("Trigger", 4.0), ("Launch quantise", quantise)], 480);
        plugin.turn("Thru", 1.0);
        plugin.turn("MIDI out", 2.0);
        let out = played(&mut plugin, &score, 9.0);
        let answered: Vec<u64> = onsets(&out).into_iter().filter(|at| *at > 39 * SECOND / 10).collect();
        assert_eq!(answered.first(), Some(&first), "launch quantise {quantise}");
        let is_key = |(_, event): &(u64, Sound)| matches!(event, Sound::On { key: 36, .. });
        assert!(!out.events.iter().any(is_key), "it asked, and was passed on");
    }
    // Without a boundary it begins where it is asked for: at the grid point after it.
    let out = played(&mut offline(&[("Trigger", 4.0)], 480), &score, 9.0);
    assert_eq!(onsets(&out).first(), Some(&(4 * SECOND)));
    // Nobody asks: nobody answers.
    let out = played(&mut offline(&[("Trigger", 4.0)], 480), &parse(PHRASE), 9.0);
    assert!(onsets(&out).is_empty());
}

#[test]
fn a_player_who_goes_on_is_not_talked_over() {
    // A gap of a beat less a little is no end of a phrase.
    let score = parse("C4@0 len 0.5 E4@0.5 len 0.5 G4@1.9 len 0.5 C5@3.3 len 0.5 E4@4.7 len 0.5");
    let out = offline(&[], 480).play(&score, &Song::steady(120.0), 8.0, 480);
    assert!(onsets(&out).iter().all(|at| *at > 26 * SECOND / 10), "{:?}", onsets(&out));
    assert!(!onsets(&out).is_empty());
}

#[test]
fn hold_goes_on_until_the_player_comes_back() {
    let mut plugin = offline(&[("Mode", 2.0), ("Length", 1.0)], 480);
    let mut score = parse(PHRASE);
    score.extend(parse("C4@40 len 0.5"));
    let out = played(&mut plugin, &score, 20.7);
    let onsets = onsets(&out);
    // An answer of one bar would end by beat 12; every four bars there is something.
    for bar in [3, 4, 5, 6, 7, 8] {
        let span = bar * 2 * SECOND..(bar + 2) * 2 * SECOND;
        assert!(onsets.iter().any(|at| span.contains(at)), "nothing in bars {bar} and after");
    }
    assert!(onsets.iter().all(|at| *at < 20 * SECOND), "it did not yield at beat 40");
}

#[test]
fn a_duet_plays_while_the_player_does_and_ends_with_him() {
    let score: Vec<_> = (0..4)
        .flat_map(|bar| {
            parse(PHRASE).into_iter().map(move |note| Played { at: note.at + 8.0 * f64::from(bar), ..note })
        })
        .collect();
    let play = |block| offline(&[("Mode", 3.0)], block).play(&score, &Song::steady(120.0), 26.0, block);
    let out = play(480);
    paired(&out).unwrap_or_else(|why| panic!("{why}"));
    let onsets = onsets(&out);
    let within = onsets.iter().filter(|at| **at < 15 * SECOND).count();
    assert!(within >= 8, "{within} notes while the player plays");
    assert!(onsets.iter().all(|at| *at < 25 * SECOND), "it plays on without the player");
    assert!(play(64).events == out.events, "another duet at blocks of 64");
}

#[test]
fn an_accompaniment_plays_around_the_take() {
    let mut plugin = offline(&[("Answer instrument", 0.0)], 480);
    let first = played(&mut plugin, &parse(PHRASE), 16.0);
    plugin.turn("Keep that", 1.0);
    plugin.play(&[], &Song::stopped(120.0), 0.5, 480);
    plugin.turn("Keep that", 0.0);
    let taken = onsets(&first).len();
    // The take again, then the take and what is played around it.
    plugin.turn("Source", 1.0);
    let alone = played(&mut plugin, &[], 16.0);
    plugin.turn("Mode", 4.0);
    plugin.turn("Answer instrument", 32.0);
    let both = played(&mut plugin, &[], 16.0);
    assert_eq!(onsets(&alone).len(), taken);
    assert!(onsets(&both).len() > taken + 3, "{} notes, {taken} of them the take's", onsets(&both).len());
}

#[test]
fn an_answer_goes_on_around_a_loop() {
    let straight = offline(&[], 480).play(&parse(PHRASE), &Song::steady(120.0), 13.0, 480);
    let mut song = Song::steady(120.0);
    song.looped = Some((0.0, 12.0));
    // The song wraps at beat 12 (6 s), while the answer to the phrase plays.
    let looped = offline(&[], 480).play(&parse(PHRASE), &song, 13.0, 480);
    assert!(onsets(&straight).iter().any(|at| *at > 7 * SECOND), "an answer beyond the wrap");
    assert_eq!(onsets(&looped), onsets(&straight));
}

#[test]
fn an_answer_sounds_at_every_block_size() {
    for block in [32, 64, 512] {
        let out = offline(&[], block).play(&parse(PHRASE), &Song::steady(120.0), 8.0, block);
        let first = usize::try_from(onsets(&out)[0]).unwrap();
        assert!(out.peak(first + 100..first + 4800) > 0.01, "silent at blocks of {block}");
    }
}

#[test]
fn an_answer_can_wait_for_the_start_of_the_loop() {
    let mut song = Song::steady(120.0);
    // Twelve beats from 4 on: it wraps at beat 16 of the performance, and at 28.
    song.looped = Some((4.0, 16.0));
    let first = |quantise| {
        let out = offline(&[("Launch quantise", quantise)], 480).play(&parse(PHRASE), &song, 16.0, 480);
        onsets(&out).first().copied()
    };
    assert_eq!(first(5.0), Some(8 * SECOND), "beat 16 is at 8 s");
    assert_eq!(first(2.0), Some(6 * SECOND), "the next bar line");
}
