//! What can be told about a piece without a model.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Facts;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Analysis {
    /// What `metadata` of a prediction holds.
    Metadata,
    /// Sections.
    Structure,
    /// Figures that come again.
    Motifs,
    /// Key, chords, modulations.
    Harmony,
    /// Meter, tempo, syncopation.
    Rhythm,
}

impl Analysis {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Metadata, Self::Structure, Self::Motifs, Self::Harmony, Self::Rhythm];
}

/// `POST /analyze`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Analyze {
    /// A Standard MIDI file in base64, or its content hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub midi_input: Option<String>,
    /// The same by its content hash. So are `input_hash` and `seed_hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub midi_input_hash: Option<String>,
    /// See `midi_input_hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_hash: Option<String>,
    /// See `midi_input_hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_hash: Option<String>,
    /// What is looked for: everything if absent, nothing if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analyses: Option<Vec<Analysis>>,
}

/// Answer of `POST /analyze`. What was not asked for is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Analyzed {
    /// Content hash of the file.
    pub midi_input_hash: String,
    /// Facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Facts>,
    /// Sections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structure: Option<Sections>,
    /// Figures that come again, the most telling first; at most 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub motifs: Option<Vec<Motif>>,
    /// Key and chords.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harmony: Option<Harmony>,
    /// Meter and tempo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rhythm: Option<Rhythm>,
}

/// The form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sections {
    /// "ABA": a letter for each section.
    pub form: String,
    /// Measures of the piece.
    pub measures: u64,
    /// They, in order.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Section {
    /// Sections that are alike have the same letter.
    pub label: String,
    /// "1-8": the first and the last, counted from 1.
    pub measures: String,
}

/// A figure of the highest voice, at any height.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Motif {
    /// Its notes where it comes first.
    pub notes: Vec<String>,
    /// The same without their octaves.
    #[serde(default)]
    pub pitch_classes: Vec<String>,
    /// How often it comes.
    pub occurrences: u64,
    /// Measures where it begins, counted from 1.
    pub measures: Vec<u64>,
}

/// Key and chords.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Harmony {
    /// "C major"; null where there is none.
    pub key: Option<String>,
    /// Degrees of the key; the part that comes again and again, once, where there is one.
    pub chord_progression: Vec<String>,
    /// All chords, in order; at most 512.
    pub chords: Vec<Chord>,
    /// Where the key changes.
    pub modulations: Vec<Modulation>,
}

/// A chord.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Chord {
    /// Measure, from 1.
    pub measure: u64,
    /// Quarter notes into it, from 0.
    pub beat: f64,
    /// "Am7".
    pub symbol: String,
    /// "vi7", in the key of the piece.
    pub degree: String,
}

/// A change of key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Modulation {
    /// The first measure in it, from 1.
    pub measure: u64,
    /// The new key.
    pub key: String,
}

/// Meter and tempo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Rhythm {
    /// "4/4", at the first note.
    pub time_signature: String,
    /// Quarter notes a minute, at the first note.
    pub tempo: f64,
    /// `low`, `medium` or `high`.
    pub syncopation_level: String,
    /// Share of the notes off the strong places that hold over the next stronger one, 0 to 1.
    pub syncopation: f64,
}
