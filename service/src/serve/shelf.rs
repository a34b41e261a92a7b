//! The models of this machine, loaded when they are first asked for.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use continuo_inference::Engine;
use continuo_remote::wire::ModelSize;
use serde_json::json;

use super::failure::Failure;
use crate::models;

/// Models by the name that requests have for them.
pub struct Shelf {
    /// Of `--model`: answers where no size is asked for, or the size is not here.
    own: Option<String>,
    strict: bool,
    engines: Mutex<HashMap<&'static str, Arc<Engine>>>,
}

/// The model that answers.
pub struct Chosen {
    /// It.
    pub engine: Arc<Engine>,
    /// Its name on the wire.
    pub size: &'static str,
    /// What the caller should know.
    pub warning: Option<String>,
}

/// The name of the built-in model, or that of `--model`.
const OWN: &str = "default";

impl Shelf {
    /// `own` is the model of `--model`; `strict` refuses sizes that are not here.
    pub fn new(own: Option<String>, strict: bool) -> Self {
        Self { own, strict, engines: Mutex::default() }
    }

    /// Whether only the size that was asked for may answer.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// The model for a request. Loads it if need be, so it may take seconds.
    pub fn choose(&self, asked: Option<ModelSize>) -> Result<Chosen, Failure> {
        let wanted = asked.unwrap_or(ModelSize::Small);
        if (asked.is_some() || self.own.is_none()) && installed(wanted) {
            return self.chosen(wanted.name(), None);
        }
        if self.strict {
            return Err(absent(wanted));
        }
        let best = ModelSize::ALL.into_iter().rev().find(|size| self.own.is_none() && installed(*size));
        let name = best.map_or(OWN, ModelSize::name);
        let warning = asked.map(|size| {
            format!(
                "model_size {} is not installed and {name} answered instead; {}",
                size.name(),
                remedy(size)
            )
        });
        self.chosen(name, warning)
    }

    /// How long all models have computed.
    pub fn busy(&self) -> Duration {
        let engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = engines.values().map(|engine| engine.work().busy.load(Ordering::Relaxed)).sum();
        Duration::from_micros(micros)
    }

    fn chosen(&self, size: &'static str, warning: Option<String>) -> Result<Chosen, Failure> {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = engines.get(size) {
            return Ok(Chosen { engine: Arc::clone(engine), size, warning });
        }
        let name = match ModelSize::ALL.into_iter().find(|one| one.name() == size) {
            Some(one) => names(one).into_iter().find(|name| models::resolve(name).is_ok()),
            None => self.own.clone(),
        };
        let model = models::load(name.as_deref())
            .map_err(|error| Failure::unavailable(format!("the model {size} cannot be loaded: {error:#}")))?;
        let engine = Engine::shared(model);
        engines.insert(size, Arc::clone(&engine));
        Ok(Chosen { engine, size, warning })
    }
}

/// Names under which a size may lie on this machine.
fn names(size: ModelSize) -> [String; 2] {
    let short = format!("music-{}-800k", size.name());
    [format!("stanford-crfm/{short}"), short]
}

/// Whether a size is on this machine.
pub fn installed(size: ModelSize) -> bool {
    names(size).iter().any(|name| models::resolve(name).is_ok())
}

/// How to install a size.
pub fn remedy(size: ModelSize) -> String {
    format!("install it with `continuo models fetch {}`", size.name())
}

fn absent(size: ModelSize) -> Failure {
    let folder = models::folder().join(format!("music-{}-800k", size.name()));
    Failure::unavailable(format!("model_size {} is not installed", size.name()))
        .with(json!({ "model_size": size.name(), "path": folder }))
        .suggest(remedy(size))
        .suggest(format!("or put config.json and model.safetensors into {}", folder.display()))
}
