//! The life of a piece of work: called off, too old, how far it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::failure::Failure;

/// Shared by the request that waits, the thread that works, and the list of jobs.
pub struct Life {
    cancelled: AtomicBool,
    began: OnceLock<Instant>,
    most: Duration,
    /// Tokens so far, of all variations.
    pub tokens: AtomicU64,
    /// 0 to 100.
    pub percent: AtomicU64,
    /// How many answers were stepped together, on average; bits of a number.
    pub together: AtomicU64,
}

impl Life {
    /// May take so long from its beginning on.
    pub fn new(most: Duration) -> Arc<Self> {
        Arc::new(Self {
            cancelled: AtomicBool::new(false),
            began: OnceLock::new(),
            most,
            tokens: AtomicU64::new(0),
            percent: AtomicU64::new(0),
            together: AtomicU64::new(0),
        })
    }

    /// It is under way.
    pub fn begin(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// Whether it is under way.
    pub fn has_begun(&self) -> bool {
        self.began.get().is_some()
    }

    /// Calls it off.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Fails if it was called off, or is too old.
    pub fn check(&self) -> Result<(), Failure> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Failure::cancelled());
        }
        match self.began.get() {
            Some(began) if began.elapsed() > self.most => Err(Failure::timeout(self.most.as_secs_f64())),
            _ => Ok(()),
        }
    }
}

/// Calls a life off when the one who waits for it goes away.
pub struct Waiter(pub Arc<Life>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
