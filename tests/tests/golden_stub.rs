//! The reference's generation against a model in closed form: every input of every call, every token.

mod golden;

use continuo_inference::Error;
use continuo_inference::generate::{Request, generate};
use serde_json::Value;

fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn stub(ids: &[u32], model: &Value) -> Vec<f32> {
    let number = |name: &str| model[name].as_f64().unwrap();
    let (decay, boost) = (number("time_decay"), number("rest_boost"));
    let n = ids.len() as u64;
    let last = u64::from(*ids.last().unwrap());
    let key = (model["seed"].as_u64().unwrap())
        .wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(last.wrapping_mul(0xBF58_476D_1CE4_E5B9));
    let events = ids[1..].as_chunks::<3>().0.iter().rev().find(|triplet| triplet[2] < 27513);
    let from = events.map_or(0, |triplet| u64::from(triplet[0]));
    let slot = (n as i64 - 1) % 3;
    let boosted = golden::numbers(&model["rest_boost_slots"]).contains(&slot);
    let logit = |row: u64| {
        let mut logit = (mix(key.wrapping_add(row.wrapping_mul(0xD6E8_FEB8_6659_FD93))) >> 40) as f64
            / 16_777_216.0
            * 10.0;
        if row < 10_000 {
            logit -= decay * row.saturating_sub(from) as f64;
        }
        if row == 27512 {
            logit += if boosted {
                boost
            } else if slot != 2 {
                -1000.0
            } else {
                0.0
            };
        }
        logit as f32
    };
    (0..55_028).map(logit).collect()
}

#[test]
fn all_runs_are_the_references_own() {
    let runs = golden::read("gen/stub.json");
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 51);
    for run in runs {
        let name = format!("{} at {}", run["name"], run["top_p"]);
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
        let mut calls = Vec::new();
        let mut model = |ids: &[u32]| -> Result<Vec<f32>, Error> {
            calls.push(serde_json::json!([ids.len(), golden::crc32(ids)]));
            Ok(stub(ids, &run["model"]))
        };
        let output = generate(&mut model, &request).unwrap_or_else(|error| panic!("{name}: {error}"));
        let sampled: Vec<i64> = output.sampled.iter().copied().map(i64::from).collect();
        assert_eq!(sampled, golden::numbers(&run["sampled_tokens"]), "{name}");
        assert_eq!(Some(&calls), run["call_len_crc32"].as_array(), "{name}");
        assert_eq!(output.events, golden::numbers(&run["result"]["ok"]), "{name}");
    }
}
