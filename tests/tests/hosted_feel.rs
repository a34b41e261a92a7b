//! An answer takes on the player's manner: swing, what is laid back, accents, and how a phrase grows.

mod linked;

use continuo_tests::host::{Act, Hosted, Pitched, Played, Song, Source, paired};

const RATE: f64 = 48_000.0;
const LINE: [u8; 16] = [57, 60, 64, 67, 69, 67, 64, 62, 60, 62, 64, 60, 57, 55, 57, 60];

/// Four bars: a note at each place of every beat, as loud as `loud` says of its beat in the performance.
fn phrase(places: &[f64], loud: impl Fn(f64) -> u8) -> Vec<Played> {
    let onsets = (0..16).flat_map(|beat| places.iter().map(move |place| f64::from(beat) + place));
    let notes = onsets.zip(LINE.iter().cycle());
    notes
        .map(|(at, &key)| Played { at: at.max(0.0), len: 0.3, key, velocity: loud(at), channel: 0 })
        .collect()
}

/// Notes of the answers to a phrase, for some seeds.
fn answers(source: &Source, score: &[Played], turned: &[(&str, f64)]) -> Vec<Pitched> {
    let mut all = Vec::new();
    for seed in 1..=3 {
        let mut plugin = Hosted::new(source);
        plugin.offline();
        plugin.activate(RATE, 512);
        plugin.turn("Seed", f64::from(seed));
        plugin.turn("Thru", 0.0);
        // On the bar line, so that places in the beat and in the bar are told apart.
        plugin.turn("Launch quantise", 2.0);
        turned.iter().for_each(|(name, value)| plugin.turn(name, *value));
        let mut song = Song::steady(120.0);
        song.acts.push((17.0, Act::Stop));
        let out = plugin.play(score, &song, 18.0, 512);
        all.extend(paired(&out).unwrap_or_else(|why| panic!("{why}")));
    }
    assert!(all.len() > 20, "{} notes", all.len());
    all
}

/// Place in the beat.
fn phase(note: &Pitched) -> f64 {
    #[allow(clippy::cast_precision_loss)] // some seconds of samples
    let beats = note.at as f64 / RATE * 2.0;
    beats - beats.floor()
}

/// Notes near a place of the beat.
fn near(notes: &[Pitched], place: f64) -> usize {
    let away = |note: &Pitched| {
        let away = (phase(note) - place).abs();
        away.min(1.0 - away)
    };
    notes.iter().filter(|note| away(note) < 0.02).count()
}

fn eighty(_: f64) -> u8 {
    80
}

#[test]
fn a_swung_phrase_gets_a_swung_answer() {
    for ratio in [0.62, 2.0 / 3.0] {
        let score = phrase(&[0.0, ratio], eighty);
        let swung = answers(&linked::linked(), &score, &[]);
        let (off, even) = (near(&swung, ratio), near(&swung, 0.5));
        println!("swing {ratio:.2}: {off} off-beats of {} notes are swung, {even} are even", swung.len());
        assert!(off >= 5 && off >= 9 * even, "swing {ratio}: {off} off-beats are swung, {even} even");
        let straight = answers(&linked::linked(), &score, &[("Feel", 0.0)]);
        assert!(near(&straight, 0.5) >= 5 && near(&straight, ratio) == 0, "Feel at 0 is straight");
        let half = answers(&linked::linked(), &score, &[("Feel", 0.5)]);
        assert!(near(&half, 0.25 + ratio / 2.0) >= 5, "Feel at a half is half-way");
    }
}

#[test]
fn who_plays_behind_the_beat_is_answered_so() {
    let score = phrase(&[0.035, 0.535], eighty);
    let laid_back = answers(&linked::linked(), &score, &[]);
    let (behind, on) = (near(&laid_back, 0.035), near(&laid_back, 0.0));
    assert!(behind >= 5 && behind > 4 * on, "{behind} behind the beat, {on} on it");
}

#[test]
fn accents_are_the_players() {
    let score = phrase(&[0.0, 0.5], |at| if at % 2.0 == 1.0 { 112 } else { 70 });
    let notes = answers(&linked::linked(), &score, &[]);
    let mean = |wanted: fn(f64) -> bool| {
        let at = |note: &&Pitched| wanted(((note.at as f64 / RATE * 2.0) * 4.0).round() / 4.0 % 2.0);
        let velocities: Vec<f64> = notes.iter().filter(at).map(|note| f64::from(note.velocity)).collect();
        velocities.iter().sum::<f64>() / velocities.len().max(1) as f64
    };
    let (back, other) = (mean(|beat| beat == 1.0), mean(|beat| beat != 1.0));
    assert!(back > other + 20.0, "{back:.0} on two and four, {other:.0} elsewhere");
}

#[test]
fn a_crescendo_is_answered_by_one_and_evenness_by_evenness() {
    let halves = |loud: fn(f64) -> u8| {
        let notes = answers(&linked::linked(), &phrase(&[0.0, 0.5], loud), &[]);
        // The answer is from beat 20 to 36.
        let mean = |from: f64, to: f64| {
            let inside = |note: &&Pitched| (from..to).contains(&(note.at as f64 / RATE * 2.0));
            let velocities: Vec<f64> =
                notes.iter().filter(inside).map(|note| f64::from(note.velocity)).collect();
            velocities.iter().sum::<f64>() / velocities.len().max(1) as f64
        };
        mean(29.0, 34.0) - mean(19.0, 25.0)
    };
    let (grows, even) = (halves(|at| 50 + (at * 4.0) as u8), halves(eighty));
    assert!(grows > 12.0, "it grows by {grows:.1}");
    assert!(even.abs() < 6.0, "an even phrase is answered with {even:.1} more at the end");
}
