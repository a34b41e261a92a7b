//! A fixed set of threads that do one piece of work together, beside a host that may take a processor away at
//! any moment.
//!
//! Work is claimed in small chunks. A thread that has nothing to do spins for a bounded time and then sleeps.
//! The caller works too; with no other thread it does everything itself. Others never stand on the caller's processor, and
//! while they are late the caller does alone what it would have to wait for.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::product::Product;
use crate::{priority, processor};

/// Looks for work before a thread sleeps: some tenths of a millisecond.
const LOOKS: u32 = if cfg!(miri) { 20 } else { 20_000 };

/// Looks at a split before the clock is looked at.
const LOOKS_A_TIME: u32 = 256;

/// Others are late when the caller has waited for this long at least, and for longer than its own work took.
const PATIENCE: Duration = Duration::from_micros(100);

/// For so long the caller splits nothing after others were late: about as long as another program keeps a processor.
const ALONE_MICROS: u64 = 4_000;

/// Threads, the caller's included.
pub struct Crew {
    shared: Arc<Shared>,
    mates: Vec<JoinHandle<()>>,
    born: Instant,
    /// The caller splits nothing before this: microseconds from `born`.
    alone_until: AtomicU64,
}

struct Shared {
    /// Number of the newest job.
    turn: AtomicUsize,
    job: Mutex<Job>,
    /// Which threads sleep.
    asleep: Vec<AtomicBool>,
    closing: AtomicBool,
    /// The processor that the caller was on when it posted the newest job, or one that there is not.
    caller: AtomicUsize,
}

#[derive(Clone)]
enum Job {
    Nothing,
    Product(Arc<Product>),
    Split(Arc<Split>),
}

/// Calls with numbers below `count`, of a function that the caller keeps until all are done.
struct Split {
    work: Work,
    next: AtomicUsize,
    count: usize,
    done: AtomicUsize,
    failed: AtomicBool,
}

/// The function, whose life is longer than that of any claim of a number.
struct Work(*const (dyn Fn(usize) + Sync));

// SAFETY: the function is `Sync`, and is only called between a claim and its `done`, for which the caller waits.
unsafe impl Send for Work {}
// SAFETY: as above.
unsafe impl Sync for Work {}

impl Crew {
    /// `threads` in all; 1 is the caller alone.
    pub fn new(threads: usize) -> Self {
        let others = threads.saturating_sub(1);
        let shared = Arc::new(Shared {
            turn: AtomicUsize::new(0),
            job: Mutex::new(Job::Nothing),
            asleep: (0..others).map(|_| AtomicBool::new(false)).collect(),
            closing: AtomicBool::new(false),
            caller: AtomicUsize::new(usize::MAX),
        });
        let mates = (0..others).filter_map(|number| {
            let shared = Arc::clone(&shared);
            let named = std::thread::Builder::new().name(format!("continuo-crew-{number}"));
            named.spawn(move || shared.serve(number)).ok()
        });
        Self { mates: mates.collect(), shared, born: Instant::now(), alone_until: AtomicU64::new(0) }
    }

