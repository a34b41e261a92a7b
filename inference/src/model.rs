//! A GPT-2: weights that never change, and steps of it over a cache.
//!
//! The same weights stand in one of three ways: exact ([`crate::plain`], f32), as they are played
//! ([`crate::quick`], small whole numbers on all processors), or on a graphics processor ([`crate::reference`]).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;
use crate::checkpoint::{Checkpoint, Config};
use crate::device::Place;
use crate::files::Files;
use crate::kernel::{Bits, Kernel};
use crate::plain::{Plain, PlainCache};
use crate::quick::{Kv, MOST_DECODED, Part, Quick, Source};
use crate::reference::{self, Reference};
use crate::shelf::{self, Identity, Shelf};

/// What a tick of the model's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFrame {
    /// A share of a quarter note.
    Beats {
        /// Ticks in a quarter note.
        ticks_per_beat: u32,
    },
    /// 10 ms.
    Seconds,
}

/// How weights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As they are: what the reference computes, to a few units in the last place.
    Exact,
    /// As int8, with the kernel and the threads that suit this machine: what players hear. The weights between the
    /// embeddings as int4 if the variable `CONTINUO_BITS` is 4: faster where memory is slow, and less exact.
    Quick,
    /// As a graphics processor has it, where there is one; else as [`Self::Quick`], and [`Model::instead`] says why.
    On(Place),
    /// With this kernel, so many threads, and so many bits between the embeddings.
    With(Kernel, usize, Bits),
}

/// Weights of one model. Immutable, shared by all sessions.
pub struct Model {
    name: String,
    frame: TimeFrame,
    config: Config,
    rows: usize,
    weights: Weights,
    computed: AtomicU64,
    /// Why it is not computed where it was wanted.
    instead: Option<String>,
    identity: Option<Identity>,
}

/// What a model is read from, beside its tensors.
struct Origin<'a> {
    /// Its name, if its config has none.
    name: String,
    identity: Option<Identity>,
    /// Where its small weights are kept.
    shelf: Option<(&'a Shelf, &'a Files)>,
}

enum Weights {
    Plain(Box<Plain>),
    Quick(Box<Quick>),
    Device(Box<Reference>),
}

impl From<Quick> for Weights {
    fn from(quick: Quick) -> Self {
        Self::Quick(Box::new(quick))
    }
}

/// Keys and values of the tokens so far; made once, never grown.
pub struct Cache(Store);

enum Store {
    Plain(PlainCache),
    Quick(Kv),
    Device(reference::Cache),
    /// The device had no room; nothing can be put in here.
    None,
}

/// Tokens for one cache of several: see [`Model::feed_all`].
pub struct Feed<'a> {
    /// Its cache.
    pub cache: &'a mut Cache,
    /// What is put behind it.
    pub ids: &'a [u32],
}

impl Cache {
    /// Tokens in it.
    pub fn len(&self) -> usize {
        match &self.0 {
            Store::Plain(cache) => cache.len,
            Store::Quick(kv) => kv.len,
            Store::Device(cache) => cache.len,
            Store::None => 0,
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            Store::Plain(cache) => cache.len = len.min(cache.len),
            Store::Quick(kv) => kv.truncate(len),
            Store::Device(cache) => cache.len = len.min(cache.len),
            Store::None => {}
        }
    }

    /// Another that holds the same tokens. What both hold costs its memory, and its reading where both are stepped
    /// together, only once.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(match &mut self.0 {
            Store::Plain(cache) => Store::Plain(cache.clone()),
            Store::Quick(kv) => Store::Quick(kv.fork()),
            Store::Device(cache) => cache.copy().map_or(Store::None, Store::Device),
            Store::None => Store::None,
        })
    }
}

impl Model {
    /// A compact file, or a Hugging Face folder: `config.json` with `model.safetensors`, its shards, or
    /// `pytorch_model.bin`. Exact. [`Error::Read`] if a file cannot be read, [`Error::Checkpoint`] if it is no such model.
    pub fn load(path: &Path) -> Result<Arc<Self>, Error> {
        Self::load_as(path, Precision::Exact)
    }

