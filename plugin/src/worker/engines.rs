//! Who answers: the service that the project names, or a model here. A model is loaded on a thread of its own, and the one
//! before it goes on until it is there.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use continuo_inference::Engine;
use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::maker::Maker;
use super::service::There;
use crate::models::{self, Loaded};
use crate::partner::{Partner, PartnerStore};
use crate::view::{ModelState, ServiceState};

/// How long a render waits for a service to say whether it is there.
const CONNECTS: Duration = Duration::from_secs(5);
/// How long what is played waits for the first model; the ring has room for more.
const BEGINS: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

/// The model here, the service there, and how both stand.
pub struct Engines {
    store: Arc<PartnerStore>,
    /// Which choice was followed last.
    generation: Option<u32>,
    partner: Partner,
    here: Option<Arc<Engine>>,
    /// The name that `here` was loaded for, and what is wrong with it.
    stands_for: Option<(String, Option<String>)>,
    loading: Option<Loading>,
    failed: Option<String>,
    there: There,
    /// What was told last.
    told: Option<Standing>,
    /// Who answers in place of all others.
    #[cfg(test)]
    pub pretended: Option<Maker>,
}

/// How the model and the service stand.
pub type Standing = (ModelState, ServiceState);

/// A model on its way.
struct Loading {
    name: String,
    began: Instant,
    comes: Receiver<Loaded>,
    thread: Option<JoinHandle<()>>,
}

impl Engines {
    /// Nobody yet.
    pub fn new(store: Arc<PartnerStore>) -> Self {
        Self {
            store,
            generation: None,
            partner: Partner::default(),
            here: None,
            stands_for: None,
            loading: None,
            failed: None,
            there: There::new(""),
            told: None,
            #[cfg(test)]
            pretended: None,
        }
    }

    /// Takes in what was chosen and what came; how all stands, if that is news.
    pub fn follow(&mut self) -> Option<Standing> {
        #[cfg(test)]
        if self.pretended.is_some() {
            return None;
        }
        self.choose();
        self.take_loaded(false);
        let standing = (self.model_state(), self.there.state(self.partner.falls_back));
        (self.told.as_ref() != Some(&standing)).then(|| self.told.insert(standing).clone())
    }

    fn choose(&mut self) {
        let generation = Some(self.store.generation());
        if self.generation != generation {
            self.generation = generation;
            let partner = self.store.partner();
            self.there = There::new(&partner.address);
            self.partner = partner;
            // A file that was not there may be by now.
            self.stands_for.take_if(|(_, wrong)| wrong.is_some());
            self.failed = None;
        }
        let wanted = self.partner.model.trim();
        let stands = self.stands_for.as_ref().is_some_and(|(name, _)| name == wanted);
        if self.needs_a_model() && !stands && self.loading.is_none() && self.failed.is_none() {
            self.loading = Some(Loading::start(wanted.to_owned()));
        }
    }

    /// Whether a model here may have to answer.
    fn needs_a_model(&self) -> bool {
        !self.there.is_wanted() || self.partner.falls_back
    }

    fn take_loaded(&mut self, wait: bool) {
        let Some(loading) = &self.loading else { return };
        let defect = || "the model could not be loaded: a defect, please report it".to_owned();
        let loaded = match wait {
            true => loading.comes.recv().map_err(|_| defect()),
            false => match loading.comes.try_recv() {
                Ok(loaded) => Ok(loaded),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => Err(defect()),
            },
        };
        let name = self.loading.take().map(Loading::end).unwrap_or_default();
        match loaded.and_then(|loaded| loaded.model.map(|model| (model, loaded.instead))) {
            Ok((model, wrong)) => {
                self.here = Some(Engine::shared(model));
                self.stands_for = Some((name, wrong));
            }
            Err(why) => self.failed = Some(why),
        }
    }

    /// Whether nobody can answer yet, and somebody soon will: what is played meanwhile can wait.
    pub fn is_about_to_begin(&self) -> bool {
        let soon = self.loading.as_ref().is_some_and(|loading| loading.began.elapsed() < BEGINS);
        soon && self.here.is_none() && self.there.maker().is_none()
    }

    /// Where the host waits: until the model is there, and it is known whether the service is.
    pub fn settle(&mut self) {
        #[cfg(test)]
        if self.pretended.is_some() {
            return;
        }
        self.choose();
        // Another may have been chosen while one was loaded.
        while self.loading.is_some() {
            self.take_loaded(true);
            self.choose();
        }
        let began = Instant::now();
        while self.there.is_connecting() && began.elapsed() < CONNECTS {
            std::thread::sleep(LOOK);
        }
    }

    /// Who is asked now.
    pub fn maker(&self) -> Option<Maker> {
        #[cfg(test)]
        if self.pretended.is_some() {
            return self.pretended.clone();
        }
        self.there.maker().or_else(|| self.stand_in())
    }

    /// Who answers where a service does not.
    pub fn stand_in(&self) -> Option<Maker> {
        self.here.clone().filter(|_| self.needs_a_model()).map(Maker::Here)
    }

    /// The service was too slow.
    pub fn was_slow(&mut self) {
        self.there.was_slow();
    }

    /// The service answered in time.
    pub fn was_quick(&mut self) {
        self.there.was_quick();
    }

    fn model_state(&self) -> ModelState {
        let now = self.here.as_ref().map(|engine| engine.model().name().to_owned());
        let wrong = self.stands_for.as_ref().and_then(|(_, wrong)| wrong.clone());
        match (now, &self.loading, &self.failed) {
            _ if !self.needs_a_model() => ModelState::Unused,
            (Some(now), Some(loading), _) => ModelState::Replacing { now, by: loading.called() },
            (None, Some(_), _) => ModelState::Loading,
            (Some(now), None, _) => match wrong {
                Some(why) => ModelState::Instead { now, why },
                None => ModelState::Ready(now),
            },
            (None, None, Some(why)) => ModelState::Failed(why.clone()),
            (None, None, None) => ModelState::Loading,
        }
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        // A host may unload the plugin's code as soon as its instances are gone.
        let _ = self.loading.take().map(Loading::end);
    }
}

impl Loading {
    fn start(name: String) -> Self {
        let (say, comes) = bounded(1);
        let wanted = name.clone();
        let load = move || {
            // Who chose it may be gone by now.
            let _ = say.send(models::load(&wanted));
        };
        let thread = std::thread::Builder::new().name("continuo-load".into()).spawn(load).ok();
        Self { name, began: Instant::now(), comes, thread }
    }

    fn called(&self) -> String {
        if self.name.is_empty() { "default".into() } else { self.name.clone() }
    }

    fn end(mut self) -> String {
        if let Some(thread) = self.thread.take() {
            // A panic there was told as a defect.
            let _ = thread.join();
        }
        self.name
    }
}
