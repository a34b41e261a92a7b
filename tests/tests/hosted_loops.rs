//! Loops of any length, hosts that come round in the middle of a block, and one that tells no tempo.

mod linked;

use continuo_tests::host::{Act, Hosted, Pitched, Song, Untold, paired, parse};

const RATE: f64 = 48_000.0;

/// Generated notes of a performance that stops a second before its end.
fn generated(turned: &[(&str, f64)], song: &Song, phrase: &str, seconds: f64, block: u32) -> Vec<Pitched> {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.offline();
    plugin.activate(RATE, block);
    plugin.turn("Thru", 0.0);
    turned.iter().for_each(|(name, value)| plugin.turn(name, *value));
    let mut song = song.clone();
    song.acts.push((seconds - 1.0, Act::Stop));
    let out = plugin.play(&parse(phrase), &song, seconds, block);
    paired(&out).unwrap_or_else(|why| panic!("{why}"))
}

/// Loops over one bar of 7/8, or over something else.
fn looped(to: f64, meter: (u16, u16)) -> Song {
    Song { looped: Some((0.0, to)), meter, ..Song::steady(120.0) }
}

const PHRASE: &str = "A3@0 len 0.4 C4@0.5 len 0.4 E4@1 len 0.4 A4@1.5 len 0.4 G4@2 len 0.4";

#[test]
fn an_answer_in_a_loop_of_seven_eighths_begins_with_it_and_goes_around() {
    // The bar is 84,000 samples long. By default, at the loop's start, on a bar line.
    for quantise in [0.0, 5.0, 2.0] {
        let notes = generated(&[("Launch quantise", quantise)], &looped(3.5, (7, 8)), PHRASE, 16.0, 480);
        assert!(notes.len() > 5, "quantise {quantise}: {notes:?}");
        let rounds: Vec<u64> = notes.iter().map(|note| note.at / 84_000).collect();
        assert!(rounds.iter().any(|round| *round > rounds[0] + 1), "it goes around: {notes:?}");
        if quantise > 0.0 {
            assert_eq!(notes[0].at % 84_000, 0, "quantise {quantise}: {notes:?}");
        }
    }
}

#[test]
fn a_host_that_comes_round_within_a_block_gets_the_same_at_any_block_size() {
    let play = |cuts: bool, block: u32| {
        let song = Song { cuts, ..looped(3.5, (7, 8)) };
        generated(&[("Launch quantise", 5.0)], &song, PHRASE, 12.0, block)
    };
    let cut = play(true, 512);
    assert!(cut.len() > 3, "{cut:?}");
    for block in [64, 1000, 4096] {
        assert_eq!(play(false, block), cut, "blocks of {block}");
    }
}

#[test]
fn a_loop_comes_round_within_a_block_while_the_tempo_changes() {
    // Faster at the end of the loop than the tempo at the start of the block says.
    let tempo = (0..128).map(|n| (f64::from(n) / 16.0, 80.0 + f64::from(n))).collect();
    let song = Song { tempo, cuts: false, ..looped(4.0, (4, 4)) };
    let notes = generated(&[], &song, PHRASE, 16.0, 4096);
    // A round lasts 2.21 s. The answer of four bars goes on around it.
    let span = notes.last().expect("an answer").at - notes[0].at;
    assert!(span as f64 > 1.5 * 2.21 * RATE, "it breaks off at the wrap: {notes:?}");
}

#[test]
fn a_host_that_tells_no_tempo_is_answered_on_its_own_bar_line() {
    // Half as fast as the internal tempo: the phrase ends within the first bar, which lasts four seconds.
    let song = Song { untold: Untold { tempo: true, ..Untold::default() }, ..Song::steady(60.0) };
    for block in [64, 512, 4096] {
        let notes = generated(&[("Trigger", 1.0)], &song, PHRASE, 12.0, block);
        assert_eq!(notes.first().map(|note| note.at), Some(192_000), "blocks of {block}: {notes:?}");
    }
}
