//! Which key or controller moves which parameter, and how far one was moved: shared by the audio thread, the
//! editor and the project's state, without a lock.
//!
//! A plugin cannot set a parameter of its own while it processes: only its window may ask the host to. So what a
//! controller moves lies *over* the parameter: the value here counts until the parameter itself moves (by the host,
//! its automation, or the window), whichever moved last. While the window is open it hands the value on to the host,
//! which can record it; without one it is kept in the project's state.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use continuo_timeline::{Channel, Key};
use serde::{Deserialize, Serialize};

use crate::params::Target;

/// Most controls that can be learnt.
pub const ROOM: usize = 64;
/// Parameters that can be moved, at most.
const TARGETS: usize = 64;
const _: () = assert!(Target::ALL.len() <= TARGETS);
/// Not moved.
const UNMOVED: u32 = u32::MAX;
/// Version that this plugin writes.
const VERSION: u32 = 1;

/// Something on a player's instrument that is not music.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// A key.
    Key(Channel, Key),
    /// A controller by its number, 0 to 119.
    Controller(Channel, u8),
}

/// A control and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The key or controller.
    pub control: Control,
    /// The parameter.
    pub target: Target,
    /// The step of the parameter that it sets, where it does not move through all of them.
    pub step: Option<u8>,
}

/// The table.
pub struct Learnt {
    table: [AtomicU32; ROOM],
    moved: [AtomicU32; TARGETS],
    /// What the window handed on to the host.
    given: [AtomicU32; TARGETS],
    /// What the next control is learnt for.
    wanted: AtomicU32,
    /// Counts loads of a state.
    generation: AtomicU32,
    /// The text of a newer version, kept as it came.
    newer: Mutex<Option<String>>,
}

impl Default for Learnt {
    fn default() -> Self {
        Self {
            table: [const { AtomicU32::new(0) }; ROOM],
            moved: [const { AtomicU32::new(UNMOVED) }; TARGETS],
            given: [const { AtomicU32::new(UNMOVED) }; TARGETS],
            wanted: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            newer: Mutex::default(),
        }
    }
}

impl Learnt {
    /// The next control that is moved is learnt for this. Realtime: yes.
    pub fn want(&self, target: Target, step: Option<u8>) {
        let control = Control::Key(Channel(0), Key(0));
        self.wanted.store(pack(&Binding { control, target, step }), Ordering::Relaxed);
    }

    /// Nothing is to be learnt. Realtime: yes.
    pub fn want_nothing(&self) {
        self.wanted.store(0, Ordering::Relaxed);
    }

    /// What the next control is learnt for, if it is. Realtime: yes.
    pub fn wanted(&self) -> Option<(Target, Option<u8>)> {
        unpack(self.wanted.load(Ordering::Relaxed)).map(|binding| (binding.target, binding.step))
    }

    /// Learns `control` for what is wanted; whether there was something, and room. Realtime: yes.
    pub fn learn(&self, control: Control) -> bool {
        let Some((target, step)) = self.wanted() else { return false };
        self.forget(target, step);
        let binding = pack(&Binding { control, target, step });
        let free = self.table.iter().find(|place| place.load(Ordering::Relaxed) == 0);
        let Some(place) = free else { return false };
        place.store(binding, Ordering::Relaxed);
        self.want_nothing();
        true
    }

