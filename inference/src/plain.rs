//! The GPT-2 in f32, written plainly: as near to the reference as its tests are fine, and the measure of
//! what is faster.
//!
//! ```text
//! id, position ─▶ wte[id] + wpe[position] ─▶ blocks (norm, attention over the cache, norm, feed-forward) ─▶ norm ─▶ wte[rows]·x
//! ```
//! A row's sum is taken in the same order whatever else is computed, so logits do not depend on how a prompt
//! was cut into steps.

use std::ops::Range;

use crate::Error;
use crate::checkpoint::{Checkpoint, Config};
use crate::dot::{add_scaled, dot, products};

/// Tokens of a prompt that are computed side by side, so that weights are read once for all of them.
const BLOCK: usize = 16;

/// Weights of one model.
pub struct Plain {
    config: Config,
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
#[derive(Clone)]
pub struct PlainCache {
    /// Tokens in it.
    pub len: usize,
    keys: Vec<Vec<f32>>,   // a block: (positions, width)
    values: Vec<Vec<f32>>, // a block: (positions, width)
}

impl Plain {
    /// From a checkpoint of any kind.
    pub fn read(from: &Checkpoint<'_>) -> Result<Self, Error> {
        let config = from.config.clone();
        let (width, rows) = (config.n_embd, from.rows()?);
        let blocks = (0..config.n_layer).map(|layer| Block::read(from, layer, width));
        Ok(Self {
            wte: from.matrix("wte.weight", rows, width, false)?,
            wpe: from.matrix("wpe.weight", config.n_positions, width, false)?,
            blocks: blocks.collect::<Result<_, _>>()?,
            norm: Norm::read(from, "ln_f", width)?,
            config,
        })
    }

    /// An empty cache.
    pub fn cache(&self) -> PlainCache {
        let room = || vec![vec![0.0; self.config.n_positions * self.config.n_embd]; self.config.n_layer];
        PlainCache { len: 0, keys: room(), values: room() }
    }

    /// Puts `ids` behind what is in the cache, which has room for them; gives the state after the last of them.
    pub fn feed(&self, cache: &mut PlainCache, ids: &[u32]) -> Vec<f32> {
        self.run(cache, ids, |_, _| {})
    }

    /// Hidden states: see [`crate::Model::hidden`].
    pub fn hidden(&self, ids: &[u32]) -> Vec<Vec<f32>> {
        let mut states = vec![Vec::new(); self.config.n_layer + 1];
        self.run(&mut self.cache(), ids, |layer, x| states[layer].extend_from_slice(x));
        states
    }

    /// The blocks over all of `ids`, `BLOCK` at a time; `seen` gets every hidden state.
    fn run(&self, cache: &mut PlainCache, ids: &[u32], mut seen: impl FnMut(usize, &[f32])) -> Vec<f32> {
        let width = self.config.n_embd;
        let mut last = Vec::new();
        for ids in ids.chunks(BLOCK) {
            let mut x = self.embed(ids, cache.len); // (tokens, width)
            seen(0, &x);
            cache.len += ids.len();
            for (layer, block) in self.blocks.iter().enumerate() {
                block.step(&mut x, cache, layer, &self.config);
                if layer + 1 < self.config.n_layer {
                    seen(layer + 1, &x);
                }
            }
            let normed = self.norm.apply(&x, self.config.layer_norm_epsilon);
            seen(self.config.n_layer, &normed);
            last = normed[normed.len() - width..].to_vec();
        }
        last
    }

    /// Token and place, added; the first id is at position `from`.
    fn embed(&self, ids: &[u32], from: usize) -> Vec<f32> {
        let width = self.config.n_embd;
        let token = |id: u32| &self.wte[id as usize * width..(id as usize + 1) * width];
        let places = self.wpe[from * width..].chunks_exact(width);
        ids.iter()
            .zip(places)
            .flat_map(|(&id, place)| token(id).iter().zip(place).map(|(t, p)| t + p))
            .collect()
    }

    /// Logits of some rows for a state that [`Self::feed`] gave.
    pub fn logits(&self, state: &[f32], rows: Range<usize>) -> Vec<f32> {
        let width = self.config.n_embd;
        let mut logits = vec![0.0; rows.len()];
        products(&self.wte[rows.start * width..rows.end * width], state, width, &mut logits);
        logits
    }
}

impl Norm {
    fn read(from: &Checkpoint<'_>, name: &str, width: usize) -> Result<Self, Error> {
        Ok(Self {
            weight: from.vector(&format!("{name}.weight"), width)?,
            bias: from.vector(&format!("{name}.bias"), width)?,
        })
    }

