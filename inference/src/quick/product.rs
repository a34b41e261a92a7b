//! A matrix times a few tokens, shared out among threads in such a way that nobody has to be waited for.
//!
//! A product owns what it reads and what it writes. A chunk that was claimed by a thread which has lost its
//! processor is simply made again, elsewhere, by whoever needs the result.

use std::borrow::Cow;
use std::cell::{RefCell, UnsafeCell};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::kernel::{Kernel, TILE};

use super::numbers::Small;
use super::packed::{Finish, Packed};

/// Looks at what others have claimed before it is made again: a chunk takes about as long.
const PATIENCE: u32 = 400;

/// Bytes of weights in a chunk, about.
const CHUNK: usize = 24 * 1024;

/// Bytes of a tile that are asked for before it is its turn.
const FETCHED: usize = 2048;

/// One multiplication.
pub struct Product {
    kernel: Kernel,
    packed: Arc<Packed>,
    x: Small,
    finish: Finish,
    tiles: Range<usize>,
    /// Tiles in a chunk.
    step: usize,
    /// For each thread a stretch of chunks of its own, which others take from when theirs are gone: next, end.
    stretches: Vec<(AtomicUsize, usize)>,
    done: Vec<AtomicBool>,
    left: AtomicUsize,
    out: Out,
}

/// `(tokens, rows of the tiles)`. A chunk's part is written by the thread that claimed it, and read by others once
/// the chunk is done.
struct Out(Box<[UnsafeCell<f32>]>);

// SAFETY: parts are written by one thread each, and read only after its `done` was seen.
unsafe impl Sync for Out {}

