//! The same GPT-2 written plainly on a tensor library: what [`crate::Model`] is compared with, and what a graphics
//! processor computes (features `cuda` and `metal`; see [`crate::device`]).
//!
//! Weights, keys and values have one type of number, which may be small; norms and shares of attention are made in f32.

use std::ops::Range;
use std::path::Path;

pub use candle_core::Device;
use candle_core::{D, DType, Tensor};

use crate::Error;
use crate::checkpoint::{Checkpoint, Config};
use crate::files::Files;

/// A model on a device.
pub struct Reference {
    config: Config,
    wte: Tensor, // (rows, width)
    wpe: Tensor, // (positions, width)
    blocks: Vec<Block>,
    norm: Norm,
    device: Device,
    dtype: DType,
}

/// In f32.
struct Norm {
    weight: Tensor, // (width)
    bias: Tensor,   // (width)
}

struct Linear {
    weight: Tensor, // (in, out)
    bias: Tensor,   // (out)
}

struct Block {
    norm_1: Norm,
    attend: Linear,
    project: Linear,
    norm_2: Norm,
    widen: Linear,
    narrow: Linear,
}

/// Keys and values on the device: for each block `(heads, positions, size)`, made once.
pub struct Cache {
    /// Tokens in it.
    pub len: usize,
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
}

/// Tokens for one cache of several.
pub struct Feed<'a> {
    /// Its cache.
    pub cache: &'a mut Cache,
    /// What is put behind it.
    pub ids: &'a [u32],
}

impl Cache {
    /// Another that holds the same.
    pub fn copy(&self) -> Result<Self, Error> {
        let all = |tensors: &[Tensor]| tensors.iter().map(Tensor::copy).collect::<Result<Vec<_>, _>>();
        Ok(Self { len: self.len, keys: all(&self.keys)?, values: all(&self.values)? })
    }
}

impl Reference {
    /// What [`crate::Model::load`] reads, put on `device`, in f32.
    pub fn load(path: &Path, device: &Device) -> Result<Self, Error> {
        Self::read(&Files::read(path)?.checkpoint()?, device, DType::F32)
    }

    /// From a checkpoint of any kind, in numbers of a type.
    pub(crate) fn read(from: &Checkpoint<'_>, device: &Device, dtype: DType) -> Result<Self, Error> {
        let (config, rows) = (from.config.clone(), from.rows()?);
        let width = config.n_embd;
        let table = |name: &str, rows: usize| -> Result<Tensor, Error> {
            let table = Tensor::from_vec(from.matrix(name, rows, width, false)?, (rows, width), device)?;
            Ok(table.to_dtype(dtype)?)
        };
        let blocks = (0..config.n_layer).map(|layer| Block::read(from, layer, width, (device, dtype)));
        Ok(Self {
            wte: table("wte.weight", rows)?,
            wpe: table("wpe.weight", config.n_positions)?,
            blocks: blocks.collect::<Result<_, _>>()?,
            norm: Norm::read(from, "ln_f", width, device)?,
            device: device.clone(),
            dtype,
            config,
        })
    }

    /// An empty cache.
    pub fn cache(&self) -> Result<Cache, Error> {
        let (heads, size) = (self.config.n_head, self.config.n_embd / self.config.n_head);
        let shape = (heads, self.config.n_positions, size);
        let room = || -> Result<Vec<Tensor>, Error> {
            let one = |_| Tensor::zeros(shape, self.dtype, &self.device);
            Ok((0..self.config.n_layer).map(one).collect::<Result<_, _>>()?)
        };
        Ok(Cache { len: 0, keys: room()?, values: room()? })
    }

    /// Puts `ids` behind what is in the cache; gives the logits of all rows after the last of them.
    pub fn logits(&self, cache: &mut Cache, ids: &[u32]) -> Result<Vec<f32>, Error> {
        let states = self.states(&mut [Feed { cache, ids }])?;
        let all = self.rows(&[&states[0]], 0..self.wte.dim(0)?)?;
        Ok(all.into_iter().next().unwrap_or_default())
    }

