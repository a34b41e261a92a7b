//! A matrix where it lies in a file, given out a few rows at a time, so that no copy of the whole is needed.

use safetensors::Dtype;

/// A matrix by output row.
pub struct Rows<'a> {
    /// Rows of it.
    pub rows: usize,
    /// Columns of it.
    pub columns: usize,
    store: Store<'a>,
}

enum Store<'a> {
    /// Numbers with a point; `across`: a column of the file is a row of the matrix.
    Floats { data: &'a [u8], dtype: Dtype, across: bool },
    /// Bytes with a scale for each stored row, and which stored row each row is.
    Small { data: &'a [u8], scales: Vec<f32>, map: Option<&'a [u8]> },
}

impl<'a> Rows<'a> {
    /// Of F32, F16 or BF16; `None` for another type or another size.
    pub fn floats(
        rows: usize,
        columns: usize,
        (dtype, data): (Dtype, &'a [u8]),
        across: bool,
    ) -> Option<Self> {
        let fits = size(dtype)? * rows * columns == data.len();
        fits.then_some(Self { rows, columns, store: Store::Floats { data, dtype, across } })
    }

    /// Of I8, a scale for each stored row; `map` holds the stored row of each row, four bytes each. `None` if a
    /// row is not there.
    pub fn small(
        rows: usize,
        columns: usize,
        data: &'a [u8],
        scales: Vec<f32>,
        map: Option<&'a [u8]>,
    ) -> Option<Self> {
        let found = Self { rows, columns, store: Store::Small { data, scales, map } };
        let stored = data.len() / columns.max(1);
        (0..rows).all(|row| found.place(row).is_some_and(|at| at < stored)).then_some(found)
    }

    /// The stored row of a row.
    fn place(&self, row: usize) -> Option<usize> {
        match &self.store {
            Store::Small { map: Some(map), .. } => {
                let bytes = map.get(row * 4..row * 4 + 4)?;
                usize::try_from(i32::from_le_bytes(bytes.try_into().ok()?)).ok()
            }
            _ => Some(row),
        }
    }

    /// The bytes of a row and their scale, if it is stored so.
    pub fn bytes(&self, row: usize) -> Option<(&'a [u8], f32)> {
        let Store::Small { data, scales, .. } = &self.store else { return None };
        let at = self.place(row)?;
        Some((data.get(at * self.columns..(at + 1) * self.columns)?, *scales.get(at)?))
    }

    /// Rows from `first` on into `out` `(some, columns)`.
    pub fn read(&self, first: usize, out: &mut [f32]) {
        match &self.store {
            Store::Small { .. } => {
                for (row, out) in (first..).zip(out.chunks_exact_mut(self.columns)) {
                    let Some((bytes, scale)) = self.bytes(row) else { continue };
                    out.iter_mut().zip(bytes).for_each(|(out, q)| *out = f32::from(q.cast_signed()) * scale);
                }
            }
            Store::Floats { data, dtype, across: false } => {
                let start = first * self.columns;
                out.iter_mut().zip(start..).for_each(|(out, at)| *out = float(*dtype, data, at));
            }
            Store::Floats { data, dtype, across: true } => {
                let count = out.len() / self.columns.max(1);
                for column in 0..self.columns {
                    for row in 0..count {
                        out[row * self.columns + column] =
                            float(*dtype, data, column * self.rows + first + row);
                    }
                }
            }
        }
    }

    /// All of it.
    pub fn all(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.rows * self.columns];
        // A few rows at a time, so that what is read lies together where rows are columns of the file.
        for (part, first) in all.chunks_mut(16 * self.columns.max(1)).zip((0..).step_by(16)) {
            self.read(first, part);
        }
        all
    }
}

/// Bytes of a number.
fn size(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::F32 => Some(4),
        Dtype::F16 | Dtype::BF16 => Some(2),
        _ => None,
    }
}

/// Number `at` of `data`.
#[inline]
fn float(dtype: Dtype, data: &[u8], at: usize) -> f32 {
    let two = |at: usize| [data[2 * at], data[2 * at + 1]];
    match dtype {
        Dtype::F16 => half::f16::from_le_bytes(two(at)).to_f32(),
        Dtype::BF16 => half::bf16::from_le_bytes(two(at)).to_f32(),
        _ => f32::from_le_bytes([data[4 * at], data[4 * at + 1], data[4 * at + 2], data[4 * at + 3]]),
    }
}
