//! Time, all of it: pre-roll, overdubs in a loop, hosts that tell little, changes of rate and block, and how an answer
//! gives way.

mod linked;

use continuo_tests::host::{
    Act, Hosted, Pitched, Played, Raw, Recording, Song, Sound, Untold, paired, parse,
};

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9 C4@5.5 A3@6.5 len 0.5";
const SECOND: u64 = 48_000;

fn offline(turned: &[(&str, f64)]) -> Hosted {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.offline();
    plugin.activate(48_000.0, 512);
    turned.iter().for_each(|(name, value)| plugin.turn(name, *value));
    plugin
}

/// Rolls from a beat on at 120 beats a minute and stops a second before the end.
fn rolls(from: f64, seconds: f64) -> Song {
    let mut song = Song::steady(120.0);
    song.acts = vec![(0.0, Act::Play(from)), (seconds - 1.0, Act::Stop)];
    song
}

fn in_order(out: &Recording) -> Vec<Pitched> {
    paired(out).unwrap_or_else(|why| panic!("{why}"))
}

/// Notes at or after a sample.
fn after(out: &Recording, sample: u64) -> Vec<Pitched> {
    in_order(out).into_iter().filter(|note| note.at >= sample).collect()
}

#[test]
fn a_pre_roll_is_heard_and_answered_like_the_rest() {
    // The song begins a bar early, the phrase with it: it ends at beat 3 of the song, 7 beats after the start.
    let answer = |from: f64| {
        let out = offline(&[("Thru", 0.0)]).play(&parse(PHRASE), &rolls(from, 12.0), 12.0, 512);
        in_order(&out).iter().map(|note| (note.at, note.key)).collect::<Vec<_>>()
    };
    let early = answer(-4.0);
    assert!(early.len() > 3, "{early:?}");
    assert_eq!(early, answer(4.0), "the same, a bar later");
    // A pre-roll of a beat and a half shifts the bar lines, and nothing breaks.
    assert!(!answer(-1.5).is_empty());
}

#[test]
fn notes_held_over_the_wrap_of_a_loop_end_once_and_overdubs_are_heard() {
    let mut song = rolls(0.0, 21.0);
    song.looped = Some((0.0, 8.0));
    // Twice around: a note held over the wrap (beat 8 at 4 s), then something over it, then silence.
    let mut score =
        parse("A3@0 len 1.6 C4@2 E4@4 D4@6 len 1.2 A4@7.5 len 1 G4@9 len 1.5 E4@11 C4@13 A3@15.5 len 1");
    score.extend(parse("E3@10 len 0.5 A3@14.5"));
    let play = |turned: &[(&str, f64)]| offline(turned).play(&score, &song, 21.0, 512);
    let out = play(&[]);
    let notes = in_order(&out);
    for (key, beat, len) in [(69, 7.5, 1.0), (57, 15.5, 1.0)] {
        let sample = |beats: f64| (beats * 24_000.0) as u64;
        assert!(
            notes.iter().any(|n| (n.at, n.key, n.end) == (sample(beat), key, sample(beat + len))),
            "the note at beat {beat} over the wrap: {notes:?}"
        );
    }
    // The answer comes after the last of it, and only then.
    let alone = in_order(&play(&[("Thru", 0.0)]));
    assert!(alone.len() > 3 && alone.iter().all(|note| note.at > 8 * SECOND), "{alone:?}");
}

