//! Weights as small whole numbers in tiles, made from a file a tile at a time.

use std::ops::Range;

use crate::kernel::{BLOCK, Bits, Kernel, Loops, OFFSET, TILE};
use crate::rows::Rows;
use crate::shelf::{Reader, Writer};

use super::fours::{self, Quarter};
use super::kept::{Kept, Room};
use super::numbers::{Small, gelu};

/// Columns of four-bit weights whose sum is sure to fit 32 bits.
const MOST_IN_FOUR_BITS: usize = 16_384;

/// Rows after which what was read may be forgotten.
const OFTEN: usize = 1_024;

/// A matrix in tiles of rows: `value = (byte - OFFSET) · scale of its row`.
pub struct Packed {
    /// Rows of it; those that fill up the last tile hold zeros.
    pub rows: usize,
    /// Columns, filled up to a multiple of 4.
    inner: usize,
    bits: Bits,
    tiles: Kept<u8>,
    scales: Kept<f32>, // (rows, filled up)
    bias: Kept<f32>,   // (rows, filled up)
}

/// One that is being made.
struct Making {
    inner: usize,
    bits: Bits,
    tiles: Room<u8>,
    scales: Vec<f32>,
}

/// What becomes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Nothing.
    Plain,
    /// GELU.
    Gelu,
}

impl Packed {
    /// Rows `range` of a matrix, with a bias for each or none; `seen` is called whenever some have been read. In four bits only if its columns allow it.
    pub fn of(from: &Rows<'_>, range: Range<usize>, mut bias: Vec<f32>, bits: Bits, seen: &dyn Fn()) -> Self {
        let rows = range.len();
        let (inner, full, bits) = shape(rows, from.columns, bits);
        bias.resize(full, 0.0);
        let tiles = Room::zeros(full / TILE * bits.tile(inner));
        let mut made = Making { inner, bits, tiles, scales: vec![0.0; full] };
        made.tiles.fill(if bits == Bits::Eight { OFFSET as u8 } else { 0 });
        let mut floats = vec![0.0; TILE * from.columns];
        for first in (0..rows).step_by(TILE) {
            let count = TILE.min(rows - first);
            if bits == Bits::Eight && from.bytes(range.start).is_some() {
                (first..first + count).for_each(|row| made.take(row, from.bytes(range.start + row)));
            } else {
                let floats = &mut floats[..count * from.columns];
                from.read(range.start + first, floats);
                let rows = (first..).zip(floats.chunks_exact(from.columns));
                rows.for_each(|(row, floats)| made.shrink(row, floats));
            }
            if (first + count).is_multiple_of(OFTEN) || first + count == rows {
                seen();
            }
        }
        Self { rows, inner, bits, tiles: made.tiles.into(), scales: made.scales.into(), bias: bias.into() }
    }

    /// Into a file; what is left holds no weights.
    pub fn put(self, into: &mut Writer) -> Self {
        into.list(&self.tiles);
        into.list(&self.scales);
        into.list(&self.bias);
        Self { tiles: Vec::new().into(), ..self }
    }

    /// What [`Self::put`] left there of a matrix of this size.
    pub fn found(from: &mut Reader, rows: usize, columns: usize, bits: Bits) -> Option<Self> {
        let (inner, full, bits) = shape(rows, columns, bits);
        let tiles = from.list(full / TILE * bits.tile(inner))?;
        Some(Self { rows, inner, bits, tiles, scales: from.list(full)?, bias: from.list(full)? })
    }

    /// Tiles of it.
    pub fn count(&self) -> usize {
        self.scales.len() / TILE
    }

    /// Rows of it, those that fill up the last tile included.
    pub fn full(&self) -> usize {
        self.scales.len()
    }

    /// The weights of some tiles.
    pub fn bytes(&self, tiles: Range<usize>) -> &[u8] {
        let size = self.bits.tile(self.inner);
        &self.tiles[tiles.start * size..tiles.end * size]
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        self.tiles.len() + 4 * (self.scales.len() + self.bias.len())
    }

    /// Adds a row to `out`. Only for weights of eight bits.
    pub fn add_row(&self, row: usize, out: &mut [f32]) {
        for (column, out) in out.iter_mut().enumerate() {
            let byte = i32::from(self.tiles[place(self.inner, row, column)]) - OFFSET;
            #[allow(clippy::cast_precision_loss)] // within ±128
            let value = byte as f32;
            *out += value * self.scales[row];
        }
    }

