//! `continuo models`, and what `--model` may name: a path, a model in the models folder, or one that
//! Hugging Face's tools have put into their cache. Nothing is fetched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Subcommand;
use continuo_inference::{Model, TimeFrame};
use serde_json::{Value, json};

/// Subcommands of `continuo models`.
#[derive(Subcommand)]
pub enum Models {
    /// The models on this machine.
    List,
    /// Where a model lies.
    Path {
        /// Its name, as `list` shows it.
        name: String,
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
                let found = found().into_iter().map(|one| one.report());
                Ok(json!({ "models": std::iter::once(built_in).chain(found).collect::<Vec<_>>() }))
            }
            Self::Path { name } => Ok(json!({ "name": name, "path": resolve(name)? })),
            Self::Info { name } => info(name),
        }
    }
}

/// The model of `--model`; the built-in one if absent.
pub fn load(name: Option<&str>) -> Result<Arc<Model>> {
    match name {
        None | Some("default") => Ok(Model::from_compact(continuo_models::DEFAULT)?),
        Some(name) => Ok(Model::load(&resolve(name)?)?),
    }
}

/// A model that was found.
struct Found {
    name: String,
    path: PathBuf,
    source: &'static str,
}

impl Found {
    fn report(&self) -> Value {
        json!({ "name": self.name, "path": self.path, "source": self.source })
    }
}

/// Where a model of that name lies.
pub fn resolve(name: &str) -> Result<PathBuf> {
    if name == "default" {
        bail!("the default model is built in and has no path");
    }
    if Path::new(name).exists() {
        return Ok(name.into());
    }
    match found().into_iter().find(|one| one.name == name) {
        Some(one) => Ok(one.path),
        None => bail!(
            "there is no model {name:?}: it is neither a path, nor in the models folder {}, nor in the Hugging Face cache {}; `continuo models list` shows what there is",
            folder().display(),
            cache().display()
        ),
    }
}

fn info(name: &str) -> Result<Value> {
    let model = load(Some(name))?;
    let frame = match model.frame() {
        TimeFrame::Beats { ticks_per_beat } => json!({ "ticks_per_beat": ticks_per_beat }),
        TimeFrame::Seconds => json!({ "ticks_per_second": 100 }),
    };
    let config = model.config();
    let scaled = config.scale_attn_by_inverse_layer_idx;
    if name.contains("music-") && name.contains("-800k") && !scaled {
        eprintln!(
            "continuo: {name} was trained with scale_attn_by_inverse_layer_idx, and its config.json does not say so; set it to true there"
        );
    }
    Ok(json!({
        "name": model.name(), "path": resolve(name).ok(), "time": frame,
        "layers": config.n_layer, "width": config.n_embd, "heads": config.n_head,
        "positions": model.positions(), "vocabulary": model.rows(),
        "scale_attn_by_inverse_layer_idx": scaled,
    }))
}

fn found() -> Vec<Found> {
    let mut all = Vec::new();
    for path in children(&folder()) {
        let compact = path.extension().is_some_and(|extension| extension == "safetensors");
        if compact || path.join("config.json").exists() {
            let stem = if compact { path.file_stem() } else { path.file_name() };
            let name = stem.unwrap_or_default().to_string_lossy().into_owned();
            all.push(Found { name, path, source: "models folder" });
        }
    }
    for repository in children(&cache()) {
        let directory = repository.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = directory.strip_prefix("models--") else { continue };
        if let Some(path) = snapshot(&repository).filter(|path| path.join("config.json").exists()) {
            all.push(Found { name: name.replacen("--", "/", 1), path, source: "Hugging Face cache" });
        }
    }
    all
}

/// The snapshot that `refs/main` names, else the only one.
fn snapshot(repository: &Path) -> Option<PathBuf> {
    let snapshots = repository.join("snapshots");
    match std::fs::read_to_string(repository.join("refs/main")) {
        Ok(commit) => Some(snapshots.join(commit.trim())),
        Err(_) => children(&snapshots).into_iter().next(),
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn home() -> PathBuf {
    variable("HOME").or_else(|| variable("USERPROFILE")).unwrap_or_default()
}

/// Where a user puts models.
pub fn folder() -> PathBuf {
    variable("XDG_DATA_HOME").unwrap_or_else(|| home().join(".local/share")).join("continuo/models")
}

/// Where Hugging Face's tools put them.
fn cache() -> PathBuf {
    let caches = || variable("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache"));
    variable("HF_HUB_CACHE")
        .unwrap_or_else(|| variable("HF_HOME").unwrap_or_else(|| caches().join("huggingface")).join("hub"))
}