#[test]
fn bends_and_expression_of_every_finger_go_through_as_they_came() {
    let mut plugin = offline(&[]);
    let mut input: Vec<Raw> = Vec::new();
    for finger in 1..6_u8 {
        let at = u64::from(finger) * 500;
        input.push((at, [0xe0 | finger, 3 * finger, 64 + finger]));
        input.push((at + 1, [0xb0 | finger, 74, 10 + finger]));
        input.push((at + 2, [0x90 | finger, 60 + finger, 90]));
        input.push((at + 60, [0xd0 | finger, 40 + finger, 0]));
        input.push((at + 61, [0xa0 | finger, 60 + finger, 50]));
        input.extend((0..20).map(|n| (at + 100 + n * 10, [0xe0 | finger, n as u8, 64])));
        input.push((at + 9_000, [0x80 | finger, 60 + finger, 0]));
        input.push((at + 9_000, [0xe0 | finger, 0, 64]));
    }
    let out = plugin.play_raw(&input, &rolls(0.0, 9.0), 9.0, 512);
    let passed = |kind: u8| {
        let message = |(at, event): &(u64, Sound)| match event {
            Sound::Midi(bytes) if bytes[0] & 0xf0 == kind => Some((*at, *bytes)),
            _ => None,
        };
        out.events.iter().filter_map(message).collect::<Vec<_>>()
    };
    for kind in [0xe0, 0xb0, 0xd0] {
        let mut sent: Vec<Raw> = input.iter().filter(|(_, bytes)| bytes[0] & 0xf0 == kind).copied().collect();
        sent.sort_by_key(|(at, _)| *at);
        assert_eq!(passed(kind), sent, "{kind:x}");
    }
    let notes = in_order(&out);
    for finger in 1..6 {
        assert!(notes.iter().any(|note| (note.channel, note.key) == (finger, 60 + finger)));
    }
    assert!(!after(&out, 2 * SECOND).is_empty(), "and it is answered");
}

#[test]
fn hosts_that_tell_little_are_answered_all_the_same() {
    let untold = |tempo, meter, beats| Untold { tempo, meter, beats };
    for untold in [
        untold(true, false, false),
        untold(false, true, false),
        untold(false, false, true),
        untold(true, true, false),
        untold(true, true, true),
    ] {
        let song = Song { untold, ..rolls(0.0, 12.0) };
        let out = offline(&[("Thru", 0.0)]).play(&parse(PHRASE), &song, 12.0, 512);
        let notes = in_order(&out);
        assert!(notes.len() > 3 && notes.iter().all(|note| note.at > 3 * SECOND), "{untold:?}: {notes:?}");
        // Nobody told of bars: four beats are one.
        let out = offline(&[("Trigger", 1.0), ("Thru", 0.0)]).play(&parse(PHRASE), &song, 12.0, 512);
        let first = in_order(&out).first().map(|note| note.at);
        assert_eq!(first, Some(4 * SECOND), "{untold:?}: on the bar line at beat 8");
    }
}

#[test]
fn rate_and_block_change_in_the_middle_and_nothing_hangs() {
    let mut plugin = offline(&[]);
    let mut events = Vec::new();
    let mut shift = 0;
    // In the middle of a phrase, of an answer, and of a held key.
    for (rate, block, seconds) in
        [(48_000.0, 512, 2.2), (44_100.0, 128, 5.0), (96_000.0, 2048, 5.5), (48_000.0, 64, 6.0)]
    {
        plugin.deactivate();
        plugin.offline();
        plugin.activate(rate, block);
        let score = parse(PHRASE);
        let out = plugin.play(&score, &rolls(0.0, seconds + 10.0), seconds, block);
        let end = (seconds * rate) as u64;
        assert!(out.left.iter().all(|x| x.is_finite()));
        events.extend(out.events.iter().map(|(at, event)| (at + shift, *event)));
        shift += end;
        if seconds > 4.5 {
            let own = |at: u64, key: u8| {
                score.iter().any(|n| n.key == key && (n.at / 2.0 * rate).round() as u64 == at)
            };
            let on = |(at, event): &&(u64, Sound)| matches!(event, Sound::On { key, .. } if !own(*at, *key));
            assert!(out.events.iter().filter(on).count() > 0, "no answer at {rate} in blocks of {block}");
        }
    }
    let rest = plugin.play(&[], &Song::stopped(120.0), 1.0, 64);
    events.extend(rest.events.iter().map(|(at, event)| (at + shift, *event)));
    in_order(&Recording { events, ..Recording::default() });
}

