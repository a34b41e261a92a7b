//! Random performances: transports, input (malformed too) and parameters as they fall. Rates change too. Whatever happens, every
//! note that sounds ends, ends come before beginnings, and nothing is out of range.

mod linked;

use std::collections::HashSet;

use continuo_tests::host::{Act, Hosted, Raw, Recording, Song, Sound, paired};
use continuo_tests::random::Random;

const RATE: f64 = 48_000.0;

fn song(random: &mut Random, seconds: f64) -> Song {
    let mut song = Song::steady(random.between(40.0, 240.0));
    song.meter = [(4, 4), (3, 4), (7, 8), (5, 4), (6, 8)][random.below(5) as usize];
    song.given = random.below(6) != 0;
    let mut at = 0.0;
    song.acts.clear();
    while at < seconds {
        song.acts
            .push((at, if random.below(4) == 0 { Act::Stop } else { Act::Play(random.between(-2.0, 40.0)) }));
        at += random.between(0.2, 3.0);
    }
    if random.below(3) == 0 {
        song = Song { tempo: Song::ramp(60.0, 200.0, 16).tempo, ..song };
    } else if random.below(2) == 0 {
        let from = random.between(0.0, 8.0);
        song.looped = Some((from, from + random.between(0.5, 9.0)));
    }
    song
}

/// A player who plays, stops, and sometimes sends what no keyboard sends.
fn input(random: &mut Random, seconds: f64) -> Vec<Raw> {
    let mut input = Vec::new();
    let mut at = 0.0;
    while at < seconds {
        at += if random.below(9) == 0 { random.between(1.0, 4.0) } else { random.between(0.0, 0.4) };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some seconds
        let sample = |at: f64| (at * RATE) as u64;
        let (key, channel) = (40 + random.byte(48), random.byte(3) * random.byte(2));
        match random.below(14) {
            0 => input.push((sample(at), [0x80 | channel, key, 0])),
            1 => input.push((sample(at), [0x90 | channel, key, 0])),
            2 => input.push((sample(at), [0xb0 | channel, 64, random.byte(128)])),
            3 => input.push((sample(at), [0xe0 | channel, random.byte(128), random.byte(128)])),
            4 => input.push((sample(at), [0x90 | channel, key, 100])),
            _ => {
                let end = at + random.between(0.02, 0.8);
                input.push((sample(at), [0x90 | channel, key, 1 + random.byte(127)]));
                input.push((sample(end), [0x80 | channel, key, 0]));
            }
        }
    }
    input
}

fn turn_something(plugin: &mut Hosted, random: &mut Random) {
    const TURNED: [(&str, u64); 20] = [
        ("Mode", 5),
        ("Trigger", 6),
        ("Launch quantise", 7),
        ("Launch bars", 4),
        ("Second instrument", 50),
        ("Yield", 2),
        ("MIDI out", 3),
        ("Thru", 2),
        ("Source", 2),
        ("Answer again", 2),
        ("Answer now", 2),
        ("Keep that", 2),
        ("Panic", 2),
        ("Bypass", 2),
        ("Length", 4),
        ("Grid", 4),
        ("Mute answers", 2),
        ("Feel", 2),
        ("Hear others", 2),
        // Whatever key or controller comes next is learnt.
        ("Learn", 12),
    ];
    let (name, values) = TURNED[random.below(TURNED.len() as u64) as usize];
    let least = plugin.param(name).range.0;
    #[allow(clippy::cast_precision_loss)] // at most 6
    plugin.turn(name, least + random.below(values) as f64);
}

/// What came out, and where which key was struck.
fn perform(seed: u64) -> (Recording, HashSet<(u64, u8)>) {
    let mut random = Random(seed);
    let block = [1, 17, 64, 333, 480, 512, 1024, 4096][random.below(8) as usize];
    let block = if block == 1 { 29 } else { block };
    let mut plugin = Hosted::new(&linked::linked());
    if random.below(3) > 0 {
        plugin.offline();
    }
    plugin.activate(RATE, block);
    let (mut whole, mut struck) = (Recording::default(), HashSet::new());
    for _ in 0..5 {
        turn_something(&mut plugin, &mut random);
        let (song, input) = (song(&mut random, 3.0), input(&mut random, 3.0));
        let from = whole.left.len() as u64;
        struck.extend(
            input
                .iter()
                .filter(|(_, bytes)| bytes[0] & 0xf0 == 0x90)
                .map(|(at, bytes)| (at + from, bytes[1])),
        );
        add(&mut whole, plugin.play_raw(&input, &song, 3.0, block));
        match random.below(8) {
            0 => plugin.reset(),
            // The host changes its mind about blocks and rates.
            1 => {
                plugin.deactivate();
                plugin.activate([44_100.0, RATE, 96_000.0][random.below(3) as usize], block);
            }
            _ => {}
        }
    }
    // Everything is let go and switched off; then nothing may sound.
    plugin.turn("Mode", 0.0);
    plugin.turn("Source", 0.0);
    let mut offs: Vec<Raw> =
        (0..3 * 128).map(|i| (100, [0x80 | (i / 128) as u8, (i % 128) as u8, 0])).collect();
    offs.extend((0..16_u8).flat_map(|n| [(101, [0xb0 | n, 64, 0]), (101, [0xe0 | n, 0, 64])]));
    add(&mut whole, plugin.play_raw(&offs, &Song::stopped(120.0), 1.0, block));
    (whole, struck)
}

fn add(whole: &mut Recording, part: Recording) {
    let from = whole.left.len() as u64;
    whole.events.extend(part.events.iter().map(|(at, event)| (at + from, *event)));
    whole.left.extend(part.left);
    whole.right.extend(part.right);
}

#[test]
fn whatever_happens_every_note_ends() {
    let (mut passed, mut answered) = (0, 0);
    for seed in 0..40 {
        let (out, struck) = perform(seed);
        let notes = paired(&out).unwrap_or_else(|why| panic!("performance {seed}: {why}"));
        assert!(
            out.left.iter().chain(&out.right).all(|x| x.is_finite() && x.abs() <= 1.0),
            "performance {seed}"
        );
        assert!(notes.iter().all(|note| note.velocity > 0 && note.key < 128 && note.channel < 16));
        let ons = out.events.iter().filter(|(_, event)| matches!(event, Sound::On { .. })).count();
        assert_eq!(ons, notes.len(), "performance {seed}");
        let own = notes.iter().filter(|note| struck.contains(&(note.at, note.key))).count();
        passed += own;
        answered += notes.len() - own;
    }
    let said = format!("{passed} notes passed on and {answered} generated");
    assert!(passed > 200 && answered > 100, "{said}: the performances are too quiet to show anything");
}
