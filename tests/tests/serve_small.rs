//! What the Python client of the older service calls, in its order and with its defaults, against a made-up checkpoint of the
//! small shape: 12 layers, 768 wide, 1024 positions, the whole vocabulary.

mod serving;

use std::io::{BufWriter, Write};
use std::path::Path;

use continuo_inference::vocabulary as v;
use continuo_inference::{Model, tasks};
use continuo_timeline::{Event, Instrument, Key};
use serde_json::json;
use serving::{Serving, encode, notes, notes_of};

const WIDTH: usize = 768;
const LAYERS: usize = 12;
const POSITIONS: usize = 1024;
/// Onsets from this tick on are made unlikely, so that music with such weights is short.
const LATE: u32 = 300;

/// A value as bfloat16.
fn brief(value: f32) -> [u8; 2] {
    let [.., low, high] = value.to_bits().to_le_bytes();
    [low, high]
}

/// Names and shapes of the tensors, in the order of the file.
fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut all = vec![
        ("wte.weight".to_owned(), vec![v::VOCABULARY as usize, WIDTH]),
        ("wpe.weight".to_owned(), vec![POSITIONS, WIDTH]),
    ];
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("ln_1.weight", vec![WIDTH]),
            ("ln_1.bias", vec![WIDTH]),
            ("attn.c_attn.weight", vec![WIDTH, 3 * WIDTH]),
            ("attn.c_attn.bias", vec![3 * WIDTH]),
            ("attn.c_proj.weight", vec![WIDTH, WIDTH]),
            ("attn.c_proj.bias", vec![WIDTH]),
            ("ln_2.weight", vec![WIDTH]),
            ("ln_2.bias", vec![WIDTH]),
            ("mlp.c_fc.weight", vec![WIDTH, 4 * WIDTH]),
            ("mlp.c_fc.bias", vec![4 * WIDTH]),
            ("mlp.c_proj.weight", vec![4 * WIDTH, WIDTH]),
            ("mlp.c_proj.bias", vec![WIDTH]),
        ] {
            all.push((format!("h.{layer}.{name}"), shape));
        }
    }
    all.extend([("ln_f.weight".to_owned(), vec![WIDTH]), ("ln_f.bias".to_owned(), vec![WIDTH])]);
    all.into_iter().map(|(name, shape)| (format!("transformer.{name}"), shape)).collect()
}

fn checkpoint(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let config = json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": v::VOCABULARY,
        "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 12, "n_positions": POSITIONS, "n_ctx": POSITIONS,
        "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "scale_attn_by_inverse_layer_idx": true
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let (mut header, mut at) = (json!({}), 0);
    for (name, shape) in shapes() {
        let end = at + 2 * shape.iter().product::<usize>();
        header[name] = json!({ "dtype": "BF16", "shape": shape, "data_offsets": [at, end] });
        at = end;
    }
    let header = header.to_string();
    let mut file = BufWriter::new(std::fs::File::create(folder.join("model.safetensors")).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let mut state = 1_u64;
    for (name, shape) in shapes() {
        for index in 0..shape.iter().product::<usize>() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chance = (state >> 40) as f32 / (1 << 24) as f32 - 0.5;
            let row = (index / WIDTH) as u32;
            let late = name.ends_with("wte.weight") && index % WIDTH == 0 && (LATE..v::DUR).contains(&row);
            let value = match name.rsplit('.').next() {
                _ if late => -4.0,
                Some("bias") if name.contains("ln_f") && index == 0 => 8.0,
                Some("bias") => 0.0,
                _ if name.contains("ln_") => 1.0,
                _ => 0.05 * chance,
            };
            file.write_all(&brief(value)).unwrap();
        }
    }
    file.flush().unwrap();
}

#[test]
fn the_older_client_is_answered_as_it_was() {
    let home = std::env::temp_dir().join(format!("continuo-serve-{}-small", std::process::id()));
    checkpoint(&home.join("data/continuo/models/music-small-800k"));
    let Some(service) = Serving::at("small", home.clone(), &["--strict-models"]) else {
        std::fs::remove_dir_all(&home).unwrap();
        return;
    };
    let made = service.predict(&json!({
        "task": "generate", "length_seconds": 10.0, "top_p": 0.95, "num_variations": 1, "model_size": "small",
        "client_job_id": "job-1", "max_tokens": 90, "seed": 1
    }));
    assert_eq!((&made["task"], &made["metadata"]["model_size"]), (&json!("generate"), &json!("small")));
    assert_eq!(made["metadata"]["client_job_id"], "job-1");
    let variation = &made["variations"][0];
    let music = notes(&variation["midi_base64"]);
    assert!(!music.is_empty() && music.iter().all(|note| note.onset < i64::from(LATE)), "{music:?}");
    assert_eq!(variation["num_events"], 3 * music.len());

    let input = serving::file(&[(0, 50, 60, 0), (100, 50, 64, 0), (250, 50, 67, 0), (600, 50, 72, 0)]);
    let more = service.predict(&json!({
        "task": "continue", "midi_input": encode(&input), "prime_seconds": 2.0, "length_seconds": 20.0,
        "top_p": 0.95, "num_variations": 1, "model_size": "small", "max_tokens": 60, "seed": 4
    }));
    assert_eq!(more["prime_seconds"], 2.0);
    let told: Vec<_> = notes_of(&input).into_iter().filter(|note| note.onset < 200).collect();
    let all = notes(&more["variations"][0]["midi_base64"]);
    assert_eq!(all[..told.len()], told);
    assert!(all.len() > told.len() && all[told.len()..].iter().all(|note| note.onset >= 200));

    let vector = service.predict(&json!({
        "task": "embed", "midi_input": encode(&input), "embed_layer": -3, "model_size": "small"
    }));
    assert_eq!((&vector["embedding_dim"], &vector["layer"]), (&json!(768), &json!(-3)));
    assert_eq!((&vector["num_tokens"], &vector["original_tokens"]), (&json!(12), &json!(12)));
    // Music is played in small whole numbers; a vector is that of the weights as they are.
    let exact = Model::load(&home.join("data/continuo/models/music-small-800k")).unwrap();
    let event = |(onset, key)| Event { onset, duration: 50, instrument: Instrument(0), key: Key(key) };
    let events = [(0, 60), (100, 64), (250, 67), (600, 72)].map(event);
    let expected = tasks::embed(&exact, &tasks::tokens(&events), -3).unwrap();
    let given: Vec<f64> =
        vector["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert_eq!(given.len(), 768);
    let far =
        given.iter().zip(&expected).map(|(a, b)| (a - f64::from(*b)).abs()).max_by(f64::total_cmp).unwrap();
    assert!(far < 1e-4, "{far} from the exact one");
    let long: Vec<_> = (0..400).map(|step| (20 * step, 10, 60, 0)).collect();
    let cut = service.predict(&json!({ "task": "embed", "midi_input": encode(&serving::file(&long)) }));
    assert_eq!((&cut["num_tokens"], &cut["original_tokens"]), (&json!(1024), &json!(1200)));
    assert_eq!(cut["truncated"], true);
    for layer in [-14, 13] {
        let body = json!({ "task": "embed", "midi_input": encode(&input), "embed_layer": layer });
        service.post("/predict", &body).is_problem(422, "invalid_request");
    }
}
