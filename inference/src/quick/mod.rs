//! The same GPT-2 in small whole numbers: what players hear. `crate::plain` is its measure.
//!
//! ```text
//! packed: weights, int8, in tiles      numbers: norm, GELU, activations to int8      kv: keys and values, f16
//! decode: a token or a few, each matrix shared out by rows      prefill: a prompt, shared out by tokens
//! crew: the threads       product: one matrix times a few tokens       kept: where weights lie
//! ```
//! A token's numbers do not depend on which others are computed beside it, nor on how many threads do it:
//! products are exact sums of whole numbers, and all else is done for each token by itself.

mod crew;
mod decode;
mod kept;
mod kv;
pub mod numbers;
mod packed;
mod prefill;
mod product;

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::Error;
use crate::checkpoint::{Checkpoint, Config};
use crate::kernel::{Kernel, TILE};
use crate::vocabulary as v;

use crew::Crew;
use kv::Heads;
use numbers::{NormOne, NormSmall, Shrink, Small};
use packed::{Finish, Packed};
use product::Product;

pub use kv::Kv;

/// Tokens that are decoded side by side; more are a prompt.
pub const MOST_DECODED: usize = 8;

/// Weights of one model, and the threads that it is computed with.
pub struct Quick {
    kernel: Kernel,
    width: usize,
    heads: Heads,
    epsilon: f32,
    scale: f32,
    /// Whether scores of layer n are divided by n + 1.
    by_layer: bool,
    /// Embeddings, and the head, of what a model may say.
    events: Arc<Packed>,
    /// Embeddings of the rest: controls and what is special.
    others: Arc<Packed>,
    wpe: Vec<f32>, // (positions, width)
    blocks: Vec<Block>,
    norm: Norm,
    crew: Mutex<Option<Arc<Crew>>>,
    threads: usize,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Block {
    norm_1: Norm,
    attend: Arc<Packed>,
    project: Arc<Packed>,
    norm_2: Norm,
    widen: Arc<Packed>,
    narrow: Arc<Packed>,
}

/// Tokens that are put behind what is in a cache.
pub struct Part<'a> {
    /// The cache.
    pub kv: &'a mut Kv,
    /// Rows of the vocabulary; the cache has room for them.
    pub ids: &'a [u32],
}

impl Quick {
    /// From a checkpoint of any kind, for so many threads.
    #[allow(clippy::cast_precision_loss)] // heads are few
    pub fn read(from: &Checkpoint<'_>, kernel: Kernel, threads: usize) -> Result<Self, Error> {
        let config = &from.config;
        let (width, rows) = (config.n_embd, from.rows()?);
        let heads = Heads::new(width, config.n_head, config.n_positions);
        let table = from.stored("wte.weight", rows, width, false)?;
        let said = (v::REST as usize + 1).min(rows);
        Ok(Self {
            kernel,
            width,
            heads,
            epsilon: config.layer_norm_epsilon,
            scale: if config.scale_attn_weights { 1.0 / (heads.size as f32).sqrt() } else { 1.0 },
            by_layer: config.scale_attn_by_inverse_layer_idx,
            events: Arc::new(Packed::of(&table, 0..said, Vec::new())),
            others: Arc::new(Packed::of(&table, said..rows, Vec::new())),
            wpe: from.matrix("wpe.weight", config.n_positions, width, false)?,
            blocks: (0..config.n_layer)
                .map(|layer| Block::read(from, layer, config))
                .collect::<Result<_, _>>()?,
            norm: Norm::read(from, "ln_f", width)?,
            crew: Mutex::new(None),
            threads: threads.max(1),
        })
    }

    /// An empty cache.
    pub fn cache(&self) -> Kv {
        Kv::new(self.heads, self.blocks.len())
    }