    /// The same, held as `precision` says; small weights of a folder are kept on the user's shelf.
    pub fn load_as(path: &Path, precision: Precision) -> Result<Arc<Self>, Error> {
        Self::load_from(path, precision, &Shelf::usual())
    }

    /// The same, with small weights kept on this shelf.
    pub fn load_from(path: &Path, precision: Precision, shelf: &Shelf) -> Result<Arc<Self>, Error> {
        let files = Files::read(path)?;
        // What is exact is looked at and played to nobody: nobody asks later what it was.
        let identity = if precision == Precision::Exact { None } else { shelf.identity(&files) };
        // A compact file holds small weights already, and is soon read.
        let shelf = files.config().map(|_| (shelf, &files));
        Self::build(&files.checkpoint()?, precision, Origin { name: stem(path), identity, shelf })
    }

    /// A compact file that is in memory already, to be played.
    pub fn from_compact(bytes: &[u8]) -> Result<Arc<Self>, Error> {
        Self::from_compact_as(bytes, Precision::Quick)
    }

    /// The same, held as `precision` says.
    pub fn from_compact_as(bytes: &[u8], precision: Precision) -> Result<Arc<Self>, Error> {
        let from = Checkpoint::compact(Path::new("the built-in model"), bytes)?;
        let identity = (precision != Precision::Exact).then(|| shelf::of_bytes(bytes));
        Self::build(&from, precision, Origin { name: "default".into(), identity, shelf: None })
    }

    fn build(from: &Checkpoint<'_>, precision: Precision, origin: Origin<'_>) -> Result<Arc<Self>, Error> {
        let own = from.config.continuo.as_ref();
        let mut instead = None;
        let quick =
            || Self::quick(from, bits(), &origin).map(|made| made.with(Kernel::best(), threads()).into());
        let weights = match precision {
            Precision::Exact => Weights::Plain(Box::new(Plain::read(from)?)),
            Precision::Quick => quick()?,
            Precision::On(place) => match on_device(from, place) {
                Ok(Some(weights)) => weights,
                Ok(None) => quick()?,
                Err(why) => {
                    instead = Some(why);
                    quick()?
                }
            },
            Precision::With(kernel, threads, bits) => {
                Self::quick(from, bits, &origin)?.with(kernel, threads).into()
            }
        };
        Ok(Arc::new(Self {
            name: own.map(|own| own.name.clone()).filter(|n| !n.is_empty()).unwrap_or(origin.name),
            frame: match own {
                Some(own) if own.frame == "beat" && own.ticks_per_beat > 0 => {
                    TimeFrame::Beats { ticks_per_beat: own.ticks_per_beat }
                }
                _ => TimeFrame::Seconds,
            },
            rows: from.rows()?,
            weights,
            computed: AtomicU64::new(0),
            instead,
            identity: origin.identity,
            config: from.config.clone(),
        }))
    }

    fn quick(from: &Checkpoint<'_>, bits: Bits, origin: &Origin<'_>) -> Result<Quick, Error> {
        let place = origin.shelf.zip(origin.identity);
        let kept = place
            .map(|((shelf, files), identity)| shelf.weights((files, identity), from, bits))
            .transpose()?;
        let forget = || origin.shelf.iter().for_each(|(_, files)| files.forget());
        let anew = Source::Checkpoint(from, &forget);
        let mut source = kept.flatten().map_or(anew, |kept| Source::Packed(from, kept));
        Quick::read(&mut source, from, bits)
    }

    /// Whether its weights lie in a file that other processes share: see [`Shelf`].
    pub fn is_shared(&self) -> bool {
        matches!(&self.weights, Weights::Quick(quick) if quick.is_shared())
    }

    /// Why it is not computed on the graphics processor that was asked for, if one was.
    pub fn instead(&self) -> Option<&str> {
        self.instead.as_deref()
    }

