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

use continuo_timeline::{FromWorker, ToWorker};
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

/// Both halves.
pub fn link() -> (AudioSide, WorkerSide) {
    let (to, from_audio) = HeapRb::new(8192).split();
    let (to_audio, from) = HeapRb::new(4096).split();
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
