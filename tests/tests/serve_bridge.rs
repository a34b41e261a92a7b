//! Bridges: what two sections do not share, and what nobody wants to hear of the first in the second. And models that count
//! in seconds, for which the bar lines are those of the file all the same.

mod golden;
mod serving;

use std::path::Path;

use continuo_inference::compound::{Compound, to_score};
use continuo_timeline::{Bpm, Meter};
use midly::{MetaMessage, MidiMessage, Smf, TrackEvent, TrackEventKind};
use serde_json::{Value, json};
use serving::{Serving, encode, notes};

/// Ticks of a beat in [`score`].
const BEAT: i64 = 480;

/// Quarter notes of a piano, at a tempo and in so many quarters.
fn score(tempo: f64, quarters: u8, keys: &[u8]) -> Vec<u8> {
    let note = |(step, key): (usize, &u8)| Compound {
        onset: BEAT * step as i64,
        duration: BEAT - 40,
        key: *key,
        instrument: 0,
        velocity: 80,
    };
    let notes: Vec<Compound> = keys.iter().enumerate().map(note).collect();
    to_score(&notes, Bpm(tempo), Meter { numerator: quarters, denominator: 4 }).unwrap()
}

const TUNE: [u8; 8] = [60, 64, 67, 65, 64, 62, 59, 60];

/// The file with a track of its own for what is said long after its last note.
fn with_tail(bytes: &[u8]) -> Vec<u8> {
    let mut midi = Smf::parse(bytes).unwrap();
    let beats = |beats: u32| (beats * BEAT as u32).into();
    let program = TrackEventKind::Midi {
        channel: 0.into(),
        message: MidiMessage::ProgramChange { program: 40.into() },
    };
    let event = |delta, kind| TrackEvent { delta: beats(delta), kind };
    midi.tracks.push(vec![
        event(400, TrackEventKind::Meta(MetaMessage::Tempo(200_000.into()))),
        event(0, TrackEventKind::Meta(MetaMessage::TimeSignature(7, 3, 24, 8))),
        event(1, TrackEventKind::Meta(MetaMessage::Lyric(b"la"))),
        event(1, program),
        event(100, TrackEventKind::Meta(MetaMessage::EndOfTrack)),
    ]);
    let mut bytes = Vec::new();
    midi.write_std(&mut bytes).unwrap();
    bytes
}