    /// What tells its weights from all others: 32 hexadecimal digits of a hash (SHA-256) of its files, config and all. Every
    /// copy of them has the same, whatever it is called and however it is computed, and so does its file in the
    /// [`Shelf`]. `None` if it is exact.
    pub fn identity(&self) -> Option<String> {
        self.identity.map(|identity| shelf::hex(&identity[..16]))
    }

    /// Its name, from the config or the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was trained to know that the notes of one onset ascend by (instrument, key): then rows at or below the last
    /// of them are closed.
    pub fn ascends(&self) -> bool {
        self.config.continuo.as_ref().is_some_and(|own| own.version >= 2)
    }

    /// What a tick is.
    pub fn frame(&self) -> TimeFrame {
        self.frame
    }

    /// Its shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Tokens that it can look at.
    pub fn positions(&self) -> usize {
        self.config.n_positions
    }

    /// Rows of its vocabulary.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of int8 weights: all, and those that a token of a triplet reads on average. `None` if it is exact.
    pub fn sizes(&self) -> Option<(usize, usize)> {
        match &self.weights {
            Weights::Plain(_) | Weights::Device(_) => None,
            Weights::Quick(quick) => Some(quick.sizes()),
        }
    }

    /// An empty cache for this model.
    pub fn cache(&self) -> Cache {
        Cache(match &self.weights {
            Weights::Plain(plain) => Store::Plain(plain.cache()),
            Weights::Quick(quick) => Store::Quick(quick.cache()),
            Weights::Device(device) => device.cache().map_or(Store::None, Store::Device),
        })
    }

    /// Puts `ids` behind what is in the cache; gives the state of the last one after the final norm
    /// `(width)`. How a sequence is cut into calls does not change a bit of it.
    ///
    /// Every id must be a row of the vocabulary and the cache must have room for all; else nothing happens
    /// and the state is empty, as it is for no ids.
    pub fn feed(&self, cache: &mut Cache, ids: &[u32]) -> Vec<f32> {
        let states = self.feed_all(&mut [Feed { cache, ids }], &|| true);
        states.and_then(|mut states| states.pop()).unwrap_or_default()
    }

    /// The same for several caches of this model at once: weights are read once for all, if they are few
    /// tokens in all. A state for each. `None`, and the caches as before, if `wanted` said no meanwhile.
    pub fn feed_all(&self, feeds: &mut [Feed<'_>], wanted: &dyn Fn() -> bool) -> Option<Vec<Vec<f32>>> {
        let mut states = vec![Vec::new(); feeds.len()];
        let before: usize = feeds.iter().map(|feed| feed.cache.len()).sum();
        let sound = |feed: &Feed<'_>| {
            let room = self.positions().saturating_sub(feed.cache.len());
            (1..=room).contains(&feed.ids.len()) && feed.ids.iter().all(|&id| (id as usize) < self.rows)
        };
        match &self.weights {
            Weights::Plain(plain) => {
                for (feed, state) in feeds.iter_mut().zip(&mut states).filter(|(feed, _)| sound(feed)) {
                    if let Store::Plain(cache) = &mut feed.cache.0 {
                        *state = plain.feed(cache, feed.ids);
                    }
                }
            }
            Weights::Quick(quick) => {
                let (mut parts, mut places) = (Vec::new(), Vec::new());
                for (place, feed) in feeds.iter_mut().enumerate().filter(|(_, feed)| sound(feed)) {
                    if let Store::Quick(kv) = &mut feed.cache.0 {
                        parts.push(Part { kv, ids: feed.ids });
                        places.push(place);
                    }
                }
                for (state, place) in quick.feed(&mut parts, wanted)?.into_iter().zip(places) {
                    states[place] = state;
                }
            }
            Weights::Device(device) => {
                let (mut parts, mut places) = (Vec::new(), Vec::new());
                for (place, feed) in feeds.iter_mut().enumerate().filter(|(_, feed)| sound(feed)) {
                    if let Store::Device(cache) = &mut feed.cache.0 {
                        parts.push(reference::Feed { cache, ids: feed.ids });
                        places.push(place);
                    }
                }
                if !wanted() {
                    return None;
                }
                // What a device cannot do any more is an answer that fails: no state.
                let made =
                    if parts.is_empty() { Vec::new() } else { device.states(&mut parts).unwrap_or_default() };
                made.into_iter().zip(places).for_each(|(state, place)| states[place] = state);
            }
        }
        let after: usize = feeds.iter().map(|feed| feed.cache.len()).sum();
        self.computed.fetch_add((after - before) as u64, Ordering::Relaxed);
        Some(states)
    }

