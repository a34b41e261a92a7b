//! Where a model's numbers come from, one after the other, always in the same order.

use std::ops::Range;

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::kernel::Bits;
use crate::rows::Rows;
use crate::shelf::{Reader, Writer};

use super::kept::Kept;
use super::packed::Packed;

/// A place that they come from.
pub enum Source<'a, 'b> {
    /// A checkpoint, packed into memory. Whoever maps it may forget what was read of it whenever it is called.
    Checkpoint(&'b Checkpoint<'a>, &'b dyn Fn()),
    /// A checkpoint, packed into a file: what is read of it holds no weights. Called as above.
    Packing(&'b Checkpoint<'a>, &'b mut Writer, &'b dyn Fn()),
    /// The file that came of it.
    Packed(&'b Checkpoint<'a>, Reader),
}

impl<'a> Source<'a, '_> {
    /// A vector.
    pub fn vector(&mut self, name: &str, len: usize) -> Result<Kept<f32>, Error> {
        self.floats(len, |from| from.vector(name, len))
    }

    /// A matrix as it is.
    pub fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Kept<f32>, Error> {
        self.floats(rows * columns, |from| from.matrix(name, rows, columns, false))
    }

    fn floats(
        &mut self,
        len: usize,
        read: impl Fn(&Checkpoint<'a>) -> Result<Vec<f32>, Error>,
    ) -> Result<Kept<f32>, Error> {
        match self {
            Self::Checkpoint(from, _) => Ok(read(from)?.into()),
            Self::Packing(from, into, _) => {
                let list = read(from)?.into();
                into.list(&list);
                Ok(list)
            }
            Self::Packed(from, file) => {
                file.list(len).ok_or_else(|| from.fail("its packed weights end".into()))
            }
        }
    }

    /// Rows `range` of a matrix of `rows` and `columns`, with the bias of that name.
    pub fn packed(
        &mut self,
        (name, bias): (&str, Option<&str>),
        (rows, columns): (usize, usize),
        range: Range<usize>,
        bits: Bits,
    ) -> Result<Packed, Error> {
        // A matrix with a bias is stored by column in a folder.
        let read = |from: &Checkpoint<'a>| -> Result<(Rows<'a>, Vec<f32>), Error> {
            let bias = bias.map_or(Ok(Vec::new()), |bias| from.vector(bias, rows))?;
            Ok((from.stored(name, rows, columns, !bias.is_empty())?, bias))
        };
        match self {
            Self::Checkpoint(from, forget) => {
                let (weights, bias) = read(from)?;
                Ok(Packed::of(&weights, range, bias, bits, forget))
            }
            Self::Packing(from, into, forget) => {
                let (weights, bias) = read(from)?;
                let packed = Packed::of(&weights, range, bias, bits, forget);
                Ok(packed.put(into))
            }
            Self::Packed(from, file) => {
                let found = Packed::found(file, range.len(), columns, bits);
                found.ok_or_else(|| from.fail("its packed weights end".into()))
            }
        }
    }
}