    /// Forgets the control of a target, or of one of its steps. Realtime: yes.
    pub fn forget(&self, target: Target, step: Option<u8>) {
        let same = |binding: Binding| (binding.target, binding.step) == (target, step);
        for place in &self.table {
            if unpack(place.load(Ordering::Relaxed)).is_some_and(same) {
                place.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Forgets all controls. Realtime: yes.
    pub fn forget_all(&self) {
        self.table.iter().for_each(|place| place.store(0, Ordering::Relaxed));
        self.want_nothing();
    }

    /// What stands at a place of the table. Realtime: yes.
    pub fn at(&self, place: usize) -> Option<Binding> {
        self.table.get(place).and_then(|place| unpack(place.load(Ordering::Relaxed)))
    }

    /// All that is learnt. Realtime: yes.
    pub fn bindings(&self) -> impl Iterator<Item = Binding> {
        (0..ROOM).filter_map(|place| self.at(place))
    }

    /// Whether a control is learnt for something. Realtime: yes.
    pub fn knows(&self, control: Control) -> bool {
        self.bindings().any(|binding| binding.control == control)
    }

    /// Where a control put a parameter, as a share of its range. Realtime: yes.
    pub fn moved(&self, target: Target) -> Option<f32> {
        number(self.moved.get(target.number())?.load(Ordering::Relaxed))
    }

    /// A control puts a parameter there. Realtime: yes.
    pub fn put(&self, target: Target, normal: f32) {
        store(&self.moved, target, normal.clamp(0.0, 1.0).to_bits());
    }

    /// The parameter counts as it stands for the host. Realtime: yes.
    pub fn let_go(&self, target: Target) {
        store(&self.moved, target, UNMOVED);
    }

    /// The window hands a value on to the host.
    pub fn hand_on(&self, target: Target, normal: f32) {
        store(&self.given, target, normal.to_bits());
    }

    /// What was handed on last, once. Realtime: yes.
    pub fn take_handed_on(&self, target: Target) -> Option<f32> {
        number(self.given.get(target.number())?.swap(UNMOVED, Ordering::Relaxed))
    }

    /// How often a state was loaded. Realtime: yes.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// The text that a project keeps.
    pub fn text(&self) -> String {
        if let Some(newer) = &*self.newer.lock().unwrap_or_else(PoisonError::into_inner) {
            return newer.clone();
        }
        let moved = Target::ALL.iter().filter_map(|&target| Some((target.id().into(), self.moved(target)?)));
        let learnt = self.bindings().map(|binding| SavedBinding::of(&binding));
        let saved = Saved { version: VERSION, learnt: learnt.collect(), moved: moved.collect() };
        serde_json::to_string(&saved).unwrap_or_default()
    }

    /// Takes in the text of a project. What is newer is kept as it is; what is damaged teaches nothing.
    pub fn load(&self, text: &str) {
        // Counted before and after: the audio thread may look in the middle of it.
        self.generation.fetch_add(1, Ordering::Release);
        self.forget_all();
        Target::ALL.iter().for_each(|&target| self.let_go(target));
        let saved = serde_json::from_str::<Saved>(text);
        let newer = version(text).is_some_and(|version| version > u64::from(VERSION));
        *self.newer.lock().unwrap_or_else(PoisonError::into_inner) = newer.then(|| text.to_owned());
        if let Ok(saved) = saved
            && !newer
        {
            let bindings = saved.learnt.iter().filter_map(SavedBinding::binding);
            for (place, binding) in self.table.iter().zip(bindings) {
                place.store(pack(&binding), Ordering::Relaxed);
            }
            for (id, normal) in &saved.moved {
                if let Some(target) = Target::named(id).filter(|_| (0.0..=1.0).contains(normal)) {
                    self.put(target, *normal);
                }
            }
        }
        self.generation.fetch_add(1, Ordering::Release);
    }
}

fn store(numbers: &[AtomicU32; TARGETS], target: Target, bits: u32) {
    if let Some(place) = numbers.get(target.number()) {
        place.store(bits, Ordering::Relaxed);
    }
}

fn number(bits: u32) -> Option<f32> {
    (bits != UNMOVED).then(|| f32::from_bits(bits))
}

/// | bits | what |
/// |---|---|
/// | 0 | always set |
/// | 1 | a controller, else a key |
/// | 2 to 5, 6 to 12 | channel, number |
/// | 13 to 18 | target |
/// | 19, 20 to 27 | whether there is a step, step |
fn pack(binding: &Binding) -> u32 {
    let (kind, channel, number) = match binding.control {
        Control::Key(channel, key) => (0, channel.0, key.0),
        Control::Controller(channel, number) => (1, channel.0, number),
    };
    let target = u32::try_from(binding.target.number()).unwrap_or(0);
    let step = binding.step.map_or(0, |step| 1 | u32::from(step) << 1);
    1 | kind << 1
        | u32::from(channel & 15) << 2
        | u32::from(number & 127) << 6
        | (target & 63) << 13
        | step << 19
}

fn unpack(bits: u32) -> Option<Binding> {
    let byte = |shift: u32, mask: u32| u8::try_from(bits >> shift & mask).unwrap_or(0);
    if bits & 1 == 0 {
        return None;
    }
    let (channel, number) = (Channel(byte(2, 15)), byte(6, 127));
    let control = match bits >> 1 & 1 {
        0 => Control::Key(channel, Key(number)),
        _ => Control::Controller(channel, number),
    };
    let step = (bits >> 19 & 1 == 1).then(|| byte(20, 255));
    Some(Binding { control, target: Target::numbered(usize::from(byte(13, 63)))?, step })
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    #[serde(default)]
    learnt: Vec<SavedBinding>,
    /// Parameters that a controller moved, by id.
    #[serde(default)]
    moved: std::collections::BTreeMap<String, f32>,
}

#[derive(Serialize, Deserialize)]
struct SavedBinding {
    parameter: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<u8>,
    channel: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    controller: Option<u8>,
}

impl SavedBinding {
    fn of(binding: &Binding) -> Self {
        let (channel, key, controller) = match binding.control {
            Control::Key(channel, key) => (channel.0, Some(key.0), None),
            Control::Controller(channel, number) => (channel.0, None, Some(number)),
        };
        Self { parameter: binding.target.id().into(), step: binding.step, channel, key, controller }
    }

    /// What it stands for; nothing when it names a parameter or a control that there is not.
    fn binding(&self) -> Option<Binding> {
        let channel = Channel(Some(self.channel).filter(|channel| *channel < 16)?);
        let control = match (self.key, self.controller) {
            (Some(key @ 0..=127), None) => Control::Key(channel, Key(key)),
            (None, Some(number @ 0..=119)) => Control::Controller(channel, number),
            _ => return None,
        };
        Some(Binding { control, target: Target::named(&self.parameter)?, step: self.step })
    }
}

fn version(text: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(text).ok()?.get("version")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: u8) -> Control {
        Control::Key(Channel(3), Key(key))
    }

    #[test]
    fn what_is_packed_comes_out_the_same() {
        for &target in Target::ALL {
            for step in [None, Some(0), Some(4), Some(255)] {
                for control in [key(0), key(127), Control::Controller(Channel(15), 119)] {
                    let binding = Binding { control, target, step };
                    assert_eq!(unpack(pack(&binding)), Some(binding));
                }
            }
        }
        assert_eq!(unpack(0), None);
    }

    #[test]
    fn a_target_has_one_control_and_a_step_one_of_its_own() {
        let learnt = Learnt::default();
        assert!(!learnt.learn(key(36)), "nothing is wanted");
        learnt.want(Target::Mode, None);
        assert!(learnt.learn(key(36)));
        assert!(learnt.wanted().is_none() && learnt.knows(key(36)));
        learnt.want(Target::Mode, Some(3));
        learnt.learn(key(37));
        learnt.want(Target::Mode, None);
        learnt.learn(key(38));
        assert!(!learnt.knows(key(36)) && learnt.knows(key(37)) && learnt.knows(key(38)));
        learnt.forget(Target::Mode, Some(3));
        assert_eq!(learnt.bindings().count(), 1);
    }

    #[test]
    fn a_state_comes_back_and_nonsense_teaches_nothing() {
        let learnt = Learnt::default();
        learnt.want(Target::Density, None);
        learnt.learn(Control::Controller(Channel(0), 20));
        learnt.want(Target::Mode, Some(2));
        learnt.learn(key(40));
        learnt.put(Target::Density, 0.25);
        let other = Learnt::default();
        other.load(&learnt.text());
        assert_eq!(other.text(), learnt.text());
        assert_eq!(other.moved(Target::Density), Some(0.25));
        assert_eq!(other.bindings().count(), 2);
        let odd = r#"{"version":1,"learnt":[{"parameter":"tea","channel":0,"key":1},{"parameter":"mode","channel":16,"key":1},
            {"parameter":"mode","channel":1,"key":1,"controller":2}],"moved":{"density":7.0,"tea":0.1}}"#;
        for text in ["", "{", odd] {
            other.load(text);
            assert!(other.bindings().next().is_none() && other.moved(Target::Density).is_none(), "{text}");
        }
    }

    #[test]
    fn a_newer_state_is_kept_word_for_word() {
        let learnt = Learnt::default();
        for newer in [r#"{"version":2,"learnt":[],"more":1}"#, r#"{"version":2,"learnt":"a new kind"}"#] {
            learnt.load(newer);
            assert_eq!(learnt.text(), newer);
        }
    }
}
