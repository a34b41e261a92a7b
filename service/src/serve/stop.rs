//! Going down: nothing new is taken, what is under way may end, and then it is called off.

use std::future::Future;
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::log;
use super::service::Service;

/// How long work may go on after the word to stop.
const GRACE: Duration = Duration::from_secs(4);
/// How long answers may be on their way after that.
const LAST: Duration = Duration::from_secs(1);

static STOPPED: Notify = Notify::const_new();

/// Done when the process is told to stop; work that goes on too long after that is called off.
pub async fn told(service: Arc<Service>) {
    signal().await;
    log::line(&format!("stopping; what is under way may take {} s", GRACE.as_secs()));
    service.closing.store(true, Ordering::Relaxed);
    STOPPED.notify_one();
    tokio::spawn(async move {
        sleep(GRACE).await;
        service.interrupt_all();
    });
}

/// Serves to its end; ends it when connections stay open for too long after the word to stop.
pub async fn within(serving: impl Future<Output = Result<()>>, service: &Service) -> Result<()> {
    let overdue = async {
        STOPPED.notified().await;
        sleep(GRACE + LAST).await;
    };
    tokio::select! {
        done = serving => done?,
        () = overdue => {}
    }
    service.interrupt_all();
    service.queue.close();
    service.live.close();
    // Threads look at their lives many times a second, but for an embedding, which is not waited for.
    let _ = timeout(Duration::from_secs(1), idle(service)).await;
    Ok(())
}

async fn idle(service: &Service) {
    while service.queue.depth() != (0, 0) || service.live.depth() != (0, 0) {
        sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}

/// The most memory that the process had, in bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    memory("VmHWM:")
}

/// A line of the system's account of this process, in bytes.
pub fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
