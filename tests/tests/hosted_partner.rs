//! The real plugin in a host, with the real `continuo serve` as its partner: the choice lies in the project's state.

mod linked;
mod serving;

use continuo_tests::host::{Hosted, Recording, Song, paired, parse};
use serde_json::{Value, json};
use serving::Serving;

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5 len 0.9";

/// A state of the plugin: the length, then JSON.
fn read(state: &[u8]) -> Value {
    serde_json::from_slice(&state[8..]).expect("JSON behind its length")
}

fn write(state: &Value) -> Vec<u8> {
    let text = serde_json::to_vec(state).unwrap();
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes
}

/// What a project keeps under a name, which is JSON in a string in JSON.
fn field<'a>(state: &'a mut Value, name: &str) -> &'a mut Value {
    state["fields"].get_mut(name).unwrap_or_else(|| panic!("no {name} in the state"))
}

fn inside(kept: &Value) -> Value {
    let text: String = serde_json::from_str(kept.as_str().unwrap()).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// An instance whose project names a partner.
fn with(partner: &Value) -> Hosted {
    let mut plugin = Hosted::new(&linked::linked());
    let mut state = read(&plugin.save());
    assert_eq!(inside(field(&mut state, "partner"))["version"], 1);
    *field(&mut state, "partner") = json!(serde_json::to_string(&partner.to_string()).unwrap());
    assert!(plugin.load(&write(&state)));
    plugin
}

/// Plays a phrase, keeps the answer; what came out, and the model that the take names.
fn played(plugin: &mut Hosted) -> (Recording, String) {
    plugin.offline();
    plugin.activate(48_000.0, 512);
    plugin.turn("Thru", 0.0);
    let out = plugin.play(&parse(PHRASE), &Song::steady(120.0), 9.0, 512);
    plugin.turn("Keep that", 1.0);
    plugin.play(&[], &Song::stopped(120.0), 0.5, 512);
    let mut state = read(&plugin.save());
    let takes = inside(field(&mut state, "takes"));
    (out, takes["takes"][0]["model"].as_str().unwrap_or("").to_owned())
}

#[test]
fn a_service_named_in_the_project_answers_note_for_note() {
    let Some(service) = Serving::new("hosted", &[]) else { return };
    let (here, name) = played(&mut with(&json!({ "version": 1 })));
    let mut plugin = with(&json!({ "version": 1, "address": service.url }));
    let (there, far) = played(&mut plugin);
    assert_eq!(far, format!("{name} at {}", service.url));
    assert!(here.events.len() > 8 && here.events == there.events);
    // In a duplicate it is named again.
    let mut copy = Hosted::new(&linked::linked());
    assert!(copy.load(&plugin.save()));
    assert_eq!(inside(field(&mut read(&copy.save()), "partner"))["address"], json!(service.url));
}

#[test]
fn a_host_hears_no_hanging_note_from_a_service_that_dies() {
    let Some(service) = Serving::new("dies", &[]) else { return };
    let mut plugin = with(&json!({ "version": 1, "address": service.url }));
    plugin.offline();
    plugin.activate(48_000.0, 256);
    plugin.turn("Mode", 2.0);
    plugin.turn("Thru", 0.0);
    let song = Song::steady(120.0);
    let mut out = plugin.play(&parse(PHRASE), &song, 8.0, 256);
    let before = out.events.len();
    drop(service);
    // The song goes on where it was.
    let mut later = song;
    later.acts = vec![(0.0, continuo_tests::host::Act::Play(16.0))];
    let mut add = |part: Recording, from: f64| {
        let from = (from * 48_000.0) as u64;
        out.events.extend(part.events.iter().map(|(at, event)| (at + from, *event)));
    };
    add(plugin.play(&[], &later, 12.0, 256), 8.0);
    plugin.turn("Mode", 0.0);
    add(plugin.play(&[], &Song::stopped(120.0), 0.5, 256), 20.0);
    let notes = paired(&out).unwrap_or_else(|why| panic!("{why}"));
    assert!(before > 4 && notes.iter().any(|note| note.at > 16 * 48_000), "{} notes", notes.len());
}
