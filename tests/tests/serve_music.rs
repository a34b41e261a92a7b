//! What the tasks of the second older service make: seeds, bridges, loops, and wishes that can be measured.

mod serving;

use continuo_inference::compound::Compound;
use serde_json::{Value, json};
use serving::{Serving, encode, file, notes, notes_of};

/// Eight seconds: a tune in quarters over slow thirds and a bass.
fn seed() -> Vec<u8> {
    let mut all = Vec::new();
    for (step, key) in
        [72, 74, 76, 77, 79, 77, 76, 74, 72, 76, 79, 76, 74, 71, 72, 72].into_iter().enumerate()
    {
        let onset = 50 * step as i64;
        all.push((onset, 45, key, 0));
        if step % 4 == 0 {
            all.extend([(onset, 190, 52, 0), (onset, 190, 55, 0), (onset, 190, 36, 32)]);
        }
    }
    file(&all)
}

fn onsets(notes: &[Compound]) -> Vec<i64> {
    let mut all: Vec<i64> = notes.iter().map(|note| note.onset).collect();
    all.dedup();
    all
}

fn seeded(service: &Serving, constraints: &Value, seed_number: u64) -> (Value, Vec<Compound>) {
    let done = service.predict(&json!({
        "task": "generate", "midi_input": encode(&seed()), "constraints": constraints, "seed": seed_number,
        "length_seconds": 10
    }));
    let made = notes(&done["midi_output"]);
    (done, made)
}

#[test]
fn a_seed_gives_new_music_that_begins_anew() {
    let Some(service) = Serving::new("seeded", &[]) else { return };
    let (done, made) = seeded(&service, &json!({}), 1);
    assert_eq!(done["task"], "generate_seeded");
    assert!(!made.is_empty() && made.iter().all(|note| note.onset < 1000), "{made:?}");
    assert!(made.iter().all(|note| [0, 32].contains(&note.instrument)));
    assert_ne!(made, notes_of(&seed()));
}

#[test]
fn a_melody_that_is_kept_stays_note_for_note() {
    let Some(service) = Serving::new("melody", &[]) else { return };
    let (_, made) = seeded(&service, &json!({ "preserve_melody": true, "vary_harmony": true }), 2);
    let tune: Vec<Compound> = notes_of(&seed()).into_iter().filter(|note| note.key >= 70).collect();
    assert_eq!(tune.len(), 16);
    assert!(tune.iter().all(|note| made.contains(note)), "{made:?}");
    assert!(made.len() > tune.len(), "nothing new");
}

#[test]
fn a_rhythm_that_is_kept_has_the_same_onsets() {
    let Some(service) = Serving::new("rhythm", &[]) else { return };
    for number in 0..3 {
        let (done, made) = seeded(&service, &json!({ "vary_rhythm": false }), number);
        assert_eq!(onsets(&made), onsets(&notes_of(&seed())), "{done}");
        assert_ne!(made, notes_of(&seed()));
    }
}

#[test]
fn harmony_instruments_and_jumps_are_held_to() {
    let Some(service) = Serving::new("held", &[]) else { return };
    let (_, made) = seeded(&service, &json!({ "vary_harmony": false }), 3);
    let classes: Vec<u8> = notes_of(&seed()).iter().map(|note| note.key % 12).collect();
    assert!(made.iter().all(|note| classes.contains(&(note.key % 12))), "{made:?}");

    let (done, made) = seeded(&service, &json!({ "instrument_hints": ["strings", "kazoo"] }), 3);
    assert!(made.iter().all(|note| (40..52).contains(&note.instrument)), "{made:?}");
    assert!(done["metadata"]["unsupported_constraints"].to_string().contains("kazoo"));

    for number in 0..3 {
        let (_, made) = seeded(&service, &json!({ "avoid_jumps": true }), number);
        for instrument in [0, 32] {
            let mut keys: Vec<(i64, u8)> =
                made.iter().filter(|n| n.instrument == instrument).map(|n| (n.onset, n.key)).collect();
            keys.sort_unstable();
            assert!(keys.windows(2).all(|pair| pair[0].1.abs_diff(pair[1].1) <= 12), "{keys:?}");
        }
    }
}

