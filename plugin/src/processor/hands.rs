//! What learnt keys and controllers move: see [`crate::learnt`] for how that goes together with the host.

use std::sync::Arc;

use continuo_timeline::{Channel, Key};

use crate::learnt::{Binding, Control, ROOM};
use crate::params::{ContinuoParams, FORGET_ALL, Kind, PRESSES, Target, learnable};
use crate::passed::Passed;

/// More controllers than this at one sample are a host restoring itself, not a player.
const BURST: usize = 64;
/// Two values nearer than this are the same.
const SAME: f32 = 1e-6;

/// Which of [`PRESSES`] a control pressed.
pub type Pressed = [bool; PRESSES.len()];

/// The controls, as the audio thread sees them.
pub struct Hands {
    params: Arc<ContinuoParams>,
    /// Where the parameters stood for the host when last looked at.
    seen: [f32; Target::ALL.len()],
    generation: Option<u32>,
    /// How often a state was loaded when "Learn" was last looked at, and how it stood.
    loads: u32,
    learn: i32,
    /// Learnt keys that are down: their ends are not music either.
    down: Passed,
    /// Which buttons a controller holds down, by place in the table.
    high: [bool; ROOM],
    /// Controllers of one sample that wait until it is known whether they are a burst.
    waiting: [Option<(Control, f32)>; BURST],
    count: usize,
}

impl Hands {
    /// At rest.
    pub fn new(params: Arc<ContinuoParams>) -> Self {
        let learn = params.learn.value();
        Self {
            seen: [0.0; Target::ALL.len()],
            generation: None,
            loads: params.learnt.0.generation(),
            learn,
            down: Passed::default(),
            high: [false; ROOM],
            waiting: [None; BURST],
            count: 0,
            params,
        }
    }

    /// Once a block: what the host or the window moved counts again. Whether a state was loaded since: what it turned nobody
    /// turned now. Realtime: yes.
    pub fn follow(&mut self) -> bool {
        let learnt = &self.params.learnt.0;
        let generation = Some(learnt.generation());
        let loaded = generation != self.generation;
        self.generation = generation;
        for (seen, &target) in self.seen.iter_mut().zip(Target::ALL) {
            let stands = self.params.of(target).normal();
            let changed = !loaded && (stands - *seen).abs() > SAME;
            *seen = stands;
            // The echo of what the window handed on says nothing about where the controller is by now.
            let echo = changed && learnt.take_handed_on(target).is_some_and(|on| (on - stands).abs() < SAME);
            let same = learnt.moved(target).is_some_and(|moved| (moved - stands).abs() < SAME);
            if changed && !echo || same && !loaded {
                learnt.let_go(target);
            }
        }
        let loads = learnt.generation();
        let loaded = std::mem::replace(&mut self.loads, loads) != loads;
        self.follow_learn(loaded);
        loaded
    }

    /// The parameter "Learn" was turned, by a state that was loaded or by somebody.
    fn follow_learn(&mut self, loaded: bool) {
        let learn = self.params.learn.value();
        if std::mem::replace(&mut self.learn, learn) == learn || loaded {
            return;
        }
        let learnt = &self.params.learnt.0;
        match learnable(learn) {
            Some(target) => learnt.want(target, None),
            None if learn == FORGET_ALL => learnt.forget_all(),
            None => learnt.want_nothing(),
        }
    }

    /// A key goes down; what it presses, unless it is music. Realtime: yes.
    pub fn key(&mut self, channel: Channel, key: Key, share: f32) -> Option<Pressed> {
        let control = Control::Key(channel, key);
        let fresh = self.params.learnt.0.learn(control);
        if !fresh && !self.params.learnt.0.knows(control) {
            return None;
        }
        self.down.on(channel, key);
        // The stroke that teaches it does nothing else.
        Some(if fresh { Pressed::default() } else { self.turn(control, share) })
    }

    /// A key went down that is no music for another reason. Realtime: yes.
    pub fn hold(&mut self, channel: Channel, key: Key) {
        self.down.on(channel, key);
    }

    /// A key comes up; whether it was one of ours when it went down. Realtime: yes.
    pub fn key_up(&mut self, channel: Channel, key: Key) -> bool {
        self.down.off(channel, key)
    }

    /// All keys of a channel come up, or of all channels where none is named. Realtime: yes.
    pub fn let_go(&mut self, channel: Option<Channel>) {
        while self.down.pop(channel).is_some() {}
    }

    /// A controller is moved; whether it is one of ours, or about to be. Realtime: yes.
    pub fn controller(&mut self, channel: Channel, number: u8, value: f32) -> bool {
        let control = Control::Controller(channel, number);
        self.count += 1;
        let wanted = self.params.learnt.0.wanted().is_some() && number < 120;
        let ours = wanted || self.params.learnt.0.knows(control);
        if ours && let Some(place) = self.waiting.get_mut(self.count - 1) {
            *place = Some((control, value));
        }
        ours
    }

    /// All of this sample has been heard: what its controllers press. Realtime: yes.
    pub fn settle(&mut self) -> Option<Pressed> {
        let count = std::mem::take(&mut self.count);
        if count == 0 {
            return None;
        }
        let mut pressed = Pressed::default();
        for place in 0..count.min(BURST) {
            let waiting = self.waiting.get_mut(place).and_then(Option::take);
            let Some((control, value)) = waiting.filter(|_| count <= BURST) else { continue };
            if !self.params.learnt.0.learn(control) {
                let more = self.turn(control, value);
                pressed.iter_mut().zip(more).for_each(|(pressed, more)| *pressed |= more);
            }
        }
        Some(pressed)
    }

    /// Does what is learnt for a control: a key at its velocity, a controller at its value.
    fn turn(&mut self, control: Control, value: f32) -> Pressed {
        let mut pressed = Pressed::default();
        for place in 0..ROOM {
            let bound = self.params.learnt.0.at(place).filter(|binding| binding.control == control);
            let Some(binding) = bound else { continue };
            let down = matches!(control, Control::Key(..)) || value >= 0.5;
            let was = self.high.get_mut(place).map(|high| std::mem::replace(high, down));
            let struck = matches!(control, Control::Key(..)) || down && was == Some(false);
            if binding.target.kind() == Kind::Button {
                let which = ContinuoParams::button_of(binding.target).filter(|_| struck);
                if let Some(button) = which.and_then(|which| pressed.get_mut(which)) {
                    *button = true;
                }
            } else if let Some(normal) = self.goes_to(&binding, value, struck) {
                self.params.learnt.0.put(binding.target, self.params.of(binding.target).snap(normal));
            }
        }
        pressed
    }

    /// Where a control puts its parameter.
    #[allow(clippy::cast_precision_loss)] // some hundred steps
    fn goes_to(&self, binding: &Binding, value: f32, struck: bool) -> Option<f32> {
        let param = self.params.of(binding.target);
        let steps = param.steps().unwrap_or(1).max(1) as f32;
        if let Some(step) = binding.step {
            return struck.then(|| f32::from(step) / steps);
        }
        let is_key = matches!(binding.control, Control::Key(..));
        match binding.target.kind() {
            // A key goes on to the next, and from the last to the first.
            Kind::Switch | Kind::Choice if is_key => {
                let now = self.params.learnt.0.moved(binding.target).unwrap_or_else(|| param.normal());
                Some(((now * steps).round() + 1.0) % (steps + 1.0) / steps)
            }
            Kind::Switch => Some(f32::from(u8::from(value >= 0.5))),
            _ => Some(value),
        }
    }
}