    /// Puts tokens behind those of several caches; gives for each the state after its last token, after the final norm.
    /// Matrices are read once for all of them. The caches are as before if it fails.
    pub fn states(&self, feeds: &mut [Feed<'_>]) -> Result<Vec<Vec<f32>>, Error> {
        let x = self.through(feeds, |_| Ok(()))?;
        let mut end = 0;
        let mut lasts = Vec::new();
        for feed in feeds.iter() {
            end += feed.ids.len();
            lasts.push(u32::try_from(end - 1).unwrap_or(0));
        }
        let lasts = x.index_select(&Tensor::new(lasts, &self.device)?, 0)?;
        let last = self.norm.apply(&lasts, self.config.layer_norm_epsilon)?;
        let states = last.to_dtype(DType::F32)?.to_vec2()?;
        feeds.iter_mut().for_each(|feed| feed.cache.len += feed.ids.len());
        Ok(states)
    }

    /// Hidden states of `ids` from position 0: see [`crate::Model::hidden`].
    pub fn hidden(&self, ids: &[u32]) -> Result<Vec<Vec<f32>>, Error> {
        let numbers =
            |x: &Tensor| -> Result<Vec<f32>, Error> { Ok(x.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?) };
        let mut states = Vec::new();
        let feeds = [Feed { cache: &mut self.cache()?, ids }];
        let x = self.through(&feeds, |x| {
            states.push(numbers(x)?);
            Ok(())
        })?;
        states.push(numbers(&self.norm.apply(&x, self.config.layer_norm_epsilon)?)?);
        Ok(states)
    }

    /// Tokens through all blocks, `(tokens, width)`; `seen` gets what goes into each.
    fn through(
        &self,
        feeds: &[Feed<'_>],
        mut seen: impl FnMut(&Tensor) -> Result<(), Error>,
    ) -> Result<Tensor, Error> {
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for feed in feeds {
            let (count, from) = (feed.ids.len(), feed.cache.len);
            if count == 0 || from + count > self.config.n_positions {
                return Err(Error::Prompt(format!(
                    "{count} tokens after {from}, where the model takes 1 to {} in all",
                    self.config.n_positions
                )));
            }
            ids.extend_from_slice(feed.ids);
            places.extend((from..from + count).filter_map(|place| u32::try_from(place).ok()));
        }
        let rows = |table: &Tensor, of: Vec<u32>| table.index_select(&Tensor::new(of, &self.device)?, 0);
        let mut x = (rows(&self.wte, ids)? + rows(&self.wpe, places)?)?;
        let masks = feeds.iter().map(|feed| self.mask(feed.cache.len, feed.ids.len()));
        let masks = masks.collect::<Result<Vec<_>, _>>()?;
        for (layer, block) in self.blocks.iter().enumerate() {
            seen(&x)?;
            x = block.step(&x, (feeds, &masks), layer, &self.config)?;
        }
        Ok(x)
    }

    /// Logits of some rows for states that [`Self::states`] gave.
    pub fn rows(&self, states: &[&[f32]], rows: Range<usize>) -> Result<Vec<Vec<f32>>, Error> {
        let all = Tensor::from_vec(states.concat(), (states.len(), self.config.n_embd), &self.device)?;
        let head = self.wte.narrow(0, rows.start, rows.len())?.t()?;
        Ok(all.to_dtype(self.dtype)?.matmul(&head)?.to_dtype(DType::F32)?.to_vec2()?)
    }

    /// What is added to scores `(tokens, seen)`: no token sees a later one.
    fn mask(&self, from: usize, count: usize) -> Result<Tensor, Error> {
        let seen = from + count;
        let hidden = (0..count).flat_map(|token| {
            (0..seen).map(move |place| if place > from + token { f32::NEG_INFINITY } else { 0.0 })
        });
        Ok(Tensor::from_vec(hidden.collect(), (count, seen), &self.device)?)
    }
}

impl Norm {
    fn read(from: &Checkpoint<'_>, name: &str, width: usize, device: &Device) -> Result<Self, Error> {
        let vector = |part: &str| -> Result<Tensor, Error> {
            Ok(Tensor::from_vec(from.vector(&format!("{name}.{part}"), width)?, width, device)?)
        };
        Ok(Self { weight: vector("weight")?, bias: vector("bias")? })
    }

    fn apply(&self, x: &Tensor, epsilon: f32) -> Result<Tensor, Error> {
        let (dtype, x) = (x.dtype(), x.to_dtype(DType::F32)?);
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let x = x.broadcast_div(&(variance + f64::from(epsilon))?.sqrt()?)?;
        Ok(x.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?.to_dtype(dtype)?)
    }
}

impl Linear {
    fn read(
        from: &Checkpoint<'_>,
        name: &str,
        (rows, columns): (usize, usize),
        (device, dtype): (&Device, DType),
    ) -> Result<Self, Error> {
        let weight = from.matrix(&format!("{name}.weight"), rows, columns, true)?;
        let bias = from.vector(&format!("{name}.bias"), rows)?;
        Ok(Self {
            weight: Tensor::from_vec(weight, (rows, columns), device)?.to_dtype(dtype)?.t()?.contiguous()?,
            bias: Tensor::from_vec(bias, rows, device)?.to_dtype(dtype)?,
        })
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(x.matmul(&self.weight)?.broadcast_add(&self.bias)?)
    }
}

impl Block {
    fn read(from: &Checkpoint<'_>, layer: usize, width: usize, to: (&Device, DType)) -> Result<Self, Error> {
        let norm = |part: &str| Norm::read(from, &format!("h.{layer}.{part}"), width, to.0);
        let linear = |part: &str, shape| Linear::read(from, &format!("h.{layer}.{part}"), shape, to);
        Ok(Self {
            norm_1: norm("ln_1")?,
            attend: linear("attn.c_attn", (3 * width, width))?,
            project: linear("attn.c_proj", (width, width))?,
            norm_2: norm("ln_2")?,
            widen: linear("mlp.c_fc", (4 * width, width))?,
            narrow: linear("mlp.c_proj", (width, 4 * width))?,
        })
    }

    fn step(
        &self,
        x: &Tensor,
        (feeds, masks): (&[Feed<'_>], &[Tensor]),
        layer: usize,
        config: &Config,
    ) -> Result<Tensor, Error> {
        let qkv = self.attend.apply(&self.norm_1.apply(x, config.layer_norm_epsilon)?)?;
        let (mut mixed, mut at) = (Vec::new(), 0);
        for (feed, mask) in feeds.iter().zip(masks) {
            let own = qkv.narrow(0, at, feed.ids.len())?;
            mixed.push(attention(&own, feed.cache, layer, mask, config)?);
            at += feed.ids.len();
        }
        let x = (x + self.project.apply(&Tensor::cat(&mixed, 0)?)?)?;
        let wide = self.widen.apply(&self.norm_2.apply(&x, config.layer_norm_epsilon)?)?.gelu()?;
        Ok((&x + self.narrow.apply(&wide)?)?)
    }
}

/// `qkv` `(tokens, 3 width)` of the newest tokens; gives `(tokens, width)`.
#[allow(clippy::cast_precision_loss)] // heads and layers are few
fn attention(
    qkv: &Tensor,
    cache: &Cache,
    layer: usize,
    mask: &Tensor,
    config: &Config,
) -> Result<Tensor, Error> {
    let (count, width, heads) = (qkv.dim(0)?, config.n_embd, config.n_head);
    let size = width / heads;
    let part = |number: usize| -> Result<Tensor, Error> {
        let part = qkv.narrow(1, number * width, width)?.reshape((count, heads, size))?;
        Ok(part.transpose(0, 1)?.contiguous()?) // (heads, tokens, size)
    };
    let (keys, values, seen) = (&cache.keys[layer], &cache.values[layer], cache.len + count);
    keys.slice_set(&part(1)?, 1, cache.len)?;
    values.slice_set(&part(2)?, 1, cache.len)?;
    let mut scale = if config.scale_attn_weights { 1.0 / (size as f64).sqrt() } else { 1.0 };
    if config.scale_attn_by_inverse_layer_idx {
        scale /= (layer + 1) as f64;
    }
    let keys = keys.narrow(1, 0, seen)?.transpose(1, 2)?.contiguous()?; // (heads, size, seen)
    let scores = part(0)?.matmul(&keys)?.to_dtype(DType::F32)?;
    let scores = (scores * scale)?.broadcast_add(mask)?; // (heads, tokens, seen)
    let shares = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let shares = shares.broadcast_div(&shares.sum_keepdim(D::Minus1)?)?.to_dtype(qkv.dtype())?;
    let mixed = shares.matmul(&values.narrow(1, 0, seen)?.contiguous()?)?;
    Ok(mixed.transpose(0, 1)?.reshape((count, width))?)
}
