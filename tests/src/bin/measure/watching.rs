//! What the host sees of each `process()`: how long it took, and what it allocated; and a clock that paces the host.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::sums::Sums;

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    static NEXT: Cell<Option<Instant>> = const { Cell::new(None) };
    static STEP: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static TAKEN: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static SUMS: RefCell<Option<Sums>> = const { RefCell::new(None) };
    static ARMED: Cell<bool> = const { Cell::new(false) };
    static COUNTED: Cell<usize> = const { Cell::new(0) };
}

/// Begins a measurement: a block comes every `step` (zero: as fast as may be), and there are at most `blocks`; between them
/// are sums as long, if they are wanted.
pub fn begin(step: Duration, blocks: usize, sums: bool) {
    STEP.set(step);
    NEXT.set((!step.is_zero()).then(Instant::now));
    TAKEN.replace(Vec::with_capacity(blocks));
    SUMS.replace(sums.then(|| Sums::new(blocks)));
    COUNTED.set(0);
}

/// For [`continuo_tests::host::Hosted::watch`]: times each `process()` and holds the host to its pace.
pub fn watch(inside: bool) {
    if !inside {
        if let Some(began) = BEGAN.take() {
            TAKEN.with_borrow_mut(|taken| taken.push(began.elapsed().as_secs_f32()));
        }
        return;
    }
    if let Some(due) = NEXT.get() {
        SUMS.with_borrow_mut(|sums| sums.as_mut().map(|sums| between(sums, due)));
        wait(due);
        NEXT.set(Some(due + STEP.get()));
    }
    BEGAN.set(Some(Instant::now()));
}

fn wait(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// Sums, between the blocks.
fn between(sums: &mut Sums, due: Instant) {
    TAKEN.with_borrow(|taken| sums.follow(taken));
    if let Some(due) = due.checked_sub(STEP.get() / 2).filter(|_| sums.knows()) {
        wait(due);
        sums.run();
    }
}

/// Also for `watch`: counts allocations and frees instead.
pub fn guard(inside: bool) {
    ARMED.set(inside);
}

/// Seconds of each `process()` since [`begin`].
pub fn taken() -> Vec<f32> {
    TAKEN.take()
}

/// Seconds of the sums between them.
pub fn sums() -> Vec<f32> {
    SUMS.take().map_or_else(Vec::new, Sums::taken)
}

/// Allocations and frees of this thread inside `process()` since [`begin`], the linked plugin's included. (A bundle
/// brings an allocator of its own, which nobody here can count.)
pub fn counted() -> usize {
    COUNTED.get()
}

struct Guard;

#[global_allocator]
static GUARD: Guard = Guard;

fn count() {
    if ARMED.get() {
        COUNTED.set(COUNTED.get() + 1);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}
