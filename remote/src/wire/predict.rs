//! What a client asks for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Wishes, whole};

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Music from nothing, or after a seed where one is given.
    #[default]
    Generate,
    /// New music in the manner of a seed.
    GenerateSeeded,
    /// The start of a file, and how it could go on.
    Continue,
    /// From the end of one section to the start of another.
    Bridge,
    /// Bars that can be repeated.
    Loops,
    /// A vector for a file.
    Embed,
    /// Which kind of music a file is; needs a classifier.
    Classify,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Generate,
        Self::GenerateSeeded,
        Self::Continue,
        Self::Bridge,
        Self::Loops,
        Self::Embed,
        Self::Classify,
    ];

    /// As it stands on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::GenerateSeeded => "generate_seeded",
            Self::Continue => "continue",
            Self::Bridge => "bridge",
            Self::Loops => "loops",
            Self::Embed => "embed",
            Self::Classify => "classify",
        }
    }
}

/// Which checkpoint of the Stanford family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelSize {
    /// `stanford-crfm/music-small-800k`, 12 layers.
    Small,
    /// `stanford-crfm/music-medium-800k`, 24 layers.
    Medium,
    /// `stanford-crfm/music-large-800k`, 36 layers.
    Large,
}

impl ModelSize {
    /// All of them, the smallest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// As it stands on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

/// What `continue` does with the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// New notes after the prime, which stays as it is.
    #[default]
    Continue,
    /// New notes over the prime, which stays as it is and is known beforehand.
    Accompany,
}

/// What a variation of the answer holds besides its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// `midi_base64`, and `midi_output` at the top.
    Midi,
    /// `output_hash`.
    Hash,
    /// `analysis`.
    Analysis,
}

/// What can be told about a file without a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// `duration_seconds`.
    DurationSeconds,
    /// `estimated_key`.
    EstimatedKey,
    /// `tempo_bpm`.
    TempoBpm,
    /// `time_signature`.
    TimeSignature,
    /// `instruments`.
    Instruments,
    /// `note_count`.
    NoteCount,
    /// `note_density`.
    NoteDensity,
    /// `pitch_range`.
    PitchRange,
    /// `energy_profile`.
    EnergyProfile,
    /// `structure`.
    Structure,
}

/// Ways of older services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Compat {
    /// Numbers out of range are brought to the nearest one that is allowed, with a warning, where they would
    /// be refused.
    #[serde(deserialize_with = "whole::or_default")]
    pub clamp: bool,
    /// Status of the answer when the queue is full: 429, or 503.
    #[schema(minimum = 429, maximum = 503)]
    pub busy_status: Option<u16>,
}

/// `POST /predict`. What is absent or null has the default that is named; a field that does not belong to the
/// task is passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Predict {
    /// What is to be done.
    #[serde(deserialize_with = "whole::or_default")]
    pub task: Task,
    /// A Standard MIDI file in base64: what is continued, embedded, or taken as a seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub midi_input: Option<String>,
    /// The same by its content hash. So are `input_hash` and `midi_input_hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_hash: Option<String>,
    /// See `seed_hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_hash: Option<String>,
    /// See `seed_hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub midi_input_hash: Option<String>,
    /// `bridge`: what comes before, a MIDI file in base64 or its content hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_a: Option<String>,
    /// `bridge`: what comes after; may be absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_b: Option<String>,
    /// `section_a` by its content hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_a_hash: Option<String>,
    /// `section_b` by its content hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_b_hash: Option<String>,
    /// Seconds of new music; 20 if neither this nor `max_tokens` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1.0, maximum = 120.0)]
    pub length_seconds: Option<f64>,
    /// `continue`: how many seconds of the file stay, counted from its start (5). A file that is shorter
    /// stays whole, and the answer says how long it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1.0, maximum = 60.0)]
    pub prime_seconds: Option<f64>,
    /// Most tokens of new music in each variation; a note is three, and what is left over is not used
    /// (8192).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "whole::option")]
    #[schema(minimum = 1, maximum = 8192)]
    pub max_tokens: Option<i64>,
    /// Softmax temperature (1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.01, maximum = 2.0)]
    pub temperature: Option<f64>,
    /// Nucleus mass (0.95); 0 always takes the likeliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub top_p: Option<f64>,
    /// How many answers (1).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "whole::option")]
    #[schema(minimum = 1, maximum = 8)]
    pub num_variations: Option<i64>,
    /// Which checkpoint (`small`). Where it is not installed the best one that is answers, and says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_size: Option<ModelSize>,
    /// `embed`: the layer whose states are averaged (-3); 0 goes into the first block, -1 is after the last.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "whole::option")]
    pub embed_layer: Option<i64>,
    /// Seed of all draws: the same request with the same seed gives the same music. Chosen, and told, if absent.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "whole::option")]
    #[schema(format = "uint64")]
    pub seed: Option<u64>,
    /// `continue`: what is done with the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Who plays: General MIDI programs from 0, 128 for drums. If absent, those of the file; a piano for `generate`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "whole::list")]
    #[schema(max_items = 16)]
    pub instruments: Option<Vec<u8>>,
    /// Quarter notes a minute of what begins from nothing (120).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 20.0, maximum = 300.0)]
    pub tempo_bpm: Option<f64>,
    /// What the new music should be like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Wishes>,
    /// `bridge`: "fade out", "modulate to relative minor". Others are named among the warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 16)]
    pub hints: Option<Vec<String>>,
    /// What each variation holds; all of it if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<Include>>,
    /// Which facts `analysis` and `metadata` hold: none if this is an empty list, all if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analyses: Option<Vec<Fact>>,
    /// Who made the artifacts of the answer (`agent_anticipatory`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// Tags of the artifacts, besides `type:midi`, `format:mid`, `phase:generation` and `tool:` with the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 32)]
    pub tags: Option<Vec<String>>,
    /// Of the artifacts; one is made up where several answers are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation_set_id: Option<String>,
    /// Of the artifacts; that of the file sent, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// The caller's own name for the job: letters, digits, `.`, `_`, `:`, `-`; at most 256. Another is passed over
    /// with a warning. May also come as a query parameter or as the header `X-Client-Job-ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_job_id: Option<String>,
    /// Ways of older services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compat: Option<Compat>,
}
