//! Who makes the notes: the model here, or a service elsewhere. To those who ask they are the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use continuo_inference::{Answer, Engine, Event, Prompt, Step, TimeFrame};
use continuo_remote::wire::{Limits, Notes, WireNote};
use continuo_remote::{self as remote, Remote, State};

#[cfg(test)]
use super::fake::{Fake, FakeReply};

/// Longest that somebody who waits hears nothing of a service before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(8);

/// One who makes notes.
#[derive(Clone)]
pub enum Maker {
    /// The model of this process.
    Here(Arc<Engine>),
    /// A service, and how its model counts time and is called.
    There(Arc<Remote>, TimeFrame, String),
    /// A test.
    #[cfg(test)]
    Fake(Arc<Fake>, &'static str),
}

/// Who made an answer, as a take says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Author {
    /// Name of the model, and where that is.
    pub model: String,
    /// What tells its weights from others, if anybody does: a service does not.
    pub weights: String,
}

/// An answer under way. Dropping it calls it off.
pub enum Reply {
    /// From here.
    Here(Answer),
    /// From a service.
    There(remote::Answer),
    /// From a test.
    #[cfg(test)]
    Fake(FakeReply),
}

impl Maker {
    /// The service, if it can be asked now.
    pub fn of_service(remote: &Arc<Remote>) -> Option<Self> {
        let State::Ready { model, ticks_per_beat, .. } = remote.state() else { return None };
        let frame = match ticks_per_beat {
            0 => TimeFrame::Seconds,
            ticks_per_beat => TimeFrame::Beats { ticks_per_beat },
        };
        Some(Self::There(Arc::clone(remote), frame, format!("{model} at {}", remote.address())))
    }

    /// What a tick of its model is.
    pub fn frame(&self) -> TimeFrame {
        match self {
            Self::Here(engine) => engine.model().frame(),
            Self::There(_, frame, _) => *frame,
            #[cfg(test)]
            Self::Fake(..) => TimeFrame::Beats { ticks_per_beat: 48 },
        }
    }

    /// Name of its model, and where that is.
    pub fn name(&self) -> String {
        match self {
            Self::Here(engine) => engine.model().name().to_owned(),
            Self::There(_, _, name) => name.clone(),
            #[cfg(test)]
            Self::Fake(_, name) => (*name).to_owned(),
        }
    }

    /// As a take names it.
    pub fn author(&self) -> Author {
        let weights = match self {
            Self::Here(engine) => engine.model().identity().unwrap_or_default(),
            Self::There(..) => String::new(),
            #[cfg(test)]
            Self::Fake(..) => String::new(),
        };
        Author { model: self.name(), weights }
    }

    /// Whether it is a service.
    pub fn is_there(&self) -> bool {
        matches!(self, Self::There(..))
    }

    /// Whether it is a service that does not answer any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::There(remote, ..) if matches!(remote.state(), State::Away { .. }))
    }

    /// Milliseconds a token took lately; 0 before the first.
    pub fn ms_per_token(&self) -> f32 {
        match self {
            Self::Here(engine) => engine.ms_per_token(),
            Self::There(remote, ..) => match remote.state() {
                State::Ready { ms_per_token, .. } => ms_per_token,
                _ => 0.0,
            },
            #[cfg(test)]
            Self::Fake(..) => 0.0,
        }
    }

    /// Asks for an answer whose first notes are needed at a moment. The engine here serves the instance that needs its own
    /// first; a service has an order of its own.
    pub fn answer(&self, prompt: Prompt, by: Instant) -> Reply {
        match self {
            Self::Here(engine) => Reply::Here(engine.answer_by(prompt, Some(by))),
            Self::There(remote, frame, _) => Reply::There(remote.answer(on_the_wire(&prompt, *frame))),
            #[cfg(test)]
            Self::Fake(fake, _) => Reply::Fake(fake.answer(prompt)),
        }
    }

    /// Lets it read a prompt ahead of need.
    pub fn prepare(&self, prompt: Prompt) {
        match self {
            Self::Here(engine) => engine.prepare(prompt),
            Self::There(remote, frame, _) => remote.prepare(on_the_wire(&prompt, *frame)),
            #[cfg(test)]
            Self::Fake(..) => {}
        }
    }
}

impl Reply {
    /// The next step without waiting.
    pub fn poll(&mut self) -> Step {
        match self {
            Self::Here(answer) => answer.poll(),
            Self::There(answer) => step(answer.poll()),
            #[cfg(test)]
            Self::Fake(reply) => reply.step(),
        }
    }

    /// Waits for the next step: as long as it takes here, [`PATIENCE`] for a service.
    pub fn wait(&mut self) -> Step {
        match self {
            Self::Here(answer) => answer.wait(),
            Self::There(answer) => {
                let began = Instant::now();
                match step(answer.wait_for(PATIENCE)) {
                    Step::Pending if began.elapsed() >= PATIENCE => {
                        Step::Failed(format!("nothing came within {} s", PATIENCE.as_secs()))
                    }
                    step => step,
                }
            }
            #[cfg(test)]
            Self::Fake(reply) => reply.step(),
        }
    }
}

fn step(step: remote::Step) -> Step {
    match step {
        remote::Step::Note(event) => Step::Note(event),
        remote::Step::Pending => Step::Pending,
        remote::Step::Done => Step::Done,
        remote::Step::Failed(why) => Step::Failed(why),
    }
}

fn on_the_wire(prompt: &Prompt, frame: TimeFrame) -> Notes {
    let constraints = &prompt.constraints;
    Notes {
        history: prompt.history.iter().map(WireNote::from).collect(),
        held: prompt
            .held
            .iter()
            .map(|&(onset, instrument, key)| WireNote::from(&Event { onset, instrument, key, duration: 0 }))
            .collect(),
        // The wire knows no time before its origin.
        controls: prompt.controls.iter().filter(|event| event.onset >= 0).map(WireNote::from).collect(),
        start: prompt.start,
        end: prompt.end,
        bar: prompt.bar,
        first_by: prompt.first_by,
        limits: Limits {
            density: constraints.density,
            phases: constraints.phases,
            keys: constraints.keys,
            scale: constraints.scale,
            balance: constraints.balance,
        },
        instruments: prompt.instruments.clone(),
        beside: prompt.beside.clone(),
        max_per_onset: prompt.max_per_onset,
        temperature: prompt.sampling.temperature,
        top_p: prompt.sampling.top_p,
        seed: prompt.sampling.seed,
        answer: prompt.answer,
        model_size: None,
        ticks_per_beat: Some(match frame {
            TimeFrame::Beats { ticks_per_beat } => ticks_per_beat,
            TimeFrame::Seconds => 0,
        }),
        prepare: false,
    }
}