    /// Tokens that were put into caches so far: what the model has done, whatever time it took.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Caches that [`Self::feed_all`] steps together, a token each.
    pub fn most_together(&self) -> usize {
        match &self.weights {
            Weights::Plain(_) => 1,
            Weights::Quick(_) | Weights::Device(_) => MOST_DECODED,
        }
    }

    /// What stands between the blocks for `ids` from position 0, numbered as in Hugging Face: 0 is what
    /// goes into the first block, the last is after the final norm. Each `(tokens, width)`; nothing in them if
    /// [`Self::feed`] would refuse the ids.
    pub fn hidden(&self, ids: &[u32]) -> Vec<Vec<f32>> {
        if ids.is_empty() || ids.len() > self.positions() || ids.iter().any(|&id| id as usize >= self.rows) {
            return vec![Vec::new(); self.config.n_layer + 1];
        }
        match &self.weights {
            Weights::Plain(plain) => plain.hidden(ids),
            Weights::Quick(quick) => quick.hidden(ids),
            Weights::Device(device) => device.hidden(ids).unwrap_or_default(),
        }
    }

    /// Logits of some rows for a state that [`Self::feed`] gave.
    pub fn logits(&self, state: &[f32], rows: Range<u32>) -> Vec<f32> {
        self.logits_all(&[state], rows).pop().unwrap_or_default()
    }

    /// The same for several states.
    pub fn logits_all(&self, states: &[&[f32]], rows: Range<u32>) -> Vec<Vec<f32>> {
        let to = (rows.end as usize).min(self.rows);
        let rows = (rows.start as usize).min(to)..to;
        match &self.weights {
            Weights::Plain(plain) => states.iter().map(|state| plain.logits(state, rows.clone())).collect(),
            Weights::Quick(quick) => quick.logits(states, rows),
            Weights::Device(device) => device
                .rows(states, rows.clone())
                .unwrap_or_else(|_| vec![vec![f32::NAN; rows.len()]; states.len()]),
        }
    }
}

/// Threads for a model: two, where there are two. More gain little, and take from those who make sound.
fn threads() -> usize {
    let most = std::env::var("CONTINUO_THREADS").ok().and_then(|text| text.parse().ok());
    let here = std::thread::available_parallelism().map_or(1, usize::from);
    most.unwrap_or(2_usize).clamp(1, here)
}

/// Weights on a graphics processor; `None` if the processor is wanted or nothing better is there.
fn on_device(from: &Checkpoint<'_>, place: Place) -> Result<Option<Weights>, String> {
    let Some((device, dtype)) = place.open()? else { return Ok(None) };
    let made = Reference::read(from, &device, dtype).map_err(|error| error.to_string())?;
    Ok(Some(Weights::Device(Box::new(made))))
}

/// Bits of weights, as the environment says.
fn bits() -> Bits {
    match std::env::var("CONTINUO_BITS").as_deref() {
        Ok("4") => Bits::Four,
        _ => Bits::Eight,
    }
}

/// A model's name from where it lies; in a cache of the Hugging Face Hub that is the repository's.
fn stem(path: &Path) -> String {
    let folder = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    if let Some(snapshots) = path.parent().filter(|parent| parent.ends_with("snapshots"))
        && let Some(repository) = snapshots.parent().and_then(folder)
        && let Some(name) = repository.strip_prefix("models--")
    {
        return name.replacen("--", "/", 1);
    }
    path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
