//! `continuo models`, and what `--model` may name: a path, a model in the models folder, or one in the Hugging
//! Face cache, where `continuo models fetch` or any tool of theirs has put it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use continuo_inference::device::Place;
pub use continuo_inference::library::folder;
use continuo_inference::library::{self, Found};
use continuo_inference::{Model, Precision, Shelf, TimeFrame};
use serde_json::{Value, json};

use crate::hub::{self, Cache, Name};

/// Subcommands of `continuo models`.
#[derive(Subcommand)]
pub enum Models {
    /// The models on this machine.
    List,
    /// Fetch a model from the Hugging Face Hub into its cache, or what is not there yet. A fetch that was cut
    /// goes on where it ended. Variables: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE.
    #[command(
        after_help = "Examples:\n  continuo models fetch small\n  continuo models fetch stanford-crfm/music-medium-800k\n  continuo continue song.mid -o more.mid --model small"
    )]
    Fetch {
        /// small (0.5 GB), medium (1.4 GB), large (3.1 GB): the checkpoints of Stanford; or owner/name, or
        /// owner/name@revision.
        name: String,
    },
    /// Where a model lies.
    Path {
        /// Its name, as `list` shows it, or as `fetch` takes it.
        name: String,
    },
    /// Small weights that were made of checkpoints and are kept, so that the next load is quick. CONTINUO_CACHE names
    /// another folder than the user's caches; empty, nothing is kept.
    Cache {
        /// Delete them: they are made anew when they are wanted.
        #[arg(long)]
        clear: bool,
    },
    /// What a model is: its shape, its time frame, its files.
    Info {
        /// Its name, or a path.
        name: String,
    },
}

impl Models {
    /// Runs the command.
    pub fn run(&self) -> Result<Value> {
        match self {
            Self::List => {
                let built_in = json!({ "name": "default", "path": null, "source": "built in" });
                let found = library::found().into_iter().map(|one| report(&one));
                Ok(json!({ "models": std::iter::once(built_in).chain(found).collect::<Vec<_>>() }))
            }
            Self::Fetch { name } => {
                if name == "default" {
                    bail!("the default model is built in; there is nothing to fetch");
                }
                hub::fetch(&Name::parse(name)?)
            }
            Self::Path { name } => Ok(json!({ "name": name, "path": resolve(name)? })),
            Self::Cache { clear } => cache(*clear),
            Self::Info { name } => info(name),
        }
    }
}

/// What is kept; then nothing, if it is to be cleared.
fn cache(clear: bool) -> Result<Value> {
    let shelf = Shelf::usual();
    let Some(folder) = shelf.folder() else {
        bail!("nothing is kept: CONTINUO_CACHE is empty, or there is no home folder");
    };
    let kept: Vec<Value> =
        shelf.list().into_iter().map(|one| json!({ "path": one.path, "bytes": one.bytes })).collect();
    if clear {
        shelf.clear().with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    Ok(json!({ "folder": folder, (if clear { "cleared" } else { "kept" }): kept }))
}

/// The model of `--model`, to be played: on the graphics processor that `CONTINUO_DEVICE` wants, or in small whole numbers.
pub fn load_to_play(name: Option<&str>) -> Result<Arc<Model>> {
    let model = match name {
        None | Some("default") => load(None)?,
        Some(name) => Model::load_as(&resolve(name)?, Precision::On(Place::wanted()))?,
    };
    if let Some(why) = model.instead() {
        eprintln!("continuo: {} is computed on the processor: {why}", model.name());
    }
    Ok(model)
}

/// The model of `--model`, exact; the built-in one, which is int8, if absent.
pub fn load(name: Option<&str>) -> Result<Arc<Model>> {
    match name {
        None | Some("default") => Ok(Model::from_compact(continuo_models::DEFAULT)?),
        Some(name) => Ok(Model::load(&resolve(name)?)?),
    }
}

fn report(found: &Found) -> Value {
    let source = if found.cached { "Hugging Face cache" } else { "models folder" };
    json!({ "name": found.name, "path": found.path, "source": source })
}

/// Where a model of that name lies.
pub fn resolve(name: &str) -> Result<PathBuf> {
    if name == "default" {
        bail!("the default model is built in and has no path");
    }
    if Path::new(name).exists() {
        return Ok(name.into());
    }
    if let Some(one) = library::found().into_iter().find(|one| one.name == name) {
        return Ok(one.path);
    }
    let cache = Cache::of_environment();
    let named = Name::parse(name).ok();
    if let Some(path) = named.as_ref().and_then(|name| cache.snapshot(name)) {
        return Ok(path);
    }
    bail!(
        "there is no model {name:?}: it is neither a path, nor in the models folder {}, nor whole in the Hugging Face cache {}; `continuo models list` shows what there is{}",
        folder().display(),
        cache.root.display(),
        named.map_or_else(String::new, |_| format!(", `continuo models fetch {name}` gets it"))
    )
}

fn info(name: &str) -> Result<Value> {
    let model = load(Some(name))?;
    let frame = match model.frame() {
        TimeFrame::Beats { ticks_per_beat } => json!({ "ticks_per_beat": ticks_per_beat }),
        TimeFrame::Seconds => json!({ "ticks_per_second": 100 }),
    };
    let config = model.config();
    let scaled = config.scale_attn_by_inverse_layer_idx;
    let path = resolve(name).ok();
    let shown = path.as_ref().map_or_else(String::new, |path| path.display().to_string());
    if shown.contains("music-") && shown.contains("-800k") && !scaled {
        eprintln!(
            "continuo: {name} was trained with scale_attn_by_inverse_layer_idx, and its config.json does not say so; set it to true there"
        );
    }
    Ok(json!({
        "name": model.name(), "path": path, "time": frame,
        "layers": config.n_layer, "width": config.n_embd, "heads": config.n_head,
        "positions": model.positions(), "vocabulary": model.rows(),
        "scale_attn_by_inverse_layer_idx": scaled,
    }))
}
