//! Parameters that move in the middle of a block.

mod linked;

use continuo_tests::host::{Act, Hosted, Pitched, Recording, Song, Sound, Untold, paired, parse};

const PHRASE: &str = "A3@0 len 0.9 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9";

fn play(song: &Song, turns: &[(&str, f64, u64)], block: u32) -> (Recording, Vec<Pitched>) {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.offline();
    plugin.activate(48_000.0, 4096);
    plugin.turn("Trigger", 5.0);
    plugin.turn("Launch quantise", 2.0);
    turns.iter().for_each(|(name, value, sample)| plugin.turn_at(name, *value, *sample));
    let mut song = song.clone();
    song.acts.push((14.0, Act::Stop));
    let out = plugin.play(&parse(PHRASE), &song, 15.0, block);
    let notes = paired(&out).unwrap_or_else(|why| panic!("{why}"));
    (out, notes)
}

#[test]
fn a_parameter_moves_at_its_sample_at_any_block_size() {
    // Asks within a block; what is asked for is thinner, and ends within another.
    let turns = [
        ("Answer now", 1.0, 140_001),
        ("Answer now", 0.0, 140_400),
        ("Density", 0.5, 141_003),
        ("Temperature", 0.9, 141_003),
        ("Panic", 1.0, 400_123),
    ];
    let (first, notes) = play(&Song::steady(120.0), &turns, 64);
    let answer: Vec<_> = notes.iter().filter(|note| note.at > 140_001).collect();
    assert!(answer.len() > 2, "{notes:?}");
    assert!(notes.iter().any(|note| note.end == 400_123), "panic ends what sounds at its sample: {notes:?}");
    for block in [333, 4096] {
        let (other, _) = play(&Song::steady(120.0), &turns, block);
        assert!(first.events == other.events, "blocks of {block} differ from those of 64");
    }
}

#[test]
fn automation_leaves_bar_lines_and_positions_where_the_host_says() {
    // From beat 1 on bars of three: at 4, 7, 10. The framework counts them from the start of the song in the middle of a block.
    let song = Song { changes: Some((1.0, (3, 4))), ..Song::steady(120.0) };
    let knob = |sample: u64| ("Temperature", 0.9 + (sample % 7) as f64 / 100.0, sample);
    let mut turns: Vec<_> = (1..100).map(|n| knob(n * 1_777)).collect();
    turns.push(("Answer now", 1.0, 140_001));
    for untold in [Untold::default(), Untold { tempo: true, ..Untold::default() }] {
        let (out, notes) = play(&Song { untold, ..song.clone() }, &turns, 4096);
        let on = |(at, event): &&(u64, Sound)| *at > 140_001 && matches!(event, Sound::On { .. });
        let first = out.events.iter().find(on).map(|(at, _)| *at);
        // Asked for at beat 5.8: the bar line at 7, and the answer is not cut by a position that jumps.
        assert_eq!(first, Some(7 * 24_000), "{untold:?}: {notes:?}");
        assert!(notes.last().expect("notes").at > 9 * 24_000, "{untold:?}: {notes:?}");
    }
}
