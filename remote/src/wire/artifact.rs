//! Files that are kept by the hash of their content, and what is known about them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Answer of `POST /cas` and `PUT /cas/{hash}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stored {
    /// SHA-256 in 64 lower-case hexadecimal digits.
    pub hash: String,
    /// Bytes.
    pub size: u64,
    /// Its kind, as it was sent or as its first bytes tell.
    pub mime_type: String,
}

/// A file with a name, and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Artifact {
    /// `artifact_` and the first digits of its hash: 12, or more where those are another's.
    pub id: String,
    /// Where the file is: `/cas/{content_hash}`.
    pub content_hash: String,
    /// Who made it.
    pub creator: String,
    /// What its maker says about it.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Words to find it by, in alphabetical order.
    pub tags: Vec<String>,
    /// The answers to one request have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation_set_id: Option<String>,
    /// The artifact that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// When, in UTC.
    pub created: String,
}

/// `POST /artifacts`: names a file that is stored. A file has one artifact: asked for again, its tags grow and
/// all else stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct NewArtifact {
    /// The file.
    pub content_hash: String,
    /// Who made it (`agent_anticipatory`); at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// What is to be said about it; at most 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// Words to find it by: at most 32 of 128 characters, without commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 32)]
    pub tags: Option<Vec<String>>,
    /// See [`Artifact`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation_set_id: Option<String>,
    /// See [`Artifact`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
}

/// Answer of `GET /artifacts` (the newest first) and of `GET /artifacts/{id}/ancestors` (the nearest first).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Artifacts {
    /// They.
    pub artifacts: Vec<Artifact>,
    /// `before` of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