/// Events of a file with their beats, in order of time.
fn events(bytes: &[u8]) -> Vec<(f64, TrackEventKind<'_>)> {
    let mut all = Vec::new();
    for track in &Smf::parse(bytes).unwrap().tracks {
        let mut tick = 0;
        for event in track {
            tick += event.delta.as_int();
            all.push((f64::from(tick) / BEAT as f64, event.kind));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

fn bytes(service: &Serving, done: &Value) -> Vec<u8> {
    service.get(&format!("/cas/{}", done["output_hash"].as_str().unwrap())).bytes
}

fn bridge(service: &Serving, a: &[u8], b: &[u8], more: Value) -> Value {
    let mut body = json!({ "task": "bridge", "section_a": encode(a), "section_b": encode(b), "seed": 3 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    service.predict(&body)
}

#[test]
fn the_tempo_goes_over_to_the_second_section_and_nothing_of_the_first_comes_after() {
    let Some(service) = Serving::new("ramp", &[]) else { return };
    let (a, b) = (with_tail(&score(120.0, 4, &TUNE)), score(60.0, 3, &[69, 71, 72, 76, 74, 72]));
    let done = bridge(&service, &a, &b, json!({ "length_seconds": 30 }));
    let file = bytes(&service, &done);
    let all = events(&file);
    let tempos: Vec<(f64, f64)> = all
        .iter()
        .filter_map(|(at, kind)| match kind {
            TrackEventKind::Meta(MetaMessage::Tempo(micros)) => {
                Some((*at, 60e6 / f64::from(micros.as_int())))
            }
            _ => None,
        })
        .collect();
    // Two bars of A, and a step of tempo each beat to where B begins.
    assert_eq!(tempos[0], (0.0, 120.0));
    let (end, last) = *tempos.last().unwrap();
    assert!((last - 60.0).abs() < 1e-3, "{tempos:?}");
    let ramp = &tempos[1..];
    assert_eq!(ramp[0], (8.0, 120.0), "{tempos:?}");
    assert!(ramp.windows(2).all(|pair| pair[1].0 - pair[0].0 == 1.0 && pair[1].1 < pair[0].1), "{ramp:?}");
    let seconds: f64 = ramp.windows(2).map(|pair| (pair[1].0 - pair[0].0) * 60.0 / pair[0].1).sum();
    assert!((seconds - 30.0).abs() < 2.0, "{seconds} s, where a bar lasts two to four");
    let meters: Vec<(f64, u8)> = all
        .iter()
        .filter_map(|(at, kind)| match kind {
            TrackEventKind::Meta(MetaMessage::TimeSignature(over, ..)) => Some((*at, *over)),
            _ => None,
        })
        .collect();
    assert_eq!(meters, [(0.0, 4), (end, 3)]);
    for (at, kind) in &all {
        assert!(*at <= end + 6.0, "{kind:?} at beat {at}");
        assert!(!matches!(kind, TrackEventKind::Meta(MetaMessage::Lyric(_))));
    }
    let warnings = done["metadata"]["warnings"].to_string();
    assert!(warnings.contains("from 120.0 to 60.0"), "{warnings}");
    assert!(warnings.contains("section_a is in C major, section_b in A minor"), "{warnings}");
    // Eight beats at 120, the ramp, and six at 60.
    let duration = done["variations"][0]["duration_seconds"].as_f64().unwrap();
    assert!((duration - (4.0 + seconds + 6.0)).abs() < 0.3, "{duration}");
}

#[test]
fn the_tempo_that_is_told_is_that_of_the_bar_where_the_second_section_begins() {
    let Some(service) = Serving::new("first-bar", &[]) else { return };
    let b = score(60.0, 4, &[69; 4]);
    // An empty bar at 200 before it.
    let mut midi = Smf::parse(&b).unwrap();
    let tempo = |delta: u32, micros: u32| TrackEvent {
        delta: delta.into(),
        kind: TrackEventKind::Meta(MetaMessage::Tempo(micros.into())),
    };
    for track in &mut midi.tracks {
        track.retain(|event| !matches!(event.kind, TrackEventKind::Meta(MetaMessage::Tempo(_))));
        if let Some(first) = track.iter_mut().find(|event| {
            matches!(event.kind, TrackEventKind::Midi { message: MidiMessage::NoteOn { .. }, .. })
        }) {
            first.delta = (4 * BEAT as u32).into();
        }
    }
    midi.tracks.push(vec![tempo(0, 300_000), tempo(4 * BEAT as u32, 1_000_000)]);
    let mut late = Vec::new();
    midi.write_std(&mut late).unwrap();
    let done = bridge(&service, &score(120.0, 4, &TUNE), &late, json!({}));
    let warnings = done["metadata"]["warnings"].to_string();
    assert!(warnings.contains("from 120.0 to 60.0"), "{warnings}");
}

#[test]
fn hints_and_limits_of_a_bridge_are_held_to() {
    let Some(service) = Serving::new("hints", &[]) else { return };
    let (a, b) = (score(120.0, 4, &TUNE), score(120.0, 4, &[57, 60, 64, 69]));
    for seed in 0..3 {
        let done = bridge(
            &service,
            &a,
            &b,
            json!({ "hints": ["modulate to relative minor"], "constraints": { "avoid_jumps": true }, "seed": seed }),
        );
        let made = notes(&done["midi_output"]);
        let new = |note: &Compound| (400..1200).contains(&note.onset);
        assert!(made.iter().any(new));
        // A harmonic minor has no G.
        let minor = [9, 11, 0, 2, 4, 5, 8];
        assert!(
            made.iter().filter(|note| new(note)).all(|note| minor.contains(&(note.key % 12))),
            "{made:?}"
        );
        let mut keys: Vec<(i64, u8)> = made.iter().map(|note| (note.onset, note.key)).collect();
        keys.sort_unstable();
        let near = keys.windows(2).all(|pair| pair[0].1.abs_diff(pair[1].1) <= 12);
        let told = done["metadata"]["warnings"].to_string().contains("octave");
        assert_ne!(near, told, "{keys:?} {}", done["metadata"]["warnings"]);
    }
    let minor = score(120.0, 4, &[57, 59, 60, 62, 64, 62, 56, 57]);
    let done = bridge(&service, &minor, &b, json!({ "hints": ["modulate to relative minor"] }));
    assert!(done["metadata"]["warnings"].to_string().contains("no relative minor"), "{}", done["metadata"]);
    // By hash the same.
    let hash = |file: &[u8]| {
        let sent = serving::agent().post(format!("{}/cas", service.url)).send(file);
        serving::read(sent).body["hash"].clone()
    };
    let by_file = bridge(&service, &a, &b, json!({}))["output_hash"].clone();
    for (field_a, field_b) in [("section_a_hash", "section_b_hash"), ("section_a", "section_b")] {
        let done =
            service.predict(&json!({ "task": "bridge", field_a: hash(&a), field_b: hash(&b), "seed": 3 }));
        assert_eq!(done["output_hash"], by_file, "{field_a}");
    }
}

/// A service whose model counts in beats, and one whose model counts in seconds.
fn both(test: &str) -> Option<[Serving; 2]> {
    Some([Serving::new(&format!("{test}-beats"), &[])?, seconds(test)?])
}

/// A service with a checkpoint of the older family.
fn seconds(test: &str) -> Option<Serving> {
    let home = std::env::temp_dir().join(format!("continuo-serve-{}-{test}", std::process::id()));
    let folder = home.join("data/continuo/models/music-small-800k");
    std::fs::create_dir_all(&folder).unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(golden::folder().join("model").join(from), Path::new(&folder).join(to)).unwrap();
    };
    copy("config_inv.json", "config.json");
    copy("model.safetensors", "model.safetensors");
    Serving::at(test, home, &[])
}

/// Two bars of 3/4 at 100 a minute last 3.6 s.
fn waltz() -> Vec<u8> {
    score(100.0, 3, &[60, 64, 67, 65, 64, 62])
}

#[test]
fn models_of_seconds_go_on_at_the_bar_lines_of_the_file() {
    let Some(services) = both("lines") else { return };
    let short = serving::file(&[(0, 20, 60, 0)]);
    for (service, size) in services.iter().zip(["default", "small"]) {
        let more = |file: &[u8]| {
            let done = service.predict(&json!({
                "task": "continue", "midi_input": encode(file), "prime_seconds": 60, "length_seconds": 20,
                "max_tokens": 30, "seed": 1
            }));
            assert_eq!(done["model_size"], size);
            (done["prime_seconds"].as_f64().unwrap(), notes(&done["midi_output"]))
        };
        assert_eq!(more(&short).0, 2.0, "{size}");
        let (prime, made) = more(&waltz());
        assert!((prime - 3.6).abs() < 1e-6, "{size}: {prime}");
        assert!(made.len() > 6 && made[6..].iter().all(|note| note.onset >= 360), "{size}: {made:?}");
    }
}

#[test]
fn a_bridge_of_models_of_seconds_is_whole_bars_of_the_file() {
    let Some(service) = seconds("seconds") else { return };
    let b = score(150.0, 4, &[69, 71, 72, 76]);
    let done = bridge(
        &service,
        &waltz(),
        &b,
        json!({ "model_size": "small", "length_seconds": 3, "max_tokens": 30 }),
    );
    assert_eq!(done["metadata"]["model_size"], "small");
    let made = notes(&done["midi_output"]);
    // Two bars of 3/4 over which 100 becomes 150: 0.6 s, 0.55 s, and so on.
    let ramp: f64 = (0..6).map(|beat| 60.0 / (100.0 + 50.0 * f64::from(beat) / 6.0)).sum();
    let second = (360.0 + 100.0 * ramp).round() as i64;
    let tail: Vec<i64> = made[made.len() - 4..].iter().map(|note| note.onset - second).collect();
    assert_eq!(tail, [0, 40, 80, 120], "{made:?}");
    let warnings = done["metadata"]["warnings"].to_string();
    assert!(warnings.contains("100.0 in section_a, 150.0 in section_b"), "{warnings}");
}

#[test]
fn seeds_lend_their_meter() {
    let Some(services) = both("meter") else { return };
    for (service, size) in services.iter().zip(["default", "small"]) {
        let done = service.predict(&json!({
            "task": "loops", "midi_input": encode(&waltz()), "length_seconds": 7, "seed": 2
        }));
        let variation = &done["variations"][0];
        let end = |file: &[u8]| events(file).iter().map(|(at, _)| *at).fold(0.0, f64::max);
        let file = bytes(service, &done);
        if size == "default" {
            // Four bars of three beats at 100 a minute.
            assert_eq!(end(&file), 12.0, "{size}");
            assert_eq!(variation["analysis"]["time_signature"], "3/4");
        }
        assert_eq!(variation["duration_seconds"], 7.2, "{size}: {variation}");
    }
    let seeded = services[0].predict(&json!({
        "task": "generate_seeded", "midi_input": encode(&waltz()), "length_seconds": 6, "seed": 2
    }));
    let facts = &seeded["variations"][0]["analysis"];
    assert_eq!((&facts["time_signature"], &facts["tempo_bpm"]), (&json!("3/4"), &json!(100.0)));
}
