//! Several requests at once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Predict, Prediction, Problem};

/// `POST /batch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Batch {
    /// 1 to 32 of them.
    #[schema(min_items = 1, max_items = 32)]
    pub operations: Vec<Operation>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its name in the results; its place if absent.
    #[serde(default)]
    pub id: Option<String>,
    /// As in `/predict`.
    #[serde(flatten)]
    pub request: Predict,
    /// Fields of `/predict` may also stand here; these come first.
    #[serde(default)]
    #[schema(value_type = Option<Predict>)]
    pub params: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What came of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchResult {
    /// Its name.
    pub id: String,
    /// `success` or `error`.
    pub status: String,
    /// Hash of its first variation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_hash: Option<String>,
    /// Tokens of its first variation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// All that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<Prediction>>,
    /// Why nothing came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<Problem>>,
}

/// Answer of `POST /batch`: results in the order of the operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchResults {
    /// One for each operation.
    pub results: Vec<BatchResult>,
    /// "Completed 3 operations in 4.2s".
    pub summary: String,
}
