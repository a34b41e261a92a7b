//! The worker: a thread of its own for each instance, where everything may be slow.
//!
//! ```text
//! link ─▶ mind: history, phrase end? ─▶ asking: prompt, engine ─▶ placed notes ─▶ link
//!                                                     └─▶ view (what the editor shows)
//! ```

mod along;
mod asking;
mod bus;
mod engines;
#[cfg(test)]
mod fake;
mod figures;
mod importing;
mod launch;
mod maker;
mod mind;
mod pace;
mod service;
#[cfg(test)]
mod tests;
mod trail;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use self::engines::Engines;
use self::mind::Mind;
use crate::link::WorkerSide;
use crate::partner::PartnerStore;
use crate::state::TakeStore;
use crate::view::View;

/// The thread; dropping it ends and joins it.
pub struct Worker {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Memory>>,
}

/// What the worker of an instance knew when it ended, for the next one of the same instance. Dropping it ends the instance.
pub struct Memory(Option<Box<Mind>>);

impl Memory {
    /// Nothing was heard yet.
    pub fn new(view: Arc<View>, takes: Arc<TakeStore>, partner: Arc<PartnerStore>) -> Self {
        Self(Some(Box::new(Mind::new(view, takes, Engines::new(partner)))))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(mind) = &self.0 {
            mind.report();
        }
    }
}

impl Worker {
    /// Starts the thread of one instance.
    pub fn start(side: WorkerSide, memory: Memory) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let spawned = std::thread::Builder::new()
            .name("continuo-worker".into())
            .spawn(move || run(side, memory, &ends))
            .ok();
        Self { over, thread: spawned }
    }

    /// Ends the thread; what it knew, if it ended in order.
    pub fn leave(mut self) -> Option<Memory> {
        self.end()
    }

    fn end(&mut self) -> Option<Memory> {
        self.over.store(true, Ordering::Relaxed);
        // A panic there ended the answers; it was shown by the ring's other half going quiet.
        self.thread.take()?.join().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.end());
    }
}

fn run(mut side: WorkerSide, mut memory: Memory, over: &AtomicBool) -> Memory {
    let mut mind = memory.0.take().map(|mind| mind.resumed());
    while let Some(now) = mind.as_mut().filter(|_| !over.load(Ordering::Relaxed) && side.audio_alive()) {
        let worked = catch_unwind(AssertUnwindSafe(|| now.work(&mut side)));
        let nap = now.nap();
        match worked {
            Ok(true) => {}
            // A host that renders waits at each tick, also where nothing is to be answered.
            Ok(false) if now.is_offline() => std::thread::sleep(Duration::from_micros(50)),
            Ok(false) => std::thread::sleep(nap),
            Err(_) => mind = mind.map(Mind::after_defect),
        }
    }
    memory.0 = mind.inspect(Mind::put_away).map(Box::new);
    memory
}
