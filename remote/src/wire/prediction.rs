//! What a client gets.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Task;

/// Answer of `POST /predict`. What the task does not give is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Prediction {
    /// `success`.
    pub status: String,
    /// What was done.
    pub task: Task,
    /// The answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variations: Vec<Variation>,
    /// "Generated 3 variations (avg 511 tokens)".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// `variations[0].output_hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_hash: Option<String>,
    /// `variations[0].tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// `variations[0].tokens`; for `embed`, how many tokens were averaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_tokens: Option<u64>,
    /// `variations[0].midi_base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub midi_output: Option<String>,
    /// Which model answered, as in `metadata`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_size: Option<String>,
    /// `continue`: how many seconds of the file stayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prime_seconds: Option<f64>,
    /// `embed`: the vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<f32>>,
    /// `embedding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<Vec<f32>>,
    /// `embed`: its length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_dim: Option<u64>,
    /// `embed`: the layer, as asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<i64>,
    /// `embed`: tokens of the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_tokens: Option<u64>,
    /// `embed`: whether the file has more tokens than the model takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// Who answered, on whose behalf, and what is to be said about it; facts about `variations[0]`.
    pub metadata: Metadata,
    /// The tracing part of `metadata`.
    pub meta: Trace,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Variation {
    /// From 0.
    pub variation_id: u64,
    /// A request for one variation with this seed gives the same music.
    pub seed: u64,
    /// A Standard MIDI file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub midi_base64: Option<String>,
    /// Its content hash (SHA-256), at which `/cas/{hash}` gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_hash: Option<String>,
    /// Its artifact, at `/artifacts/{artifact_id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_id: Option<String>,
    /// Tokens of new music: three a note.
    pub tokens: u64,
    /// `tokens`.
    pub num_tokens: u64,
    /// Three for each note of the file, as older services counted.
    pub num_events: u64,
    /// Notes of the file.
    pub num_notes: u64,
    /// How long it is.
    pub duration_seconds: f64,
    /// What can be told without a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Facts>,
}

/// Who answered and on whose behalf.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Metadata {
    /// Tracing.
    #[serde(flatten)]
    pub trace: Trace,
    /// Name of the model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// That of the artifacts, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation_set_id: Option<String>,
    /// What the caller should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Constraints that were not held to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsupported_constraints: Vec<String>,
    /// Facts about the first variation.
    #[serde(flatten)]
    pub facts: Facts,
}

/// The tracing part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Trace {
    /// The caller's name for the job.
    pub client_job_id: Option<String>,
    /// 32 hexadecimal digits; null unless traces are exported.
    pub trace_id: Option<String>,
    /// 16 hexadecimal digits; null unless traces are exported.
    pub span_id: Option<String>,
    /// The service.
    pub service: String,
    /// `small`, `medium`, `large`, or `default` where the built-in model or that of `--model` answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_size: Option<String>,
    /// Number of the request; also in the header `x-request-id`.
    pub request_id: String,
}

/// What can be told about a file without a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Facts {
    /// Where the last note ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// "C major".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_key: Option<String>,
    /// At the first note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tempo_bpm: Option<f64>,
    /// "4/4", at the first note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_signature: Option<String>,
    /// Names of General MIDI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruments: Option<Vec<String>>,
    /// How many notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note_count: Option<u64>,
    /// `sparse`, `medium` or `dense`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note_density: Option<String>,
    /// Of what is not a drum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pitch_range: Option<PitchRange>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_profile: Option<Energy>,
    /// Sections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structure: Option<Structure>,
}

/// Lowest and highest note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PitchRange {
    /// "C2"; C4 is middle C.
    pub lowest: String,
    /// "C6".
    pub highest: String,
}

/// Energy from 0 to 1: how loud and how dense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Energy {
    /// Of the first quarter.
    pub start: f64,
    /// Of the strongest.
    pub peak: f64,
    /// Of the last quarter.
    pub end: f64,
}

/// Sections of a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Structure {
    /// How many.
    pub sections: u64,
    /// Whether one comes again.
    pub has_repetition: bool,
}
