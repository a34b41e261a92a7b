//! Jobs in the ledger.

use continuo_remote::wire::{Job, JobState, Task};
use rusqlite::{OptionalExtension, Row, params};

use super::{Ledger, broken};
use crate::serve::failure::Failure;

/// How many jobs that are over are kept.
pub const KEPT: i64 = 4096;

/// How a job ended, as it is kept.
pub struct Kept {
    /// Complete, failed or cancelled.
    pub state: JobState,
    /// Tokens that were made.
    pub tokens: u64,
    /// The prediction, in JSON.
    pub result: Option<String>,
    /// The problem, in JSON.
    pub error: Option<String>,
}

impl Ledger {
    /// A job is asked for.
    pub fn begin_job(&self, id: &str, task: Task, created: &str) -> Result<(), Failure> {
        let text = "INSERT INTO jobs (id, task, state, created) VALUES (?1, ?2, 'pending', ?3)";
        let done = self.db().execute(text, params![id, word(&task), created]);
        done.map(drop).map_err(|error| broken(&error))
    }

    /// A job is over. The oldest that are go.
    pub fn end_job(&self, id: &str, kept: &Kept) -> Result<(), Failure> {
        let text = "UPDATE jobs SET state = ?2, tokens = ?3, result = ?4, error = ?5 WHERE id = ?1";
        let state = word(&kept.state);
        let tokens = i64::try_from(kept.tokens).unwrap_or(i64::MAX);
        let db = self.db();
        db.execute(text, params![id, state, tokens, kept.result, kept.error])
            .map_err(|error| broken(&error))?;
        let old = "DELETE FROM jobs WHERE state <> 'pending' AND seq <= (SELECT MAX(seq) FROM jobs) - ?1";
        db.execute(old, [KEPT]).map(drop).map_err(|error| broken(&error))
    }

    /// How a job stands that is over, or was never ended.
    pub fn job(&self, id: &str) -> Result<Option<Job>, Failure> {
        let text = "SELECT id, task, state, created, tokens, result, error FROM jobs WHERE id = ?1";
        self.db().query_row(text, [id], shown).optional().map_err(|error| broken(&error))
    }

    /// Jobs of a process that ended before them have failed; gives how many there were.
    pub fn end_interrupted(&self) -> Result<usize, Failure> {
        let problem = Failure::interrupted().problem("");
        let error = serde_json::to_string(&problem).unwrap_or_default();
        let text = "UPDATE jobs SET state = 'failed', error = ?1 WHERE state = 'pending'";
        self.db().execute(text, [error]).map_err(|error| broken(&error))
    }
}

fn shown(row: &Row<'_>) -> rusqlite::Result<Job> {
    let (task, state): (String, String) = (row.get(1)?, row.get(2)?);
    let status = read(&state).unwrap_or(JobState::Failed);
    let tokens: i64 = row.get(4)?;
    let (result, error): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    Ok(Job {
        job_id: row.get(0)?,
        status,
        task: read(&task).unwrap_or_default(),
        tokens_so_far: u64::try_from(tokens).unwrap_or(0),
        percent: if status == JobState::Complete { 100 } else { 0 },
        created: row.get(3)?,
        result: result.and_then(|text| serde_json::from_str(&text).ok()),
        error: error.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

/// A word of the wire.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().into()
}

fn read<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(word.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_survive_and_those_that_were_open_have_failed() {
        let folder = std::env::temp_dir().join(format!("continuo-ledger-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("ledger.sqlite");
        let ledger = Ledger::open(Some(&path)).unwrap();
        ledger.begin_job("job_a", Task::Loops, "then").unwrap();
        ledger.begin_job("job_b", Task::Generate, "then").unwrap();
        let kept = Kept { state: JobState::Cancelled, tokens: 9, result: None, error: None };
        ledger.end_job("job_a", &kept).unwrap();
        drop(ledger);
        let ledger = Ledger::open(Some(&path)).unwrap();
        assert!(ledger.is_sound());
        assert_eq!(ledger.end_interrupted().unwrap(), 1);
        let (a, b) = (ledger.job("job_a").unwrap().unwrap(), ledger.job("job_b").unwrap().unwrap());
        assert_eq!((a.status, a.task, a.tokens_so_far), (JobState::Cancelled, Task::Loops, 9));
        assert_eq!(
            (b.status, b.error.unwrap().details["reason"].as_str()),
            (JobState::Failed, Some("interrupted"))
        );
        assert!(ledger.job("job_c").unwrap().is_none());
        drop(ledger);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
