//! What the machine's memory gives, and what this process holds of it.

use std::hint::black_box;
use std::time::Instant;

use continuo_inference::kernel::{Kernel, Loops};

/// Bytes a second that `threads` read together from a stretch of `size` bytes, which they have read before: so caches
/// that hold it help here as they help a model of that size.
pub fn rate(threads: usize, size: usize) -> f64 {
    let data = vec![1_u64; size / 8];
    let part = data.len() / threads;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for part in data.chunks(part) {
                scope.spawn(move || black_box(Kernel::best().wide(Sum(part))));
            }
        });
        best = best.min(began.elapsed().as_secs_f64());
    }
    size as f64 / best
}

/// Many sums side by side, of two places at once and with what comes asked for ahead, so that only memory is waited for.
struct Sum<'a>(&'a [u64]);

impl Loops for Sum<'_> {
    type Made = [u64; 32];

    #[inline(always)]
    fn run(self) -> [u64; 32] {
        /// Numbers that are asked for ahead: 2 KB.
        const AHEAD: usize = 256;
        let mut sums = [0_u64; 32];
        let (first, second) = self.0.split_at(self.0.len() / 2);
        for (at, (a, b)) in first.as_chunks::<32>().0.iter().zip(second.as_chunks::<32>().0).enumerate() {
            for half in [first, second] {
                Kernel::fetch(half.get(at * 32 + AHEAD..at * 32 + AHEAD + 32).unwrap_or_default());
            }
            for lane in 0..32 {
                sums[lane] = sums[lane].wrapping_add(a[lane]).wrapping_add(b[lane]);
            }
        }
        sums
    }
}

/// Bytes of memory that a process holds; 0 where the system does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// All of it.
    pub all: f64,
    /// What no other process could share.
    pub own: f64,
    /// Pages of files, programs among them.
    pub files: f64,
}

impl Held {
    /// What process `id` holds now; `all` is the most that it ever held.
    pub fn of(id: &str) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kb =
                line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse::<f64>().ok());
            kb.unwrap_or(0.0) * 1024.0
        };
        Self { all: bytes("VmHWM:"), own: bytes("RssAnon:"), files: bytes("RssFile:") }
    }

    /// The larger of each.
    pub fn raise(&mut self, other: &Self) {
        self.all = self.all.max(other.all);
        self.own = self.own.max(other.own);
        self.files = self.files.max(other.files);
    }
}