    /// Each token of `x` `(tokens, width)` by itself.
    fn apply(&self, x: &[f32], epsilon: f32) -> Vec<f32> {
        x.chunks_exact(self.weight.len()).flat_map(|x| self.one(x, epsilon)).collect()
    }

    #[allow(clippy::cast_precision_loss)] // widths are thousands
    fn one(&self, x: &[f32], epsilon: f32) -> impl Iterator<Item = f32> {
        let count = x.len() as f32;
        let mean = x.iter().sum::<f32>() / count;
        let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
        let scale = 1.0 / (variance + epsilon).sqrt();
        x.iter().zip(&self.weight).zip(&self.bias).map(move |((v, w), b)| (v - mean) * scale * w + b)
    }
}

impl Linear {
    fn read(from: &Checkpoint<'_>, name: &str, rows: usize, columns: usize) -> Result<Self, Error> {
        Ok(Self {
            weight: from.matrix(&format!("{name}.weight"), rows, columns, true)?,
            bias: from.vector(&format!("{name}.bias"), rows)?,
        })
    }

    /// `(tokens, in)` to `(tokens, out)`.
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.bias.len();
        let inner = self.weight.len() / rows;
        let mut out = vec![0.0; x.len() / inner * rows];
        products(&self.weight, x, inner, &mut out);
        out.chunks_exact_mut(rows).for_each(|out| add(out, &self.bias));
        out
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

    /// `x` `(tokens, width)` are the newest tokens, which the cache's length counts already.
    fn step(&self, x: &mut [f32], cache: &mut PlainCache, layer: usize, config: &Config) {
        let width = config.n_embd;
        let first = cache.len - x.len() / width;
        let qkv = self.attend.apply(&self.norm_1.apply(x, config.layer_norm_epsilon)); // (tokens, 3 width)
        let mut mixed = Vec::with_capacity(x.len()); // (tokens, width)
        for (place, qkv) in (first..).zip(qkv.chunks_exact(3 * width)) {
            let row = place * width..(place + 1) * width;
            cache.keys[layer][row.clone()].copy_from_slice(&qkv[width..2 * width]);
            cache.values[layer][row].copy_from_slice(&qkv[2 * width..]);
            mixed.extend(attention(&qkv[..width], cache, place + 1, layer, config));
        }
        add(x, &self.project.apply(&mixed));
        let mut wide = self.widen.apply(&self.norm_2.apply(x, config.layer_norm_epsilon));
        wide.iter_mut().for_each(|v| *v = gelu(*v));
        add(x, &self.narrow.apply(&wide));
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// Each head looks at the first `seen` tokens of the cache; `q` `(width)` is the last of them.
#[allow(clippy::cast_precision_loss)] // heads and layers are few
fn attention(q: &[f32], cache: &PlainCache, seen: usize, layer: usize, config: &Config) -> Vec<f32> {
    let (width, size) = (config.n_embd, config.n_embd / config.n_head);
    let mut scale = if config.scale_attn_weights { 1.0 / (size as f32).sqrt() } else { 1.0 };
    if config.scale_attn_by_inverse_layer_idx {
        scale /= (layer + 1) as f32;
    }
    let mut out = vec![0.0; width];
    let mut weights = vec![0.0; seen];
    for (head, (q, out)) in q.chunks_exact(size).zip(out.chunks_exact_mut(size)).enumerate() {
        let part = |row: usize| row * width + head * size..row * width + (head + 1) * size;
        for (row, weight) in weights.iter_mut().enumerate() {
            *weight = dot(q, &cache.keys[layer][part(row)]) * scale;
        }
        let highest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        weights.iter_mut().for_each(|w| *w = (*w - highest).exp());
        let sum: f32 = weights.iter().sum();
        for (row, weight) in weights.iter().enumerate() {
            add_scaled(out, &cache.values[layer][part(row)], weight / sum);
        }
    }
    out
}

/// GELU by the hyperbolic tangent, as GPT-2 has it.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh())
}