    /// Puts tokens behind those of their caches; gives for each part the state after its last token, after the
    /// final norm. `None` if `wanted` said no meanwhile: the caches are then as before.
    pub fn feed(&self, parts: &mut [Part<'_>], wanted: &dyn Fn() -> bool) -> Option<Vec<Vec<f32>>> {
        let crew = self.crew();
        let tokens: usize = parts.iter().map(|part| part.ids.len()).sum();
        if tokens <= MOST_DECODED {
            return Some(self.decode(&crew, parts));
        }
        let each = |part: &mut Part<'_>| self.prefill(&crew, part, wanted, None);
        parts.iter_mut().map(each).collect()
    }

    /// Hidden states of `ids` from position 0: see [`crate::Model::hidden`].
    pub fn hidden(&self, ids: &[u32]) -> Vec<Vec<f32>> {
        let mut states = Vec::new();
        let (mut kv, crew) = (self.cache(), self.crew());
        let mut keep = |x: &[f32]| states.push(x.to_vec());
        self.prefill(&crew, &mut Part { kv: &mut kv, ids }, &|| true, Some(&mut keep));
        states
    }

    /// Logits of some rows for states that [`Self::feed`] gave, a row of numbers for each state.
    pub fn logits(&self, states: &[&[f32]], rows: Range<usize>) -> Vec<Vec<f32>> {
        let mut logits = vec![Vec::with_capacity(rows.len()); states.len()];
        for (packed, first) in [(&self.events, 0), (&self.others, self.events.rows)] {
            let from = rows.start.clamp(first, first + packed.rows) - first;
            let to = rows.end.clamp(first, first + packed.rows) - first;
            for (states, logits) in states.chunks(MOST_DECODED).zip(logits.chunks_mut(MOST_DECODED)) {
                if from < to {
                    self.some_logits(states, packed, from..to, logits);
                }
            }
        }
        logits
    }

    fn some_logits(
        &self,
        states: &[&[f32]],
        packed: &Arc<Packed>,
        rows: Range<usize>,
        logits: &mut [Vec<f32>],
    ) {
        let mut small = Small::default();
        small.clear(self.width);
        for state in states {
            self.kernel.wide(Shrink { x: state, stride: self.width, columns: self.width, into: &mut small });
        }
        let tiles = rows.start / TILE..rows.end.div_ceil(TILE);
        let (skip, all) = (rows.start - tiles.start * TILE, tiles.len() * TILE);
        let product = self.multiply(&self.crew(), (packed, tiles), small, Finish::Plain);
        let made = product.result();
        for (logits, made) in logits.iter_mut().zip(made.chunks_exact(all)) {
            logits.extend_from_slice(&made[skip..skip + rows.len()]);
        }
    }

    fn multiply(
        &self,
        crew: &Crew,
        (packed, tiles): (&Arc<Packed>, Range<usize>),
        x: Small,
        finish: Finish,
    ) -> Arc<Product> {
        let product = Arc::new(Product::new(self.kernel, (packed, tiles), x, finish, crew.threads()));
        crew.multiply(&product);
        product
    }

    /// Token and place, added, onto `out`.
    fn embed(&self, id: u32, place: usize, out: &mut Vec<f32>) {
        let start = out.len();
        out.extend_from_slice(&self.wpe[place * self.width..(place + 1) * self.width]);
        let (id, said) = (id as usize, self.events.rows);
        let (packed, row) = if id < said { (&self.events, id) } else { (&self.others, id - said) };
        packed.add_row(row, &mut out[start..]);
    }

    /// What scores of a layer are multiplied by.
    #[allow(clippy::cast_precision_loss)] // layers are few
    fn scale(&self, layer: usize) -> f32 {
        if self.by_layer { self.scale / (layer + 1) as f32 } else { self.scale }
    }

    /// The threads, made when they are first needed; the caller alone, while another uses them.
    fn crew(&self) -> Arc<Crew> {
        let mut crew: MutexGuard<'_, Option<Arc<Crew>>> = match self.crew.try_lock() {
            Ok(crew) => crew,
            Err(TryLockError::Poisoned(crew)) => PoisonError::into_inner(crew),
            Err(TryLockError::WouldBlock) => return Arc::new(Crew::new(1)),
        };
        Arc::clone(crew.get_or_insert_with(|| Arc::new(Crew::new(self.threads))))
    }

    /// Bytes of weights: all, and those that a token of a triplet reads on average.
    pub fn sizes(&self) -> (usize, usize) {
        let block = |block: &Block| -> usize {
            [&block.attend, &block.project, &block.widen, &block.narrow]
                .iter()
                .map(|packed| packed.size())
                .sum()
        };
        let blocks: usize = self.blocks.iter().map(block).sum();
        (
            blocks + self.events.size() + self.others.size() + 4 * self.wpe.len(),
            blocks + self.events.size() / 3,
        )
    }
}

impl Norm {
    fn read(from: &Checkpoint<'_>, name: &str, width: usize) -> Result<Self, Error> {
        Ok(Self {
            weight: from.vector(&format!("{name}.weight"), width)?,
            bias: from.vector(&format!("{name}.bias"), width)?,
        })
    }

    /// Each token of `x` `(tokens, width)`, normed and made small.
    fn small(&self, kernel: Kernel, x: &[f32], epsilon: f32) -> Small {
        let mut small = Small::default();
        small.clear(self.weight.len());
        kernel.wide(NormSmall { x, weight: &self.weight, bias: &self.bias, epsilon, into: &mut small });
        small
    }

    /// One token, normed.
    fn apply(&self, kernel: Kernel, x: &[f32], epsilon: f32) -> Vec<f32> {
        kernel.wide(NormOne { x, weight: &self.weight, bias: &self.bias, epsilon })
    }
}

impl Block {
    fn read(from: &Checkpoint<'_>, layer: usize, config: &Config) -> Result<Self, Error> {
        let width = config.n_embd;
        let linear = |part: &str, rows: usize, columns: usize| -> Result<Arc<Packed>, Error> {
            let name = format!("h.{layer}.{part}");
            let weights = from.stored(&format!("{name}.weight"), rows, columns, true)?;
            Ok(Arc::new(Packed::of(&weights, 0..rows, from.vector(&format!("{name}.bias"), rows)?)))
        };
        Ok(Self {
            norm_1: Norm::read(from, &format!("h.{layer}.ln_1"), width)?,
            attend: linear("attn.c_attn", 3 * width, width)?,
            project: linear("attn.c_proj", width, width)?,
            norm_2: Norm::read(from, &format!("h.{layer}.ln_2"), width)?,
            widen: linear("mlp.c_fc", 4 * width, width)?,
            narrow: linear("mlp.c_proj", width, 4 * width)?,
        })
    }
}
