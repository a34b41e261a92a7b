//! Reads the golden files.
#![allow(dead_code)] // each test file uses its part

use serde_json::Value;
use std::path::{Path, PathBuf};

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

pub fn read(name: &str) -> Value {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

pub fn numbers(value: &Value) -> Vec<i64> {
    value.as_array().map(|all| all.iter().map(|one| one.as_i64().unwrap()).collect()).unwrap_or_default()
}

pub fn floats(value: &Value) -> Vec<f64> {
    value.as_array().map(|all| all.iter().map(|one| one.as_f64().unwrap()).collect()).unwrap_or_default()
}

pub fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        bits = bits << 6 | u32::try_from(alphabet.iter().position(|c| *c == byte).unwrap()).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

pub fn crc32(ids: &[u32]) -> u32 {
    !ids.iter().flat_map(|id| id.to_le_bytes()).fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// A model folder made of one of the golden configs and its weights.
pub struct Folder(pub PathBuf);

impl Folder {
    /// `test` keeps apart tests that run at once.
    pub fn of(test: &str, config: &str) -> Self {
        let from = folder().join("model");
        let weights = match config {
            "config_55030_prefixed.json" => "model_55030_prefixed.safetensors",
            _ => "model.safetensors",
        };
        let name = format!("continuo-{}-{test}-{config}", std::process::id());
        let to = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(from.join(config), to.join("config.json")).unwrap();
        std::fs::copy(from.join(weights), to.join("model.safetensors")).unwrap();
        Self(to)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn singles(value: &Value) -> Vec<f32> {
    floats(value).into_iter().map(|one| one as f32).collect()
}

/// Fails where two lists are further apart than 1e-4, or are no numbers.
pub fn near(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let far = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap_or(0.0);
    assert!(far <= 1e-4, "{what}: {far} apart");
}

/// Mean and last of hidden states `(tokens, width)`.
pub fn mean_and_last(states: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let tokens = states.len() / width;
    let column = |i: usize| states.iter().skip(i).step_by(width).copied().map(f64::from).sum::<f64>();
    let mean = (0..width).map(|i| (column(i) / tokens as f64) as f32).collect();
    (mean, states[states.len() - width..].to_vec())
}