    /// Threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.mates.len() + 1
    }

    /// All chunks of a product that no other thread claims.
    pub fn multiply(&self, product: &Arc<Product>) {
        if !self.mates.is_empty() {
            self.post(Job::Product(Arc::clone(product)));
        }
        product.work(0);
    }

    /// What came out of a product, once others had their chance.
    pub fn result<'a>(&self, product: &'a Product) -> Cow<'a, [f32]> {
        let result = product.result();
        if matches!(result, Cow::Owned(_)) {
            self.late();
        }
        result
    }

    /// Others were late.
    fn late(&self) {
        self.alone_until.store(self.micros() + ALONE_MICROS, Ordering::Relaxed);
    }

    /// Whether the caller has to do the next split alone.
    fn is_alone(&self) -> bool {
        self.mates.is_empty() || self.micros() < self.alone_until.load(Ordering::Relaxed)
    }

    #[allow(clippy::cast_possible_truncation)] // half a million years
    fn micros(&self) -> u64 {
        self.born.elapsed().as_micros() as u64
    }

    /// `work` with each number below `count`, once each, in any order on any thread.
    pub fn split(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        if count < 2 || self.is_alone() {
            return (0..count).for_each(work);
        }
        // SAFETY: only the lifetime is left out. `Split::help` calls it for claimed numbers alone, and this
        // function does not return before each claimed number is done.
        let work = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(
                std::ptr::from_ref(work),
            )
        };
        let split = Arc::new(Split {
            work: Work(work),
            next: AtomicUsize::new(0),
            count,
            done: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        });
        let began = Instant::now();
        self.post(Job::Split(Arc::clone(&split)));
        split.help();
        let (worked, mut looks) = (began.elapsed(), 0);
        while split.done.load(Ordering::Acquire) < count {
            std::hint::spin_loop();
            looks += 1;
            if looks % LOOKS_A_TIME == 0 && began.elapsed() > worked + worked.max(PATIENCE) {
                self.late();
            }
        }
        assert!(!split.failed.load(Ordering::Relaxed), "a part of a step failed on another thread");
    }

    fn post(&self, job: Job) {
        self.shared.caller.store(processor::here().unwrap_or(usize::MAX), Ordering::Relaxed);
        *self.shared.job.lock().unwrap_or_else(PoisonError::into_inner) = job;
        self.shared.turn.fetch_add(1, Ordering::SeqCst);
        for (asleep, mate) in self.shared.asleep.iter().zip(&self.mates) {
            if asleep.load(Ordering::SeqCst) {
                mate.thread().unpark();
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for mate in self.mates.drain(..) {
            mate.thread().unpark();
            // A panic in there has been told by the job that it failed in.
            let _ = mate.join();
        }
    }
}

impl Shared {
    /// A thread's life.
    fn serve(&self, number: usize) {
        priority::lower();
        let mut seen = 0;
        while self.wait(number, seen) {
            seen = self.turn.load(Ordering::SeqCst);
            // Where the caller stands it is not running now: what is claimed here would keep it waiting.
            if let Some(here) = processor::here().filter(|here| *here == self.caller.load(Ordering::Relaxed))
            {
                processor::avoid(here);
            }
            let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match job {
                Job::Nothing => {}
                Job::Product(product) => product.work(number + 1),
                Job::Split(split) => split.help(),
            }
        }
    }

    /// Until there is a job newer than `seen`; `false` when it is over.
    fn wait(&self, number: usize, seen: usize) -> bool {
        let mut looks = 0;
        loop {
            if self.closing.load(Ordering::SeqCst) {
                return false;
            }
            if self.turn.load(Ordering::SeqCst) != seen {
                return true;
            }
            looks += 1;
            if looks < LOOKS {
                std::hint::spin_loop();
                continue;
            }
            // Said before the last look: whoever posts after that look sees it and wakes us.
            self.asleep[number].store(true, Ordering::SeqCst);
            if self.turn.load(Ordering::SeqCst) == seen && !self.closing.load(Ordering::SeqCst) {
                std::thread::park();
            }
            self.asleep[number].store(false, Ordering::SeqCst);
        }
    }
}

impl Split {
    fn help(&self) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return;
            }
            // SAFETY: the number is claimed and not done, so that `Crew::split` still holds the function.
            let work = unsafe { &*self.work.0 };
            if catch_unwind(AssertUnwindSafe(|| work(number))).is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            self.done.fetch_add(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_given_once() {
        for threads in 1..if cfg!(miri) { 3 } else { 5 } {
            let crew = Crew::new(threads);
            for count in [0, 1, 2, 7, if cfg!(miri) { 9 } else { 100 }] {
                let hits: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                crew.split(count, &|number| {
                    hits[number].fetch_add(1, Ordering::Relaxed);
                });
                assert!(
                    hits.iter().all(|hits| hits.load(Ordering::Relaxed) == 1),
                    "{threads} threads, {count}"
                );
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_crew_goes_on() {
        let crew = Crew::new(3);
        let bad = |number: usize| assert!(number != 5, "five");
        assert!(catch_unwind(AssertUnwindSafe(|| crew.split(9, &bad))).is_err());
        let sum = AtomicUsize::new(0);
        crew.split(9, &|number| {
            sum.fetch_add(number, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 36);
    }
}
