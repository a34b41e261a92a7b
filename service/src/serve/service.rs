//! What all requests share, and how work gets to its thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use continuo_remote::wire::{Predict, ProblemKind};
use tokio::sync::oneshot;

use super::analyze::Memory;
use super::ask::Ask;
use super::caller::{Caller, Lane};
use super::failure::Failure;
use super::figures::Figures;
use super::jobs::Jobs;
use super::ledger::Ledger;
use super::life::Life;
use super::perform::Errand;
use super::queue::Queue;
use super::shelf::Shelf;
use super::store::Store;
use super::telemetry::Telemetry;

/// The service.
pub struct Service {
    /// Models.
    pub shelf: Shelf,
    /// Files by hash.
    pub store: Store,
    /// What is known about files and jobs.
    pub ledger: Arc<Ledger>,
    /// The state is this process's own while this is open.
    pub _lock: Option<std::fs::File>,
    /// What was told about files.
    pub memory: Memory,
    /// What is counted.
    pub figures: Arc<Figures>,
    /// Where traces and metrics go.
    pub telemetry: Telemetry,
    /// Jobs.
    pub jobs: Jobs,
    /// Work that may wait.
    pub queue: Queue,
    /// Work of those who play along.
    pub live: Queue,
    /// How long a piece of work may take.
    pub most: Duration,
    /// Work that is not over.
    pub lives: Mutex<Vec<Weak<Life>>>,
    /// Pieces of work that were taken.
    pub served: AtomicU64,
    /// Whether it is going down.
    pub closing: AtomicBool,
}

/// What comes of a piece of work.
pub type Coming<T> = oneshot::Receiver<Result<T, Failure>>;

impl Service {
    /// A life for a new piece of work.
    pub fn life(&self) -> Arc<Life> {
        let life = Life::new(self.most);
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.retain(|one| one.strong_count() > 0);
        lives.push(Arc::downgrade(&life));
        life
    }

    /// Calls off all work, since the service ends.
    pub fn interrupt_all(&self) {
        let lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.iter().filter_map(Weak::upgrade).for_each(|life| life.interrupt());
    }

    /// Does something that may wait for a disk, apart from the threads that serve.
    pub async fn apart<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let service = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&service)).await.unwrap_or_else(|_| Err(defect()))
    }

    /// Makes a job of an errand and gives it to the queue; gives its name, of which `make` makes the work. The two
    /// are one step that nobody who goes away can part, so that no job is left without work.
    pub async fn begin<W: FnOnce(&Self, &Errand, &Life) + Send + 'static>(
        self: &Arc<Self>,
        lane: Lane,
        life: &Arc<Life>,
        errand: Errand,
        make: impl FnOnce(&str) -> W + Send + 'static,
    ) -> Result<String, Failure> {
        let (house, life, errand) = (Arc::clone(self), Arc::clone(life), Arc::new(errand));
        let both = move |service: &Self| {
            let job_id = service.jobs.create(errand.ask.task, Arc::clone(&life))?;
            let (work, own) = (make(&job_id), Arc::clone(&errand));
            let work = move |life: &Life| {
                work(&house, &own, life);
                Ok(())
            };
            service.submit(lane, &life, work).map_err(|failure| {
                service.jobs.end(&job_id, &Err(failure.clone()), &errand.request_id);
                errand.refused(service, &life, failure)
            })?;
            Ok(job_id)
        };
        self.apart(both).await
    }

    /// Counts a failure that no piece of work tells.
    pub fn count(&self, failure: Failure) -> Failure {
        self.figures.failed(failure.kind.name());
        Failure { counted: true, ..failure }
    }

    /// Looks a request through. Decodes files, so it is not for the threads that serve.
    pub async fn errand(self: &Arc<Self>, caller: &Caller, request: Predict) -> Result<Errand, Failure> {
        let name = caller.name(request.client_job_id.as_deref());
        let request_id = caller.request_id.clone();
        let look = move |service: &Self| {
            let ask = Ask::of(&request, &|hash| service.store.get(hash))?;
            // Now, and not when the music is made.
            service.ledger.knows_parent(ask.artifact.parent_id.as_deref())?;
            Ok(ask)
        };
        let ask = self.apart(look).await.map_err(|failure| self.count(failure))?;
        let mut span = self.telemetry.span(ask.task.name(), &caller.trace);
        span.set("task", ask.task.name());
        span.set("request_id", request_id.clone());
        span.set("max_tokens", ask.most_tokens);
        if let Some(size) = ask.size {
            span.set("model_size", size.name());
        }
        if let Some(name) = &name.name {
            span.set("mcp.client_job_id", name.clone());
        }
        Ok(Errand { ask, name, request_id, span: Mutex::new(span), first: OnceLock::new() })
    }

    /// Gives work to a thread of the queue.
    pub fn submit<T: Send + 'static>(
        &self,
        lane: Lane,
        life: &Arc<Life>,
        work: impl FnOnce(&Life) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Coming<T>, Failure> {
        self.submit_to(&self.queue, lane, life, work)
    }

    /// The same with a queue named.
    pub fn submit_to<T: Send + 'static>(
        &self,
        queue: &Queue,
        lane: Lane,
        life: &Arc<Life>,
        work: impl FnOnce(&Life) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Coming<T>, Failure> {
        let (give, coming) = oneshot::channel();
        let own = Arc::clone(life);
        let (asked, figures) = (Instant::now(), Arc::clone(&self.figures));
        let work = move || {
            // What was called off while it waited does not begin; it looks at its life first, and tells.
            if !own.is_off() {
                own.begin();
                figures.waited(asked.elapsed());
            }
            // Whoever waited may have gone.
            let _ = give.send(work(&own));
        };
        if self.closing.load(Ordering::Relaxed) {
            let failure = Failure::unavailable("the service is going down; try again when it is back");
            return Err(Failure { retry_after: Some(2), ..failure });
        }
        queue.push(lane, Arc::clone(life), Box::new(work)).map_err(|full| {
            let text = format!("{} requests wait already, and no more may (--queue)", full.waiting);
            Failure::busy(text, 2)
                .with(serde_json::json!({ "waiting": full.waiting }))
                .suggest("wait as long as Retry-After says, then ask again")
        })?;
        self.served.fetch_add(1, Ordering::Relaxed);
        Ok(coming)
    }
}

/// What came of it.
pub async fn outcome<T>(coming: Coming<T>) -> Result<T, Failure> {
    coming.await.unwrap_or_else(|_| Err(defect()))
}

/// A thread ended without a word.
pub fn defect() -> Failure {
    Failure::failed("the service met a defect of its own; ask again, and report it")
}

/// A failure as older services told it.
pub fn compatible(mut failure: Failure, busy_status: Option<u16>) -> Failure {
    if failure.kind == ProblemKind::RateLimited && busy_status == Some(503) {
        failure.status = StatusCode::SERVICE_UNAVAILABLE;
    }
    failure
}
