//! Work that is asked for now and fetched later.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Prediction, Problem, Task};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// In the queue.
    Pending,
    /// Under way.
    Running,
    /// Done; `result` is there.
    Complete,
    /// Not done; `error` says why.
    Failed,
    /// Called off.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will come of it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Cancelled)
    }
}

/// Answer of `POST /jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobAccepted {
    /// Its name in `/jobs/{job_id}`.
    pub job_id: String,
    /// `pending`.
    pub status: JobState,
    /// What to do next.
    pub message: String,
}

/// Answer of `GET /jobs/{job_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its name.
    pub job_id: String,
    /// Where it stands.
    pub status: JobState,
    /// What it does.
    pub task: Task,
    /// Tokens made so far, of all variations.
    pub tokens_so_far: u64,
    /// 0 to 100.
    pub percent: u64,
    /// When it was asked for, in UTC.
    pub created: String,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<Prediction>>,
    /// Why nothing came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<Problem>>,
}
