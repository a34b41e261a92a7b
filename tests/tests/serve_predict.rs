//! `/predict`: generate, continue and embed, with all that older clients send and read.

mod golden;
mod serving;

use serde_json::{Value, json};
use serving::{Serving, encode, file, notes, notes_of, phrase};

#[test]
fn generate_fills_its_length_and_repeats_itself() {
    let Some(service) = Serving::new("generate", &[]) else { return };
    let body = json!({ "task": "generate", "length_seconds": 10, "seed": 7, "model_size": "small" });
    let (first, second) = (service.predict(&body), service.predict(&body));
    let variation = &first["variations"][0];
    assert!(variation["midi_base64"].as_str().unwrap().starts_with("TVRoZ"));
    let made = notes(&variation["midi_base64"]);
    assert!(!made.is_empty() && made.iter().all(|note| note.onset < 1000), "{made:?}");
    assert_eq!(variation["num_notes"], made.len());
    assert_eq!(variation["num_events"], 3 * made.len());
    assert_eq!(variation["tokens"], 3 * made.len());
    assert_eq!(variation["duration_seconds"], 10.0);
    for field in ["variations", "output_hash", "tokens", "midi_output"] {
        assert_eq!(first[field], second[field], "{field}");
    }
    let other = service.predict(&json!({ "length_seconds": 10, "seed": 8 }));
    assert_ne!(first["output_hash"], other["output_hash"]);
    // Where nothing is asked for, 20 seconds come, and the seed is told.
    let bare = service.predict(&json!({}));
    assert_eq!(
        (&bare["task"], &bare["variations"][0]["duration_seconds"]),
        (&json!("generate"), &json!(20.0))
    );
    let again = service.predict(&json!({ "seed": bare["variations"][0]["seed"] }));
    assert_eq!(again["output_hash"], bare["output_hash"]);
}

#[test]
fn what_stands_at_the_top_is_the_first_variation() {
    let Some(service) = Serving::new("aliases", &[]) else { return };
    let done = service.predict(&json!({ "length_seconds": 3, "seed": 2, "num_variations": 3 }));
    let first = &done["variations"][0];
    assert_eq!(done["midi_output"], first["midi_base64"]);
    assert_eq!(done["output_hash"], first["output_hash"]);
    assert_eq!((&done["tokens"], &done["num_tokens"]), (&first["tokens"], &first["num_tokens"]));
    assert_eq!((&done["status"], &done["model_size"]), (&json!("success"), &json!("default")));
    let mean = (0..3).map(|k| done["variations"][k]["tokens"].as_f64().unwrap()).sum::<f64>() / 3.0;
    assert_eq!(done["summary"], format!("Generated 3 variations (avg {mean:.0} tokens)"));
    let slim = service.predict(&json!({ "length_seconds": 3, "seed": 2, "include": ["hash"] }));
    assert_eq!(slim["output_hash"], done["output_hash"]);
    assert!(slim.get("midi_output").is_none() && slim["variations"][0].get("analysis").is_none());
}

#[test]
fn each_variation_is_what_its_seed_alone_gives() {
    let Some(service) = Serving::new("variations", &[]) else { return };
    let all = service.predict(&json!({ "length_seconds": 4, "seed": 11, "num_variations": 8 }));
    let variations = all["variations"].as_array().unwrap();
    let mut seeds: Vec<u64> = variations.iter().map(|one| one["seed"].as_u64().unwrap()).collect();
    for (id, variation) in variations.iter().enumerate() {
        assert_eq!(variation["variation_id"], id);
        let alone = service.predict(&json!({ "length_seconds": 4, "seed": variation["seed"] }));
        assert_eq!(alone["output_hash"], variation["output_hash"], "variation {id}");
        let stored = service.get(&format!("/cas/{}", variation["output_hash"].as_str().unwrap()));
        assert_eq!((stored.status, stored.header("content-type")), (200, "audio/midi"));
    }
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!((variations.len(), seeds.len(), seeds.contains(&11)), (8, 8, true));
}

