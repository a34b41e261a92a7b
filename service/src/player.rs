//! Who plays: a model on this machine, or a service.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use continuo_inference::{Event, Model, Prompt, Session, TimeFrame, tasks};
use continuo_remote::wire::{Limits, ModelSize, Notes, WireNote};
use continuo_remote::{Client, Remote, Step};

/// How long one look for the next note of a service lasts.
const LOOK: Duration = Duration::from_secs(1);

/// Who plays.
pub enum Player {
    /// A model on this machine.
    Here(Arc<Model>),
    /// A service.
    There {
        /// It.
        remote: Remote,
        /// Which of its models, if one was named.
        size: Option<ModelSize>,
        /// How it counts time.
        time: TimeFrame,
        /// Name of its model.
        name: String,
    },
}

impl Player {
    /// A service at an address, with one of its models by name.
    pub fn there(address: &str, token: Option<&str>, model: Option<&str>) -> Result<Self> {
        let named = |name: &str| ModelSize::ALL.into_iter().find(|size| size.name() == name);
        let size = match model {
            None | Some("default") => None,
            Some(name) => Some(named(name).with_context(|| {
                format!("--model {name} is of this machine; with --engine it is small, medium or large")
            })?),
        };
        let client = Client::new(address, token)?;
        let (name, ticks_per_beat) = client.frame(size)?;
        let time = if ticks_per_beat == 0 { TimeFrame::Seconds } else { TimeFrame::Beats { ticks_per_beat } };
        Ok(Self::There { remote: Remote::new(client), size, time, name })
    }

    /// How it counts time.
    pub fn frame(&self) -> TimeFrame {
        match self {
            Self::Here(model) => model.frame(),
            Self::There { time, .. } => *time,
        }
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        match self {
            Self::Here(model) => model.name(),
            Self::There { name, .. } => name,
        }
    }

    /// The whole answer; `each` sees its notes as they come.
    pub fn answer(&self, prompt: Prompt, each: &mut dyn FnMut(&Event)) -> Result<Vec<Event>> {
        let (remote, size, time) = match self {
            Self::Here(model) => {
                let mut session = Session::new(Arc::clone(model));
                return Ok(tasks::answer(&mut session, prompt, |event| {
                    each(event);
                    ControlFlow::Continue(())
                })?);
            }
            Self::There { remote, size, time, .. } => (remote, *size, *time),
        };
        let mut answer = remote.answer(asked(&prompt, size, time));
        let mut events = Vec::new();
        loop {
            match answer.wait_for(LOOK) {
                Step::Note(event) => {
                    each(&event);
                    events.push(event);
                }
                Step::Pending => {}
                Step::Done => return Ok(events),
                Step::Failed(why) => bail!(why),
            }
        }
    }
}

/// A prompt in the terms of the wire.
fn asked(prompt: &Prompt, model_size: Option<ModelSize>, time: TimeFrame) -> Notes {
    let limits = &prompt.constraints;
    Notes {
        history: prompt.history.iter().map(WireNote::from).collect(),
        held: prompt
            .held
            .iter()
            .map(|&(onset, instrument, key)| WireNote::from(&Event { onset, instrument, key, duration: 0 }))
            .collect(),
        controls: prompt.controls.iter().map(WireNote::from).collect(),
        start: prompt.start,
        end: prompt.end,
        bar: prompt.bar,
        first_by: prompt.first_by,
        limits: Limits {
            density: limits.density,
            phases: limits.phases,
            keys: limits.keys,
            scale: limits.scale,
            balance: limits.balance,
        },
        instruments: prompt.instruments.clone(),
        beside: prompt.beside.clone(),
        max_per_onset: prompt.max_per_onset,
        temperature: prompt.sampling.temperature,
        top_p: prompt.sampling.top_p,
        seed: prompt.sampling.seed,
        answer: prompt.answer,
        model_size,
        ticks_per_beat: Some(match time {
            TimeFrame::Beats { ticks_per_beat } => ticks_per_beat,
            TimeFrame::Seconds => 0,
        }),
        prepare: false,
    }
}
