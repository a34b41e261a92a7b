//! What the editor sees: written by the worker (and, for single numbers, by the audio thread through
//! atomics), read by the editor once a picture. The audio thread never touches the lock in here.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};

use continuo_timeline::Note;

/// Shared between one instance's audio thread, worker and editor.
#[derive(Default)]
pub struct View {
    /// What the worker last said, replaced whole; the worker writes it, the editor clones it.
    pub picture: Mutex<Arc<Picture>>,
    /// Line position in beats, as `f64` bits; audio thread writes it each block.
    pub line: AtomicU64,
    /// Tempo in beats a minute, as `f32` bits; audio thread writes it each block.
    pub tempo: AtomicU32,
    /// Counts notes heard; audio thread.
    pub notes_in: AtomicU32,
    /// Counts generated notes sent; audio thread.
    pub notes_out: AtomicU32,
    /// Notes dropped because they came too late; audio thread.
    pub late: AtomicU32,
    /// Messages lost because a ring was full; either side.
    pub dropped: AtomicU32,
    /// Defects of its own that the worker survived; worker.
    pub defects: AtomicU32,
    /// Beats of answers that were planned in time; worker.
    pub hits: AtomicU32,
    /// Beats that the plan before covered; worker.
    pub backups: AtomicU32,
    /// Beats that no plan covered; worker.
    pub misses: AtomicU32,
    /// Voices sounding in the built-in instrument; audio thread.
    pub voices: AtomicU32,
    /// Largest output sample of the last block, in 1/255; audio thread.
    pub peak: AtomicU8,
}

/// A consistent picture of the worker's mind.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// What the model is doing, and what to do when it cannot.
    pub model: ModelState,
    /// The same of the service that answers instead, if one is to.
    pub service: ServiceState,
    /// What the worker is doing.
    pub activity: Activity,
    /// The phrase heard last, line beats.
    pub heard: Vec<Note>,
    /// The answer to it, as far as it is known, line beats.
    pub answer: Vec<Note>,
    /// So many beats ahead of the playhead the plan is committed; what lies further ahead may still be replaced.
    pub horizon: f64,
    /// Where the answer starts on the line, if there is one.
    pub answer_at: Option<f64>,
    /// Line position of a bar line and the bar's length in beats, to draw the grid.
    pub bar: (f64, f64),
    /// Key detected in the phrase, as text ("D minor"), or empty.
    pub key: String,
    /// The chord that is held, or was last ("Am7"), or empty.
    pub chord: String,
    /// Takes kept so far.
    pub takes: usize,
    /// The one that plays at its place in the song, in words: who made it, and from which take; or empty.
    pub take: String,
    /// Milliseconds the model took per token lately.
    pub ms_per_token: f32,
    /// A message for the player: what went wrong and what to do, or empty.
    pub message: String,
}

/// State of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ModelState {
    /// Being loaded.
    #[default]
    Loading,
    /// Ready; its name.
    Ready(String),
    /// One plays while another is being loaded.
    Replacing {
        /// Name of the one that plays.
        now: String,
        /// What is being loaded, as the player called it.
        by: String,
    },
    /// One plays in place of the one that was chosen.
    Instead {
        /// Name of the one that plays.
        now: String,
        /// What is wrong with the one that was chosen.
        why: String,
    },
    /// Cannot be used: what is wrong and what to do.
    Failed(String),
    /// None is needed here: a service answers, and nothing stands in for it.
    Unused,
}

/// State of the service that answers instead of a model here.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ServiceState {
    /// None is to.
    #[default]
    None,
    /// Being connected to, at this address.
    Connecting(String),
    /// It answers.
    Answers {
        /// Its address.
        address: String,
        /// The name of its model.
        model: String,
    },
    /// It answers too slowly: the model here plays for a while.
    Slow {
        /// Its address.
        address: String,
    },
    /// It does not answer, and is tried again.
    Gone {
        /// Why, and what helps.
        why: String,
        /// Whether the model here plays meanwhile.
        falls_back: bool,
    },
    /// The player has not allowed it on this machine.
    Stranger(String),
}

/// What the worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Mode is Off.
    #[default]
    Off,
    /// Nothing heard yet, or waiting.
    Waiting,
    /// A phrase is being played.
    Listening,
    /// An answer is being made; nothing of it sounds yet.
    Thinking,
    /// The answer plays.
    Playing,
}
