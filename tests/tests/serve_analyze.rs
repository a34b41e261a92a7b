//! `/analyze`: pieces whose answers are known, files in the shape of the protocol, what is remembered.

mod serving;

use serde_json::{Value, json};
use serving::{Serving, encode, file, phrase};

/// ABA of eight bars each at 120 a minute: A over C, G, a, F with a figure; B elsewhere in another rhythm.
fn song() -> Vec<u8> {
    let mut notes = Vec::new();
    let bar = |bar: i64| 200 * bar;
    for index in 0..24 {
        let at = bar(index);
        if (8..16).contains(&index) {
            let root = [62, 67, 62, 69][index as usize % 4];
            for (place, up) in [(0, 0), (75, 4), (150, 7)] {
                notes.push((at + place, 60, root + up + 12, 0));
            }
            notes.push((at, 190, root - 24, 32));
            continue;
        }
        let (root, third) = [(60, 4), (67, 4), (57, 3), (65, 4)][index as usize % 4];
        for step in [0, third, 7] {
            notes.push((at, 195, root + step, 0));
        }
        notes.push((at, 195, root - 24, 32));
        for (place, key) in [(0, 84), (50, 88), (100, 91), (125, 89)] {
            if index % 4 == 0 {
                notes.push((at + place, 24, key, 0));
            }
        }
    }
    file(&notes)
}

