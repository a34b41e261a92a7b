//! The models of this machine, loaded when they are first asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use continuo_inference::{Engine, Model, library};
use continuo_remote::wire::ModelSize;
use serde_json::json;

use super::failure::Failure;
use crate::models;

/// Models by the name that requests have for them.
pub struct Shelf {
    /// Of `--model`: answers where no size is asked for, or the size is not here.
    own: Option<String>,
    strict: bool,
    /// Most bytes of a model's weights, if it is said; else what the system has free.
    memory: Option<u64>,
    engines: Mutex<HashMap<&'static str, Arc<Engine>>>,
    /// The model that was last wanted exact, by the same name: embeddings are compared with those of others.
    exact: Mutex<Option<(&'static str, Arc<Model>)>>,
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

/// How a model of that name is loaded.
type Load = fn(Option<&str>) -> anyhow::Result<Arc<Model>>;

/// The name of the built-in model, or that of `--model`.
const OWN: &str = "default";

impl Shelf {
    /// `own` is the model of `--model`; `strict` refuses sizes that are not here; a model of more than `memory`
    /// bytes is refused before it is read.
    pub fn new(own: Option<String>, strict: bool, memory: Option<u64>) -> Self {
        Self { own, strict, memory, engines: Mutex::default(), exact: Mutex::default() }
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

    /// Refuses a model that is larger than memory.
    fn fits(&self, name: Option<&str>) -> Result<(), Failure> {
        let Some(path) = name.and_then(|name| models::resolve(name).ok()) else { return Ok(()) };
        let (needed, most) = (weights(&path), self.memory.or_else(free));
        let Some(most) = most.filter(|most| needed > *most) else { return Ok(()) };
        let text = format!(
            "the model at {} has {needed} bytes of weights, and {most} are allowed or free (--memory)",
            path.display()
        );
        Err(Failure::unavailable(text)
            .with(json!({ "needed_bytes": needed, "available_bytes": most }))
            .suggest("ask for a smaller model_size, or make room"))
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
        let engine = Engine::shared(self.load(size, models::load_to_play)?);
        engines.insert(size, Arc::clone(&engine));
        Ok(Chosen { engine, size, warning })
    }

    /// The weights of a chosen model as its file has them. Loads them if need be.
    pub fn exact(&self, chosen: &Chosen) -> Result<Arc<Model>, Failure> {
        let mut exact = self.exact.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, model)) = exact.as_ref().filter(|(size, _)| *size == chosen.size) {
            return Ok(Arc::clone(model));
        }
        *exact = None; // room for the other
        let model = self.load(chosen.size, models::load)?;
        Ok(Arc::clone(&exact.insert((chosen.size, model)).1))
    }

    fn load(&self, size: &str, load: Load) -> Result<Arc<Model>, Failure> {
        let name = match ModelSize::ALL.into_iter().find(|one| one.name() == size) {
            Some(one) => names(one).into_iter().find(|name| models::resolve(name).is_ok()),
            None => self.own.clone(),
        };
        self.fits(name.as_deref())?;
        load(name.as_deref())
            .map_err(|error| Failure::unavailable(format!("the model {size} cannot be loaded: {error:#}")))
    }
}

/// Bytes of the weights of a model.
fn weights(path: &Path) -> u64 {
    let of = |path: &Path| path.metadata().map_or(0, |there| there.len());
    let heavy = |path: &PathBuf| {
        path.extension().is_some_and(|kind| ["safetensors", "bin"].iter().any(|one| kind == *one))
    };
    let inside = library::children(path).into_iter().filter(heavy).map(|path| of(&path)).sum();
    if path.is_dir() { inside } else { of(path) }
}

/// What the system can give, in bytes, where it tells.
fn free() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
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
