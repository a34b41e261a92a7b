//! What is asked of a model.

use continuo_timeline::{Event, Instrument, Key};

use crate::constraints::Constraints;
use crate::sampler::Sampling;

/// What is asked of a model. All times in ticks of its frame; 0 is a bar line.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What was played, in any order; onsets from 0.
    pub history: Vec<Event>,
    /// What will be played by others, known beforehand.
    pub controls: Vec<Event>,
    /// First onset allowed in the answer.
    pub start: i32,
    /// The answer's onsets lie before this.
    pub end: i32,
    /// Ticks of a bar; four quarters if `None`. Where the window moves on, time begins anew at a bar line.
    pub bar: Option<i32>,
    /// The answer's first onset is here or before, where the model may place one at all.
    pub first_by: Option<i32>,
    /// Notes of the history that still sound, by onset, instrument and key: how long they become is the model's to
    /// say, but not before `start`. Without them the model would believe that they were cut short.
    pub held: Vec<(i32, Instrument, Key)>,
    /// Onsets that the answer has, each of them and no others, where it is long enough.
    pub onsets: Option<Vec<i32>>,
    /// How far in semitones an instrument that is no drum kit goes from one note to the next at most.
    pub leap: Option<u8>,
    /// What is forbidden, and how much is wanted.
    pub constraints: Constraints,
    /// Instruments allowed in the answer, 0 to 128; those of the history if `None`.
    pub instruments: Option<Vec<u8>>,
    /// Instruments that others play: the answer is made as if they went on, and their notes are not given out. Without them
    /// the answer alone would have to be all that was heard together. No use where `onsets` are listed.
    pub beside: Vec<u8>,
    /// Most notes on one onset.
    pub max_per_onset: u8,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Which answer to this prompt: another number, other draws.
    pub answer: u64,
}

impl Default for Prompt {
    /// An answer of no length to nothing: fill in at least `start` and `end`.
    fn default() -> Self {
        Self {
            history: Vec::new(),
            controls: Vec::new(),
            start: 0,
            end: 0,
            bar: None,
            first_by: None,
            held: Vec::new(),
            onsets: None,
            leap: None,
            constraints: Constraints::default(),
            instruments: None,
            beside: Vec::new(),
            max_per_onset: 8,
            sampling: Sampling::default(),
            answer: 0,
        }
    }
}
