//! Notes as they are made, for those who play along: `POST /v1/notes`.

use continuo_timeline::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A note in ticks of the model's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WireNote {
    /// From the origin of the request, which is a bar line; not negative.
    #[schema(minimum = 0)]
    pub onset: i32,
    /// 0 to 999.
    #[schema(minimum = 0, maximum = 999)]
    pub duration: i32,
    /// General MIDI program, 128 for drums.
    #[schema(maximum = 128)]
    pub instrument: u8,
    /// 60 is middle C.
    #[schema(maximum = 127)]
    pub key: u8,
}

impl From<&Event> for WireNote {
    fn from(event: &Event) -> Self {
        let Event { onset, duration, instrument, key } = *event;
        Self { onset, duration, instrument: instrument.0, key: key.0 }
    }
}

/// What is forbidden, and how much is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Limits {
    /// Notes against what the model would play, about 0.25 to 4.
    pub density: f32,
    /// Ticks of a beat on which notes may begin, a bit each; all if absent.
    pub phases: Option<u64>,
    /// Lowest and highest key of what is not a drum.
    pub keys: (u8, u8),
    /// Pitch classes of what is not a drum, a bit each, C lowest.
    #[schema(maximum = 4095)]
    pub scale: u16,
    /// Nats that an instrument of several gains for each beat that it has been silent, 0 to 2.
    pub balance: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { density: 1.0, phases: None, keys: (0, 127), scale: 0xFFF, balance: 0.0 }
    }
}

/// A prompt, in the terms of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Notes {
    /// What was played.
    #[schema(max_items = 8192)]
    pub history: Vec<WireNote>,
    /// Notes of the history that still sound, once more; how long they become is the model's to say.
    #[schema(max_items = 8192)]
    pub held: Vec<WireNote>,
    /// What will be played by others, known beforehand.
    #[schema(max_items = 8192)]
    pub controls: Vec<WireNote>,
    /// First onset allowed.
    pub start: i32,
    /// Onsets lie before this.
    pub end: i32,
    /// Ticks of a bar; four quarters if absent.
    pub bar: Option<i32>,
    /// The first onset is here or before.
    pub first_by: Option<i32>,
    /// Limits.
    pub limits: Limits,
    /// Who may play; those of the history if absent.
    pub instruments: Option<Vec<u8>>,
    /// Who plays on beside and is not given out.
    #[schema(max_items = 129)]
    pub beside: Vec<u8>,
    /// Most notes on one onset.
    pub max_per_onset: u8,
    /// Softmax temperature, 0.01 to 2.
    pub temperature: f32,
    /// Nucleus mass, 0 to 1.
    pub top_p: f32,
    /// Seed of all draws.
    pub seed: u64,
    /// Which answer to this prompt.
    pub answer: u64,
    /// `small`, `medium`, `large`; the best there is if absent.
    pub model_size: Option<super::ModelSize>,
    /// Ticks of a beat that the caller counts in (0: 10 ms each); refused where the model counts otherwise.
    pub ticks_per_beat: Option<u32>,
    /// Only reads the prompt, so that an answer to one that begins alike comes sooner.
    pub prepare: bool,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            history: Vec::new(),
            held: Vec::new(),
            controls: Vec::new(),
            start: 0,
            end: 0,
            bar: None,
            first_by: None,
            limits: Limits::default(),
            instruments: None,
            beside: Vec::new(),
            max_per_onset: 8,
            temperature: 1.0,
            top_p: 0.95,
            seed: 0,
            answer: 0,
            model_size: None,
            ticks_per_beat: None,
            prepare: false,
        }
    }
}

/// A line of the answer, which is newline-delimited JSON. Lines come as the notes are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NoteLine {
    /// The first.
    Start {
        /// Name of the model.
        model: String,
        /// Ticks in a quarter note; 0 where a tick is 10 ms.
        ticks_per_beat: u32,
    },
    /// A note.
    Note {
        /// The note.
        #[serde(flatten)]
        note: WireNote,
    },
    /// Nothing yet; says that the service is there.
    Waiting,
    /// The last, if all went well.
    Done {
        /// How many notes.
        notes: u64,
        /// Milliseconds a token took lately.
        ms_per_token: f32,
    },
    /// The last otherwise.
    Failed {
        /// Why, and what helps.
        message: String,
    },
}
