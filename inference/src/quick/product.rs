//! A matrix times a few tokens, shared out among threads in such a way that nobody has to be waited for.
//!
//! A product owns what it reads and what it writes. Two threads that make the same chunk write the same bits,
//! so one that was claimed by a thread which has lost its processor is simply made again.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use crate::kernel::{Kernel, TILE};

use super::numbers::Small;
use super::packed::{Finish, Packed};

/// Looks at what others have claimed before it is made again: a chunk takes about as long.
const PATIENCE: u32 = 400;

/// Bytes of weights in a chunk, about.
const CHUNK: usize = 24 * 1024;

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
    out: Vec<AtomicU32>, // (tokens, rows of the tiles), bits of floats
}

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
        let step = (CHUNK / tile).clamp(1, tiles.len().div_ceil(2 * threads).max(1));
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
            out: (0..x.tokens() * tiles.len() * TILE).map(|_| AtomicU32::new(0)).collect(),
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
                self.chunk(chunk);
            }
        }
    }

    /// Waits a little for the chunks of others, then makes them.
    pub fn finish(&self) {
        for _ in 0..PATIENCE {
            if self.left.load(Ordering::Acquire) == 0 {
                return;
            }
            std::hint::spin_loop();
        }
        for (chunk, done) in self.done.iter().enumerate() {
            if !done.load(Ordering::Acquire) {
                self.chunk(chunk);
            }
        }
    }

    fn chunk(&self, chunk: usize) {
        let first = self.tiles.start + chunk * self.step;
        let tiles = first..(first + self.step).min(self.tiles.end);
        let (rows, all) = (tiles.len() * TILE, self.tiles.len() * TILE);
        ROOM.with_borrow_mut(|(sums, made)| {
            made.resize(self.x.tokens() * rows, 0.0);
            self.packed.apply(self.kernel, (&self.x, tiles), self.finish, sums, made);
            for (token, made) in made.chunks_exact(rows).enumerate() {
                let out = &self.out[token * all + chunk * self.step * TILE..];
                out.iter().zip(made).for_each(|(out, made)| out.store(made.to_bits(), Ordering::Relaxed));
            }
        });
        if !self.done[chunk].swap(true, Ordering::AcqRel) {
            self.left.fetch_sub(1, Ordering::Release);
        }
    }

    /// What came out for a token, row by row. Only after [`Self::finish`].
    pub fn token(&self, token: usize) -> impl Iterator<Item = f32> {
        let all = self.tiles.len() * TILE;
        self.out[token * all..(token + 1) * all]
            .iter()
            .map(|bits| f32::from_bits(bits.load(Ordering::Relaxed)))
    }
}