#[test]
fn a_piece_whose_answers_are_known() {
    let Some(service) = Serving::new("known", &[]) else { return };
    let done = service.post("/analyze", &json!({ "midi_input": encode(&song()) }));
    assert_eq!(done.status, 200, "{}", done.text);
    let body = &done.body;
    assert_eq!(body["structure"]["form"], "ABA", "{}", body["structure"]);
    let measures: Vec<&Value> =
        body["structure"]["sections"].as_array().unwrap().iter().map(|one| &one["measures"]).collect();
    assert_eq!(json!(measures), json!(["1-8", "9-16", "17-24"]));
    // The figure, and what comes after it each time.
    let begins = |one: &&Value| one["notes"].to_string().starts_with(r#"["C6","E6","G6","F6""#);
    let motif = body["motifs"].as_array().unwrap().iter().find(begins).expect("the figure");
    assert_eq!(motif["measures"], json!([1, 5, 17, 21]), "{}", body["motifs"]);
    assert!(motif["pitch_classes"].to_string().starts_with(r#"["C","E","G","F""#), "{motif}");
    let degrees: Vec<&str> = body["harmony"]["chords"]
        .as_array()
        .unwrap()
        .iter()
        .take(4)
        .map(|one| one["degree"].as_str().unwrap())
        .collect();
    assert_eq!((body["harmony"]["key"].as_str(), degrees), (Some("C major"), vec!["I", "V", "vi", "IV"]));
    assert_eq!((&body["rhythm"]["time_signature"], &body["rhythm"]["tempo"]), (&json!("4/4"), &json!(120.0)));
    let facts = &body["metadata"];
    assert_eq!((&facts["duration_seconds"], &facts["structure"]["sections"]), (&json!(47.95), &json!(3)));
    assert_eq!(facts["structure"]["has_repetition"], true);
    for part in ["start", "peak", "end"] {
        assert!((0.0..=1.0).contains(&facts["energy_profile"][part].as_f64().unwrap()), "{facts}");
    }
}

#[test]
fn only_what_is_asked_for_is_told_and_it_is_remembered() {
    let Some(service) = Serving::new("asked", &[]) else { return };
    let hash = service.predict(&json!({ "length_seconds": 5, "seed": 1 }))["output_hash"].clone();
    let ask = |analyses: Value| {
        service.post("/analyze", &json!({ "midi_input_hash": hash, "analyses": analyses })).body
    };
    let fields = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&ask(json!([]))), ["midi_input_hash"]);
    assert_eq!(fields(&ask(json!(["rhythm", "harmony"]))), ["midi_input_hash", "harmony", "rhythm"]);
    let text = service.get("/metrics").text;
    assert!(text.contains("continuo_analysis_lookups_total{result=\"hit\"} 1"), "{text}");
    assert!(text.contains("continuo_analysis_lookups_total{result=\"miss\"} 1"), "{text}");
    service
        .post("/analyze", &json!({ "analyses": ["taste"], "midi_input_hash": hash }))
        .is_problem(422, "invalid_request");
    service.post("/analyze", &json!({})).is_problem(422, "invalid_request");
    service.post("/analyze", &json!({ "midi_input": "TVRoZA==" })).is_problem(422, "invalid_request");
    service
        .post("/analyze", &json!({ "midi_input_hash": "0".repeat(64) }))
        .is_problem(422, "invalid_request");
}

#[test]
fn a_file_that_would_take_too_long_is_refused() {
    let Some(service) = Serving::new("endless", &[]) else { return };
    let ask = |division: u8, track: &[u8]| {
        let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\0".to_vec();
        bytes.push(division);
        bytes.extend(b"MTrk");
        bytes.extend(u32::try_from(track.len() + 4).unwrap().to_be_bytes());
        bytes.extend(track);
        bytes.extend([0, 0xFF, 0x2F, 0]);
        service.post("/analyze", &json!({ "midi_input": encode(&bytes) }))
    };
    // Notes, and a tempo change on each tick while the last of them sounds.
    let mut track = vec![0, 0x90, 60, 80];
    track.extend([0, 60, 0, 0, 60, 80].repeat(20_000));
    for step in 0..20_000_u32 {
        track.extend([1, 0xFF, 0x51, 3, 7, (step % 200) as u8, 0]);
    }
    let done = ask(96, &track);
    assert_eq!((done.status, &done.body["metadata"]["note_count"]), (200, &json!(20_001)));
    track.extend([0, 0x80, 60, 0, 0, 0x90, 60, 80]);
    track.extend([0, 60, 0, 0, 60, 80].repeat(80_000));
    let refused = ask(96, &track);
    refused.is_problem(422, "invalid_request");
    assert!(refused.body["message"].as_str().unwrap().contains("100000"), "{}", refused.text);
}

#[test]
fn an_analysis_waits_for_its_turn() {
    let Some(service) = Serving::new("turn", &["--workers", "1", "--queue", "0"]) else { return };
    let long = json!({ "length_seconds": 120, "num_variations": 8, "seed": 1 });
    let known = json!({ "midi_input": encode(&song()) });
    assert_eq!(service.post("/analyze", &known).status, 200);
    serving::wait("its worker is never free", || service.post("/jobs", &long).status == 202);
    let other = json!({ "midi_input": encode(&phrase("demo.mid")) });
    service.post("/analyze", &other).is_problem(429, "rate_limited");
    // What is known needs no turn.
    assert_eq!(service.post("/analyze", &known).status, 200);
}

#[test]
fn tempo_meter_counts_and_range_are_those_of_the_file() {
    let Some(service) = Serving::new("counts", &[]) else { return };
    let bytes = phrase("demo.mid");
    let body =
        service.post("/analyze", &json!({ "midi_input": encode(&bytes), "analyses": ["metadata"] })).body;
    let midi = midly::Smf::parse(&bytes).unwrap();
    let (mut notes, mut keys, mut tempo, mut meter) = (0, Vec::new(), None, None);
    for event in midi.tracks.iter().flatten() {
        match event.kind {
            midly::TrackEventKind::Midi { channel, message: midly::MidiMessage::NoteOn { key, vel } }
                if vel > 0 =>
            {
                notes += 1;
                keys.extend((channel != 9).then_some(key.as_int()));
            }
            midly::TrackEventKind::Meta(midly::MetaMessage::Tempo(micros)) => {
                tempo = tempo.or(Some(60e6 / f64::from(micros.as_int())));
            }
            midly::TrackEventKind::Meta(midly::MetaMessage::TimeSignature(over, under, ..)) => {
                meter = meter.or(Some(format!("{over}/{}", 1 << under)));
            }
            _ => {}
        }
    }
    let facts = &body["metadata"];
    assert_eq!(facts["note_count"], notes);
    assert!((facts["tempo_bpm"].as_f64().unwrap() - tempo.unwrap_or(120.0)).abs() < 0.01);
    assert_eq!(facts["time_signature"], meter.unwrap_or("4/4".into()));
    let name = |key: &u8| {
        format!(
            "{}{}",
            ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"][*key as usize % 12],
            i32::from(key / 12) - 1
        )
    };
    assert_eq!(facts["pitch_range"]["lowest"], name(keys.iter().min().unwrap()));
    assert_eq!(facts["pitch_range"]["highest"], name(keys.iter().max().unwrap()));
}

#[test]
fn a_progression_and_a_figure_that_were_planted_come_out_exactly() {
    let Some(service) = Serving::new("planted", &[]) else { return };
    // Four times I V vi IV, a bar each. Above the first chord of each the figure, above the others one of its notes, held,
    // and not the same twice.
    let mut all = Vec::new();
    for bar in 0..16_i64 {
        let at = 200 * bar;
        let (root, third) = [(60, 4), (55, 4), (57, 3), (53, 4)][bar as usize % 4];
        for step in [0, third, 7] {
            all.push((at, 195, root + step, 0));
        }
        all.push((at, 195, root - 24, 32));
        if bar % 4 == 0 {
            let figure = [(0, 84), (50, 88), (100, 91), (125, 89)];
            all.extend(figure.map(|(place, key)| (at + place, 24, key, 0)));
        } else {
            let held = [79, 81, 77, 83, 84, 72, 86, 76, 81, 74, 88, 84][(bar - bar / 4 - 1) as usize];
            all.push((at, 150 + 3 * bar, held, 0));
        }
    }
    let body = service.post("/analyze", &json!({ "midi_input": encode(&file(&all)) })).body;
    assert_eq!(body["harmony"]["chord_progression"], json!(["I", "V", "vi", "IV"]), "{}", body["harmony"]);
    let motif = &body["motifs"][0];
    assert_eq!(motif["notes"], json!(["C6", "E6", "G6", "F6"]), "{}", body["motifs"]);
    assert_eq!(motif["pitch_classes"], json!(["C", "E", "G", "F"]));
    assert_eq!((&motif["occurrences"], &motif["measures"]), (&json!(4), &json!([1, 5, 9, 13])));
}
