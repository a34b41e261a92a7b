//! The documents on the wire. Each type is the one that the service reads and writes, and that its OpenAPI
//! description is made from.

mod analysis;
mod artifact;
mod batch;
mod health;
mod job;
mod models;
mod notes;
mod predict;
mod prediction;
mod problem;
mod progress;
mod whole;
mod wishes;

pub use analysis::{
    Analysis, Analyze, Analyzed, Chord, Harmony, Modulation, Motif, Rhythm, Section, Sections,
};
pub use artifact::{Artifact, Artifacts, NewArtifact, Stored};
pub use batch::{Batch, BatchResult, BatchResults, Operation};
pub use health::Health;
pub use job::{Job, JobAccepted, JobState};
pub use models::{ModelEntry, ModelStatus, Models};
pub use notes::{Limits, NoteLine, Notes, WireNote};
pub use predict::{Compat, Fact, Include, Mode, ModelSize, Predict, Task};
pub use prediction::{Energy, Facts, Metadata, PitchRange, Prediction, Structure, Trace, Variation};
pub use problem::{Detail, Problem, ProblemKind};
pub use progress::{Progress, StreamEvent};
pub use wishes::{Density, Wishes};

/// The service's name in `/health` and metadata.
pub const SERVICE: &str = "anticipatory";
/// Version of the service.
pub const SERVICE_VERSION: &str = "2.0.0";
/// Version of the list of models.
pub const API_VERSION: &str = "1.0.0";
/// The port where clients look for it.
pub const PORT: u16 = 2011;
