//! Jobs: work that is asked for now and fetched later; and the names under which streams can be called off.
//! Those under way are here; all are in the ledger, and a job that was acknowledged stays known.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use continuo_remote::wire::{Job, JobState, Prediction, Task};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::failure::Failure;
use super::ledger::{Kept, Ledger};
use super::life::Life;
use super::{caller, clock};

/// All jobs. Its calls may wait for the disk, so they are not for the threads that serve.
pub struct Jobs {
    ledger: Arc<Ledger>,
    open: Mutex<HashMap<String, Open>>,
}

/// A job under way, or one whose end the ledger would not take.
struct Open {
    task: Task,
    created: String,
    life: Arc<Life>,
    ended: Arc<Notify>,
    end: Option<End>,
}

/// How it ended.
#[derive(Clone)]
struct End {
    state: JobState,
    result: Option<Box<Prediction>>,
    error: Option<Box<continuo_remote::wire::Problem>>,
}

impl Jobs {
    /// Kept in a ledger.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new job; gives its name once it is in the ledger.
    pub fn create(&self, task: Task, life: Arc<Life>) -> Result<String, Failure> {
        let (id, created) = (format!("job_{}", caller::number()), clock::now());
        self.ledger.begin_job(&id, task, &created)?;
        self.open().insert(id.clone(), Open { task, created, life, ended: Arc::default(), end: None });
        Ok(id)
    }

    /// Says how a job ended. The first word counts.
    pub fn end(&self, id: &str, result: &Result<Prediction, Failure>, request_id: &str) {
        let end = match result {
            Ok(prediction) => {
                End { state: JobState::Complete, result: Some(Box::new(prediction.clone())), error: None }
            }
            Err(failure) if failure.cancelled => {
                End { state: JobState::Cancelled, result: None, error: None }
            }
            Err(failure) => {
                let error = Some(Box::new(failure.problem(request_id)));
                End { state: JobState::Failed, result: None, error }
            }
        };
        let Some(tokens) = self.ending(id, &end) else { return };
        let written = |text: Result<String, serde_json::Error>| text.ok();
        let kept = Kept {
            state: end.state,
            tokens,
            result: end.result.as_ref().and_then(|result| written(serde_json::to_string(result))),
            error: end.error.as_ref().and_then(|error| written(serde_json::to_string(error))),
        };
        let done = self.ledger.end_job(id, &kept);
        let mut open = self.open();
        // Where the ledger fails, the job is told from here as long as the process lives.
        let ended = match done {
            Ok(()) => open.remove(id).map(|job| job.ended),
            Err(_) => open.get(id).map(|job| Arc::clone(&job.ended)),
        };
        drop(open);
        ended.iter().for_each(|ended| ended.notify_waiters());
    }

    /// Takes the end of a job if it has none; gives its tokens.
    fn ending(&self, id: &str, end: &End) -> Option<u64> {
        let mut open = self.open();
        let job = open.get_mut(id).filter(|job| job.end.is_none())?;
        job.end = Some(end.clone());
        Some(job.life.tokens.load(Ordering::Relaxed))
    }

    /// How a job stands.
    pub fn get(&self, id: &str) -> Result<Option<Job>, Failure> {
        if let Some(job) = self.open().get(id) {
            return Ok(Some(job.shown(id)));
        }
        self.ledger.job(id)
    }

    /// Told when the job ends; `None` if it is not under way.
    pub fn ended(&self, id: &str) -> Option<OwnedNotified> {
        let open = self.open();
        let job = open.get(id).filter(|job| job.end.is_none())?;
        Some(Arc::clone(&job.ended).notified_owned())
    }

    /// Calls a job off; gives how it stands then.
    pub fn cancel(&self, id: &str) -> Result<Option<Job>, Failure> {
        let waiting = match self.open().get(id) {
            Some(job) => {
                job.life.cancel();
                !job.life.has_begun()
            }
            None => false,
        };
        if waiting {
            // Its thread will find it called off; nobody needs to wait for that.
            self.end(id, &Err(Failure::cancelled()), "");
        }
        self.get(id)
    }
}

impl Open {
    fn shown(&self, id: &str) -> Job {
        let end = self.end.clone();
        let under_way = if self.life.has_begun() { JobState::Running } else { JobState::Pending };
        let status = end.as_ref().map_or(under_way, |end| end.state);
        let so_far = self.life.percent.load(Ordering::Relaxed);
        let (result, error) = end.map_or((None, None), |end| (end.result, end.error));
        Job {
            job_id: id.into(),
            status,
            task: self.task,
            tokens_so_far: self.life.tokens.load(Ordering::Relaxed),
            percent: if status == JobState::Complete { 100 } else { so_far },
            created: self.created.clone(),
            result,
            error,
        }
    }
}
