//! What the host's project keeps beside the parameters: takes and learnt controls, a versioned JSON string each.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use continuo_timeline::{Beats, Channel, Instrument, Key, Note, Velocity};
use nice_plug::params::persist::PersistentField;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;
use crate::learnt::Learnt;
use crate::partner::PartnerStore;

/// Version that this plugin writes.
const VERSION: u32 = 1;

/// A note of a take, in song positions (quarter notes).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // named for what they are
pub struct TakeNote {
    pub at: f64,
    pub len: f64,
    pub key: u8,
    pub velocity: u8,
    pub instrument: u8,
    pub channel: u8,
}

impl TakeNote {
    /// The same as a note at its song position, whatever the file said.
    pub fn note(&self) -> Note {
        Note {
            at: Beats(self.at),
            len: Beats(self.len),
            key: Key(self.key & 127),
            velocity: Velocity(self.velocity.clamp(1, 127)),
            instrument: Instrument(self.instrument.min(128)),
            channel: Channel(self.channel & 15),
        }
    }
}

/// An answer that the player kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Take {
    /// Its notes.
    pub notes: Vec<TakeNote>,
    /// The seed that it was drawn with.
    #[serde(default)]
    pub seed: u32,
    /// Name of the model, or of the file that it came from.
    #[serde(default)]
    pub model: String,
    /// What it answers: 16 hexadecimal digits that are the same where the same was played before it. Empty where nobody
    /// knows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// How it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Whether it is silent.
    #[serde(default)]
    pub muted: bool,
}

/// What an answer was asked for with; of older takes nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// What the plugin did: "Respond".
    pub mode: String,
    /// Length in bars.
    pub bars: u8,
    /// Quarter notes a minute.
    pub tempo: f64,
    /// Softmax temperature.
    pub temperature: f32,
    /// Nucleus mass.
    pub top_p: f32,
    /// Wanted notes a beat, relative to what was played.
    pub density: f32,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    #[serde(default)]
    takes: Vec<Take>,
}

/// The takes, shared by the project's state and the worker; the audio thread never comes near.
pub struct TakeStore {
    inside: Mutex<Inside>,
    /// Counts loads, so that the worker notices one.
    generation: AtomicU32,
    /// Whether something was added that the host does not know of.
    changed: AtomicBool,
    /// It ends with the instance: an audio thread or worker that is made anew ends nothing.
    journal: Mutex<Journal>,
}

#[derive(Default)]
struct Inside {
    takes: Vec<Take>,
    /// The text of a newer version, kept as it came.
    newer: Option<String>,
    message: String,
    /// A file that is to become a take.
    wanted: Option<PathBuf>,
}

impl Default for TakeStore {
    fn default() -> Self {
        Self {
            inside: Mutex::default(),
            generation: AtomicU32::new(0),
            changed: AtomicBool::new(false),
            journal: Mutex::new(Journal::new()),
        }
    }
}

impl TakeStore {
    /// Adds a take. `false` where the project will not have it: it was saved by a newer version, whose text is kept as it
    /// came.
    pub fn keep(&self, take: Take) -> bool {
        let mut inside = self.lock();
        inside.takes.push(take);
        self.changed.store(true, Ordering::Relaxed);
        inside.newer.is_none()
    }