#[test]
fn energy_density_and_fading_can_be_measured() {
    let Some(service) = Serving::new("energy", &[]) else { return };
    let with = |constraints: Value| {
        let body =
            json!({ "length_seconds": 15, "seed": 4, "num_variations": 4, "constraints": constraints });
        let done = service.predict(&body);
        let made: Vec<Vec<Compound>> = (0..4).map(|k| notes(&done["variations"][k]["midi_base64"])).collect();
        (done, made)
    };
    let loud = |made: &[Vec<Compound>]| {
        let all: Vec<f64> = made.iter().flatten().map(|note| f64::from(note.velocity)).collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    let count = |made: &[Vec<Compound>]| made.iter().map(Vec::len).sum::<usize>();
    let steps: Vec<_> = [0.0, 0.5, 1.0].map(|energy| with(json!({ "target_energy": energy })).1).into();
    assert!(steps.windows(2).all(|pair| loud(&pair[0]) < loud(&pair[1])));
    assert!(count(&steps[0]) < count(&steps[2]));
    for word in ["sparse", "medium", "dense"] {
        let (done, made) = with(json!({ "density": word }));
        let band = match word {
            "sparse" => 0.0..=3.0,
            "medium" => 2.0..=7.0,
            _ => 5.0..=f64::INFINITY,
        };
        // In its band, or named as missed: nothing is passed over in silence.
        let missed = made.iter().filter(|notes| !band.contains(&(notes.len() as f64 / 15.0))).count();
        let warnings = done["metadata"]["warnings"].as_array().map_or(0, Vec::len);
        assert_eq!(missed, warnings, "{word}: {}", done["metadata"]["warnings"]);
    }
    let (_, faded) = with(json!({ "fade_out": true }));
    let half = |late: bool| {
        let own = |note: &&Compound| (note.onset >= 750) == late;
        let all: Vec<f64> = faded.iter().flatten().filter(own).map(|note| f64::from(note.velocity)).collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    assert!(half(true) < 0.7 * half(false));
    let (done, _) = with(json!({ "style_hints": ["classical"], "preserve_melody": true }));
    assert_eq!(done["metadata"]["unsupported_constraints"], json!(["preserve_melody", "style_hints"]));
}

#[test]
fn a_bridge_fills_the_gap_and_nothing_else() {
    let Some(service) = Serving::new("bridge", &[]) else { return };
    let (a, b) = (seed(), file(&[(0, 90, 69, 40), (100, 90, 71, 40), (200, 180, 64, 0)]));
    let done = service.predict(&json!({
        "task": "bridge", "section_a": encode(&a), "section_b": encode(&b), "length_seconds": 4, "seed": 2,
        "hints": ["fade out", "with fireworks"]
    }));
    let made = notes(&done["midi_output"]);
    let before = notes_of(&a);
    assert_eq!(made.iter().filter(|note| note.onset < 800).copied().collect::<Vec<_>>(), before);
    let moved: Vec<Compound> =
        notes_of(&b).into_iter().map(|note| Compound { onset: note.onset + 1200, ..note }).collect();
    assert_eq!(made.iter().filter(|note| note.onset >= 1200).copied().collect::<Vec<_>>(), moved);
    let new: Vec<&Compound> = made.iter().filter(|note| (800..1200).contains(&note.onset)).collect();
    assert!(!new.is_empty() && done["tokens"] == 3 * new.len());
    let warnings = done["metadata"]["warnings"].to_string();
    assert!(warnings.contains("with fireworks") && !warnings.contains("fade out"), "{warnings}");
    let alone = service.predict(&json!({ "task": "bridge", "section_a": encode(&a), "seed": 2 }));
    assert!(alone["tokens"].as_u64().unwrap() > 0);
    service
        .post("/predict", &json!({ "task": "bridge", "section_b": encode(&b) }))
        .is_problem(422, "invalid_request");
}

#[test]
fn a_loop_is_whole_bars_long() {
    let Some(service) = Serving::new("loops", &[]) else { return };
    let done = service.predict(&json!({ "task": "loops", "tempo_bpm": 100, "length_seconds": 9, "seed": 2 }));
    // Four bars of four beats at 100 beats a minute.
    assert_eq!(done["variations"][0]["duration_seconds"], 9.6);
    let made = notes(&done["midi_output"]);
    assert!(!made.is_empty() && made.iter().all(|note| note.onset + note.duration <= 961), "{made:?}");
    let again =
        service.predict(&json!({ "task": "loops", "tempo_bpm": 100, "length_seconds": 9, "seed": 2 }));
    assert_eq!(done["output_hash"], again["output_hash"]);
}

/// Steps of more than an octave from note to note of the piano.
fn jumps(made: &[Compound]) -> usize {
    let piano = made.iter().filter(|note| note.instrument == 0);
    let mut keys: Vec<(i64, u8)> = piano.map(|note| (note.onset, note.key)).collect();
    keys.sort_unstable();
    keys.windows(2).filter(|pair| pair[0].1.abs_diff(pair[1].1) > 12).count()
}

/// A tune alone, in the middle of the piano.
fn melody() -> Vec<u8> {
    let keys = [60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 64, 62, 59, 60, 60];
    file(&(0..16).map(|step| (50 * step as i64, 45, keys[step], 0)).collect::<Vec<_>>())
}

#[test]
fn wishes_that_get_in_each_others_way_are_held_to_or_told() {
    let Some(service) = Serving::new("together", &[]) else { return };
    let with = |constraints: Value, seed: u64| {
        let done = service.predict(&json!({
            "task": "generate_seeded", "midi_input": encode(&melody()), "constraints": constraints, "seed": seed,
            "instruments": [0]
        }));
        let told = done["metadata"]["warnings"].to_string();
        (told, notes(&done["midi_output"]))
    };
    // Each note stays within an octave of those of the melody around it.
    for seed in 0..3 {
        let (told, made) = with(json!({ "preserve_melody": true, "avoid_jumps": true }), seed);
        assert!(made.len() > 16, "{made:?}");
        assert_eq!((jumps(&made), told.contains("octave")), (0, false), "{made:?} {told}");
    }
    let (told, made) = with(json!({ "preserve_melody": true, "instrument_hints": ["strings"] }), 1);
    assert!(made.iter().any(|note| (40..52).contains(&note.instrument)), "{made:?}");
    assert!(told.contains("acoustic grand piano"), "{told}");
    let (told, _) = with(json!({ "preserve_melody": true, "fade_out": true }), 1);
    assert!(told.contains("fade out"), "{told}");
    let (told, _) = with(json!({ "target_energy": 1.0, "fade_out": true }), 1);
    assert!(told.contains("target_energy"), "{told}");
    // One alone is in nobody's way.
    for alone in [
        json!({ "preserve_melody": true }),
        json!({ "vary_rhythm": false }),
        json!({ "vary_harmony": false }),
        json!({ "instrument_hints": ["strings"] }),
        json!({ "fade_out": true }),
        json!({ "target_energy": 0.6 }),
    ] {
        assert_eq!(with(alone.clone(), 1).0, "null", "{alone}");
    }
}

#[test]
fn all_that_is_heard_counts_as_dense_the_melody_too() {
    let Some(service) = Serving::new("busy", &[]) else { return };
    // Four notes a second stay, whatever comes to them.
    let busy = file(
        &(0..32).map(|step| (25 * step, 20, [60, 62, 64, 65][step as usize % 4], 0)).collect::<Vec<_>>(),
    );
    let done = service.predict(&json!({
        "task": "generate_seeded", "midi_input": encode(&busy), "seed": 1, "instruments": [0],
        "constraints": { "preserve_melody": true, "density": "sparse" }
    }));
    let pace = notes(&done["midi_output"]).len() as f64 / 8.0;
    let told = done["metadata"]["warnings"].to_string();
    assert!(pace > 4.0 && told.contains(&format!("has {pace:.1} notes a second")), "{pace} {told}");
}

#[test]
fn what_ends_the_music_early_is_told_of_the_rhythm() {
    let Some(service) = Serving::new("early", &[]) else { return };
    let done = service.predict(&json!({
        "task": "generate_seeded", "midi_input": encode(&melody()), "max_tokens": 9, "seed": 1,
        "constraints": { "vary_rhythm": false }
    }));
    let kept = onsets(&notes(&done["midi_output"])).len();
    let told = done["metadata"]["warnings"].to_string();
    assert!(kept <= 3 && told.contains(&format!("{kept} of the 16 onsets")), "{told}");
}

#[test]
fn harmony_that_is_kept_and_a_change_of_key_both_bind_a_bridge() {
    let Some(service) = Serving::new("both-bind", &[]) else { return };
    let done = service.predict(&json!({
        "task": "bridge", "section_a": encode(&melody()), "seed": 1, "hints": ["modulate to relative minor"],
        "constraints": { "vary_harmony": false }
    }));
    let new: Vec<u8> = notes(&done["midi_output"])
        .iter()
        .filter(|note| note.onset >= 800)
        .map(|note| note.key % 12)
        .collect();
    // A harmonic minor without its G sharp, which the melody does not have.
    assert!(!new.is_empty() && new.iter().all(|class| [9, 11, 0, 2, 4, 5].contains(class)), "{new:?}");
}

#[test]
fn music_without_a_note_is_a_failure_and_each_task_makes_some() {
    let Some(service) = Serving::new("none", &[]) else { return };
    // A second of so slow a piece is a third of a beat: often nothing begins in it.
    let slow = |seed: u64| {
        let body = json!({ "tempo_bpm": 20, "length_seconds": 1, "seed": seed, "constraints": { "density": "sparse" } });
        service.post("/predict", &body)
    };
    let silent = (0..30).map(slow).find(|answer| answer.status != 200).expect("each had a note");
    silent.is_problem(500, "generation_failed");
    assert_eq!(silent.body["details"]["tokens_generated"], 0);
    let tune = encode(&melody());
    for body in [
        json!({ "task": "generate" }),
        json!({ "task": "generate_seeded", "midi_input": tune }),
        json!({ "task": "continue", "midi_input": tune }),
        json!({ "task": "bridge", "section_a": tune, "section_b": tune }),
        json!({ "task": "loops", "midi_input": tune }),
    ] {
        let mut body = body;
        body["seed"] = json!(1);
        assert!(service.predict(&body)["tokens"].as_u64().unwrap() > 0, "{body}");
    }
}
