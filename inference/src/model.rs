//! A GPT-2: weights that never change, and one step of it over a cache.
//!
//! ```text
//! id, position ─▶ wte[id] + wpe[position] ─▶ blocks (norm, attention over the cache, norm, feed-forward) ─▶ norm ─▶ wte[rows]·x
//! ```
//! Everything is f32; a row's sum is taken in the same order whatever else is computed, so logits do not
//! depend on how a prompt was cut into steps.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::Error;
use crate::checkpoint::{Checkpoint, Config};
use crate::dot::dot;

/// What a tick of the model's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFrame {
    /// A share of a quarter note.
    Beats {
        /// Ticks in a quarter note.
        ticks_per_beat: u32,
    },
    /// 10 ms.
    Seconds,
}

/// Weights of one model. Immutable, shared by all sessions.
pub struct Model {
    name: String,
    frame: TimeFrame,
    config: Config,
    rows: usize,
    wte: Vec<f32>, // (rows, width)
    wpe: Vec<f32>, // (positions, width)
    blocks: Vec<Block>,
    norm: Norm,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// A matrix by output row, and what is added.
struct Linear {
    weight: Vec<f32>, // (out, in)
    bias: Vec<f32>,   // (out)
}

struct Block {
    norm_1: Norm,
    attend: Linear,  // (3 width, width): q, k, v
    project: Linear, // (width, width)
    norm_2: Norm,
    widen: Linear,  // (4 width, width)
    narrow: Linear, // (width, 4 width)
}

/// Keys and values of the tokens so far, for every block; made once, never grown.
pub struct Cache {
    len: usize,
    keys: Vec<Vec<f32>>,   // a block: (positions, width)
    values: Vec<Vec<f32>>, // a block: (positions, width)
}

impl Cache {
    /// Tokens in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Model {
    /// A compact file, or a Hugging Face folder with `config.json` and `model.safetensors`.
    pub fn load(path: &Path) -> Result<Arc<Self>, Error> {
        let read =
            |path: &Path| std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source });
        let checkpoint_of = |config: &[u8], bytes: &[u8], path: &Path| {
            let text = String::from_utf8_lossy(config);
            Self::build(&Checkpoint::folder(path, &text, bytes)?, &stem(path))
        };
        if path.is_dir() {
            let config = read(&path.join("config.json"))?;
            return checkpoint_of(&config, &read(&path.join("model.safetensors"))?, path);
        }
        Self::build(&Checkpoint::compact(path, &read(path)?)?, &stem(path))
    }

    /// A compact file that is in memory already.
    pub fn from_compact(bytes: &[u8]) -> Result<Arc<Self>, Error> {
        Self::build(&Checkpoint::compact(Path::new("the built-in model"), bytes)?, "default")
    }

    fn build(from: &Checkpoint<'_>, fallback: &str) -> Result<Arc<Self>, Error> {
        let config = from.config.clone();
        let (width, rows) = (config.n_embd, from.rows());
        let blocks =
            (0..config.n_layer).map(|layer| Block::read(from, layer, width)).collect::<Result<_, _>>()?;
        let own = config.continuo.as_ref();
        Ok(Arc::new(Self {
            name: own
                .map(|own| own.name.clone())
                .filter(|n| !n.is_empty())
                .unwrap_or_else(|| fallback.into()),
            frame: match own {
                Some(own) if own.frame == "beat" && own.ticks_per_beat > 0 => {
                    TimeFrame::Beats { ticks_per_beat: own.ticks_per_beat }
                }
                _ => TimeFrame::Seconds,
            },
            rows,
            wte: from.matrix("wte.weight", rows, width, false)?,
            wpe: from.matrix("wpe.weight", config.n_positions, width, false)?,
            blocks,
            norm: Norm::read(from, "ln_f", width)?,
            config,
        }))
    }

    /// Its name, from the config or the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a tick is.
    pub fn frame(&self) -> TimeFrame {
        self.frame
    }

    /// Tokens that it can look at.
    pub fn positions(&self) -> usize {
        self.config.n_positions
    }

    /// Rows of its vocabulary.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// An empty cache for this model.
    pub fn cache(&self) -> Cache {
        let room = || vec![vec![0.0; self.config.n_positions * self.config.n_embd]; self.config.n_layer];
        Cache { len: 0, keys: room(), values: room() }
    }

    /// Puts `id` behind what is in the cache; gives the state after the final norm `(width)`.
    ///
    /// `id` must be a row of the vocabulary and the cache must have room; else nothing happens and the
    /// state is empty.
    pub fn step(&self, cache: &mut Cache, id: u32) -> Vec<f32> {
        let width = self.config.n_embd;
        let row = usize::try_from(id).unwrap_or(usize::MAX);
        if row >= self.rows || cache.len >= self.config.n_positions {
            return Vec::new();
        }
        let mut x: Vec<f32> = self.wte[row * width..(row + 1) * width]
            .iter()
            .zip(&self.wpe[cache.len * width..(cache.len + 1) * width])
            .map(|(token, place)| token + place)
            .collect();
        cache.len += 1;
        for (layer, block) in self.blocks.iter().enumerate() {
            block.step(&mut x, cache, layer, &self.config);
        }
        self.norm.apply(&x, self.config.layer_norm_epsilon)
    }

    /// Logits of some rows for a state that [`Self::step`] gave.
    pub fn logits(&self, state: &[f32], rows: Range<u32>) -> Vec<f32> {
        let width = self.config.n_embd;
        let (from, to) = (rows.start as usize, (rows.end as usize).min(self.rows));
        self.wte[from.min(to) * width..to * width].chunks_exact(width).map(|row| dot(row, state)).collect()
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

impl Norm {
    fn read(from: &Checkpoint<'_>, name: &str, width: usize) -> Result<Self, Error> {
        Ok(Self {
            weight: from.vector(&format!("{name}.weight"), width)?,
            bias: from.vector(&format!("{name}.bias"), width)?,
        })
    }

    #[allow(clippy::cast_precision_loss)] // widths are thousands
    fn apply(&self, x: &[f32], epsilon: f32) -> Vec<f32> {
        let count = x.len() as f32;
        let mean = x.iter().sum::<f32>() / count;
        let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
        let scale = 1.0 / (variance + epsilon).sqrt();
        x.iter().zip(&self.weight).zip(&self.bias).map(|((v, w), b)| (v - mean) * scale * w + b).collect()
    }
}

impl Linear {
    fn read(from: &Checkpoint<'_>, name: &str, rows: usize, columns: usize) -> Result<Self, Error> {
        Ok(Self {
            weight: from.matrix(&format!("{name}.weight"), rows, columns, true)?,
            bias: from.vector(&format!("{name}.bias"), rows)?,
        })
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        self.weight.chunks_exact(x.len()).zip(&self.bias).map(|(row, bias)| dot(row, x) + bias).collect()
    }
}

impl Block {
    fn read(from: &Checkpoint<'_>, layer: usize, width: usize) -> Result<Self, Error> {
        let name = |part: &str| format!("h.{layer}.{part}");
        Ok(Self {
            norm_1: Norm::read(from, &name("ln_1"), width)?,
            attend: Linear::read(from, &name("attn.c_attn"), 3 * width, width)?,
            project: Linear::read(from, &name("attn.c_proj"), width, width)?,
            norm_2: Norm::read(from, &name("ln_2"), width)?,
            widen: Linear::read(from, &name("mlp.c_fc"), 4 * width, width)?,
            narrow: Linear::read(from, &name("mlp.c_proj"), width, 4 * width)?,
        })
    }

    fn step(&self, x: &mut [f32], cache: &mut Cache, layer: usize, config: &Config) {
        let width = config.n_embd;
        let qkv = self.attend.apply(&self.norm_1.apply(x, config.layer_norm_epsilon));
        let place = (cache.len - 1) * width;
        cache.keys[layer][place..place + width].copy_from_slice(&qkv[width..2 * width]);
        cache.values[layer][place..place + width].copy_from_slice(&qkv[2 * width..]);
        let mixed = attention(&qkv[..width], cache, layer, config);
        add(x, &self.project.apply(&mixed));
        let mut wide = self.widen.apply(&self.norm_2.apply(x, config.layer_norm_epsilon));
        wide.iter_mut().for_each(|v| *v = gelu(*v));
        add(x, &self.narrow.apply(&wide));
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// Each head looks at all tokens of the cache, the newest included.
#[allow(clippy::cast_precision_loss)] // heads and layers are few
fn attention(q: &[f32], cache: &Cache, layer: usize, config: &Config) -> Vec<f32> {
    let (width, size) = (config.n_embd, config.n_embd / config.n_head);
    let mut scale = 1.0 / (size as f32).sqrt();
    if config.scale_attn_by_inverse_layer_idx {
        scale /= (layer + 1) as f32;
    }
    let mut out = vec![0.0; width];
    let mut weights = vec![0.0; cache.len];
    for (head, (q, out)) in q.chunks_exact(size).zip(out.chunks_exact_mut(size)).enumerate() {
        let part = |row: usize| row * width + head * size..row * width + (head + 1) * size;
        for (row, weight) in weights.iter_mut().enumerate() {
            *weight = dot(q, &cache.keys[layer][part(row)]) * scale;
        }
        let highest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        weights.iter_mut().for_each(|w| *w = (*w - highest).exp());
        let sum: f32 = weights.iter().sum();
        for (row, weight) in weights.iter().enumerate() {
            for (out, value) in out.iter_mut().zip(&cache.values[layer][part(row)]) {
                *out += weight / sum * value;
            }
        }
    }
    out
}

/// GELU by the hyperbolic tangent, as GPT-2 has it.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh())
}
