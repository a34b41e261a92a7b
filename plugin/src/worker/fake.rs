//! A maker that says what a test tells it to, when it tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use continuo_inference::{Event, Prompt, Step};
use continuo_timeline::{Instrument, Key};

/// What one ask has been told, and was not taken yet.
type Told = Arc<Mutex<VecDeque<Step>>>;

/// All that was asked, in order.
#[derive(Default)]
pub struct Fake {
    asks: Mutex<Vec<(Prompt, Told)>>,
}

impl Fake {
    pub fn answer(&self, prompt: Prompt) -> FakeReply {
        let told = Told::default();
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).push((prompt, Arc::clone(&told)));
        FakeReply(told)
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The newest ask.
    pub fn newest(&self) -> Prompt {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).last().expect("nothing was asked").0.clone()
    }

    /// How many asks somebody still listens to.
    pub fn open(&self) -> usize {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        asks.iter().filter(|(_, told)| Arc::strong_count(told) > 1).count()
    }

    /// Notes of the newest ask: ticks after its start, and keys.
    pub fn say(&self, notes: &[(i32, u8)]) {
        let start = self.newest().start;
        for (after, key) in notes {
            let (instrument, key) = (Instrument(0), Key(*key));
            self.tell(Step::Note(Event { onset: start + after, duration: 12, instrument, key }));
        }
    }

    /// The newest ask is answered.
    pub fn end(&self) {
        self.tell(Step::Done);
    }

    fn tell(&self, step: Step) {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let told = &asks.last().expect("nothing was asked").1;
        told.lock().unwrap_or_else(PoisonError::into_inner).push_back(step);
    }
}

/// One ask. Dropping it calls it off.
pub struct FakeReply(Told);

impl FakeReply {
    pub fn step(&mut self) -> Step {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(Step::Pending)
    }
}
