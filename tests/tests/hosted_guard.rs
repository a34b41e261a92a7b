//! The audio thread neither allocates nor frees: every allocation during `process()` is counted.

mod linked;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use continuo_tests::host::{Act, Hosted, Raw, Song, Sound, parse};

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

static COUNTED: AtomicUsize = AtomicUsize::new(0);

struct Guard;

#[global_allocator]
static GUARD: Guard = Guard;

fn count() {
    if ARMED.with(Cell::get) {
        COUNTED.fetch_add(1, Ordering::Relaxed);
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

// One test, since the count is one for the whole program.
#[test]
fn process_neither_allocates_nor_frees() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(10)));
    ARMED.set(true);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(10)));
    ARMED.set(false);
    assert_eq!(COUNTED.swap(0, Ordering::Relaxed), 2, "the guard counts");

    let mut plugin = Hosted::new(&linked::linked());
    plugin.offline();
    plugin.activate(48_000.0, 512);
    plugin.watch = |inside| ARMED.set(inside);
    let mut song = Song::steady(120.0);
    song.looped = Some((0.0, 16.0));
    song.acts.extend([(9.5, Act::Play(32.0)), (10.0, Act::Stop), (10.5, Act::Play(2.0))]);
    // A controller is learnt and moved, under the guard like everything else.
    plugin.turn("Learn", 5.0);
    let moves: Vec<Raw> = (0..100).map(|n| (200 + 7 * n, [0xb0, 20, (n % 128) as u8])).collect();
    plugin.play_raw(&moves, &Song::stopped(120.0), 0.2, 512);
    let out =
        plugin.play(&parse("A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5"), &song, 12.0, 512);
    let answered = out.events.iter().any(|(at, e)| *at > 130_000 && matches!(e, Sound::On { .. }));
    assert!(answered, "an answer was played under the guard");
    assert_eq!(COUNTED.load(Ordering::Relaxed), 0, "allocations and frees in process()");
}
