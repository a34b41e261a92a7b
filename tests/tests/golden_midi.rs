//! MIDI to notes to events and back: 38 files against the reference, and damaged ones against nothing at all.

mod golden;

use continuo_inference::compound::{self, Compound, Fold};
use continuo_inference::midi::Midi;
use serde_json::{Value, json};

fn files() -> Vec<Value> {
    let entries = std::fs::read_dir(golden::folder().join("midi")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.iter().map(|name| golden::read(&format!("midi/{name}"))).collect()
}

fn flat(notes: &[Compound]) -> Vec<i64> {
    notes.iter().flat_map(|note| note.flat()).collect()
}

fn compare<T: PartialEq + std::fmt::Debug>(name: &str, ours: Result<T, String>, theirs: Option<T>) {
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(ours, theirs, "{name}"),
        (Err(_), None) => {}
        (ours, theirs) => panic!("{name}: {ours:?} instead of {theirs:?}"),
    }
}

fn messages(notes: &[Compound]) -> Result<Vec<Value>, String> {
    let written = compound::layout(notes).map_err(|error| error.to_string())?;
    let name = |status| match status & 0xf0 {
        0xc0 => "program_change",
        0x90 => "note_on",
        _ => "note_off",
    };
    let mut written = written;
    written.sort_by_key(|message| message.0);
    let one = |(track, tick, status, first, second): compound::Written| {
        json!([track, tick, name(status), status & 15, first, second])
    };
    Ok(written.into_iter().map(one).collect())
}

#[test]
fn every_file_as_the_reference_reads_and_writes_it() {
    let files = files();
    assert_eq!(files.len(), 38);
    for file in files {
        let name = file["name"].as_str().unwrap();
        let bytes = golden::base64(file["midi_b64"].as_str().unwrap());
        let read = Midi::parse(&bytes).map(|midi| compound::from_midi(&midi)).map_err(|e| e.to_string());
        let expected = file["compound"].get("ok").map(golden::numbers);
        compare(name, read.clone().map(|notes| flat(&notes)), expected);
        let Some(events) = file["events"].get("ok").map(golden::numbers) else { continue };
        let notes = read.unwrap();
        assert_eq!(compound::to_events(&notes), events, "{name}");
        let back = compound::from_events(&events, Fold::ByToken).map_err(|error| error.to_string());
        let theirs = file["events_to_compound"].get("ok").map(golden::numbers);
        compare(name, back.as_ref().map(|notes| flat(notes)).map_err(Clone::clone), theirs);
        let theirs = file["compound_to_midi"].get("ok").map(|ok| ok["messages"].as_array().unwrap().clone());
        compare(name, messages(&notes), theirs);
        let ok = file["events_to_midi"].get("ok");
        let theirs = ok.map(|ok| ok["messages"].as_array().unwrap().clone());
        compare(name, back.clone().and_then(|notes| messages(&notes)), theirs);
        let theirs = ok.map(|ok| golden::base64(ok["bytes_b64"].as_str().unwrap()));
        compare(name, back.and_then(|n| compound::to_midi(&n).map_err(|e| e.to_string())), theirs);
    }
}

#[test]
fn damaged_files_never_panic_nor_grow() {
    let files: Vec<_> = files().iter().map(|f| golden::base64(f["midi_b64"].as_str().unwrap())).collect();
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut readable = 0;
    for _ in 0..20_000 {
        let mut bytes = files[random(files.len())].clone();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = random(256) as u8,
                1 => bytes[at] ^= 1 << random(8),
                2 => bytes.insert(at, random(256) as u8),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(midi) = Midi::parse(&bytes) {
            assert!(midi.messages.len() <= bytes.len());
            let notes = compound::from_midi(&midi);
            let events = compound::to_events(&notes);
            let _ = compound::from_events(&events, Fold::ByNote);
            readable += usize::from(compound::to_midi(&notes).is_ok());
        }
    }
    assert!(readable > 1000, "only {readable} could still be read: the test tests nothing");
}
