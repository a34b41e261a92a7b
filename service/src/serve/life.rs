//! The life of a piece of work: called off, too old, how far it is.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::failure::Failure;

/// How often what is waited for is looked at.
pub const LOOK: Duration = Duration::from_millis(10);
/// How long the last word waits for a reader who is slow.
const LAST: Duration = Duration::from_secs(10);

/// Why a life was called off. The first word counts.
const GOES_ON: u8 = 0;
const CANCELLED: u8 = 1;
const INTERRUPTED: u8 = 2;

/// Shared by the request that waits, the thread that works, and the list of jobs.
pub struct Life {
    off: AtomicU8,
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
            off: AtomicU8::new(GOES_ON),
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

    /// Calls it off, for the one who asked.
    pub fn cancel(&self) {
        self.call_off(CANCELLED);
    }

    /// Calls it off because the service ends.
    pub fn interrupt(&self) {
        self.call_off(INTERRUPTED);
    }

    fn call_off(&self, why: u8) {
        // Where another word came before, that one counts.
        let _ = self.off.compare_exchange(GOES_ON, why, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether it was called off.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed) != GOES_ON
    }

    /// Fails if it was called off, or is too old.
    pub fn check(&self) -> Result<(), Failure> {
        match self.off.load(Ordering::Relaxed) {
            GOES_ON => {}
            CANCELLED => return Err(Failure::cancelled()),
            _ => return Err(Failure::interrupted()),
        }
        match self.began.get() {
            Some(began) if began.elapsed() > self.most => Err(Failure::timeout(self.most.as_secs_f64())),
            _ => Ok(()),
        }
    }

    /// Says a word to a reader who may be slow, and waits for him as long as the life lasts; whether he has it.
    pub fn say<T>(&self, to: &Sender<T>, word: T) -> bool {
        heard(to, word, || self.check().is_ok())
    }
}

/// Says the last word, which waits for a reader who is slow though the life is over; but not for ever.
pub fn say_last<T>(to: &Sender<T>, word: T) -> bool {
    let until = Instant::now() + LAST;
    heard(to, word, || Instant::now() < until)
}

fn heard<T>(to: &Sender<T>, mut word: T, waits: impl Fn() -> bool) -> bool {
    loop {
        word = match to.try_send(word) {
            Ok(()) => return true,
            Err(TrySendError::Full(back)) if waits() => back,
            Err(_) => return false,
        };
        sleep(LOOK);
    }
}

/// Calls a life off when the one who waits for it goes away.
pub struct Waiter(pub Arc<Life>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_counts() {
        let life = Life::new(Duration::MAX);
        life.interrupt();
        life.cancel();
        assert_eq!(life.check().unwrap_err().details["reason"], "interrupted");
    }

    #[test]
    fn a_slow_reader_holds_the_work_and_no_longer_than_its_life() {
        let (say, mut heard) = tokio::sync::mpsc::channel(1);
        let life = Life::new(Duration::MAX);
        assert!(life.say(&say, 1));
        std::thread::scope(|scope| {
            // Nobody reads: the second word waits until the life is over.
            let second = scope.spawn(|| life.say(&say, 2));
            life.cancel();
            assert!(!second.join().unwrap());
            let last = scope.spawn(|| say_last(&say, 3));
            assert_eq!(heard.blocking_recv(), Some(1));
            assert!(last.join().unwrap());
        });
        assert_eq!(heard.blocking_recv(), Some(3));
        drop(heard);
        assert!(!say_last(&say, 4));
    }
}
