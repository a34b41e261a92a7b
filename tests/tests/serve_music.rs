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