#[test]
fn bypass_passes_what_is_played_and_forgets_nothing_of_the_keyboard() {
    let mut plugin = offline(&[("Bypass", 1.0)]);
    let score = parse(PHRASE);
    let out = plugin.play(&score, &rolls(0.0, 9.0), 9.0, 512);
    assert_eq!(in_order(&out).len(), score.len(), "what was played, and nothing else");
    assert_eq!(out.peak(0..9 * 48_000), 0.0, "the built-in sound is off");
    plugin.turn("Bypass", 0.0);
    let out = plugin.play(&score, &rolls(0.0, 9.0), 9.0, 512);
    assert!(in_order(&out).len() > score.len(), "it listens again");
}

#[test]
fn an_answer_gives_way_at_once_or_at_the_next_beat() {
    // Comes in while something of the answer sounds, and more is to come before the beat.
    let mut score = parse(PHRASE);
    let answer = {
        let out = offline(&[("Thru", 0.0), ("Density", 3.0)]).play(&score, &rolls(0.0, 12.0), 12.0, 512);
        in_order(&out)
    };
    let comes = |held: &Pitched| held.at + 500;
    let beat = |at: u64| at.div_ceil(24_000) * 24_000;
    let before = |from: u64| answer.iter().filter(move |note| (from..beat(from)).contains(&note.at)).count();
    let fits = |held: &&Pitched| held.end - held.at > 2_000 && before(comes(held)) > 0;
    let held = answer.iter().find(fits).expect("a note of some length, and another before the beat");
    let (at, beat) = (comes(held), beat(comes(held)));
    score.push(Played { at: at as f64 / 24_000.0, len: 0.2, key: 30, velocity: 90, channel: 0 });
    let plays = |way: f64| {
        let turned = [("Thru", 0.0), ("Density", 3.0), ("Yield", way)];
        let notes = in_order(&offline(&turned).play(&score, &rolls(0.0, 12.0), 12.0, 512));
        let second = notes.iter().find(|note| (note.at, note.key) == (held.at, held.key)).expect("the note");
        let after = |from: u64, to: u64| notes.iter().filter(|note| note.at > from && note.at <= to).count();
        assert_eq!(after(beat - 1, at + 24_000), 0, "it went on: {notes:?}");
        (second.end, after(at, beat - 1))
    };
    assert_eq!(plays(0.0), (at, 0));
    assert_eq!(plays(1.0), (held.end.min(beat), before(at)), "what is planned before the beat is played");
}

#[test]
fn muted_answers_are_not_heard_and_the_listening_goes_on() {
    let mut plugin = offline(&[("Thru", 0.0), ("Mute answers", 1.0)]);
    let score = parse(PHRASE);
    let out = plugin.play(&score, &rolls(0.0, 12.0), 12.0, 512);
    assert_eq!(in_order(&out), []);
    assert_eq!(out.peak(6 * 48_000..11 * 48_000), 0.0);
    // What was played while it was mute is context: the answer to nothing new can be asked for.
    plugin.turn("Mute answers", 0.0);
    plugin.turn("Answer now", 1.0);
    let out = plugin.play(&[], &rolls(0.0, 12.0), 12.0, 512);
    assert!(in_order(&out).len() > 3);
}

#[test]
fn after_a_change_of_meter_bar_lines_are_the_hosts() {
    // Four bars of four, then of three: from 16 on they begin at 19, 22.
    let song = Song { changes: Some((16.0, (3, 4))), ..rolls(0.0, 14.0) };
    let score = parse("A3@16.5 len 0.4 C4@17 E4@17.5 G4@18.2");
    let out = offline(&[("Trigger", 1.0), ("Thru", 0.0)]).play(&score, &song, 14.0, 512);
    assert_eq!(in_order(&out).first().map(|note| note.at), Some(19 * 24_000));
}