thread_local! {
    /// Sums and results of a chunk.
    static ROOM: RefCell<(Vec<i32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl Product {
    /// `x` times the rows of some tiles, for so many threads.
    pub fn new(
        kernel: Kernel,
        (packed, tiles): (&Arc<Packed>, Range<usize>),
        x: Small,
        finish: Finish,
        threads: usize,
    ) -> Self {
        let tile = packed.bytes(tiles.start..tiles.start + 1).len();
        // An even number of tiles, as kernels read two side by side.
        let most = tiles.len().div_ceil(2 * threads).max(1);
        let step = (CHUNK / tile).next_multiple_of(2).max(2).min(most);
        let chunks = tiles.len().div_ceil(step);
        let stretch =
            |thread: usize| (AtomicUsize::new(thread * chunks / threads), (thread + 1) * chunks / threads);
        Self {
            kernel,
            packed: Arc::clone(packed),
            finish,
            step,
            stretches: (0..threads).map(stretch).collect(),
            done: (0..chunks).map(|_| AtomicBool::new(false)).collect(),
            left: AtomicUsize::new(chunks),
            out: Out::of(x.tokens() * tiles.len() * TILE),
            x,
            tiles,
        }
    }

    /// Chunks until none is unclaimed: thread `me` begins with its own.
    pub fn work(&self, me: usize) {
        let threads = self.stretches.len();
        for thread in (me..threads).chain(0..me.min(threads)) {
            let (next, end) = &self.stretches[thread];
            loop {
                let chunk = next.fetch_add(1, Ordering::Relaxed);
                if chunk >= *end {
                    break;
                }
                self.claimed(chunk);
            }
        }
    }

    /// What came out, `(tokens, rows of the tiles)`. Waits a little for the chunks of others, then makes them.
    pub fn result(&self) -> Cow<'_, [f32]> {
        for _ in 0..PATIENCE {
            if self.left.load(Ordering::Acquire) == 0 {
                // SAFETY: all chunks are done.
                return Cow::Borrowed(unsafe { self.out.part(0, self.out.0.len()) });
            }
            std::hint::spin_loop();
        }
        Cow::Owned(self.mended())
    }

    /// A copy in which the chunks that are not done are made again.
    fn mended(&self) -> Vec<f32> {
        let all = self.tiles.len() * TILE;
        let mut copy = vec![0.0; self.out.0.len()];
        for (chunk, done) in self.done.iter().enumerate() {
            let here = !done.load(Ordering::Acquire);
            let put = |token: usize, at: usize, made: &[f32]| {
                copy[token * all + at..][..made.len()].copy_from_slice(made);
            };
            if here { self.make(chunk, put) } else { self.copy(chunk, put) }
        }
        copy
    }

    /// Makes a chunk that this thread has claimed.
    fn claimed(&self, chunk: usize) {
        self.fetch(chunk + 1);
        let all = self.tiles.len() * TILE;
        self.make(chunk, |token, at, made| {
            // SAFETY: nobody else writes this chunk's part, and nobody reads it before it is done.
            unsafe { self.out.write(token * all + at, made) };
        });
        self.done[chunk].store(true, Ordering::Release);
        self.left.fetch_sub(1, Ordering::AcqRel);
    }

    /// Asks for the beginnings of a chunk's first two tiles, which kernels read side by side: while a chunk is finished and
    /// the next is claimed, memory would have nothing to do.
    fn fetch(&self, chunk: usize) {
        let first = self.tiles.start + chunk * self.step;
        for tile in (first..self.tiles.end).take(self.step.min(2)) {
            let bytes = self.packed.bytes(tile..tile + 1);
            Kernel::fetch(&bytes[..FETCHED.min(bytes.len())]);
        }
    }

    /// Gives each token's part of a chunk, and where in its rows it belongs.
    fn make(&self, chunk: usize, mut put: impl FnMut(usize, usize, &[f32])) {
        let (tiles, at) = self.place(chunk);
        let rows = tiles.len() * TILE;
        ROOM.with_borrow_mut(|(sums, made)| {
            made.resize(self.x.tokens() * rows, 0.0);
            self.packed.apply(self.kernel, (&self.x, tiles), self.finish, sums, (made, rows));
            made.chunks_exact(rows).enumerate().for_each(|(token, made)| put(token, at, made));
        });
    }

    /// The same of a chunk that is done.
    fn copy(&self, chunk: usize, mut put: impl FnMut(usize, usize, &[f32])) {
        let (tiles, at) = self.place(chunk);
        let all = self.tiles.len() * TILE;
        for token in 0..self.x.tokens() {
            // SAFETY: the chunk is done.
            put(token, at, unsafe { self.out.part(token * all + at, tiles.len() * TILE) });
        }
    }

    /// A chunk's tiles, and its first row among those of all.
    fn place(&self, chunk: usize) -> (Range<usize>, usize) {
        let first = self.tiles.start + chunk * self.step;
        (first..(first + self.step).min(self.tiles.end), chunk * self.step * TILE)
    }
}

impl Out {
    fn of(size: usize) -> Self {
        Self((0..size).map(|_| UnsafeCell::new(0.0)).collect())
    }

    /// # Safety
    /// Nobody writes here any more, and what was written was seen to be done.
    unsafe fn part(&self, at: usize, len: usize) -> &[f32] {
        let part = &self.0[at..at + len];
        // SAFETY: as promised; a cell lies in memory as what is in it.
        unsafe { std::slice::from_raw_parts(part.as_ptr().cast::<f32>(), len) }
    }

    /// # Safety
    /// Nobody else reads or writes here.
    unsafe fn write(&self, at: usize, made: &[f32]) {
        let part = &self.0[at..at + made.len()];
        // SAFETY: as promised.
        unsafe {
            std::ptr::copy_nonoverlapping(made.as_ptr(), UnsafeCell::raw_get(part.as_ptr()), made.len())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Bits;
    use crate::rows::Rows;

    /// Two threads, one of which has claimed chunks and never comes back.
    #[test]
    fn what_another_has_claimed_and_not_made_is_made_again() {
        let (rows, columns) = (160_usize, 64_usize);
        let bytes: Vec<u8> = (0..rows * columns).map(|i| (i * 31 % 251) as u8).collect();
        let from = Rows::small(rows, columns, &bytes, vec![0.5; rows], None).unwrap();
        let packed = Arc::new(Packed::of(&from, 0..rows, Vec::new(), Bits::Eight, &|| ()));
        let x = || {
            let mut x = Small::default();
            x.clear(columns);
            (1..4).for_each(|token| x.push(&(0..64).map(|i| (i * token % 7) as f32).collect::<Vec<_>>()));
            x
        };
        let product =
            |threads| Product::new(Kernel::best(), (&packed, 0..packed.count()), x(), Finish::Plain, threads);
        let (alone, lost) = (product(1), product(2));
        alone.work(0);
        lost.stretches[1].0.fetch_add(1, Ordering::Relaxed);
        lost.work(0);
        assert_eq!(lost.left.load(Ordering::Relaxed), 1);
        assert!(matches!(alone.result(), Cow::Borrowed(_)) && matches!(lost.result(), Cow::Owned(_)));
        assert_eq!(alone.result(), lost.result());
    }
}
