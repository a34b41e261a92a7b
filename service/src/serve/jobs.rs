//! Jobs: work that is asked for now and fetched later; and the names under which streams can be called off.
//! Kept in memory: the newest that are over, and all that are not.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use continuo_remote::wire::{Job, JobState, Prediction, Problem, Task};
use tokio::sync::Notify;

use super::failure::Failure;
use super::life::Life;
use super::{caller, clock};

/// How many jobs that are over are kept.
const KEPT: usize = 256;

/// All jobs.
#[derive(Default)]
pub struct Jobs {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    jobs: HashMap<String, Entry>,
    over: VecDeque<String>,
}

/// A job.
struct Entry {
    task: Task,
    created: String,
    life: Arc<Life>,
    ended: Arc<Notify>,
    end: Option<End>,
}

/// How it ended.
enum End {
    Complete(Box<Prediction>),
    Failed(Box<Problem>),
    Cancelled,
}

impl Jobs {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new job; gives its name.
    pub fn create(&self, task: Task, life: Arc<Life>) -> String {
        let id = format!("job_{}", caller::number());
        let entry = Entry { task, created: clock::now(), life, ended: Arc::default(), end: None };
        self.table().jobs.insert(id.clone(), entry);
        id
    }

    /// Says how a job ended. The first word counts.
    pub fn end(&self, id: &str, result: &Result<Prediction, Failure>, request_id: &str) {
        let mut table = self.table();
        let Some(entry) = table.jobs.get_mut(id).filter(|entry| entry.end.is_none()) else { return };
        entry.end = Some(match result {
            Ok(prediction) => End::Complete(Box::new(prediction.clone())),
            Err(failure) if failure.cancelled => End::Cancelled,
            Err(failure) => End::Failed(Box::new(failure.problem(request_id))),
        });
        entry.ended.notify_waiters();
        table.over.push_back(id.into());
        while table.over.len() > KEPT {
            if let Some(old) = table.over.pop_front() {
                table.jobs.remove(&old);
            }
        }
    }

    /// How a job stands.
    pub fn get(&self, id: &str) -> Option<Job> {
        self.table().jobs.get(id).map(|entry| entry.shown(id))
    }

    /// Told when the job ends; `None` if there is none of that name.
    pub fn ended(&self, id: &str) -> Option<Arc<Notify>> {
        self.table().jobs.get(id).map(|entry| Arc::clone(&entry.ended))
    }

    /// Calls a job off; gives how it stands then.
    pub fn cancel(&self, id: &str) -> Option<Job> {
        let waiting = {
            let table = self.table();
            let entry = table.jobs.get(id)?;
            entry.life.cancel();
            !entry.life.has_begun()
        };
        if waiting {
            // Its thread will find it called off; nobody needs to wait for that.
            self.end(id, &Err(Failure::cancelled()), "");
        }
        self.get(id)
    }
}

impl Entry {
    fn shown(&self, id: &str) -> Job {
        let (status, result, error) = match &self.end {
            None if self.life.has_begun() => (JobState::Running, None, None),
            None => (JobState::Pending, None, None),
            Some(End::Complete(prediction)) => (JobState::Complete, Some(prediction.clone()), None),
            Some(End::Failed(problem)) => (JobState::Failed, None, Some(problem.clone())),
            Some(End::Cancelled) => (JobState::Cancelled, None, None),
        };
        Job {
            job_id: id.into(),
            status,
            task: self.task,
            tokens_so_far: self.life.tokens.load(Ordering::Relaxed),
            percent: if status == JobState::Complete {
                100
            } else {
                self.life.percent.load(Ordering::Relaxed)
            },
            created: self.created.clone(),
            result,
            error,
        }
    }
}
