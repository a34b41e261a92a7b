//! Keys and values of the tokens so far, in half precision, as attention wants them.
//!
//! ```text
//! keys:   head, 16 positions at a time, dimension, position   (so that sixteen scores are made side by side)
//! values: head, position, dimension
//! ```
//! Caches that begin alike may hold that beginning in common: see [`Kv::fork`].

use std::sync::Arc;

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use crate::kernel::{Loops, Stretch};

use super::numbers::LANES;

/// Those of one sequence; made once, never grown.
pub struct Kv {
    /// Tokens in it.
    pub len: usize,
    layers: Vec<Layer>,
    /// The first positions, if others have them too: in whole sixteens. The same places of `layers` are unused.
    common: Option<(Arc<Vec<Layer>>, usize)>,
    shape: Heads,
}

/// How a width is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Heads.
    pub count: usize,
    /// Dimensions of each.
    pub size: usize,
    /// The same, filled up to whole vectors.
    pub room: usize,
    /// Positions, filled up to whole vectors.
    pub positions: usize,
}

struct Layer {
    keys: Vec<u16>,
    values: Vec<u16>,
}

/// A head of a layer, to be written.
pub struct HeadMut<'a> {
    keys: &'a mut [u16],
    values: &'a mut [u16],
}

impl Heads {
    /// For a width, a number of heads that divides it, and so many positions.
    pub fn new(width: usize, count: usize, positions: usize) -> Self {
        let size = width / count;
        let room = size.next_multiple_of(LANES);
        Self { count, size, room, positions: positions.next_multiple_of(LANES) }
    }

    /// Numbers of a head.
    fn slab(&self) -> usize {
        self.positions * self.room
    }

    /// Room for all, which costs no memory before something is put there.
    fn layers(&self, count: usize) -> Vec<Layer> {
        let room = || vec![0; self.count * self.slab()];
        (0..count).map(|_| Layer { keys: room(), values: room() }).collect()
    }
}

impl Kv {
    /// An empty one.
    pub fn new(shape: Heads, layers: usize) -> Self {
        Self { len: 0, layers: shape.layers(layers), common: None, shape }
    }

    /// Which beginning it has in common with others, if any: equal for those that share it.
    pub fn family(&self) -> Option<(usize, usize)> {
        self.common.as_ref().map(|(layers, positions)| (Arc::as_ptr(layers).addr(), *positions))
    }

    /// The positions of a head that tokens from `base` on, a multiple of 16, all see.
    pub fn common(&self, layer: usize, head: usize, base: usize) -> Stretch<'_> {
        match &self.common {
            Some((layers, positions)) => self.stretch(&layers[layer], head, 0, *positions),
            None => self.stretch(&self.layers[layer], head, 0, base),
        }
    }

    /// The positions behind those, for a token that sees the first `seen`.
    pub fn own(&self, layer: usize, head: usize, base: usize, seen: usize) -> Stretch<'_> {
        let from = self.common.as_ref().map_or(base, |(_, positions)| *positions);
        self.stretch(&self.layers[layer], head, from, seen)
    }

    fn stretch<'a>(&self, layer: &'a Layer, head: usize, from: usize, to: usize) -> Stretch<'a> {
        let slab = head * self.shape.slab() + from * self.shape.room..(head + 1) * self.shape.slab();
        Stretch { keys: &layer.keys[slab.clone()], values: &layer.values[slab], positions: to - from }
    }

    /// All heads of a layer, apart from each other.
    pub fn heads_mut(&mut self, layer: usize) -> impl Iterator<Item = HeadMut<'_>> {
        let (slab, layer) = (self.shape.slab(), &mut self.layers[layer]);
        let both = layer.keys.chunks_exact_mut(slab).zip(layer.values.chunks_exact_mut(slab));
        both.map(|(keys, values)| HeadMut { keys, values })
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = len.min(self.len);
        let Some((layers, positions)) = self.common.take() else { return };
        let keep = positions.min(self.len / LANES * LANES);
        self.take_over(&layers, keep, positions.min(self.len));
        self.common = (keep > 0).then_some((layers, keep));
    }

    /// Another that holds the same. What both have is held once from now on, in whole sixteens of positions.
    pub fn fork(&mut self) -> Self {
        let keep = self.len / LANES * LANES;
        let from = match self.common.take() {
            Some((layers, positions)) if positions == keep => layers,
            before => {
                if let Some((layers, positions)) = before {
                    self.take_over(&layers, 0, positions);
                }
                let fresh = self.shape.layers(self.layers.len());
                let made = Arc::new(std::mem::replace(&mut self.layers, fresh));
                self.take_over(&made, keep, self.len);
                made
            }
        };
        let mut other = Self::new(self.shape, self.layers.len());
        other.take_over(&self.layers, keep, self.len);
        other.len = self.len;
        if keep > 0 {
            (self.common, other.common) = (Some((Arc::clone(&from), keep)), Some((from, keep)));
        }
        other
    }

    /// Copies positions of others; `from` is a multiple of 16.
    fn take_over(&mut self, others: &[Layer], from: usize, to: usize) {
        let (slab, room) = (self.shape.slab(), self.shape.room);
        for (layer, other) in self.layers.iter_mut().zip(others) {
            for head in 0..self.shape.count {
                let keys = head * slab + from * room..head * slab + to.next_multiple_of(LANES) * room;
                let values = head * slab + from * room..head * slab + to * room;
                layer.keys[keys.clone()].copy_from_slice(&other.keys[keys]);
                layer.values[values.clone()].copy_from_slice(&other.values[values]);
            }
        }
    }
}

impl HeadMut<'_> {
    /// What a token at `place` leaves in a head of `room`.
    pub fn store(&mut self, place: usize, room: usize, key: &[u16], value: &[u16]) {
        let block = &mut self.keys[place / LANES * LANES * room..];
        let column = block[place % LANES..].iter_mut().step_by(LANES);
        column.zip(key).for_each(|(at, half)| *at = *half);
        self.values[place * room..][..value.len()].copy_from_slice(value);
    }
}

/// Numbers in half precision, the largest instead of what is larger, put behind those in `into`.
pub struct Halves<'a> {
    pub numbers: &'a [f32],
    pub into: &'a mut Vec<u16>,
}

impl Loops for Halves<'_> {
    type Made = ();

    #[inline(always)]
    fn run(self) {
        let most = f16::MAX.to_f32();
        let mut few = [0.0_f32; 64];
        for numbers in self.numbers.chunks(few.len()) {
            let few = &mut few[..numbers.len()];
            few.iter_mut().zip(numbers).for_each(|(few, x)| *few = x.max(-most).min(most));
            let start = self.into.len();
            self.into.resize(start + few.len(), 0);
            let into: &mut [f16] = self.into[start..].reinterpret_cast_mut();
            into.convert_from_f32_slice(few);
        }
    }
}
