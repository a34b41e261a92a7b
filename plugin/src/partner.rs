//! Who the partner is to be: which model answers, and whether it does so on another machine. The project keeps it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Version that this plugin writes.
const VERSION: u32 = 1;

/// What the player chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Partner {
    /// A model of this machine: a path, or a name as `continuo models list` shows it; empty for the one in the box.
    pub model: String,
    /// Address of a service that answers instead (`http://host:2011`), or empty.
    pub address: String,
    /// Whether the model here answers while the service does not.
    pub falls_back: bool,
}

impl Default for Partner {
    fn default() -> Self {
        Self { model: String::new(), address: String::new(), falls_back: true }
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    #[serde(flatten)]
    partner: Partner,
}

/// The choice, shared by the project's state, the editor and the worker; the audio thread never comes near.
#[derive(Default)]
pub struct PartnerStore {
    inside: Mutex<Inside>,
    /// Counts changes, so that the worker notices one.
    generation: AtomicU32,
}

#[derive(Default)]
struct Inside {
    partner: Partner,
    /// The text of a newer version, kept as it came until the player chooses anew.
    newer: Option<String>,
}

impl PartnerStore {
    /// What is chosen.
    pub fn partner(&self) -> Partner {
        self.lock().partner.clone()
    }

    /// Chooses.
    pub fn choose(&self, partner: Partner) {
        *self.lock() = Inside { partner, newer: None };
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The same as before, but to be looked at again: a service was allowed, or a file is there by now.
    pub fn again(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// How often it was chosen.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// The text that a project keeps.
    pub fn text(&self) -> String {
        let inside = self.lock();
        let saved = Saved { version: VERSION, partner: inside.partner.clone() };
        inside.newer.clone().unwrap_or_else(|| serde_json::to_string(&saved).unwrap_or_default())
    }

    /// Takes in the text of a project. Of what is newer as much as can be read counts, and it is kept; what is damaged
    /// chooses the model in the box.
    pub fn load(&self, text: &str) {
        let saved = serde_json::from_str::<Saved>(text).ok();
        let newer = saved.as_ref().is_some_and(|saved| saved.version > VERSION).then(|| text.to_owned());
        *self.lock() = Inside { partner: saved.map(|saved| saved.partner).unwrap_or_default(), newer };
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_comes_back_and_what_is_newer_is_kept() {
        let store = PartnerStore::default();
        let partner =
            Partner { model: "small".into(), address: "http://127.0.0.1:2011".into(), falls_back: false };
        store.choose(partner.clone());
        let other = PartnerStore::default();
        other.load(&store.text());
        assert_eq!((other.partner(), other.generation()), (partner, 1));
        let newer = r#"{"version":7,"model":"large","band":3}"#;
        other.load(newer);
        assert_eq!((other.partner().model.as_str(), other.text().as_str()), ("large", newer));
        other.load("{\"version\":1,");
        assert_eq!(other.partner(), Partner::default());
    }
}
