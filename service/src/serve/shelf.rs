//! The models of this machine, loaded when they are first asked for.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::sleep;
use std::time::Duration;

use continuo_inference::device::Place as Device;
use continuo_inference::{Engine, Model, parts};
use continuo_remote::wire::ModelSize;
use serde_json::json;

use super::failure::Failure;
use super::life::{LOOK, Life};
use crate::models;

/// Models by the name that requests have for them.
pub struct Shelf {
    /// Of `--model`: answers where no size is asked for, or the size is not here.
    own: Option<String>,
    strict: bool,
    /// Most bytes of a model's weights, if it is said; else what the system has free.
    memory: Option<u64>,
    /// A place for each model that was asked for. Held only to find one, never while a model is loaded.
    places: Mutex<HashMap<&'static str, Arc<Place>>>,
    /// The model that was last wanted exact, by the same name: embeddings are compared with those of others.
    exact: Mutex<Option<(&'static str, Arc<Model>)>>,
}

/// Where a model stands once it is loaded.
#[derive(Default)]
struct Place {
    engine: OnceLock<Arc<Engine>>,
    /// Held while it is loaded: those who want the same wait for it, and nobody else does.
    loading: Mutex<()>,
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
        Self { own, strict, memory, places: Mutex::default(), exact: Mutex::default() }
    }

    /// Whether the model of `--model`, or the built-in one, may answer.
    pub fn has_own(&self) -> bool {
        self.own.is_some() || !self.strict
    }

    /// The model for a request. Loads it if need be, so it may take seconds; who waits for another's loading is called
    /// off with its life.
    pub fn choose(&self, asked: Option<ModelSize>, life: &Life) -> Result<Chosen, Failure> {
        let wanted = asked.unwrap_or(ModelSize::Small);
        if (asked.is_some() || self.own.is_none()) && installed(wanted) {
            return self.chosen(wanted.name(), None, life);
        }
        let best = ModelSize::ALL.into_iter().rev().find(|size| self.own.is_none() && installed(*size));
        // To be strict is to answer no size with another; where none is asked for, any that is here is right.
        let answers = if asked.is_some() { !self.strict } else { best.is_some() || self.has_own() };
        if !answers {
            return Err(absent(wanted));
        }
        let name = best.map_or(OWN, ModelSize::name);
        let warning = asked.map(|size| {
            format!(
                "model_size {} is not installed and {name} answered instead; {}",
                size.name(),
                remedy(size)
            )
        });
        self.chosen(name, warning, life)
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

    /// How long models have computed, by what they compute on.
    pub fn busy(&self) -> BTreeMap<&'static str, Duration> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = BTreeMap::from([("cpu", Duration::ZERO)]);
        for engine in places.values().filter_map(|place| place.engine.get()) {
            let own = Duration::from_micros(engine.work().busy.load(Ordering::Relaxed));
            *busy.entry(device(engine.model())).or_default() += own;
        }
        busy
    }

    fn chosen(&self, size: &'static str, warning: Option<String>, life: &Life) -> Result<Chosen, Failure> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Arc::clone(places.entry(size).or_default());
        drop(places);
        let _alone = held(&place.loading, life)?;
        let engine = match place.engine.get() {
            Some(engine) => Arc::clone(engine),
            None => {
                let engine = Engine::shared(self.load(size, models::load_to_play)?);
                Arc::clone(place.engine.get_or_init(|| engine))
            }
        };
        Ok(Chosen { engine, size, warning })
    }

    /// The weights of a chosen model as its file has them. Loads them if need be.
    pub fn exact(&self, chosen: &Chosen, life: &Life) -> Result<Arc<Model>, Failure> {
        if chosen.size == OWN && self.own.as_deref().is_none_or(|own| own == OWN) {
            return Ok(Arc::clone(chosen.engine.model())); // the built-in one is played as it is
        }
        let mut exact = held(&self.exact, life)?;
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

/// What a model computes on.
fn device(model: &Model) -> &'static str {
    match Device::wanted() {
        // Weights in small whole numbers are those of the processor's own kernels.
        _ if model.sizes().is_some() => "cpu",
        Device::Processor | Device::Tensors => "cpu",
        Device::Metal => "metal",
        Device::Best if cfg!(feature = "metal") && !cfg!(feature = "cuda") => "metal",
        Device::Cuda | Device::Best => "cuda",
    }
}

/// Where models compute, in words.
pub fn place() -> &'static str {
    match Device::wanted() {
        Device::Cuda => "the graphics processor of NVIDIA, or on the processor where there is none",
        Device::Metal => "the graphics processor of this Mac, or on the processor where there is none",
        Device::Best if cfg!(feature = "cuda") || cfg!(feature = "metal") => {
            "a graphics processor if there is one, else on the processor"
        }
        _ => "the processor",
    }
}

/// Waits for a lock as long as the life lasts.
fn held<'a, T>(lock: &'a Mutex<T>, life: &Life) -> Result<MutexGuard<'a, T>, Failure> {
    loop {
        life.check()?;
        match lock.try_lock() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(broken)) => return Ok(broken.into_inner()),
            Err(TryLockError::WouldBlock) => sleep(LOOK),
        }
    }
}

/// Bytes of the files that a model is read from; none where they are not whole, which loading it tells.
fn weights(path: &Path) -> u64 {
    let of = |path: &Path| path.metadata().map_or(0, |there| there.len());
    if path.is_dir() {
        parts(path).map_or(0, |names| names.iter().map(|name| of(&path.join(name))).sum())
    } else {
        of(path)
    }
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
