//! What new music should be like.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many notes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Density {
    /// Up to 3.
    Sparse,
    /// 2 to 7.
    Medium,
    /// From 5 on.
    Dense,
}

impl Density {
    /// Notes a second, from and to.
    pub const fn band(self) -> (f64, f64) {
        match self {
            Self::Sparse => (0.0, 3.0),
            Self::Medium => (2.0, 7.0),
            Self::Dense => (5.0, f64::INFINITY),
        }
    }
}

/// Wishes. Each is held to, or its name stands in `unsupported_constraints` of the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Wishes {
    /// The highest voice of the seed stays note for note; the other voices are new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preserve_melody: Option<bool>,
    /// If false, new notes keep to the pitch classes of the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vary_harmony: Option<bool>,
    /// If false, new notes begin where those of the seed do, and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vary_rhythm: Option<bool>,
    /// 0 to 1: louder and denser the higher it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub target_energy: Option<f64>,
    /// Names of instruments or families ("piano", "strings"): nobody else plays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 16)]
    pub instrument_hints: Option<Vec<String>>,
    /// Names of styles: no model here knows any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 16)]
    pub style_hints: Option<Vec<String>>,
    /// No instrument but the drums goes further than an octave from one note to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avoid_jumps: Option<bool>,
    /// How many notes a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// Gets softer towards the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fade_out: Option<bool>,
}
