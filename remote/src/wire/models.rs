//! Which models are here and what they do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a model can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelStatus {
    /// It can.
    Available,
    /// It is not on this machine.
    NotInstalled,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelEntry {
    /// Whether it can be asked.
    pub status: ModelStatus,
    /// Tasks that it does.
    pub capabilities: Vec<String>,
    /// Most tokens of one answer.
    pub max_tokens: u64,
    /// Most answers to one request.
    #[serde(default)]
    pub max_variations: u64,
    /// Constraints and numbers that it heeds.
    pub supported_constraints: Vec<String>,
    /// Fields that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// Fields that it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<String>,
    /// How to install it, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Answer of `GET /models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Models {
    /// By name.
    pub models: BTreeMap<String, ModelEntry>,
    /// Version of this list.
    pub version: String,
}
