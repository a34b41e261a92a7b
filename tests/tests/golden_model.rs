//! The model against the reference: logits, hidden states, embeddings, and whole runs of generation.

mod golden;

use continuo_inference::generate::{Request, generate, logits_of};
use continuo_inference::{Error, Model};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

fn models<'a>(test: &str, configs: impl Iterator<Item = &'a Value>) -> HashMap<String, Arc<Model>> {
    let mut models = HashMap::new();
    for config in configs {
        let config = config.as_str().unwrap();
        models
            .entry(config.to_owned())
            .or_insert_with(|| Model::load(&golden::Folder::of(test, config).0).expect("a golden model"));
    }
    models
}

fn ids(value: &Value) -> Vec<u32> {
    golden::numbers(value).into_iter().map(|id| u32::try_from(id).unwrap()).collect()
}

fn row(name: &str) -> Option<Vec<f32>> {
    let bytes = std::fs::read(golden::folder().join("logits").join(name)).ok()?;
    Some(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
}

fn compare_logits(what: &str, logits: &[f32], vector: &Value) {
    assert_eq!(logits.len() as u64, vector["n_logits"].as_u64().unwrap(), "{what}");
    for (row, theirs) in vector["sampled"].as_object().unwrap() {
        let ours = logits[row.parse::<usize>().unwrap()];
        golden::near(&format!("{what}, row {row}"), &[ours], &[theirs.as_f64().unwrap() as f32]);
    }
    for pair in vector["top20"].as_array().unwrap() {
        let ours = logits[pair[0].as_u64().unwrap() as usize];
        golden::near(&format!("{what}, top {pair}"), &[ours], &[pair[1].as_f64().unwrap() as f32]);
    }
    let shares: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
    let theirs = vector["logsumexp"].as_f64().unwrap() as f32;
    golden::near(&format!("{what}, logsumexp"), &[shares.ln() as f32], &[theirs]);
}

#[test]
fn logits_and_hidden_states_are_the_references() {
    let file = golden::read("logits/logits.json");
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 24);
    let models = models("logits", vectors.iter().map(|vector| &vector["config"]));
    let (mut rows, mut layers) = (0, 0);
    for vector in vectors {
        let config = vector["config"].as_str().unwrap();
        let (model, ids) = (&models[config], ids(&vector["ids"]));
        let what = format!("{} of {config}", vector["prompt"]);
        let logits = logits_of(model)(&ids).unwrap();
        compare_logits(&what, &logits, vector);
        let short = config.trim_start_matches("config_").trim_end_matches(".json");
        if let Some(theirs) = row(&format!("{short}_{}.f32", vector["prompt"].as_str().unwrap())) {
            golden::near(&what, &logits, &theirs);
            rows += 1;
        }
        let (hidden, theirs) = (model.hidden(&ids), vector["hidden"].as_array().unwrap());
        assert_eq!(hidden.len(), theirs.len(), "layers of {what}");
        for (states, theirs) in hidden.iter().zip(theirs) {
            let (mean, last) = golden::mean_and_last(states, states.len() / ids.len());
            let layer = format!("{what}, layer {}", theirs["hidden_states_index"]);
            golden::near(&layer, &mean, &golden::singles(&theirs["mean"]));
            golden::near(&layer, &last, &golden::singles(&theirs["last"]));
            layers += 1;
        }
    }
    assert_eq!(rows, 5, "full rows compared");
    assert_eq!(layers, 116, "layers compared");
}

#[test]
fn embeddings_are_those_of_the_service_that_was_deployed() {
    let file = golden::read("logits/embed_server_style.json");
    let pieces = file.as_array().unwrap();
    let model = &models("embed", [json!("config_inv.json")].iter())["config_inv.json"];
    for piece in pieces {
        let midi = golden::read(&format!("midi/{}.json", piece["midi"].as_str().unwrap()));
        let mut ids = ids(&midi["events"]["ok"]);
        ids.truncate(1024);
        assert_eq!(ids.len() as u64, piece["n_tokens"].as_u64().unwrap());
        let layers = model.hidden(&ids);
        for (layer, theirs) in piece["layers"].as_object().unwrap() {
            let from_end = layer.parse::<i64>().unwrap().unsigned_abs() as usize;
            let states = &layers[layers.len() - from_end];
            let (mean, _) = golden::mean_and_last(states, states.len() / ids.len());
            golden::near(&format!("{} layer {layer}", piece["midi"]), &mean, &golden::singles(theirs));
        }
    }
}

#[test]
fn whole_runs_are_the_references_token_for_token() {
    let runs = golden::read("gen/gpt2.json");
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 14);
    let models = models("runs", runs.iter().map(|run| &run["model"]["config"]));
    for run in runs {
        let name = format!("{} at {} of {}", run["name"], run["top_p"], run["model"]["config"]);
        let wanted = &run["kwargs"];
        let request = Request {
            baseline: run["fn"] == "generate_ar",
            start: wanted["start_time"].as_f64().unwrap(),
            end: wanted["end_time"].as_f64().unwrap(),
            inputs: golden::numbers(&wanted["inputs"]),
            controls: golden::numbers(&wanted["controls"]),
            top_p: run["top_p"].as_f64().unwrap(),
            delta: wanted["delta"].as_i64().unwrap_or(500),
            uniforms: golden::floats(&run["uniforms"]),
        };
        let mut logits = logits_of(&models[run["model"]["config"].as_str().unwrap()]);
        let mut calls = Vec::new();
        let mut model = |ids: &[u32]| -> Result<Vec<f32>, Error> {
            calls.push(json!([ids.len(), golden::crc32(ids)]));
            logits(ids)
        };
        let output = generate(&mut model, &request).unwrap_or_else(|error| panic!("{name}: {error}"));
        let sampled: Vec<i64> = output.sampled.iter().copied().map(i64::from).collect();
        assert_eq!(sampled, golden::numbers(&run["sampled_tokens"]), "{name}");
        assert_eq!(Some(&calls), run["call_len_crc32"].as_array(), "{name}");
        assert_eq!(output.events, golden::numbers(&run["result"]["ok"]), "{name}");
    }
}