#[test]
fn no_more_tokens_than_are_asked_for() {
    let Some(service) = Serving::new("tokens", &[]) else { return };
    for most in [3, 4, 30, 100] {
        let done = service.predict(&json!({ "max_tokens": most, "seed": 5 }));
        assert_eq!(done["tokens"], most / 3 * 3, "{most}");
    }
    // Whichever comes first.
    let short = service.predict(&json!({ "max_tokens": 8192, "length_seconds": 2, "seed": 5 }));
    let made = notes(&short["midi_output"]);
    assert!(made.iter().all(|note| note.onset < 200) && made.len() < 1000);
    // Two tokens are no note, and no note is no success.
    let none = service.post("/predict", &json!({ "max_tokens": 2 }));
    none.is_problem(422, "generation_failed");
}

#[test]
fn the_likeliest_is_taken_at_top_p_0_whatever_the_seed() {
    let Some(service) = Serving::new("greedy", &[]) else { return };
    let with = |seed: u64, top_p: f64| {
        service.predict(&json!({ "length_seconds": 4, "seed": seed, "top_p": top_p, "temperature": 0.5 }))
    };
    assert_eq!(with(1, 0.0)["output_hash"], with(2, 0.0)["output_hash"]);
    assert_ne!(with(1, 1.0)["output_hash"], with(2, 1.0)["output_hash"]);
}

/// A bar of eighths for 20 seconds, two instruments.
fn tune() -> Vec<u8> {
    let mut all = Vec::new();
    for step in 0..80_u8 {
        let onset = i64::from(step) * 25;
        all.push((onset, 20, 60 + (step % 12 * 7) % 12, 0));
        if step % 4 == 0 {
            all.push((onset, 90, 36 + step % 5, 32));
        }
    }
    file(&all)
}

#[test]
fn continue_leaves_the_prime_as_it_is_and_goes_on_after_it() {
    let Some(service) = Serving::new("continue", &[]) else { return };
    for input in [tune(), phrase("demo.mid")] {
        let whole = notes_of(&input);
        let body = json!({
            "task": "continue", "midi_input": encode(&input),
            "prime_seconds": 5, "length_seconds": 10, "seed": 3
        });
        let done = service.predict(&body);
        let prime = (done["prime_seconds"].as_f64().unwrap() * 100.0).round() as i64;
        let end = whole.iter().map(|note| note.onset + note.duration).max().unwrap();
        // Both last longer than five seconds, or to a bar line, two seconds apart.
        let bar = |at: i64| (at - 1).div_euclid(200) * 200 + 200;
        assert!((prime - bar(end).min(500)).abs() <= 1, "{prime}, the file ends at {end}");
        let duration = done["variations"][0]["duration_seconds"].as_f64().unwrap();
        assert!((duration - (prime as f64 / 100.0 + 10.0)).abs() < 0.02, "{duration}");
        let made = notes(&done["midi_output"]);
        let told: Vec<_> = whole.iter().filter(|note| note.onset < prime).collect();
        assert_eq!(made.iter().filter(|note| note.onset < prime).collect::<Vec<_>>(), told);
        let new = made.iter().filter(|note| note.onset >= prime).count();
        assert_eq!(done["tokens"], 3 * new);
        assert!(new > 0 && made.iter().all(|note| note.onset < prime + 1000));
        let parts: Vec<u8> = told.iter().map(|note| note.instrument).collect();
        assert!(made.iter().all(|note| parts.contains(&note.instrument)));
    }
}

#[test]
fn a_long_prime_ends_with_the_file() {
    let Some(service) = Serving::new("prime", &[]) else { return };
    let input = file(&[(0, 50, 60, 0), (50, 50, 64, 0), (100, 100, 67, 0)]);
    let done = service.predict(&json!({
        "task": "continue", "midi_input": encode(&input), "prime_seconds": 60, "length_seconds": 5, "seed": 1
    }));
    assert_eq!(
        (&done["prime_seconds"], &done["variations"][0]["duration_seconds"]),
        (&json!(2.0), &json!(7.0))
    );
    let late = file(&[(900, 50, 60, 0)]);
    let empty = json!({ "task": "continue", "midi_input": encode(&late), "prime_seconds": 2 });
    service.post("/predict", &empty).is_problem(422, "invalid_request");
}

/// A file whose one tempo is so many microseconds a beat, with a note of a beat.
fn hasty(micros: u32) -> Vec<u8> {
    let [_, tempo @ ..] = micros.to_be_bytes();
    let mut track = vec![0, 0xFF, 0x51, 3];
    track.extend(tempo);
    track.extend([0, 0x90, 60, 80, 96, 0x80, 60, 0, 0, 0xFF, 0x2F, 0]);
    let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0".to_vec();
    bytes.push(u8::try_from(track.len()).unwrap());
    bytes.extend(track);
    bytes
}

