//! A GPT-2: weights that never change, and steps of it over a cache.
//!
//! The same weights stand in one of two ways: exact ([`crate::plain`], f32), or as they are played
//! ([`crate::quick`], small whole numbers on all processors).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::Error;
use crate::checkpoint::{Checkpoint, Config};
use crate::files::Files;
use crate::kernel::Kernel;
use crate::plain::{Plain, PlainCache};
use crate::quick::{Kv, MOST_DECODED, Part, Quick};

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
    /// As int8, with the kernel and the threads that suit this machine: what players hear.
    Quick,
    /// As int8 with this kernel and so many threads.
    With(Kernel, usize),
}

/// Weights of one model. Immutable, shared by all sessions.
pub struct Model {
    name: String,
    frame: TimeFrame,
    config: Config,
    rows: usize,
    weights: Weights,
}

enum Weights {
    Plain(Box<Plain>),
    Quick(Box<Quick>),
}

/// Keys and values of the tokens so far; made once, never grown.
pub struct Cache(Store);

enum Store {
    Plain(PlainCache),
    Quick(Kv),
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
        }
    }

    /// Another that holds the same tokens. What both hold costs its memory, and its reading where both are stepped
    /// together, only once.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(match &mut self.0 {
            Store::Plain(cache) => Store::Plain(cache.clone()),
            Store::Quick(kv) => Store::Quick(kv.fork()),
        })
    }
}

impl Model {
    /// A compact file, or a Hugging Face folder: `config.json` with `model.safetensors`, its shards, or
    /// `pytorch_model.bin`. Exact.
    pub fn load(path: &Path) -> Result<Arc<Self>, Error> {
        Self::load_as(path, Precision::Exact)
    }

    /// The same, held as `precision` says.
    pub fn load_as(path: &Path, precision: Precision) -> Result<Arc<Self>, Error> {
        Self::build(&Files::read(path)?.checkpoint()?, &stem(path), precision)
    }

    /// A compact file that is in memory already, to be played.
    pub fn from_compact(bytes: &[u8]) -> Result<Arc<Self>, Error> {
        Self::from_compact_as(bytes, Precision::Quick)
    }

    /// The same, held as `precision` says.
    pub fn from_compact_as(bytes: &[u8], precision: Precision) -> Result<Arc<Self>, Error> {
        Self::build(&Checkpoint::compact(Path::new("the built-in model"), bytes)?, "default", precision)
    }

    fn build(from: &Checkpoint<'_>, fallback: &str, precision: Precision) -> Result<Arc<Self>, Error> {
        let own = from.config.continuo.as_ref();
        let weights = match precision {
            Precision::Exact => Weights::Plain(Box::new(Plain::read(from)?)),
            Precision::Quick => Weights::Quick(Box::new(Quick::read(from, Kernel::best(), threads())?)),
            Precision::With(kernel, threads) => Weights::Quick(Box::new(Quick::read(from, kernel, threads)?)),
        };
        Ok(Arc::new(Self {
            name: own
                .map(|own| own.name.clone())
                .filter(|n| !n.is_empty())
                .unwrap_or_else(|| fallback.into()),
            frame: match own {
                Some(own) if own.frame == "beat" && own.ticks_per_beat > 0 => {
                    TimeFrame::Beats { ticks_per_beat: own.ticks_per_beat }
                }
                _ => TimeFrame::Seconds,
            },
            rows: from.rows()?,
            weights,
            config: from.config.clone(),
        }))
    }

    /// Its name, from the config or the file.
    pub fn name(&self) -> &str {
        &self.name
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
            Weights::Plain(_) => None,
            Weights::Quick(quick) => Some(quick.sizes()),
        }
    }

    /// An empty cache for this model.
    pub fn cache(&self) -> Cache {
        Cache(match &self.weights {
            Weights::Plain(plain) => Store::Plain(plain.cache()),
            Weights::Quick(quick) => Store::Quick(quick.cache()),
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
        }
        Some(states)
    }

    /// Caches that [`Self::feed_all`] steps together, a token each.
    pub fn most_together(&self) -> usize {
        match &self.weights {
            Weights::Plain(_) => 1,
            Weights::Quick(_) => MOST_DECODED,
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
        }
    }
}

/// Threads for a model: two, where there are two. More gain little, and take from those who make sound.
fn threads() -> usize {
    let most = std::env::var("CONTINUO_THREADS").ok().and_then(|text| text.parse().ok());
    let here = std::thread::available_parallelism().map_or(1, usize::from);
    most.unwrap_or(2_usize).clamp(1, here)
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
