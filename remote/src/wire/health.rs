//! Whether the service is up.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer of `GET /health`; `ok` alone for those who accept only plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Which service.
    pub service: String,
    /// Its version.
    pub version: String,
}