#[test]
fn a_tempo_that_nobody_meant_is_refused_before_it_costs_anything() {
    let Some(service) = Serving::new("hasty", &[]) else { return };
    let b = encode(&tune());
    for (micros, status) in [(1, 422), (59_000, 422), (61_000, 200)] {
        let a = encode(&hasty(micros));
        let body = json!({
            "task": "bridge", "section_a": a, "section_b": b, "length_seconds": 120, "max_tokens": 30, "seed": 1
        });
        let answer = service.post("/predict", &body);
        assert_eq!(answer.status, status, "{}", answer.text);
        if status == 422 {
            assert_eq!(answer.body["detail"][0]["loc"], json!(["body", "section_a"]));
            assert!(answer.body["message"].as_str().unwrap().contains("tempo"), "{}", answer.text);
        }
    }
}

#[test]
fn what_comes_behind_the_prime_is_gone_from_the_file() {
    let Some(service) = Serving::new("behind", &[]) else { return };
    // A note, a word after 30 beats, and the end of the track after 300 more.
    let mut track = vec![0, 0x90, 60, 80, 96, 0x80, 60, 0];
    track.extend([0x96, 0x40, 0xFF, 0x05, 2, b'l', b'a']);
    track.extend([0x81, 0xE1, 0x00, 0xFF, 0x2F, 0]);
    let mut input = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0".to_vec();
    input.push(u8::try_from(track.len()).unwrap());
    input.extend(track);
    let done = service.predict(&json!({
        "task": "continue", "midi_input": encode(&input), "prime_seconds": 5, "length_seconds": 4, "seed": 2
    }));
    let bytes = service.get(&format!("/cas/{}", done["output_hash"].as_str().unwrap())).bytes;
    let midi = midly::Smf::parse(&bytes).unwrap();
    let length = |track: &midly::Track<'_>| track.iter().map(|event| event.delta.as_int()).sum::<u32>();
    // The note's bar and four seconds more at 120 a minute, with 96 ticks a beat.
    assert_eq!(done["prime_seconds"], 2.0);
    assert!(midi.tracks.iter().map(length).max().unwrap() <= 12 * 96);
    let is_word = |event: &midly::TrackEvent<'_>| {
        matches!(event.kind, midly::TrackEventKind::Meta(midly::MetaMessage::Lyric(_)))
    };
    assert!(!midi.tracks.iter().flatten().any(is_word));
}

#[test]
fn accompany_writes_over_the_prime_and_leaves_it() {
    let Some(service) = Serving::new("accompany", &[]) else { return };
    let input = tune();
    let done = service.predict(&json!({
        "task": "continue", "mode": "accompany", "midi_input": encode(&input), "instruments": [48],
        "prime_seconds": 5, "length_seconds": 3, "seed": 3
    }));
    let made = notes(&done["midi_output"]);
    let (new, old): (Vec<_>, Vec<_>) = made.iter().copied().partition(|note| note.instrument == 48);
    let told: Vec<_> = notes_of(&input).into_iter().filter(|note| note.onset < 500).collect();
    assert_eq!(old, told);
    assert!(new.iter().any(|note| note.onset < 500), "{new:?}");
}

#[test]
fn a_file_may_come_by_its_hash() {
    let Some(service) = Serving::new("hashes", &[]) else { return };
    let made = service.predict(&json!({ "length_seconds": 5, "seed": 4 }));
    let ask = |field: &str, value: &Value| {
        let mut body = json!({ "task": "continue", "length_seconds": 3, "seed": 9, "prime_seconds": 2 });
        body[field] = value.clone();
        service.predict(&body)["output_hash"].clone()
    };
    let by_file = ask("midi_input", &made["midi_output"]);
    for field in ["midi_input", "seed_hash", "input_hash", "midi_input_hash"] {
        assert_eq!(ask(field, &made["output_hash"]), by_file, "{field}");
    }
    let unknown = json!({ "task": "continue", "input_hash": "0".repeat(64) });
    service.post("/predict", &unknown).is_problem(422, "invalid_request");
}