    /// Puts a take in the place of another, if that is still there.
    pub fn replace(&self, before: &Take, take: Take) {
        if let Some(place) = self.lock().takes.iter_mut().rev().find(|one| *one == before) {
            *place = take;
            self.changed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether something was added since this was asked last: hosts notice changed parameters alone.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// What is written down of this instance.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A MIDI file is to become a take: the worker reads it.
    pub fn want(&self, file: PathBuf) {
        self.lock().wanted = Some(file);
    }

    /// The file that is to become a take, once.
    pub fn take_wanted(&self) -> Option<PathBuf> {
        self.lock().wanted.take()
    }

    /// Adds takes that a journal brought back, newest first. They are older than those of the project: where it has none,
    /// the newest of them plays.
    pub fn recover(&self, takes: &[Take]) {
        self.lock().takes.splice(0..0, takes.iter().rev().cloned());
        self.changed.store(true, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// All takes.
    pub fn takes(&self) -> Vec<Take> {
        self.lock().takes.clone()
    }

    /// How often a state was loaded.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// What went wrong with the state that was loaded last, or nothing.
    pub fn message(&self) -> String {
        self.lock().message.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text that a project keeps.
    pub fn text(&self) -> String {
        let inside = self.lock();
        if let Some(newer) = &inside.newer {
            return newer.clone();
        }
        let saved = Saved { version: VERSION, takes: inside.takes.clone() };
        serde_json::to_string(&saved).unwrap_or_default()
    }

    /// Takes in the text of a project. What is newer is kept as it is; what is damaged gives no takes and a
    /// message.
    pub fn load(&self, text: &str) {
        let mut inside = self.lock();
        *inside = Inside::default();
        match serde_json::from_str::<Saved>(text) {
            Ok(saved) if saved.version <= VERSION => inside.takes = saved.takes,
            Ok(_) => inside.newer = Some(text.to_owned()),
            Err(_) if version(text).is_some_and(|version| version > u64::from(VERSION)) => {
                inside.newer = Some(text.to_owned());
            }
            Err(_) if text.is_empty() => {}
            Err(error) => {
                inside.message =
                    format!("The takes in this project could not be read ({error}); it starts without.");
            }
        }
        if inside.newer.is_some() {
            inside.message =
                "This project was saved by a newer Continuo: its takes are kept, and play after an update."
                    .into();
        }
        drop(inside);
        self.changed.store(false, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
    }
}

fn version(text: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(text).ok()?.get("version")?.as_u64()
}

/// What a store holds, as text that the framework persists.
macro_rules! persisted {
    ($(#[$meaning:meta])* $name:ident, $store:ty) => {
        $(#[$meaning])*
        pub struct $name(pub Arc<$store>);

        impl PersistentField<'_, String> for $name {
            fn set(&self, text: String) {
                self.0.load(&text);
            }

            fn map<F, R>(&self, f: F) -> R
            where
                F: Fn(&String) -> R,
            {
                f(&self.0.text())
            }
        }
    };
}

persisted!(
    /// The takes as the framework persists them.
    Persisted,
    TakeStore
);
persisted!(
    /// Learnt controls as the framework persists them.
    PersistedControls,
    Learnt
);
persisted!(
    /// The choice as the framework persists it.
    PersistedPartner,
    PartnerStore
);

#[cfg(test)]
mod tests {
    use super::*;

    fn take() -> Take {
        let note = TakeNote { at: 4.0, len: 1.0, key: 60, velocity: 90, instrument: 0, channel: 0 };
        Take { notes: vec![note], seed: 3, model: "default".into(), ..Take::default() }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let store = TakeStore::default();
        store.keep(take());
        let other = TakeStore::default();
        other.load(&store.text());
        assert_eq!(other.takes(), [take()]);
        assert_eq!(other.generation(), 1);
    }

    #[test]
    fn what_was_added_is_told_once() {
        let store = TakeStore::default();
        assert!(!store.take_changed());
        store.keep(take());
        assert!(store.take_changed() && !store.take_changed());
        store.recover(&[take()]);
        assert!(store.take_changed() && !store.take_changed());
        store.keep(take());
        store.load("");
        assert!(!store.take_changed(), "what was loaded is what the project keeps");
    }

    #[test]
    fn a_newer_state_is_kept_word_for_word() {
        for text in [r#"{"version":9,"takes":[],"more":1}"#, r#"{"version":9,"takes":"a new kind"}"#] {
            let store = TakeStore::default();
            store.load(text);
            assert_eq!(store.text(), text);
            assert!(store.message().contains("newer"), "{}", store.message());
        }
    }

    #[test]
    fn a_damaged_state_gives_none_and_says_so() {
        let store = TakeStore::default();
        store.keep(take());
        store.load("{\"version\":1,\"takes\":[{]");
        assert!(store.takes().is_empty() && store.message().contains("could not be read"));
    }
}
