//! The service that answers instead of the model here: one connection for all instances of the process that name it.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use continuo_remote::{Client, Remote, State};

use super::maker::Maker;
use crate::services;
use crate::view::ServiceState;

/// How long a service that was too slow is not asked: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Address and token.
type Place = (String, String);

static SERVICES: Mutex<Vec<(Place, Weak<Remote>)>> = Mutex::new(Vec::new());

/// What the project's address leads to.
pub enum Service {
    /// It names none.
    None,
    /// One that may not be asked, and why.
    Refused(ServiceState),
    /// One that may.
    Known(Arc<Remote>),
}

impl Service {
    /// The service at an address.
    pub fn at(address: &str) -> Self {
        let address = address.trim();
        if address.is_empty() {
            return Self::None;
        }
        let Some(known) = services::known(address) else {
            return Self::Refused(ServiceState::Stranger(address.into()));
        };
        match shared(address, &known.token) {
            Ok(remote) => Self::Known(remote),
            Err(why) => Self::Refused(ServiceState::Gone { why, falls_back: true }),
        }
    }
}

fn shared(address: &str, token: &str) -> Result<Arc<Remote>, String> {
    let mut all = SERVICES.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|(_, remote)| remote.strong_count() > 0);
    let place = (address.to_owned(), token.to_owned());
    if let Some(remote) = all.iter().find(|one| one.0 == place).and_then(|one| one.1.upgrade()) {
        return Ok(remote);
    }
    let client = Client::new(address, Some(token).filter(|token| !token.is_empty()));
    let remote = Arc::new(Remote::new(client.map_err(|error| error.to_string())?));
    all.push((place, Arc::downgrade(&remote)));
    Ok(remote)
}

/// A service, and whether it may be asked now.
pub struct There {
    service: Service,
    /// Until when it is not asked, since it was too slow, and for how long next time.
    pause: (Option<Instant>, Duration),
}

impl There {
    /// The service at an address, if the address names one.
    pub fn new(address: &str) -> Self {
        Self { service: Service::at(address), pause: (None, PAUSE.0) }
    }

    /// Whether a service is to answer.
    pub fn is_wanted(&self) -> bool {
        !matches!(self.service, Service::None)
    }

    /// It, if it can be asked now.
    pub fn maker(&self) -> Option<Maker> {
        match &self.service {
            Service::Known(remote) if !self.rests() => Maker::of_service(remote),
            _ => None,
        }
    }

    fn rests(&self) -> bool {
        self.pause.0.is_some_and(|until| Instant::now() < until)
    }

    /// It was too slow, and is not asked for a while.
    pub fn was_slow(&mut self) {
        let (_, pause) = self.pause;
        self.pause = (Some(Instant::now() + pause), (pause * 2).min(PAUSE.1));
    }

    /// It answered in time.
    pub fn was_quick(&mut self) {
        self.pause.1 = PAUSE.0;
    }

    /// Whether it is not known yet whether it is there.
    pub fn is_connecting(&self) -> bool {
        matches!(&self.service, Service::Known(remote) if remote.state() == State::Connecting)
    }

    /// In words for the editor.
    pub fn state(&self, falls_back: bool) -> ServiceState {
        match &self.service {
            Service::None => ServiceState::None,
            Service::Refused(ServiceState::Gone { why, .. }) => {
                ServiceState::Gone { why: why.clone(), falls_back }
            }
            Service::Refused(state) => state.clone(),
            Service::Known(remote) => {
                let address = remote.address().to_owned();
                match remote.state() {
                    State::Connecting => ServiceState::Connecting(address),
                    State::Ready { .. } if self.rests() => ServiceState::Slow { address },
                    State::Ready { model, .. } => ServiceState::Answers { address, model },
                    State::Away { why } => ServiceState::Gone { why, falls_back },
                }
            }
        }
    }
}
