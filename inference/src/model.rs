//! A GPT-2: weights that never change, and steps of it over a cache.
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
use crate::dot::{add_scaled, dot, products};
use crate::files::Files;

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

/// Tokens of a prompt that are computed side by side, so that weights are read once for all of them.
const BLOCK: usize = 16;

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
    /// A compact file, or a Hugging Face folder: `config.json` with `model.safetensors`, its shards, or
    /// `pytorch_model.bin`.
    pub fn load(path: &Path) -> Result<Arc<Self>, Error> {
        Self::build(&Files::read(path)?.checkpoint()?, &stem(path))
    }

    /// A compact file that is in memory already.
    pub fn from_compact(bytes: &[u8]) -> Result<Arc<Self>, Error> {
        Self::build(&Checkpoint::compact(Path::new("the built-in model"), bytes)?, "default")
    }

    fn build(from: &Checkpoint<'_>, fallback: &str) -> Result<Arc<Self>, Error> {
        let config = from.config.clone();
        let (width, rows) = (config.n_embd, from.rows()?);
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

    /// Its shape.
    pub fn config(&self) -> &Config {
        &self.config
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

    /// Puts `ids` behind what is in the cache; gives the state of the last one after the final norm
    /// `(width)`. How a sequence is cut into calls does not change a bit of it.
    ///
    /// Every id must be a row of the vocabulary and the cache must have room for all; else nothing happens
    /// and the state is empty, as it is for no ids.
    pub fn feed(&self, cache: &mut Cache, ids: &[u32]) -> Vec<f32> {
        self.run(cache, ids, |_, _| {}).unwrap_or_default()
    }

    /// What stands between the blocks for `ids` from position 0, numbered as in Hugging Face: 0 is what
    /// goes into the first block, the last is after the final norm. Each `(tokens, width)`; nothing if
    /// [`Self::feed`] would refuse the ids.
    pub fn hidden(&self, ids: &[u32]) -> Vec<Vec<f32>> {
        let mut states = vec![Vec::new(); self.config.n_layer + 1];
        self.run(&mut self.cache(), ids, |layer, x| states[layer].extend_from_slice(x));
        states
    }

    /// The blocks over all of `ids`, `BLOCK` at a time; `seen` gets every hidden state.
    fn run(&self, cache: &mut Cache, ids: &[u32], mut seen: impl FnMut(usize, &[f32])) -> Option<Vec<f32>> {
        let (width, room) = (self.config.n_embd, self.config.n_positions.saturating_sub(cache.len));
        if ids.len() > room || ids.iter().any(|&id| id as usize >= self.rows) {
            return None;
        }
        let mut last = None;
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
            last = Some(normed[normed.len() - width..].to_vec());
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
    pub fn logits(&self, state: &[f32], rows: Range<u32>) -> Vec<f32> {
        let width = self.config.n_embd;
        let to = (rows.end as usize).min(self.rows);
        let from = (rows.start as usize).min(to);
        let mut logits = vec![0.0; to - from];
        products(&self.wte[from * width..to * width], state, width, &mut logits);
        logits
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
    fn step(&self, x: &mut [f32], cache: &mut Cache, layer: usize, config: &Config) {
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
fn attention(q: &[f32], cache: &Cache, seen: usize, layer: usize, config: &Config) -> Vec<f32> {
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