    /// `x` times the rows of some tiles, as `out` `(tokens, rows of the tiles)`; its rows may be further apart, and are then
    /// `stride` apart. `sums` is room to work in.
    pub fn apply(
        &self,
        kernel: Kernel,
        (x, tiles): (&Small, Range<usize>),
        finish: Finish,
        sums: &mut Vec<i32>,
        (out, stride): (&mut [f32], usize),
    ) {
        let rows = tiles.start * TILE..tiles.end * TILE;
        sums.resize(x.tokens() * rows.len(), 0);
        match self.bits {
            Bits::Eight => kernel.eights(self.bytes(tiles), self.inner, (&x.q, &x.sums), sums),
            Bits::Four => kernel.fours(self.bytes(tiles), self.inner, (&x.q, &x.groups), sums),
        }
        let (scales, bias) = (&self.scales[rows.clone()], &self.bias[rows]);
        kernel.wide(Finishing { sums, scales, bias, tokens: &x.scales, finish, out, stride });
    }
}

/// Columns and rows, filled up, and the bits that so many columns allow.
fn shape(rows: usize, columns: usize, bits: Bits) -> (usize, usize, Bits) {
    let inner = columns.next_multiple_of(4);
    let fits = inner == columns && inner.is_multiple_of(BLOCK) && inner <= MOST_IN_FOUR_BITS;
    (inner, rows.next_multiple_of(TILE), if fits { bits } else { Bits::Eight })
}

/// Sums of tokens to what they stand for.
struct Finishing<'a> {
    sums: &'a [i32],   // (tokens, rows)
    scales: &'a [f32], // (rows)
    bias: &'a [f32],   // (rows)
    tokens: &'a [f32], // a scale each
    finish: Finish,
    out: &'a mut [f32], // (tokens, rows), `stride` apart
    stride: usize,
}

impl Loops for Finishing<'_> {
    type Made = ();

    #[inline(always)]
    fn run(self) {
        let rows = self.scales.len();
        let tokens = self.sums.chunks_exact(rows).zip(self.out.chunks_mut(self.stride)).zip(self.tokens);
        for ((sums, out), scale) in tokens {
            finished(sums, (self.scales, self.bias), *scale, self.finish, &mut out[..rows]);
        }
    }
}

/// Where in tiles of `inner` columns a column of a row lies.
fn place(inner: usize, row: usize, column: usize) -> usize {
    row / TILE * TILE * inner + column / 4 * 4 * TILE + row % TILE * 4 + column % 4
}

impl Making {
    /// A row that is small already.
    fn take(&mut self, row: usize, stored: Option<(&[u8], f32)>) {
        let Some((bytes, scale)) = stored else { return };
        for (column, byte) in bytes.iter().enumerate() {
            // -128, which no writer of ours makes, would not fit the kernels.
            self.tiles[place(self.inner, row, column)] = (byte ^ 0x80).max(1);
        }
        self.scales[row] = scale;
    }

    fn shrink(&mut self, row: usize, floats: &[f32]) {
        match self.bits {
            Bits::Eight => self.quantise(row, floats),
            Bits::Four => {
                let made = Kernel::best().wide(Quarter(floats));
                let size = self.bits.tile(self.inner);
                fours::put(&mut self.tiles[row / TILE * size..][..size], row % TILE, &made);
                self.scales[row] = made.scale;
            }
        }
    }

    /// Whole numbers of 127ths of the row's largest.
    fn quantise(&mut self, row: usize, floats: &[f32]) {
        let mut small = Small::default();
        small.clear(floats.len());
        small.push(floats);
        let bytes: Vec<u8> = small.q.iter().map(|q| q.cast_unsigned()).collect();
        self.take(row, Some((&bytes[..floats.len()], small.scales[0])));
    }
}

/// Sums to what they stand for.
#[inline(always)]
#[allow(clippy::cast_precision_loss)] // a rounding of the product's own size
fn finished(sums: &[i32], (scales, bias): (&[f32], &[f32]), scale: f32, finish: Finish, out: &mut [f32]) {
    let rows = out.iter_mut().zip(sums).zip(scales).zip(bias);
    match finish {
        Finish::Plain => rows.for_each(|(((out, sum), row), bias)| *out = *sum as f32 * (row * scale) + bias),
        Finish::Gelu => {
            rows.for_each(|(((out, sum), row), bias)| *out = gelu(*sum as f32 * (row * scale) + bias))
        }
    }
}
