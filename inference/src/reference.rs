//! The same GPT-2 written plainly on a tensor library: what [`crate::Model`] is compared with, and the way
//! to a graphics processor (features `cuda` and `metal`).

use std::path::Path;

pub use candle_core::Device;
use candle_core::{D, Tensor};

use crate::Error;
use crate::checkpoint::{Checkpoint, Config};
use crate::files::Files;

/// A model on a device, in f32.
pub struct Reference {
    config: Config,
    wte: Tensor, // (rows, width)
    wpe: Tensor, // (positions, width)
    blocks: Vec<Block>,
    norm: Norm,
    device: Device,
}

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
    len: usize,
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
}

impl Reference {
    /// What [`crate::Model::load`] reads, put on `device`.
    pub fn load(path: &Path, device: &Device) -> Result<Self, Error> {
        let files = Files::read(path)?;
        let from = files.checkpoint()?;
        let (config, rows) = (from.config.clone(), from.rows()?);
        let width = config.n_embd;
        let table = |name: &str, rows: usize| -> Result<Tensor, Error> {
            Ok(Tensor::from_vec(from.matrix(name, rows, width, false)?, (rows, width), device)?)
        };
        let blocks = (0..config.n_layer).map(|layer| Block::read(&from, layer, width, device));
        Ok(Self {
            wte: table("wte.weight", rows)?,
            wpe: table("wpe.weight", config.n_positions)?,
            blocks: blocks.collect::<Result<_, _>>()?,
            norm: Norm::read(&from, "ln_f", width, device)?,
            device: device.clone(),
            config,
        })
    }

    /// An empty cache.
    pub fn cache(&self) -> Result<Cache, Error> {
        let (heads, size) = (self.config.n_head, self.config.n_embd / self.config.n_head);
        let shape = (heads, self.config.n_positions, size);
        let room = || -> Result<Vec<Tensor>, Error> {
            let one = |_| Tensor::zeros(shape, candle_core::DType::F32, &self.device);
            Ok((0..self.config.n_layer).map(one).collect::<Result<_, _>>()?)
        };
        Ok(Cache { len: 0, keys: room()?, values: room()? })
    }

    /// Puts `ids` behind what is in the cache; gives the logits of all rows after the last of them.
    pub fn logits(&self, cache: &mut Cache, ids: &[u32]) -> Result<Vec<f32>, Error> {
        let (count, from) = (ids.len(), cache.len);
        if count == 0 || from + count > self.config.n_positions {
            return Err(Error::Prompt(format!(
                "{count} tokens after {from}, where the model takes 1 to {} in all",
                self.config.n_positions
            )));
        }
        let token = self.wte.index_select(&Tensor::new(ids, &self.device)?, 0)?;
        let mut x = (token + self.wpe.narrow(0, from, count)?)?; // (tokens, width)
        let mask = self.mask(from, count)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.step(&x, cache, layer, &mask, &self.config)?;
        }
        cache.len += count;
        let last = self.norm.apply(&x.narrow(0, count - 1, 1)?, self.config.layer_norm_epsilon)?;
        Ok(last.matmul(&self.wte.t()?)?.flatten_all()?.to_vec1()?)
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
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let x = x.broadcast_div(&(variance + f64::from(epsilon))?.sqrt()?)?;
        Ok(x.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?)
    }
}

impl Linear {
    fn read(
        from: &Checkpoint<'_>,
        name: &str,
        (rows, columns): (usize, usize),
        device: &Device,
    ) -> Result<Self, Error> {
        let weight = from.matrix(&format!("{name}.weight"), rows, columns, true)?;
        let bias = from.vector(&format!("{name}.bias"), rows)?;
        Ok(Self {
            weight: Tensor::from_vec(weight, (rows, columns), device)?.t()?.contiguous()?,
            bias: Tensor::from_vec(bias, rows, device)?,
        })
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(x.matmul(&self.weight)?.broadcast_add(&self.bias)?)
    }
}

impl Block {
    fn read(from: &Checkpoint<'_>, layer: usize, width: usize, device: &Device) -> Result<Self, Error> {
        let norm = |part: &str| Norm::read(from, &format!("h.{layer}.{part}"), width, device);
        let linear = |part: &str, shape| Linear::read(from, &format!("h.{layer}.{part}"), shape, device);
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
        cache: &Cache,
        layer: usize,
        mask: &Tensor,
        config: &Config,
    ) -> Result<Tensor, Error> {
        let qkv = self.attend.apply(&self.norm_1.apply(x, config.layer_norm_epsilon)?)?;
        let x = (x + self.project.apply(&attention(&qkv, cache, layer, mask, config)?)?)?;
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
    let scores = (part(0)?.matmul(&keys)? * scale)?.broadcast_add(mask)?; // (heads, tokens, seen)
    let shares = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let shares = shares.broadcast_div(&shares.sum_keepdim(D::Minus1)?)?;
    let mixed = shares.matmul(&values.narrow(1, 0, seen)?.contiguous()?)?;
    Ok(mixed.transpose(0, 1)?.reshape((count, width))?)
}
