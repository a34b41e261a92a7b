//! The audio thread neither allocates nor frees: every allocation during `process()` is counted,
//! in every mode.

mod linked;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use continuo_tests::host::{Act, Hosted, Played, Raw, Recording, Song, Sound, parse};

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

const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5";

/// An instance that renders offline, so that it waits for its worker; every `process()` is watched.
fn watched(turned: &[(&str, f64)]) -> Hosted {
    let mut plugin = Hosted::new(&linked::linked());
    plugin.offline();
    watched_as_it_is(plugin, turned)
}

fn watched_as_it_is(mut plugin: Hosted, turned: &[(&str, f64)]) -> Hosted {
    plugin.activate(48_000.0, 512);
    plugin.watch = |inside| ARMED.set(inside);
    turned.iter().for_each(|(name, value)| plugin.turn(name, *value));
    plugin
}

fn nothing_counted(what: &str) {
    assert_eq!(COUNTED.swap(0, Ordering::Relaxed), 0, "allocations and frees in process(): {what}");
}

fn ons(out: &Recording) -> usize {
    out.events.iter().filter(|(_, event)| matches!(event, Sound::On { .. })).count()
}

// One test, since the count is one for the whole program.
#[test]
fn process_neither_allocates_nor_frees() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(10)));
    ARMED.set(true);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(10)));
    ARMED.set(false);
    assert_eq!(COUNTED.swap(0, Ordering::Relaxed), 2, "the guard counts");
    respond();
    hold();
    duet();
    takes();
    others();
    metronome();
}

fn respond() {
    // A controller is learnt and moved, under the guard like everything else.
    let mut plugin = watched(&[("Learn", 5.0)]);
    let moves: Vec<Raw> = (0..100).map(|n| (200 + 7 * n, [0xb0, 20, (n % 128) as u8])).collect();
    plugin.play_raw(&moves, &Song::stopped(120.0), 0.2, 512);
    let mut song = Song::steady(120.0);
    song.looped = Some((0.0, 16.0));
    song.acts.extend([(9.5, Act::Play(32.0)), (10.0, Act::Stop), (10.5, Act::Play(2.0))]);
    let out = plugin.play(&parse(PHRASE), &song, 12.0, 512);
    let answered = out.events.iter().any(|(at, e)| *at > 130_000 && matches!(e, Sound::On { .. }));
    assert!(answered, "an answer was played under the guard");
    nothing_counted("Respond");
}

fn hold() {
    let mut plugin = watched(&[("Mode", 2.0), ("Length", 1.0)]);
    let mut score = parse(PHRASE);
    score.extend(parse("C4@24 len 0.5"));
    let out = plugin.play(&score, &Song::steady(120.0), 13.0, 512);
    assert!(ons(&out) > score.len() + 8, "it holds, and yields");
    nothing_counted("Hold");
}

fn duet() {
    let score: Vec<Played> = [0.0, 6.0, 12.0]
        .iter()
        .flat_map(|from| parse(PHRASE).into_iter().map(move |n| Played { at: n.at + from, ..n }))
        .collect();
    let mut plugin = watched(&[("Mode", 3.0), ("Second instrument", 33.0)]);
    let out = plugin.play(&score, &Song::steady(120.0), 14.0, 512);
    assert!(ons(&out) > score.len(), "it plays along");
    nothing_counted("Duet");
}

/// An answer is kept, played as it was, and played around.
fn takes() {
    let mut plugin = watched(&[("Thru", 0.0)]);
    let mut song = Song::steady(120.0);
    song.acts.push((12.0, Act::Stop));
    let answer = ons(&plugin.play(&parse(PHRASE), &song, 12.5, 512));
    plugin.turn("Keep that", 1.0);
    plugin.play(&[], &Song::stopped(120.0), 0.5, 512);
    plugin.turn("Source", 1.0);
    let alone = ons(&plugin.play(&[], &song, 12.5, 512));
    assert!(answer > 0 && alone == answer, "{answer} notes were kept, and {alone} played");
    plugin.turn("Mode", 4.0);
    plugin.turn("Answer instrument", 32.0);
    let both = ons(&plugin.play(&[], &song, 12.5, 512));
    assert!(both > alone, "{both} notes with what is played around {alone}");
    nothing_counted("Takes and Accompany");
}

/// Two instances in turn, a tenth of a second each; one plays along with what the other is played.
fn others() {
    let mut first = watched(&[("Mode", 0.0)]);
    let mut second = watched(&[("Mode", 3.0), ("Answer instrument", 33.0), ("Hear others", 1.0)]);
    let sample = |beats: f64| (24_000.0 * beats).round() as u64;
    let ends = |n: &Played| [(sample(n.at), [0x90, n.key, 90]), (sample(n.at + n.len), [0x80, n.key, 0])];
    let input: Vec<Raw> = parse(PHRASE).iter().flat_map(ends).collect();
    let mut heard = 0;
    for from in (0..100).map(|tenth| 4_800 * tenth) {
        let song = Song { acts: vec![(0.0, Act::Play(from as f64 / 24_000.0))], ..Song::steady(120.0) };
        let now = input.iter().filter(|(at, _)| (from..from + 4_800).contains(at));
        first.play_raw(&now.map(|(at, bytes)| (at - from, *bytes)).collect::<Vec<_>>(), &song, 0.1, 512);
        heard += ons(&second.play_raw(&[], &song, 0.1, 512));
    }
    assert!(heard > 0, "it plays with the other");
    nothing_counted("Hear others");
}

fn metronome() {
    // It is silent where rendering is offline.
    let turned = [("Mode", 0.0), ("Metronome", 2.0)];
    let mut plugin = watched_as_it_is(Hosted::new(&linked::linked()), &turned);
    let out = plugin.play(&[], &Song::steady(120.0), 4.0, 512);
    assert!(out.peak(48_000..192_000) > 0.01, "it clicks");
    nothing_counted("Metronome");
}
