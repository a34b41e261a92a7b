//! The models of this machine by name: those in the user's models folder, and those in the Hugging Face cache.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files::parts;

/// A model that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it is in the Hugging Face cache.
    pub cached: bool,
}

/// Every model that is wholly there.
pub fn found() -> Vec<Found> {
    let mut all = Vec::new();
    for path in children(&folder()) {
        let compact = path.extension().is_some_and(|extension| extension == "safetensors");
        if compact || complete(&path) {
            let stem = if compact { path.file_stem() } else { path.file_name() };
            let name = stem.unwrap_or_default().to_string_lossy().into_owned();
            all.push(Found { name, path, cached: false });
        }
    }
    for folder in children(&cache()) {
        if let Some((name, path)) =
            repository(&folder).zip(snapshot(&folder, "main").or_else(|| any(&folder)))
        {
            all.push(Found { name, path, cached: true });
        }
    }
    all
}

/// Where a model lies: a path, or the name of one that was [`found`]; `small`, `medium` and `large` are Stanford's.
pub fn resolve(name: &str) -> Option<PathBuf> {
    if Path::new(name).exists() {
        return Some(name.into());
    }
    let full = match name {
        "small" | "medium" | "large" => format!("stanford-crfm/music-{name}-800k"),
        other => other.to_owned(),
    };
    found().into_iter().find(|one| one.name == name || one.name == full).map(|one| one.path)
}

/// Where a user puts models.
pub fn folder() -> PathBuf {
    let shared = variable("XDG_DATA_HOME").map_or_else(|| home().join(".local/share"), PathBuf::from);
    shared.join("continuo/models")
}

/// The cache of the Hugging Face Hub: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else `~/.cache/huggingface/hub`.
pub fn cache() -> PathBuf {
    let caches = || variable("XDG_CACHE_HOME").map_or_else(|| home().join(".cache"), PathBuf::from);
    let hub = || variable("HF_HOME").map_or_else(|| caches().join("huggingface"), PathBuf::from);
    variable("HF_HUB_CACHE").map_or_else(|| hub().join("hub"), PathBuf::from)
}

fn repository(folder: &Path) -> Option<String> {
    let folder = folder.file_name()?.to_string_lossy().into_owned();
    Some(folder.strip_prefix("models--")?.replacen("--", "/", 1))
}

/// The snapshot of a repository's folder that `refs` names, or whose commit it is, if it is wholly there.
pub fn snapshot(folder: &Path, revision: &str) -> Option<PathBuf> {
    let commit = fs::read_to_string(folder.join("refs").join(revision));
    let commit = commit.map_or_else(|_| revision.to_owned(), |commit| commit.trim().to_owned());
    Some(folder.join("snapshots").join(commit)).filter(|path| complete(path))
}

/// Any snapshot: of a revision that has no name here, or one from before an update that was cut.
pub fn any(folder: &Path) -> Option<PathBuf> {
    children(&folder.join("snapshots")).into_iter().find(|path| complete(path))
}

/// Whether a folder holds a config and all files with tensors that it needs.
pub fn complete(folder: &Path) -> bool {
    let there = |name: &String| folder.join(name).exists();
    folder.join("config.json").exists() && parts(folder).is_ok_and(|names| names.iter().all(there))
}

/// What a folder holds, sorted.
pub fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// An environment variable that says something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn home() -> PathBuf {
    PathBuf::from(variable("HOME").or_else(|| variable("USERPROFILE")).unwrap_or_default())
}
