//! What the host's project keeps beside the parameters: takes and learnt controls, a versioned JSON string each.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nice_plug::params::persist::PersistentField;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;
use crate::kept;
pub use crate::kept::{Asked, Take, TakeNote};
use crate::learnt::Learnt;
use crate::partner::PartnerStore;

/// Version that this plugin writes.
const VERSION: u32 = 1;

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
    /// Gives a take that is to be kept its name.
    pub fn name(&self, take: &mut Take) {
        take.name(&self.lock().takes);
    }

    /// Adds a take. `false` where the project will not have it: it was saved by a newer version, whose text is kept as it
    /// came.
    pub fn keep(&self, mut take: Take) -> bool {
        let mut inside = self.lock();
        take.name(&inside.takes);
        inside.takes.push(take);
        self.changed.store(true, Ordering::Relaxed);
        inside.newer.is_none()
    }

    /// Puts a take in the place of what it was before, if that is still there.
    pub fn replace(&self, take: Take) {
        if let Some(place) = self.lock().takes.iter_mut().find(|one| one.is(&take)) {
            *place = Take { muted: place.muted, ..take };
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

    /// Adds takes that a journal brought back, newest first, and gives back those that the project did not have, or not all
    /// of: oldest first. They are older than those of the project: where it has none, the newest of them plays.
    pub fn recover(&self, takes: &[Take]) -> Vec<Take> {
        let mut inside = self.lock();
        let kept = inside.takes.len();
        let mut grown = Vec::new();
        for take in takes.iter().rev() {
            match inside.takes.iter_mut().find(|one| one.is(take)) {
                None => {
                    let mut take = take.clone();
                    take.name(&inside.takes);
                    inside.takes.push(take);
                }
                // The project was saved while it came.
                Some(part) if part.notes.len() < take.notes.len() => {
                    part.notes.clone_from(&take.notes);
                    grown.push(part.clone());
                }
                Some(_) => {}
            }
        }
        let mut back = inside.takes.split_off(kept);
        inside.takes.splice(0..0, back.iter().cloned());
        drop(inside);
        back.extend(grown);
        self.changed.store(true, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
        back
    }

    /// Whether the project has a take of this name.
    pub fn has(&self, id: &str) -> bool {
        self.lock().takes.iter().any(|take| take.id == id)
    }

    /// All takes.
    pub fn takes(&self) -> Vec<Take> {
        self.lock().takes.clone()
    }

    /// The take that plays.
    pub fn sounding(&self) -> Option<Take> {
        kept::sounding(&self.lock().takes).cloned()
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
            Ok(saved) if saved.version <= VERSION => inside.takes = named(saved.takes),
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

/// With a name each: earlier versions gave none.
fn named(takes: Vec<Take>) -> Vec<Take> {
    takes.into_iter().fold(Vec::new(), |mut named, mut take| {
        take.name(&named);
        named.push(take);
        named
    })
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
        let named = Take { id: other.takes()[0].id.clone(), ..take() };
        assert!(other.takes() == [named] && other.takes() == store.takes());
        assert_eq!(other.generation(), 1);
        assert_eq!(other.text(), store.text());
    }

    /// As the first version with takes wrote it, and the one that knew how a take was asked for.
    const OLDER: [&str; 2] = [
        r#"{"version":1,"takes":[{"notes":[{"at":4.0,"len":1.0,"key":60,"velocity":90,"instrument":0,"channel":0}],"seed":3,"model":"default","muted":false},{"notes":[],"seed":3,"model":"file a.mid","muted":true}]}"#,
        r#"{"version":1,"takes":[{"notes":[{"at":4.0,"len":1.0,"key":60,"velocity":90,"instrument":0,"channel":0}],"seed":3,"model":"default","context":"0123456789abcdef","asked":{"mode":"Respond","bars":4,"tempo":120.0,"temperature":1.0,"top_p":0.95,"density":1.0},"muted":false},{"notes":[],"seed":3,"model":"file a.mid","muted":true}]}"#,
    ];

    #[test]
    fn takes_of_earlier_versions_get_names_that_stay() {
        for text in OLDER {
            let store = TakeStore::default();
            store.load(text);
            assert_eq!(store.message(), "");
            let takes = store.takes();
            let [first, second] = &takes[..] else { panic!("{takes:?}") };
            assert_eq!((first.notes.len(), first.seed, first.model.as_str()), (1, 3, "default"));
            assert!(second.muted && first.id.len() == 16 && second.id.len() == 16 && first.id != second.id);
            assert!(first.weights.is_empty() && first.around.is_empty() && first.after.is_empty());
            let again = TakeStore::default();
            again.load(text);
            assert_eq!(again.takes(), takes, "not saved since");
            again.load(&store.text());
            assert_eq!(again.takes(), takes, "saved since");
        }
    }

    #[test]
    fn what_a_journal_brings_back_is_there_once() {
        let store = TakeStore::default();
        store.keep(take());
        let kept = store.takes();
        // Of a version that gave no names, and one that stands in the project already.
        let back = store.recover(&[kept[0].clone(), Take { seed: 4, ..take() }, Take { seed: 5, ..take() }]);
        let seeds = |takes: &[Take]| takes.iter().map(|take| take.seed).collect::<Vec<_>>();
        assert_eq!((seeds(&back), seeds(&store.takes())), (vec![5, 4], vec![5, 4, 3]));
        assert!(back.iter().all(|take| store.has(&take.id) && take.id != kept[0].id));
    }

    #[test]
    fn a_take_that_grows_keeps_its_name_and_its_silence() {
        let store = TakeStore::default();
        store.load(OLDER[0]);
        let second = store.takes().remove(1);
        let notes = take().notes;
        store.replace(Take { notes: notes.clone(), muted: false, ..second.clone() });
        assert_eq!(store.takes()[1], Take { notes, ..second });
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
    fn a_take_that_grew_after_the_project_was_saved_comes_back_whole() {
        let store = TakeStore::default();
        store.keep(Take { muted: true, ..take() });
        let part = store.takes().remove(0);
        let whole = Take { notes: [&part.notes[..], &part.notes[..]].concat(), muted: false, ..part.clone() };
        let back = store.recover(std::slice::from_ref(&whole));
        assert_eq!(store.takes(), [Take { muted: true, ..whole }]);
        assert_eq!(back, store.takes());
        assert_eq!(store.recover(&[part]), []);
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
