//! The same GPT-2 in small whole numbers: what players hear. `crate::plain` is its measure.
//!
//! ```text
//! packed: weights, int8 or int4, in tiles (fours: how int4 are found)      numbers: norm, GELU, activations to int8      kv: keys and values, f16
//! decode: a token or a few, each matrix shared out by rows      prefill: a prompt, shared out by tokens
//! crew: the threads       product: one matrix times a few tokens       kept: where weights lie
//! ```
//! A token's numbers do not depend on which others are computed beside it, nor on how many threads do it:
//! products are exact sums of whole numbers, and all else is done for each token by itself.

mod crew;
mod decode;
mod fours;
mod kept;
mod kv;
pub mod numbers;
mod packed;
mod prefill;
mod product;
mod source;

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::Error;
use crate::checkpoint::{Checkpoint, Config};
use crate::kernel::{Bits, Kernel, TILE};
use crate::vocabulary as v;

use crew::Crew;
use kv::Heads;
use numbers::{NormOne, NormSmall, Shrink, Small};
use packed::{Finish, Packed};
use product::Product;

pub use kept::{Kept, Mapped, Number};
pub use kv::Kv;
pub use source::Source;

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
    wpe: Kept<f32>, // (positions, width)
    blocks: Vec<Block>,
    norm: Norm,
    crew: Mutex<Option<Arc<Crew>>>,
    threads: usize,
}

struct Norm {
    weight: Kept<f32>,
    bias: Kept<f32>,
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
    /// A checkpoint's numbers, which come from `source`; `bits` of the weights between the embeddings.
    #[allow(clippy::cast_precision_loss)] // heads are few
    pub fn read(source: &mut Source<'_, '_>, from: &Checkpoint<'_>, bits: Bits) -> Result<Self, Error> {
        let config = &from.config;
        let (width, rows) = (config.n_embd, from.rows()?);
        let heads = Heads::new(width, config.n_head, config.n_positions);
        let mut table = |range| source.packed(("wte.weight", None), (rows, width), range, Bits::Eight);
        let said = (v::REST as usize + 1).min(rows);
        Ok(Self {
            kernel: Kernel::best(),
            width,
            heads,
            epsilon: config.layer_norm_epsilon,
            scale: if config.scale_attn_weights { 1.0 / (heads.size as f32).sqrt() } else { 1.0 },
            by_layer: config.scale_attn_by_inverse_layer_idx,
            events: Arc::new(table(0..said)?),
            others: Arc::new(table(said..rows)?),
            wpe: source.matrix("wpe.weight", config.n_positions, width)?,
            blocks: (0..config.n_layer)
                .map(|layer| Block::read(source, layer, config, bits))
                .collect::<Result<_, _>>()?,
            norm: Norm::read(source, "ln_f", width)?,
            crew: Mutex::new(None),
            threads: 1,
        })
    }

    /// To be computed with this kernel and so many threads; else with the best and one.
    pub fn with(self, kernel: Kernel, threads: usize) -> Self {
        Self { kernel, threads: threads.max(1), ..self }
    }

    /// Whether its weights lie in a file that other processes share.
    pub fn is_shared(&self) -> bool {
        matches!(self.wpe, Kept::Mapped(_))
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
        let crew = self.crew();
        let product = self.multiply(&crew, (packed, tiles), small, Finish::Plain);
        let made = crew.result(&product);
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
    fn read(from: &mut Source<'_, '_>, name: &str, width: usize) -> Result<Self, Error> {
        Ok(Self {
            weight: from.vector(&format!("{name}.weight"), width)?,
            bias: from.vector(&format!("{name}.bias"), width)?,
        })
    }

    /// Each token of `x` `(tokens, width)`, normed and made small.
    fn small(&self, kernel: Kernel, x: &[f32], epsilon: f32) -> Small {
        let mut small = Small::default();
        self.small_into(kernel, x, epsilon, &mut small);
        small
    }

    /// The same, instead of what is in `into`.
    fn small_into(&self, kernel: Kernel, x: &[f32], epsilon: f32, into: &mut Small) {
        into.clear(self.weight.len());
        kernel.wide(NormSmall { x, weight: &self.weight, bias: &self.bias, epsilon, into });
    }

    /// One token, normed.
    fn apply(&self, kernel: Kernel, x: &[f32], epsilon: f32) -> Vec<f32> {
        kernel.wide(NormOne { x, weight: &self.weight, bias: &self.bias, epsilon })
    }
}

impl Block {
    fn read(from: &mut Source<'_, '_>, layer: usize, config: &Config, bits: Bits) -> Result<Self, Error> {
        let width = config.n_embd;
        // The first block, which finds out where in a triplet and in the music it is, loses most by rounding.
        let bits = if layer == 0 { Bits::Eight } else { bits };
        let (norm_1, norm_2) = (format!("h.{layer}.ln_1"), format!("h.{layer}.ln_2"));
        let (norm_1, norm_2) = (Norm::read(from, &norm_1, width)?, Norm::read(from, &norm_2, width)?);
        let mut linear = |part: &str, rows: usize, columns: usize| -> Result<Arc<Packed>, Error> {
            let [weight, bias] = ["weight", "bias"].map(|kind| format!("h.{layer}.{part}.{kind}"));
            Ok(Arc::new(from.packed((&weight, Some(&bias)), (rows, columns), 0..rows, bits)?))
        };
        Ok(Self {
            norm_1,
            attend: linear("attn.c_attn", 3 * width, width)?,
            project: linear("attn.c_proj", width, width)?,
            norm_2,
            widen: linear("mlp.c_fc", 4 * width, width)?,
            narrow: linear("mlp.c_proj", width, 4 * width)?,
        })
    }
}
