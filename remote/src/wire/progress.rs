//! What a stream of `POST /generate/stream` says, an event each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Prediction, Problem, Task};

/// An event of the stream, as JSON in its `data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Progress {
    /// The first.
    Start {
        /// What is done.
        task: Task,
        /// `DELETE /jobs/{job_id}` calls it off.
        job_id: String,
        /// About how many tokens will come.
        estimated_tokens: u64,
    },
    /// At least one for every 128 tokens.
    Progress {
        /// Tokens so far, of all variations.
        tokens_so_far: u64,
        /// 0 to 100; never falls.
        percent: u64,
        /// The variation that grew.
        variation_id: u64,
        /// It, so far: a MIDI file whose notes begin as those of the final one.
        midi_base64: String,
    },
    /// The last, if all went well.
    Complete {
        /// Hash of the first variation.
        output_hash: String,
        /// Tokens of all variations.
        total_tokens: u64,
        /// As `/predict` would have answered.
        result: Box<Prediction>,
    },
    /// The last, if it was called off.
    Cancelled {
        /// Tokens until then.
        tokens_so_far: u64,
    },
    /// The last, if it failed.
    Error {
        /// Why.
        problem: Box<Problem>,
    },
}
