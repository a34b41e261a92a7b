//! The two halves of the border between the audio thread and the worker, made together and split once.
//!
//! | ring | capacity | when full |
//! |---|---|---|
//! | to the worker | 8,192 messages | the message is lost and counted |
//! | from the worker | 4,096 messages | the worker keeps the message and tries again |
//!
//! When one half is dropped, the other notices ([`WorkerSide::audio_alive`], [`AudioSide::worker_alive`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use continuo_timeline::{Beats, FromWorker, ToWorker};
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// What both halves see.
struct Clockwork {
    /// Ticks that the worker has fully dealt with.
    acked: AtomicU64,
    audio: AtomicBool,
    worker: AtomicBool,
}

/// The audio thread's half.
pub struct AudioSide {
    to: HeapProd<ToWorker>,
    from: HeapCons<FromWorker>,
    clockwork: Arc<Clockwork>,
}

/// The worker's half.
pub struct WorkerSide {
    from: HeapCons<ToWorker>,
    to: HeapProd<FromWorker>,
    clockwork: Arc<Clockwork>,
}

/// A ring each of whose pages was written once: the system gives a page at its first touch, in the time and under the locks of
/// whoever touches it, and that must not be the audio thread.
fn touched<T: Copy>(capacity: usize, with: T) -> HeapRb<T> {
    let mut ring = HeapRb::new(capacity);
    ring.push_iter(std::iter::repeat_n(with, capacity));
    ring.clear();
    ring
}

/// Both halves.
pub fn link() -> (AudioSide, WorkerSide) {
    let (to, from_audio) = touched(8192, ToWorker::Late { at: Beats(0.0) }).split();
    let (to_audio, from) = touched(4096, FromWorker::TakeBegin).split();
    let clockwork = Arc::new(Clockwork {
        acked: AtomicU64::new(0),
        audio: AtomicBool::new(true),
        worker: AtomicBool::new(true),
    });
    let audio = AudioSide { to, from, clockwork: Arc::clone(&clockwork) };
    (audio, WorkerSide { from: from_audio, to: to_audio, clockwork })
}

impl AudioSide {
    /// Sends; `false` if the ring is full. Realtime: yes.
    pub fn send(&mut self, message: ToWorker) -> bool {
        self.to.try_push(message).is_ok()
    }

    /// The next message, if there is one. Realtime: yes.
    pub fn receive(&mut self) -> Option<FromWorker> {
        self.from.try_pop()
    }

    /// Ticks that the worker has dealt with. Realtime: yes.
    pub fn acked(&self) -> u64 {
        self.clockwork.acked.load(Ordering::Acquire)
    }

    /// Whether there is a worker at the other end. Realtime: yes.
    pub fn worker_alive(&self) -> bool {
        self.clockwork.worker.load(Ordering::Relaxed)
    }
}

impl WorkerSide {
    /// The next message, if there is one.
    pub fn receive(&mut self) -> Option<ToWorker> {
        self.from.try_pop()
    }

    /// Sends, or gives the message back when the ring is full.
    pub fn send(&mut self, message: FromWorker) -> Result<(), FromWorker> {
        self.to.try_push(message)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.from.is_empty()
    }

    /// Says that `count` ticks in all are dealt with.
    pub fn ack(&self, count: u64) {
        self.clockwork.acked.store(count, Ordering::Release);
    }

    /// Whether the audio half still is there.
    pub fn audio_alive(&self) -> bool {
        self.clockwork.audio.load(Ordering::Relaxed)
    }
}

impl Drop for AudioSide {
    fn drop(&mut self) {
        self.clockwork.audio.store(false, Ordering::Relaxed);
    }
}

impl Drop for WorkerSide {
    fn drop(&mut self) {
        self.clockwork.worker.store(false, Ordering::Relaxed);
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    /// Pages that the system gave this thread at their first touch.
    fn given() -> libc::c_long {
        // SAFETY: plain numbers, for which zeroes are valid; the call writes them.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) }, 0);
        usage.ru_minflt
    }

    #[test]
    fn the_audio_thread_is_the_first_to_touch_no_page_of_a_ring() {
        let (mut audio, _worker) = link();
        // What a message takes, and this code itself, is there from now on.
        assert!(audio.send(ToWorker::Late { at: Beats(0.0) }) && given() > 0);
        let before = given();
        while audio.send(ToWorker::Late { at: Beats(0.0) }) {}
        assert_eq!(given(), before);
    }
}
