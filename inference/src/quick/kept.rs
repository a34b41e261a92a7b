//! Numbers of a model that never change: in this process's own memory, or where they lie in a file that all
//! processes share.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use memmap2::Mmap;

/// Types of which any bytes are a value.
///
/// # Safety
/// Only for types that every pattern of bits is valid for, and that have no holes.
pub unsafe trait Number: Copy + Send + Sync + 'static {}

// SAFETY: a plain number.
unsafe impl Number for u8 {}
// SAFETY: as above.
unsafe impl Number for f32 {}

/// A list of numbers.
pub enum Kept<T: Number> {
    /// Of this process alone.
    Own(Room<T>),
    /// A stretch of a mapped file.
    Mapped(Mapped<T>),
}

/// A line of the processor's cache: a vector that begins with it is read in one go.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Numbers of this process, from the beginning of a [`Line`] on.
pub struct Room<T: Number> {
    lines: Vec<Line>,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Number> Room<T> {
    /// So many zeros.
    pub fn zeros(len: usize) -> Self {
        let lines = (len * size_of::<T>()).div_ceil(size_of::<Line>());
        Self { lines: vec![Line([0; 64]); lines], len, of: PhantomData }
    }
}

impl<T: Number> Deref for Room<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `lines` has bytes for `len` numbers, aligned for more than any number, and any bytes are numbers.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Number> DerefMut for Room<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above; and any numbers are bytes.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// A stretch of a mapped file, with the right place and size for its numbers.
pub struct Mapped<T: Number> {
    map: Arc<Mmap>,
    /// Bytes before it.
    start: usize,
    /// Numbers in it.
    len: usize,
    of: PhantomData<T>,
}

impl<T: Number> Mapped<T> {
    /// `len` numbers from byte `start` on; `None` if they are not there or lie askew.
    pub fn new(map: &Arc<Mmap>, start: usize, len: usize) -> Option<Self> {
        let bytes = map.get(start..start.checked_add(len.checked_mul(size_of::<T>())?)?)?;
        let straight = bytes.as_ptr().cast::<T>().is_aligned();
        straight.then(|| Self { map: Arc::clone(map), start, len, of: PhantomData })
    }
}

impl<T: Number> Deref for Kept<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Own(numbers) => numbers,
            Self::Mapped(Mapped { map, start, len, .. }) => {
                // SAFETY: `Mapped::new` saw that so many numbers lie there, aligned, and any bytes are numbers. The map
                // lives as long as this borrow, and its file is never written again: see `crate::shelf`.
                unsafe { std::slice::from_raw_parts(map.as_ptr().add(*start).cast(), *len) }
            }
        }
    }
}

impl<T: Number> Kept<T> {
    /// Its bytes, as they lie in memory.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: numbers have no holes, so that all of their bytes are.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), size_of_val::<[T]>(self)) }
    }
}

impl<T: Number> From<Room<T>> for Kept<T> {
    fn from(room: Room<T>) -> Self {
        Self::Own(room)
    }
}

impl<T: Number> From<Vec<T>> for Kept<T> {
    fn from(numbers: Vec<T>) -> Self {
        let mut room = Room::zeros(numbers.len());
        room.copy_from_slice(&numbers);
        Self::Own(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_numbers_begin_with_a_line() {
        for len in [0, 1, 16, 17, 100] {
            let kept = Kept::from((0..len).map(|x| x as f32).collect::<Vec<_>>());
            assert!(kept.as_ptr().addr().is_multiple_of(64));
            assert!(kept.len() == len && kept.iter().zip(0..).all(|(a, b)| *a == b as f32));
        }
    }

    #[test]
    fn what_is_not_there_or_lies_askew_is_refused() {
        let path = std::env::temp_dir().join(format!("continuo-kept-{}", std::process::id()));
        std::fs::write(&path, [1.5_f32, -2.0, 3.0].map(f32::to_le_bytes).concat()).unwrap();
        // SAFETY: nobody else knows the file.
        let map = Arc::new(unsafe { Mmap::map(&std::fs::File::open(&path).unwrap()) }.unwrap());
        std::fs::remove_file(&path).unwrap();
        let floats = |start, len| Mapped::<f32>::new(&map, start, len).map(Kept::Mapped);
        assert_eq!(*floats(4, 2).unwrap(), [-2.0_f32, 3.0].map(|x| f32::from_bits(x.to_bits().to_le())));
        assert!(floats(2, 1).is_none() && floats(4, 3).is_none() && floats(0, usize::MAX / 2).is_none());
        assert!(floats(usize::MAX, 1).is_none());
        assert_eq!(Mapped::<u8>::new(&map, 3, 9).map(Kept::Mapped).unwrap().len(), 9);
    }
}
