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

/// Many sums side by side, so that only memory is waited for.
struct Sum<'a>(&'a [u64]);

impl Loops for Sum<'_> {
    type Made = [u64; 32];

    #[inline(always)]
    fn run(self) -> [u64; 32] {
        let mut sums = [0_u64; 32];
        for part in self.0.as_chunks::<32>().0 {
            sums.iter_mut().zip(part).for_each(|(sum, x)| *sum = sum.wrapping_add(*x));
        }
        sums
    }
}

/// Bytes of memory that this process holds now; 0 where the system does not say.
pub fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0)
        * 1024.0
}
