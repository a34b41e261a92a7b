//! What can go wrong between a client and the service.

use crate::wire::{Problem, ProblemKind};

/// Errors of this crate.
#[allow(missing_docs)] // the messages say what the fields are
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("{address:?} is no address of a service; it looks like http://127.0.0.1:2011")]
    Address { address: String },
    /// Nobody answers there.
    #[error("{address} does not answer ({why}); start it with `continuo serve`")]
    Away { address: String, why: String },
    /// It answers, but not what was asked.
    #[error("{address} says: {}", .problem.message)]
    Refused { address: String, status: u16, retry_after: Option<u64>, problem: Box<Problem> },
    /// It says what nobody understands.
    #[error("{address} is no service of this kind, or a newer one: {why}")]
    Strange { address: String, why: String },
}

impl Error {
    /// Whether the same request may do later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            // A model that is not here will not come, unless it is said when.
            Self::Refused { problem, retry_after: None, .. }
                if problem.error == ProblemKind::ModelUnavailable =>
            {
                false
            }
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 502 | 503 | 504),
            Self::Address { .. } | Self::Strange { .. } => false,
        }
    }
}
