//! Reading a model: a Hugging Face GPT-2 folder (f32 safetensors) or the compact int8 file of
//! `models/FORMAT.md`. Both become f32 matrices stored by output row.

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::Error;

/// The fields of `config.json` that the model needs; a missing flag has Hugging Face's default.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Blocks.
    pub n_layer: usize,
    /// Heads of attention.
    pub n_head: usize,
    /// Width.
    pub n_embd: usize,
    /// Positions that were learnt.
    #[serde(default = "thousand")]
    pub n_positions: usize,
    /// Added to variances.
    #[serde(default = "epsilon")]
    pub layer_norm_epsilon: f32,
    /// Whether scores of layer n are divided by n + 1.
    #[serde(default)]
    pub scale_attn_by_inverse_layer_idx: bool,
    /// What this project adds.
    #[serde(default)]
    pub continuo: Option<Own>,
}

/// This project's part of a config: what a tick is.
#[derive(Clone, Debug, Deserialize)]
pub struct Own {
    /// Name of the model.
    #[serde(default)]
    pub name: String,
    /// `beat`, or anything else for seconds.
    #[serde(default)]
    pub frame: String,
    /// Ticks in a quarter note, for `beat`.
    #[serde(default)]
    pub ticks_per_beat: u32,
}

fn thousand() -> usize {
    1024
}

fn epsilon() -> f32 {
    1e-5
}

/// A checkpoint that gives its tensors by name.
pub struct Checkpoint<'a> {
    path: PathBuf,
    /// Its config.
    pub config: Config,
    tensors: SafeTensors<'a>,
    prefix: &'static str,
    compact: bool,
}

impl<'a> Checkpoint<'a> {
    /// The compact file: config in its metadata.
    pub fn compact(path: &Path, bytes: &'a [u8]) -> Result<Self, Error> {
        let fail = |what: String| Error::Checkpoint { path: path.into(), what };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| fail(e.to_string()))?;
        let metadata = metadata.metadata().clone().unwrap_or_default();
        match metadata.get("format").map(String::as_str) {
            Some("continuo-int8-1") => {}
            Some(other) => {
                return Err(fail(format!("format {other:?} is not known, only \"continuo-int8-1\"")));
            }
            None => return Err(fail("no format in its metadata".into())),
        }
        let config = metadata.get("config").ok_or_else(|| fail("no config in its metadata".into()))?;
        Self::new(path, config, bytes, true)
    }

    /// `bytes` of a safetensors file and the text of its config.
    pub fn folder(path: &Path, config: &str, bytes: &'a [u8]) -> Result<Self, Error> {
        Self::new(path, config, bytes, false)
    }

    fn new(path: &Path, config: &str, bytes: &'a [u8], compact: bool) -> Result<Self, Error> {
        let fail = |what: String| Error::Checkpoint { path: path.into(), what };
        let config: Config = serde_json::from_str(config).map_err(|e| fail(format!("its config: {e}")))?;
        let sound = config.n_layer > 0
            && config.n_layer <= 256
            && config.n_head > 0
            && config.n_embd > 0
            && config.n_embd <= 16_384
            && config.n_embd % config.n_head == 0
            && config.n_positions >= 64;
        if !sound {
            return Err(fail(format!("a config of impossible shape: {config:?}")));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| fail(e.to_string()))?;
        let prefix = if tensors.tensor("transformer.wte.weight").is_ok() { "transformer." } else { "" };
        Ok(Self { path: path.into(), config, tensors, prefix, compact })
    }

    fn fail(&self, what: String) -> Error {
        Error::Checkpoint { path: self.path.clone(), what }
    }

    /// A vector of f32.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self.tensors.tensor(&name).map_err(|e| self.fail(format!("tensor {name}: {e}")))?;
        let values = floats(tensor.dtype(), tensor.data()).ok_or_else(|| {
            self.fail(format!("tensor {name} is {:?}, expected F32, F16 or BF16", tensor.dtype()))
        })?;
        if values.len() != len {
            return Err(self.fail(format!("tensor {name} has {} values, expected {len}", values.len())));
        }
        Ok(values)
    }

    /// A matrix `(rows, columns)` by output row. `conv` says that a folder stores it transposed.
    pub fn matrix(&self, name: &str, rows: usize, columns: usize, conv: bool) -> Result<Vec<f32>, Error> {
        if self.compact {
            return self.quantised(name, rows, columns);
        }
        let values = self.vector(name, rows * columns)?;
        if !conv {
            return Ok(values);
        }
        let mut by_row = vec![0.0; values.len()];
        for (column, stored) in values.chunks_exact(rows).enumerate() {
            for (row, &value) in stored.iter().enumerate() {
                by_row[row * columns + column] = value;
            }
        }
        Ok(by_row)
    }

    fn quantised(&self, name: &str, rows: usize, columns: usize) -> Result<Vec<f32>, Error> {
        let tensor = self.tensors.tensor(name).map_err(|e| self.fail(format!("tensor {name}: {e}")))?;
        let map = (name == "wte.weight").then(|| self.tensors.tensor("wte.rows").ok()).flatten();
        let stored = tensor.shape().first().copied().unwrap_or(0);
        if tensor.dtype() != Dtype::I8 || tensor.data().len() != stored * columns {
            return Err(self.fail(format!("tensor {name} is not I8 with {columns} columns")));
        }
        let scale = self.vector(&format!("{name}.scale"), stored)?;
        let mut values = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            let from = match &map {
                Some(map) => map
                    .data()
                    .get(row * 4..row * 4 + 4)
                    .and_then(|b| b.try_into().ok())
                    .map_or(usize::MAX, |bytes| {
                        usize::try_from(i32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
                    }),
                None => row,
            };
            let Some(data) = (from < stored).then(|| &tensor.data()[from * columns..(from + 1) * columns])
            else {
                return Err(self.fail(format!("tensor {name} lacks row {row}")));
            };
            values.extend(data.iter().map(|&q| f32::from(q.cast_signed()) * scale[from]));
        }
        Ok(values)
    }

    /// Rows of the embedding table.
    pub fn rows(&self) -> usize {
        if self.compact {
            return crate::vocabulary::VOCABULARY as usize;
        }
        let name = format!("{}wte.weight", self.prefix);
        self.tensors.tensor(&name).ok().and_then(|t| t.shape().first().copied()).unwrap_or(0)
    }
}

fn floats(dtype: Dtype, data: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::F16 => data.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        Dtype::BF16 => {
            data.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        }
        _ => return None,
    })
}
