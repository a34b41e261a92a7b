//! Sums as long as a `process()`, at the same pace and in the same thread: how long the machine makes anything take.
//!
//! ```text
//! block:  due ──▶ process(), timed ──▶ half a step later ──▶ sums, timed ──▶ next due
//! ```

use std::hint::black_box;
use std::time::Instant;

/// After so many blocks the sums are as long as the median of them.
const HEARD: usize = 256;
/// Sums that are timed together to learn what one takes, and how often.
const TOGETHER: u32 = 10_000;
const TIMES: u32 = 50;

/// The sums of a measurement.
pub struct Sums {
    /// Seconds of one, with nothing in its way.
    each: f64,
    count: u32,
    taken: Vec<f32>,
}

impl Sums {
    /// For a measurement of at most so many blocks.
    pub fn new(blocks: usize) -> Self {
        let times = (0..TIMES).map(|_| time(TOGETHER));
        let each = times.fold(f64::INFINITY, f64::min) / f64::from(TOGETHER);
        Self { each, count: 0, taken: Vec::with_capacity(blocks) }
    }

    /// Does as many from here on as take the median of the newest blocks.
    pub fn follow(&mut self, blocks: &[f32]) {
        if let Some(newest) = blocks.len().checked_sub(HEARD).filter(|before| before.is_multiple_of(HEARD)) {
            let mut newest = blocks[newest..].to_vec();
            newest.sort_by(f32::total_cmp);
            self.count = (f64::from(newest[HEARD / 2]) / self.each) as u32;
        }
    }

    /// Whether it knows how many.
    pub fn knows(&self) -> bool {
        self.count > 0
    }

    /// Does them once.
    pub fn run(&mut self) {
        self.taken.push(time(self.count) as f32);
    }

    /// Seconds of each time.
    pub fn taken(self) -> Vec<f32> {
        self.taken
    }
}

fn time(count: u32) -> f64 {
    let began = Instant::now();
    (0..count).fold(1.0_f32, |sum, _| black_box(sum + 1.5));
    began.elapsed().as_secs_f64()
}