#[test]
fn files_that_are_none_are_told_as_such() {
    let Some(service) = Serving::new("damaged", &[]) else { return };
    for task in ["continue", "embed", "generate_seeded"] {
        let missing = service.post("/predict", &json!({ "task": task }));
        missing.is_problem(422, "invalid_request");
        assert_eq!(missing.body["detail"][0]["loc"], json!(["body", "midi_input"]));
        for input in ["%%%", "aGVsbG8=", "TVRoZAAAAAYAAQ==", "", &encode(&file(&[]))] {
            let body = json!({ "task": task, "midi_input": input });
            let answer = service.post("/predict", &body);
            answer.is_problem(422, "invalid_request");
            assert!(answer.body["message"].as_str().unwrap().contains("midi_input"), "{}", answer.text);
        }
    }
    assert_eq!(service.get("/health").status, 200);
}

#[test]
fn mutated_files_never_bring_it_down() {
    let Some(service) = Serving::new("mutated", &[]) else { return };
    let original = phrase("demo.mid");
    let mut state = 1_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    const KINDS: usize = 6;
    let mut answered = [0; KINDS];
    for round in 0..300 {
        let mut bytes = original.clone();
        // More often few than many changes, so that some files are still whole enough to be played from.
        let most = 1 + draw(6);
        for _ in 0..=draw(most) {
            match draw(3) {
                0 => bytes[draw(original.len() / 2)] = u8::try_from(draw(256)).unwrap(),
                1 => bytes.truncate(original.len() / 2 + draw(original.len() / 2)),
                _ => bytes.insert(draw(original.len() / 2), u8::try_from(draw(256)).unwrap()),
            }
        }
        let (broken, whole) = (encode(&bytes), encode(&original));
        let ask = |task: &str| json!({ "task": task, "midi_input": broken, "max_tokens": 3, "seed": 1, "prime_seconds": 3 });
        let bridge = |a: &str, b: &str| json!({ "task": "bridge", "section_a": a, "section_b": b, "max_tokens": 3, "seed": 1 });
        let (path, body) = match round % KINDS {
            0 => ("/predict", ask("continue")),
            1 => ("/predict", ask("embed")),
            2 => ("/predict", ask("generate_seeded")),
            3 => ("/predict", bridge(&broken, &whole)),
            4 => ("/predict", bridge(&whole, &broken)),
            _ => ("/analyze", json!({ "midi_input": broken })),
        };
        let answer = service.post(path, &body);
        // A note that the model does not find to play is a failure that is told; a defect is not.
        let message = answer.body["message"].as_str().unwrap_or("");
        assert!([200, 422, 500].contains(&answer.status), "{}", answer.text);
        assert!(!message.contains("defect"), "round {round}: {}", answer.text);
        answered[round % KINDS] += usize::from(answer.status == 200);
    }
    assert!(answered.iter().all(|count| *count > 0), "what got through to each task: {answered:?}");
}

#[test]
fn embed_is_the_mean_of_a_layer() {
    let Some(service) = Serving::new("embed", &[]) else { return };
    let input = encode(&phrase("demo.mid"));
    let ask = |layer: Option<i64>| {
        let mut body = json!({ "task": "embed", "midi_input": input });
        if let Some(layer) = layer {
            body["embed_layer"] = json!(layer);
        }
        service.post("/predict", &body)
    };
    let usual = ask(None).body;
    assert_eq!(usual["layer"], -3);
    assert_eq!(usual["embedding"], usual["embeddings"]);
    assert_eq!(usual["embedding_dim"], usual["embedding"].as_array().unwrap().len());
    assert_eq!((&usual["truncated"], &usual["num_tokens"]), (&json!(false), &usual["original_tokens"]));
    assert_eq!(ask(Some(-3)).body["embedding"], usual["embedding"]);
    let layers = (0..).take_while(|layer| ask(Some(*layer)).status == 200).count() as i64;
    assert_eq!(ask(Some(-1)).body["embedding"], ask(Some(layers - 1)).body["embedding"]);
    assert_eq!(ask(Some(-layers)).body["embedding"], ask(Some(0)).body["embedding"]);
    ask(Some(layers)).is_problem(422, "invalid_request");
    ask(Some(-layers - 1)).is_problem(422, "invalid_request");
}

