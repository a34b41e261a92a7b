//! A bounce in the middle of a session: it is what it would be without, and what was heard before it still counts.

mod linked;

use std::time::Duration;

use continuo_tests::host::{Hosted, Recording, Song, Sound, parse};
use serde_json::Value;

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9";
const BOUNCED: &str = "C3@0 len 0.9 vel 90 G2@1 E3@2 C3@3 D3@4 len 0.45 B2@4.5 len 0.9";

/// Sample, key and velocity of what begins. Not what ends: a bounce begins with the ends of what sounded before it.
fn ons(out: &Recording) -> Vec<(u64, u8, u8)> {
    let on = |(at, event): &(u64, Sound)| match event {
        Sound::On { key, velocity, .. } => Some((*at, *key, *velocity)),
        _ => None,
    };
    out.events.iter().filter_map(on).collect()
}

/// Plays nothing at the pace of the wall clock, with the host's transport at rest, until something holds; whether it did
/// within half a minute.
fn until(plugin: &mut Hosted, mut holds: impl FnMut(&mut Hosted, &Recording) -> bool) -> bool {
    (0..3_000).any(|_| {
        let out = plugin.play(&[], &Song::stopped(120.0), 0.01, 480);
        std::thread::sleep(Duration::from_millis(10));
        holds(plugin, &out)
    })
}

/// Keys that a phrase is answered with, live: what is heard of it within so many blocks of 10 ms of its first note.
fn answered(plugin: &mut Hosted, blocks: u32) -> Vec<u8> {
    let (mut heard, mut left) = (Vec::new(), blocks);
    plugin.play(&parse(PHRASE), &Song::stopped(120.0), 3.0, 480);
    assert!(until(plugin, |_, out| {
        heard.extend(ons(out).into_iter().map(|(_, key, _)| key));
        left -= u32::from(!heard.is_empty());
        left == 0
    }));
    heard
}

fn bounce(plugin: &mut Hosted) -> Vec<(u64, u8, u8)> {
    plugin.deactivate();
    plugin.offline();
    plugin.activate(44_100.0, 512);
    let out = plugin.play(&parse(BOUNCED), &Song::steady(120.0), 8.0, 512);
    plugin.deactivate();
    ons(&out)
}

/// Presses a button.
fn press(plugin: &mut Hosted, name: &str) {
    for down in [1.0, 0.0] {
        plugin.turn(name, down);
        plugin.play(&[], &Song::stopped(120.0), 0.02, 480);
    }
}

/// The keys of every take that the project keeps.
fn takes(plugin: &mut Hosted) -> Vec<Vec<u8>> {
    let state = plugin.save();
    let text = &state[state.iter().position(|byte| *byte == b'{').expect("JSON")..];
    let found = found(&serde_json::from_slice(text).expect("JSON")).expect("takes");
    let keys = |take: &Value| {
        let notes = take["notes"].as_array().expect("notes").iter();
        notes.map(|note| note["key"].as_u64().expect("a key") as u8).collect()
    };
    found.iter().map(keys).collect()
}

/// JSON stands in strings of JSON here.
fn found(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Object(fields) => match fields.get("takes").and_then(Value::as_array) {
            Some(takes) => Some(takes.clone()),
            None => fields.values().find_map(found),
        },
        Value::String(text) if text.starts_with(['{', '"']) => found(&serde_json::from_str(text).ok()?),
        _ => None,
    }
}

#[test]
fn an_answer_that_was_heard_before_a_bounce_can_be_kept_after_it() {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.turn("Thru", 0.0);
    plugin.activate(48_000.0, 480);
    let heard = answered(&mut plugin, 200);
    let bounced = bounce(&mut plugin);
    plugin.realtime();
    plugin.activate(48_000.0, 480);
    press(&mut plugin, "Keep that");
    assert!(until(&mut plugin, |plugin, _| !takes(plugin).is_empty()), "there was nothing to keep");
    let kept = takes(&mut plugin);
    let [kept] = &kept[..] else { panic!("{kept:?}") };
    let mut rest = kept.clone();
    for key in &heard {
        let place = rest.iter().position(|one| one == key);
        rest.swap_remove(
            place.unwrap_or_else(|| panic!("{key} was heard and not kept: {kept:?}, {heard:?}")),
        );
    }
    // The bounce knew nothing of what was played live.
    let mut alone = Hosted::new(&linked::linked());
    alone.turn("Thru", 0.0);
    let expected = bounce(&mut alone);
    assert!(expected.len() > 3);
    assert_eq!(bounced, expected);
    assert_eq!(bounce(&mut plugin), expected, "nor another one");
}
