//! Tensors of a model by name: of a Hugging Face GPT-2 folder or of the compact int8 file of
//! `models/FORMAT.md`. Both become f32 matrices stored by output row. What the model does not ask for
//! (`lm_head.weight`, the masks `attn.bias`) is never looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::Error;
use crate::rows::Rows;

/// The fields of `config.json` that the model needs; a missing one has Hugging Face's default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Blocks.
    pub n_layer: usize,
    /// Heads of attention.
    pub n_head: usize,
    /// Width.
    pub n_embd: usize,
    /// Positions that were learnt.
    pub n_positions: usize,
    /// Added to variances.
    pub layer_norm_epsilon: f32,
    /// Width of the feed-forward part; 4 widths if absent, and nothing else is known here.
    pub n_inner: Option<usize>,
    /// The function between the two feed-forward matrices.
    pub activation_function: String,
    /// Whether scores are divided by the square root of a head's width.
    pub scale_attn_weights: bool,
    /// Whether scores of layer n are divided by n + 1.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Whether the head is the embedding table.
    pub tie_word_embeddings: bool,
    /// What this project adds.
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
    /// From 2 on the order of a chord's notes is a rule of the loss.
    #[serde(default)]
    pub version: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            n_layer: 12,
            n_head: 12,
            n_embd: 768,
            n_positions: 1024,
            layer_norm_epsilon: 1e-5,
            n_inner: None,
            activation_function: "gelu_new".into(),
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            tie_word_embeddings: true,
            continuo: None,
        }
    }
}

impl Config {
    /// Reads the text of a `config.json`. Fails on what this model cannot be, and says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(text).map_err(|error| format!("its config: {error}"))?;
        if !config.has_a_possible_shape() {
            return Err(format!("a config of impossible shape: {config:?}"));
        }
        config.unknown().map_or(Ok(config), |what| Err(format!("its config has {what}")))
    }

    fn has_a_possible_shape(&self) -> bool {
        (1..=256).contains(&self.n_layer)
            && (1..=16_384).contains(&self.n_embd)
            && self.n_head > 0
            && self.n_embd % self.n_head == 0
            && (64..=1 << 20).contains(&self.n_positions)
    }

    /// What this model cannot do, if the config asks for such a thing.
    fn unknown(&self) -> Option<String> {
        let gelu = ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"];
        if !gelu.contains(&self.activation_function.as_str()) {
            return Some(format!(
                "activation_function {:?}, only {gelu:?} are known",
                self.activation_function
            ));
        }
        if let Some(inner) = self.n_inner.filter(|inner| *inner != 4 * self.n_embd) {
            return Some(format!("n_inner {inner}, only 4 * n_embd is known"));
        }
        (!self.tie_word_embeddings).then(|| "tie_word_embeddings false, only tied heads are known".into())
    }
}

/// A tensor where it lies, row by row.
pub struct View<'a> {
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Its sides.
    pub shape: Vec<usize>,
    /// Its numbers, little endian.
    pub data: &'a [u8],
}

impl<'a> View<'a> {
    /// One of a safetensors file.
    pub fn of(view: &TensorView<'a>) -> Self {
        Self { dtype: view.dtype(), shape: view.shape().to_vec(), data: view.data() }
    }
}

/// A checkpoint that gives its tensors by name.
pub struct Checkpoint<'a> {
    path: PathBuf,
    /// Its config.
    pub config: Config,
    tensors: BTreeMap<String, View<'a>>,
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
        let file = SafeTensors::deserialize(bytes).map_err(|e| fail(e.to_string()))?;
        let tensors = file.tensors().into_iter().map(|(name, view)| (name, View::of(&view))).collect();
        Self::new(path, config, tensors, true)
    }

    /// The tensors of a folder and the text of its config.
    pub fn folder(path: &Path, config: &str, tensors: BTreeMap<String, View<'a>>) -> Result<Self, Error> {
        Self::new(path, config, tensors, false)
    }

    fn new(
        path: &Path,
        config: &str,
        tensors: BTreeMap<String, View<'a>>,
        compact: bool,
    ) -> Result<Self, Error> {
        let fail = |what: String| Error::Checkpoint { path: path.into(), what };
        let config = Config::parse(config).map_err(fail)?;
        let prefix = if tensors.contains_key("transformer.wte.weight") { "transformer." } else { "" };
        Ok(Self { path: path.into(), config, tensors, prefix, compact })
    }

    /// An error that names it.
    pub fn fail(&self, what: String) -> Error {
        Error::Checkpoint { path: self.path.clone(), what }
    }

    fn tensor(&self, name: &str) -> Result<&View<'a>, Error> {
        self.tensors.get(name).ok_or_else(|| self.fail(format!("tensor {name} is missing")))
    }

    /// A vector of f32.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self.tensor(&name)?;
        let values = floats(tensor.dtype, tensor.data).ok_or_else(|| {
            self.fail(format!("tensor {name} is {:?}, expected F32, F16 or BF16", tensor.dtype))
        })?;
        if values.len() != len {
            return Err(self.fail(format!("tensor {name} has {} values, expected {len}", values.len())));
        }
        Ok(values)
    }

    /// A matrix `(rows, columns)` by output row. `conv` says that a folder stores it transposed.
    pub fn matrix(&self, name: &str, rows: usize, columns: usize, conv: bool) -> Result<Vec<f32>, Error> {
        Ok(self.stored(name, rows, columns, conv)?.all())
    }

    /// The same where it lies.
    pub fn stored(&self, name: &str, rows: usize, columns: usize, conv: bool) -> Result<Rows<'a>, Error> {
        if self.compact {
            return self.quantised(name, rows, columns);
        }
        let name = format!("{}{name}", self.prefix);
        let tensor = self.tensor(&name)?;
        Rows::floats(rows, columns, (tensor.dtype, tensor.data), conv).ok_or_else(|| {
            self.fail(format!(
                "tensor {name} is {:?} {:?}, expected {rows} times {columns} of F32, F16 or BF16",
                tensor.dtype, tensor.shape
            ))
        })
    }

    fn quantised(&self, name: &str, rows: usize, columns: usize) -> Result<Rows<'a>, Error> {
        let tensor = self.tensor(name)?;
        let map = (name == "wte.weight").then(|| self.tensors.get("wte.rows")).flatten();
        let stored = tensor.shape.first().copied().unwrap_or(0);
        let fits = tensor.dtype == Dtype::I8 && tensor.shape == [stored, columns];
        if !fits || (map.is_none() && stored != rows) {
            return Err(self.fail(format!(
                "tensor {name} is {:?} {:?}, expected I8 [{rows}, {columns}]",
                tensor.dtype, tensor.shape
            )));
        }
        let scales = self.vector(&format!("{name}.scale"), stored)?;
        Rows::small(rows, columns, tensor.data, scales, map.map(|map| map.data))
            .ok_or_else(|| self.fail(format!("tensor {name} lacks rows that wte.rows names")))
    }

    /// Rows of the embedding table: the vocabulary's, or more (the large checkpoint has two over).
    pub fn rows(&self) -> Result<usize, Error> {
        const LEAST: usize = crate::vocabulary::VOCABULARY as usize;
        if self.compact {
            return Ok(LEAST);
        }
        let name = format!("{}wte.weight", self.prefix);
        let tensor = self.tensor(&name)?;
        match tensor.shape.as_slice() {
            [rows, width] if *rows >= LEAST && *width == self.config.n_embd => Ok(*rows),
            shape => Err(self.fail(format!(
                "tensor {name} is {shape:?}, expected [{LEAST} or more, {}] as the models of anticipation have it",
                self.config.n_embd
            ))),
        }
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
