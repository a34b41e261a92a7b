//! The medium and the large checkpoint's shapes with made-up weights. The files are as long as the real ones and
//! mostly holes, so that they cost little; what is not zero makes a model whose logits are known in closed form.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use continuo_inference::Model;
use continuo_inference::generate::logits_of;
use serde_json::{Map, Value, json};

struct Shape {
    name: &'static str,
    layers: usize,
    width: usize,
    heads: usize,
    rows: usize,
    /// Bytes of the real file, where they are known.
    bytes: Option<u64>,
}

const POSITIONS: usize = 1024;
const IDS: [u32; 3] = [55_026, 34, 10_865];

/// A file that is being laid out: where each tensor lies, and what of it is not zero.
struct Layout {
    header: Map<String, Value>,
    places: BTreeMap<String, u64>,
    end: u64,
}

impl Layout {
    fn of(shape: &Shape) -> Self {
        let header = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
        let mut layout = Self { header, places: BTreeMap::new(), end: 0 };
        let width = shape.width;
        layout.add("wte.weight", &[shape.rows, width]);
        layout.add("wpe.weight", &[POSITIONS, width]);
        for layer in 0..shape.layers {
            for (part, inner, outer) in [
                ("attn.c_attn", width, 3 * width),
                ("attn.c_proj", width, width),
                ("mlp.c_fc", width, 4 * width),
                ("mlp.c_proj", 4 * width, width),
            ] {
                layout.add(&format!("h.{layer}.{part}.weight"), &[inner, outer]);
                layout.add(&format!("h.{layer}.{part}.bias"), &[outer]);
            }
            for norm in ["ln_1", "ln_2"] {
                layout.norm(&format!("h.{layer}.{norm}"), width);
            }
        }
        layout.norm("ln_f", width);
        layout
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), &[width]);
        self.add(&format!("{name}.bias"), &[width]);
    }

    fn add(&mut self, name: &str, shape: &[usize]) {
        let size = 4 * shape.iter().product::<usize>() as u64;
        let offsets = [self.end, self.end + size];
        self.header.insert(name.into(), json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}));
        self.places.insert(name.into(), self.end);
        self.end += size;
    }

    /// Writes the file; `values` are name, first number, numbers.
    fn write(&self, path: &Path, values: &[(String, usize, Vec<f32>)]) -> u64 {
        let mut header = Value::Object(self.header.clone()).to_string();
        header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
        let mut file = File::create(path).unwrap();
        file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        file.write_all(header.as_bytes()).unwrap();
        let start = 8 + header.len() as u64;
        file.set_len(start + self.end).unwrap();
        for (name, first, numbers) in values {
            file.seek(SeekFrom::Start(start + self.places[name] + 4 * *first as u64)).unwrap();
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            file.write_all(&bytes).unwrap();
        }
        start + self.end
    }
}

/// Numbers that differ from each other, around 0.
fn wave(len: usize, phase: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7 + phase * 13) as f32 * 0.37).sin()).collect()
}

/// What is not zero: some rows of the tables, a bias at the end of every half block, one column of each
/// feed-forward part, and the last norm.
fn values(shape: &Shape) -> Vec<(String, usize, Vec<f32>)> {
    let width = shape.width;
    let mut values = vec![
        ("ln_f.weight".into(), 0, vec![1.0; width]),
        ("wte.weight".into(), (shape.rows - 1) * width, wave(width, 99)),
    ];
    for (place, id) in IDS.into_iter().enumerate() {
        values.push(("wte.weight".into(), id as usize * width, wave(width, place)));
        values.push(("wpe.weight".into(), place * width, wave(width, 20 + place)));
    }
    for layer in 0..shape.layers {
        values.push((format!("h.{layer}.attn.c_proj.bias"), layer, vec![0.5]));
        values.push((format!("h.{layer}.mlp.c_proj.bias"), 2 * layer, vec![-0.25]));
        // The widest row is open by its bias, and leads to one place of the width.
        values.push((format!("h.{layer}.mlp.c_fc.bias"), 4 * width - 1, vec![10.0]));
        values.push((
            format!("h.{layer}.mlp.c_proj.weight"),
            (4 * width - 1) * width + width - 1 - layer,
            vec![0.1],
        ));
    }
    values
}

/// The state after the last token, by hand: nothing but tables and biases reaches it.
fn state(shape: &Shape) -> Vec<f64> {
    let (last, width) = (IDS.len() - 1, shape.width);
    let table = wave(width, last).into_iter().zip(wave(width, 20 + last));
    let mut x: Vec<f64> = table.map(|(token, place)| f64::from(token) + f64::from(place)).collect();
    for layer in 0..shape.layers {
        x[layer] += 0.5;
        x[2 * layer] -= 0.25;
        // gelu(10) = 10 to more places than these.
        x[width - 1 - layer] += 10.0 * f64::from(0.1_f32);
    }
    let mean = x.iter().sum::<f64>() / width as f64;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
    x.iter().map(|v| (v - mean) / (variance + 1e-5).sqrt()).collect()
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn loads_and_runs(shape: &Shape) {
    let name = format!("continuo-shape-{}-{}", shape.name, std::process::id());
    let folder = Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    std::fs::create_dir_all(&folder.0).unwrap();
    let config = json!({
        "n_layer": shape.layers, "n_embd": shape.width, "n_head": shape.heads, "n_positions": POSITIONS,
        "vocab_size": shape.rows, "scale_attn_by_inverse_layer_idx": true,
    });
    std::fs::write(folder.0.join("config.json"), config.to_string()).unwrap();
    let bytes = Layout::of(shape).write(&folder.0.join("model.safetensors"), &values(shape));
    if let Some(real) = shape.bytes {
        assert!(bytes.abs_diff(real) < 4096, "{bytes} bytes, the real one has {real}");
    }
    let model = Model::load(&folder.0).unwrap_or_else(|error| panic!("{}: {error}", shape.name));
    assert_eq!((model.rows(), model.positions()), (shape.rows, POSITIONS));
    let logits = logits_of(&model)(&IDS).unwrap();
    let state = state(shape);
    let last = shape.rows - 1;
    for (row, phase) in IDS.into_iter().zip(0..).chain([(last as u32, 99)]) {
        let table = wave(shape.width, phase);
        let expected: f64 = state.iter().zip(&table).map(|(a, b)| a * f64::from(*b)).sum();
        let ours = f64::from(logits[row as usize]);
        assert!(
            (ours - expected).abs() < 1e-3 * expected.abs().max(1.0),
            "row {row}: {ours}, expected {expected}"
        );
    }
    assert_eq!((logits.len(), logits[100]), (shape.rows, 0.0));
}

#[test]
fn medium_and_large_load_and_run() {
    // One after the other: the large one takes 3.1 GB of memory.
    loads_and_runs(&Shape { name: "medium", layers: 24, width: 1024, heads: 16, rows: 55_028, bytes: None });
    let bytes = Some(3_120_598_456);
    loads_and_runs(&Shape { name: "large", layers: 36, width: 1280, heads: 20, rows: 55_030, bytes });
}
