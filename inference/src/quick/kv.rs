//! Keys and values of the tokens so far, in half precision, as attention wants them.
//!
//! ```text
//! keys:   head, 16 positions at a time, dimension, position   (so that sixteen scores are made side by side)
//! values: head, position, dimension
//! ```

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::numbers::LANES;

/// Those of one sequence; made once, never grown.
pub struct Kv {
    /// Tokens in it.
    pub len: usize,
    layers: Vec<Layer>,
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

/// One head of one layer, to be read.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// `(positions / 16, room, 16)`.
    pub keys: &'a [u16],
    /// `(positions, room)`.
    pub values: &'a [u16],
}

/// The same, to be written.
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
}

impl Kv {
    /// An empty one.
    pub fn new(shape: Heads, layers: usize) -> Self {
        let room = || vec![0; shape.count * shape.slab()];
        Self { len: 0, layers: (0..layers).map(|_| Layer { keys: room(), values: room() }).collect(), shape }
    }

    /// A head of a layer.
    pub fn head(&self, layer: usize, head: usize) -> Head<'_> {
        let slab = head * self.shape.slab()..(head + 1) * self.shape.slab();
        Head { keys: &self.layers[layer].keys[slab.clone()], values: &self.layers[layer].values[slab] }
    }

    /// All heads of a layer, apart from each other.
    pub fn heads_mut(&mut self, layer: usize) -> impl Iterator<Item = HeadMut<'_>> {
        let (slab, layer) = (self.shape.slab(), &mut self.layers[layer]);
        let both = layer.keys.chunks_exact_mut(slab).zip(layer.values.chunks_exact_mut(slab));
        both.map(|(keys, values)| HeadMut { keys, values })
    }
}

impl HeadMut<'_> {
    /// What a token at `place` leaves in a head of `room`.
    pub fn store(&mut self, place: usize, room: usize, key: &[f32], value: &[f32]) {
        let block = &mut self.keys[place / LANES * LANES * room..];
        halves(key, |dimension, half| block[dimension * LANES + place % LANES] = half);
        let row = &mut self.values[place * room..];
        halves(value, |dimension, half| row[dimension] = half);
    }
}

/// Numbers in half precision, the largest instead of what is larger.
fn halves(numbers: &[f32], mut each: impl FnMut(usize, u16)) {
    let mut few = [f16::ZERO; 64];
    for (part, first) in numbers.chunks(few.len()).zip((0..).step_by(few.len())) {
        let few = &mut few[..part.len()];
        few.convert_from_f32_slice(part);
        for (half, at) in few.iter().zip(first..) {
            let finite = if half.is_finite() { *half } else { f16::MAX.copysign(*half) };
            each(at, finite.to_bits());
        }
    }
}
