//! What a client gets when it does not get what it asked for.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What kind of problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The request cannot be answered as it is.
    #[default]
    InvalidRequest,
    /// The model or the part that is asked for is not here.
    ModelUnavailable,
    /// The model's music is no answer, or the service met a defect of its own.
    GenerationFailed,
    /// It took longer than is allowed.
    Timeout,
    /// Too many requests at once.
    RateLimited,
}

impl ProblemKind {
    /// As it stands on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::ModelUnavailable => "model_unavailable",
            Self::GenerationFailed => "generation_failed",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// Every answer that is no success.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind.
    pub error: ProblemKind,
    /// What is wrong, the limit, the remedy.
    pub message: String,
    /// Numbers and names that belong to it.
    #[schema(value_type = Object)]
    pub details: Value,
    /// What may help.
    pub suggestions: Vec<String>,
    /// Number of the request; also in the header `x-request-id`.
    pub request_id: String,
    /// When, in UTC: `2025-11-21T02:30:00Z`.
    pub timestamp: String,
    /// Each fault of the request and its place, as FastAPI says it.
    #[serde(default)]
    pub detail: Vec<Detail>,
}

/// A fault of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Detail {
    /// Where: `["body", "top_p"]`.
    pub loc: Vec<String>,
    /// What is wrong there.
    pub msg: String,
    /// `value_error`, `type_error` or `missing`.
    #[serde(rename = "type")]
    pub kind: String,
}
