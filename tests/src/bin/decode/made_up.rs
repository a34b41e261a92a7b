//! A checkpoint in the shape of the Stanford family's smallest, with weights made up: speed does not depend on them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

const LAYERS: usize = 12;
const WIDTH: usize = 768;
const HEADS: usize = 12;
const ROWS: usize = 55_028;
const POSITIONS: usize = 1_024;

/// What it is, in words.
pub const SHAPE: &str = "SMALL SHAPE: 12 layers, 768 wide, 12 heads, 55,028 rows, weights made up";

/// Its folder, made if it is not there: half a gigabyte.
pub fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent).context("a program in a target folder")?;
    let folder = target.join("bench").join("made-up-small");
    if !folder.join("config.json").exists() {
        std::fs::create_dir_all(&folder)?;
        weights(&folder.join("model.safetensors"))?;
        std::fs::write(folder.join("config.json"), config())?;
    }
    Ok(folder)
}

fn config() -> String {
    json!({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new",
        "n_layer": LAYERS, "n_embd": WIDTH, "n_head": HEADS, "n_positions": POSITIONS, "n_ctx": POSITIONS,
        "vocab_size": ROWS, "layer_norm_epsilon": 1e-5, "scale_attn_weights": true,
        "scale_attn_by_inverse_layer_idx": true, "tie_word_embeddings": true,
        "bos_token_id": 55_025, "eos_token_id": 55_025
    })
    .to_string()
}

/// Names and shapes as the upstream checkpoints have them.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut all =
        vec![("wte.weight".to_owned(), vec![ROWS, WIDTH]), ("wpe.weight".to_owned(), vec![POSITIONS, WIDTH])];
    for layer in 0..LAYERS {
        let mut add = |name: &str, shape: &[usize]| all.push((format!("h.{layer}.{name}"), shape.to_vec()));
        for (name, rows, columns) in [
            ("attn.c_attn", WIDTH, 3 * WIDTH),
            ("attn.c_proj", WIDTH, WIDTH),
            ("mlp.c_fc", WIDTH, 4 * WIDTH),
            ("mlp.c_proj", 4 * WIDTH, WIDTH),
        ] {
            add(&format!("{name}.weight"), &[rows, columns]);
            add(&format!("{name}.bias"), &[columns]);
        }
        for name in ["ln_1", "ln_2"] {
            add(&format!("{name}.weight"), &[WIDTH]);
            add(&format!("{name}.bias"), &[WIDTH]);
        }
    }
    all.push(("ln_f.weight".into(), vec![WIDTH]));
    all.push(("ln_f.bias".into(), vec![WIDTH]));
    all
}

fn weights(path: &Path) -> Result<()> {
    let (mut header, mut at) = (serde_json::Map::new(), 0);
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    for (name, shape) in tensors() {
        let size = 4 * shape.iter().product::<usize>();
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}));
        at += size;
    }
    let mut header = serde_json::to_string(&header)?;
    header.extend(std::iter::repeat_n(' ', (8 - header.len() % 8) % 8));
    let mut file = BufWriter::new(File::create(path).with_context(|| path.display().to_string())?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut random = Random(7);
    for (name, shape) in tensors() {
        let norm = name.contains("ln_") && name.ends_with("weight");
        for _ in 0..shape.iter().product::<usize>() {
            let value = if norm { 1.0 } else { 0.0 } + 0.02 * random.normal();
            file.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}

struct Random(u64);

impl Random {
    /// Nearly normal: a sum of four uniform numbers, brought to variance 1.
    fn normal(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let four = (0..4).map(|part| f32::from((self.0 >> (16 * part)) as u16) / 65_536.0 - 0.5);
        four.sum::<f32>() * 3_f32.sqrt()
    }
}
