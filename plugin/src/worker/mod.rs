//! The worker: a thread of its own for each instance, where everything may be slow.
//!
//! ```text
//! link ─▶ mind: history, phrase end? ─▶ asking: prompt, engine ─▶ placed notes ─▶ link
//!                                                     └─▶ view (what the editor shows)
//! ```

mod along;
mod asking;
mod bus;
mod figures;
mod launch;
mod mind;
mod pace;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::link::WorkerSide;
use crate::models;
use crate::state::TakeStore;
use crate::view::{ModelState, View};

/// The thread; dropping it ends and joins it.
pub struct Worker {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread of one instance.
    pub fn start(side: WorkerSide, view: Arc<View>, takes: Arc<TakeStore>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let spawned = std::thread::Builder::new()
            .name("continuo-worker".into())
            .spawn(move || run(side, &view, takes, &ends))
            .ok();
        Self { over, thread: spawned }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there ended the answers; it was shown by the ring's other half going quiet.
            let _ = thread.join();
        }
    }
}

fn run(mut side: WorkerSide, view: &Arc<View>, takes: Arc<TakeStore>, over: &AtomicBool) {
    let mut mind = mind::Mind::new(Arc::clone(view), takes);
    match models::default_model() {
        Ok(model) => mind.model(&model),
        Err(what) => mind.show(|picture| picture.model = ModelState::Failed(what.clone())),
    }
    while !over.load(Ordering::Relaxed) && side.audio_alive() {
        let busy = catch_unwind(AssertUnwindSafe(|| mind.work(&mut side))).unwrap_or_else(|_| {
            mind = mind.after_defect();
            true
        });
        if !busy {
            let pause = if mind.is_armed() { 1 } else { 20 };
            std::thread::sleep(Duration::from_millis(pause));
        }
    }
    mind.report();
}
