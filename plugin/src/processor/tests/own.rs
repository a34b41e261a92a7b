//! The song where nobody else has one.

use super::*;

/// Samples and keys of what began.
fn began(stage: &Stage) -> Vec<(u32, u8)> {
    let on = |(at, output): &(u32, Output)| match output {
        Output::On { key, .. } => Some((*at, key.0)),
        _ => None,
    };
    stage.out.iter().filter_map(on).collect()
}

/// Where a take of two bars plays that is there after three fifths of a beat; a beat is 50 blocks, and 24,000 samples.
fn played(alone: Option<bool>, blocks: u32) -> (Stage, Vec<(u32, u8)>) {
    let mut stage = Stage::new();
    stage.alone = alone;
    stage.take(&[(60, 102.0), (62, 105.5)]);
    stage.play(29, &[]);
    stage.turn(Target::Mode, 1.0);
    stage.play(blocks, &[]);
    let notes = began(&stage);
    (stage, notes)
}

#[test]
fn the_take_begins_at_the_next_bar_line_and_comes_round() {
    // From beat 100 of the take's song to 108: at beat 4 of the line, and at 12.
    let beat = |beats: f64| (beats * 24_000.0) as u32;
    let expected =
        [(6.0, 60), (9.5, 62), (14.0, 60), (17.5, 62), (22.0, 60)].map(|(at, key)| (beat(at), key));
    for rolls in [true, false] {
        let (mut stage, notes) = played(Some(rolls), 23 * 50);
        assert_eq!(notes, expected, "{rolls}");
        // The worker sees a host that rolls around a loop of two bars.
        let ticks = stage.told().into_iter().filter_map(|message| match message {
            ToWorker::Tick(tick) => Some(tick),
            _ => None,
        });
        let last = ticks.last().expect("a tick");
        assert!(
            last.playing && last.wrap.is_some_and(|(_, length)| (length.0 - 8.0).abs() < 1e-9),
            "{last:?}"
        );
        assert!((last.song.0 - last.at.0 - 80.0).abs() < 1e-6, "{last:?}");
        // Nobody wants it any more.
        stage.turn(Target::Mode, 0.25);
        stage.out.clear();
        stage.play(9 * 50, &[]);
        assert_eq!(began(&stage), []);
    }
}

#[test]
fn another_take_begins_at_the_next_bar_line_again() {
    let (mut stage, _) = played(Some(true), 7 * 50);
    stage.out.clear();
    // At beat 7.6 of the line.
    stage.take(&[(70, 0.0), (72, 3.5)]);
    stage.play(5 * 50, &[]);
    let beat = |beats: f64| (beats * 24_000.0) as u32;
    assert_eq!(began(&stage), [(beat(8.0), 70), (beat(11.5), 72), (beat(12.0), 70)]);
}

#[test]
fn a_host_that_has_a_song_is_followed() {
    // It is nowhere near the take, which waits for it.
    assert_eq!(played(None, 20 * 50).1, []);
}

/// Keys that sound at the end of what came out.
fn sounding(stage: &Stage) -> Vec<u8> {
    let mut keys = Vec::new();
    for (_, output) in &stage.out {
        match output {
            Output::On { key, .. } => keys.push(key.0),
            Output::Off { key, .. } => keys.retain(|one| *one != key.0),
            _ => {}
        }
    }
    keys
}

#[test]
fn what_sounds_ends_where_the_take_turns_changes_or_is_gone() {
    let long = [(60, 0.0), (64, 2.0), (67, 6.5)];
    let begun = || {
        let mut stage = Stage::new();
        stage.alone = Some(true);
        stage.take_of(&long, 3.0);
        stage.turn(Target::Mode, 1.0);
        // From beat 4 on, around the turn at beat 16: the last note sounds over it.
        stage.play(17 * 50, &[]);
        assert!(began(&stage).len() >= 4 && !sounding(&stage).is_empty(), "{:?}", began(&stage));
        stage
    };
    let ends: [fn(&mut Stage); 4] = [
        |stage| stage.turn(Target::Mode, 0.25),
        |stage| stage.take_of(&[(48, 0.0)], 0.5),
        |stage| stage.take(&[]),
        |stage| stage.alone = None,
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut stage = begun();
        end(&mut stage);
        stage.play(50, &[]);
        let left: Vec<u8> = sounding(&stage).into_iter().filter(|key| [60, 64, 67].contains(key)).collect();
        assert_eq!(left, [0; 0], "way {number}");
    }
}
