//! Teaching keys and controllers: a click on a name waits for a control, a right click forgets it.

use egui::{Button, RichText, Ui};
use nice_plug::context::gui::ParamSetter;

use super::{ANSWER, HEARD};
use crate::learnt::{Control, Learnt};
use crate::params::texts::key_name;
use crate::params::{ContinuoParams, Target, Turnable};

/// What to do, in a line.
pub const HOW: &str = "Click a name, then strike a key or move a controller; right click forgets.";

/// What the controls are drawn with.
pub struct Desk<'a> {
    /// The parameters.
    pub params: &'a ContinuoParams,
    /// How the host is told.
    pub set: &'a ParamSetter<'a>,
    /// Whether names wait to be taught.
    pub teaches: bool,
}

/// What a window remembers of controls.
pub struct Teacher {
    /// Whether the player teaches.
    pub teaches: bool,
    taught: bool,
    waited: bool,
    given: Vec<Option<f32>>,
}

impl Default for Teacher {
    fn default() -> Self {
        Self { teaches: false, taught: false, waited: false, given: vec![None; Target::ALL.len()] }
    }
}

impl Teacher {
    /// Once a picture: hands what controllers moved on to the host, and marks the project when something was learnt or kept.
    pub fn follow(&mut self, params: &ContinuoParams, set: &ParamSetter<'_>) {
        let learnt = &params.learnt.0;
        for (given, &target) in self.given.iter_mut().zip(Target::ALL) {
            let moved = learnt.moved(target);
            let news = moved.filter(|_| moved != *given);
            *given = moved;
            if let Some(normal) = news {
                learnt.hand_on(target, normal);
                params.of(target).give(normal, set);
            }
        }
        if std::mem::replace(&mut self.taught, self.teaches) && !self.teaches {
            learnt.want_nothing();
        }
        let waits = learnt.wanted().is_some();
        let taught = std::mem::replace(&mut self.waited, waits) && !waits;
        if taught | params.takes.0.take_changed() {
            mark(params, set);
        }
    }
}

/// Something was changed that the project keeps beside its parameters: hosts notice a changed parameter, and only that.
pub fn mark(params: &ContinuoParams, set: &ParamSetter<'_>) {
    params.learn.give(params.learn.normal(), set);
}

/// The name of a parameter; while teaching, something to click.
pub fn name(ui: &mut Ui, desk: &Desk<'_>, target: Target) {
    let title = desk.params.of(target).title();
    if desk.teaches {
        teachable(ui, &desk.params.learnt.0, target, None, title);
    } else {
        ui.label(RichText::new(title).color(super::QUIET));
    }
}

/// One of a list's values, while teaching.
pub fn step(ui: &mut Ui, desk: &Desk<'_>, target: Target, step: usize, title: &str) {
    teachable(ui, &desk.params.learnt.0, target, u8::try_from(step).ok(), title);
}

fn teachable(ui: &mut Ui, learnt: &Learnt, target: Target, step: Option<u8>, title: &str) {
    let bound = learnt.bindings().find(|binding| (binding.target, binding.step) == (target, step));
    let text = match bound {
        _ if learnt.wanted() == Some((target, step)) => RichText::new(format!("{title}: ...")).color(HEARD),
        Some(binding) => RichText::new(format!("{title}: {}", words(binding.control))).color(ANSWER),
        None => RichText::new(title),
    };
    let response = ui.add(Button::new(text));
    if response.clicked() {
        learnt.want(target, step);
    }
    if response.secondary_clicked() {
        learnt.forget(target, step);
        learnt.want_nothing();
    }
}

/// A control in words; channels as musicians count them.
fn words(control: Control) -> String {
    match control {
        Control::Key(channel, key) => format!("{} ch {}", key_name(i32::from(key.0)), channel.0 + 1),
        Control::Controller(channel, number) => format!("CC {number} ch {}", channel.0 + 1),
    }
}