#[test]
fn a_size_that_is_absent_is_told_or_refused() {
    let body = json!({ "max_tokens": 6, "seed": 1, "model_size": "medium" });
    let Some(service) = Serving::new("absent", &[]) else { return };
    let done = service.predict(&body);
    assert_eq!(done["metadata"]["model_size"], "default");
    assert!(done["metadata"]["warnings"][0].as_str().unwrap().contains("continuo models fetch medium"));
    service.post("/predict", &json!({ "model_size": "huge" })).is_problem(422, "invalid_request");
    let Some(strict) = Serving::new("strict", &["--strict-models"]) else { return };
    let refused = strict.post("/predict", &body);
    refused.is_problem(503, "model_unavailable");
    assert!(refused.body["details"]["path"].as_str().unwrap().ends_with("music-medium-800k"));
    // The model of --model answers those who ask for no size, however strict the service is.
    let Some(own) = Serving::new("strict-own", &["--strict-models", "--model", "default"]) else { return };
    assert_eq!(own.predict(&json!({ "max_tokens": 6, "seed": 1 }))["model_size"], "default");
    own.post("/predict", &body).is_problem(503, "model_unavailable");
    assert_eq!(own.get("/models").body["models"]["default"]["status"], "available");
}

#[cfg(unix)]
#[test]
fn a_model_that_loads_holds_nobody_else_up() {
    let home = std::env::temp_dir().join(format!("continuo-serve-{}-loads", std::process::id()));
    let folder = home.join("data/continuo/models/music-medium-800k");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(golden::folder().join("model/config_inv.json"), folder.join("config.json")).unwrap();
    // Whoever reads these weights waits for somebody to write them.
    let weights = folder.join("model.safetensors");
    assert!(std::process::Command::new("mkfifo").arg(&weights).status().unwrap().success());
    let Some(service) = Serving::at("loads", home, &["--model", "default"]) else { return };
    let job = service.post("/jobs", &json!({ "model_size": "medium", "max_tokens": 3 })).body;
    let path = format!("/jobs/{}", job["job_id"].as_str().unwrap());
    while service.get(&path).body["status"] == "pending" {}
    assert_eq!(service.get("/metrics").status, 200);
    assert_eq!(service.get("/models").status, 200);
    assert_eq!(service.predict(&json!({ "max_tokens": 3, "seed": 1 }))["tokens"], 3);
    assert_eq!(service.get(&path).body["status"], "running");
}

#[test]
fn a_checkpoint_in_the_models_folder_answers_for_its_size() {
    let home = std::env::temp_dir().join(format!("continuo-serve-{}-folder", std::process::id()));
    let folder = home.join("data/continuo/models/music-small-800k");
    std::fs::create_dir_all(&folder).unwrap();
    let from = golden::folder().join("model");
    std::fs::copy(from.join("config_inv.json"), folder.join("config.json")).unwrap();
    std::fs::copy(from.join("model.safetensors"), folder.join("model.safetensors")).unwrap();
    // More than is allowed is refused before it is read; what lies there in both kinds is counted once.
    std::fs::write(folder.join("pytorch_model.bin"), vec![0; 1 << 20]).unwrap();
    let Some(mut small) = Serving::at("folder", home.clone(), &["--memory", "1000", "--state", "memory"])
    else {
        return;
    };
    small.keep_home();
    let refused = small.post("/predict", &json!({ "max_tokens": 3, "model_size": "small" }));
    refused.is_problem(503, "model_unavailable");
    let details = &refused.body["details"];
    assert!(
        details["needed_bytes"].as_u64().unwrap() > 1000 && details["available_bytes"] == 1000,
        "{details}"
    );
    let weights = folder.join("model.safetensors").metadata().unwrap().len();
    assert_eq!(details["needed_bytes"], weights);
    drop(small);
    std::fs::remove_file(folder.join("pytorch_model.bin")).unwrap();
    let Some(service) = Serving::at("folder", home, &[]) else { return };
    let input = tune();
    let body = json!({
        "task": "continue", "midi_input": encode(&input), "model_size": "small", "prime_seconds": 5,
        "length_seconds": 20, "max_tokens": 60, "seed": 3
    });
    let done = service.predict(&body);
    assert_eq!((&done["metadata"]["model_size"], done["metadata"].get("warnings")), (&json!("small"), None));
    let made = notes(&done["midi_output"]);
    let told: Vec<_> = notes_of(&input).into_iter().filter(|note| note.onset < 500).collect();
    assert_eq!(made.iter().filter(|note| note.onset < 500).copied().collect::<Vec<_>>(), told);
    assert!(done["tokens"].as_u64().unwrap() <= 60 && made.len() > told.len());
}
