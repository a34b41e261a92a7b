//! Weights as small whole numbers in tiles, made from a file a tile at a time.

use std::ops::Range;

use crate::kernel::{Kernel, Loops, OFFSET, TILE};
use crate::rows::Rows;

use super::kept::{Kept, Room};
use super::numbers::{Small, gelu};

/// A matrix in tiles of rows: `value = (byte - OFFSET) · scale of its row`.
pub struct Packed {
    /// Rows of it; those that fill up the last tile hold zeros.
    pub rows: usize,
    /// Columns, filled up to a multiple of 4.
    inner: usize,
    tiles: Kept<u8>,
    scales: Kept<f32>, // (rows, filled up)
    bias: Kept<f32>,   // (rows, filled up)
}

/// One that is being made.
struct Making {
    inner: usize,
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
    /// Rows `range` of a matrix, with a bias for each or none.
    pub fn of(from: &Rows<'_>, range: Range<usize>, mut bias: Vec<f32>) -> Self {
        let (rows, inner) = (range.len(), from.columns.next_multiple_of(4));
        let full = rows.next_multiple_of(TILE);
        bias.resize(full, 0.0);
        let mut made = Making { inner, tiles: Room::zeros(full * inner), scales: vec![0.0; full] };
        made.tiles.fill(OFFSET as u8);
        let mut floats = vec![0.0; TILE * from.columns];
        for first in (0..rows).step_by(TILE) {
            let count = TILE.min(rows - first);
            if from.bytes(range.start).is_some() {
                (first..first + count).for_each(|row| made.take(row, from.bytes(range.start + row)));
            } else {
                let floats = &mut floats[..count * from.columns];
                from.read(range.start + first, floats);
                let rows = (first..).zip(floats.chunks_exact(from.columns));
                rows.for_each(|(row, floats)| made.quantise(row, floats));
            }
        }
        Self { rows, inner, tiles: made.tiles.into(), scales: made.scales.into(), bias: bias.into() }
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
        &self.tiles[tiles.start * TILE * self.inner..tiles.end * TILE * self.inner]
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        self.tiles.len() + 4 * (self.scales.len() + self.bias.len())
    }

    /// Adds a row to `out`.
    pub fn add_row(&self, row: usize, out: &mut [f32]) {
        for (column, out) in out.iter_mut().enumerate() {
            let byte = i32::from(self.tiles[place(self.inner, row, column)]) - OFFSET;
            #[allow(clippy::cast_precision_loss)] // within ±128
            let value = byte as f32;
            *out += value * self.scales[row];
        }
    }

    /// `x` times the rows of some tiles, as `out` `(tokens, rows of the tiles)`. `sums` is room to work in.
    pub fn apply(
        &self,
        kernel: Kernel,
        (x, tiles): (&Small, Range<usize>),
        finish: Finish,
        sums: &mut Vec<i32>,
        out: &mut [f32],
    ) {
        let rows = tiles.start * TILE..tiles.end * TILE;
        sums.resize(x.tokens() * rows.len(), 0);
        kernel.eights(self.bytes(tiles), self.inner, (&x.q, &x.sums), sums);
        let (scales, bias) = (&self.scales[rows.clone()], &self.bias[rows]);
        kernel.wide(Finishing { sums, scales, bias, tokens: &x.scales, finish, out });
    }
}

/// Sums of tokens to what they stand for.
struct Finishing<'a> {
    sums: &'a [i32],   // (tokens, rows)
    scales: &'a [f32], // (rows)
    bias: &'a [f32],   // (rows)
    tokens: &'a [f32], // a scale each
    finish: Finish,
    out: &'a mut [f32], // (tokens, rows)
}

impl Loops for Finishing<'_> {
    type Made = ();

    #[inline(always)]
    fn run(self) {
        let rows = self.scales.len();
        let tokens = self.sums.chunks_exact(rows).zip(self.out.chunks_exact_mut(rows)).zip(self.tokens);
        for ((sums, out), scale) in tokens {
            finished(sums, (self.scales, self.bias), *scale, self.finish, out);
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
