//! `continuo models fetch`: the files of a model in the order in which they can say no.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use continuo_inference::Config;
use indicatif::DecimalBytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cache::{Cache, Repository};
use super::download::{Came, download, left};
use super::name::{Name, is_plain};
use super::offline;
use super::server::{About, Server};

/// Files that may hold the tensors; the first that is there is taken.
const TENSORS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Shards that an index may name.
const MOST_SHARDS: usize = 1000;
/// Bytes of a config or an index.
const MOST_TEXT: u64 = 64 << 20;

/// Fetches what of a model is not there yet; gives the report.
pub fn fetch(name: &Name) -> Result<Value> {
    let cache = Cache::of_environment();
    if offline() {
        let Some(path) = cache.snapshot(name) else {
            bail!(
                "HF_HUB_OFFLINE forbids the network, and {name} is not wholly in {}; unset it and fetch again",
                cache.root.display()
            );
        };
        let commit = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(json!({ "name": name.to_string(), "commit": commit, "path": path, "files": [] }));
    }
    Fetch::begin(name, &cache)?.finish()
}

/// A commit whose files are being fetched.
struct Fetch<'a> {
    name: &'a Name,
    server: Server,
    repository: Repository,
    commit: String,
    files: Vec<(About, Came)>,
}

impl<'a> Fetch<'a> {
    /// With the config, which says whether the rest is worth while.
    fn begin(name: &'a Name, cache: &Cache) -> Result<Self> {
        let server = Server::of_environment()?;
        let Some(config) = server.about(name, &name.revision, "config.json")? else {
            bail!("{name} has no config.json; it is no model that can be loaded here");
        };
        let (commit, repository) = (config.commit.clone(), cache.repository(name));
        let mut fetch = Self { name, server, repository, commit, files: Vec::new() };
        let config = Config::parse(&fetch.text(config)?);
        config.map_err(|what| {
            anyhow::anyhow!("{name} cannot be loaded here: {what}; only GPT-2 models of music can; nothing else was fetched")
        })?;
        Ok(fetch)
    }

    fn finish(mut self) -> Result<Value> {
        let weights = self.weights()?;
        let size: u64 = weights.iter().map(|about| about.size).sum();
        let left: u64 = weights.iter().map(|about| left(&self.repository, about)).sum();
        let path = self.repository.snapshot(&self.commit);
        let free = fs4::available_space(&path).ok();
        announce(&path, weights.len(), (size, left), free)?;
        for about in weights {
            self.get(about)?;
        }
        self.repository.name(&self.name.revision, &self.commit)?;
        let file = |(about, came): &(About, Came)| json!({ "name": about.file, "bytes": about.size, "etag": about.etag, "came": came.word() });
        let files: Vec<Value> = self.files.iter().map(file).collect();
        Ok(json!({ "name": self.name.to_string(), "commit": self.commit, "path": path, "files": files }))
    }

    /// The files with tensors.
    fn weights(&mut self) -> Result<Vec<About>> {
        for file in TENSORS {
            let Some(about) = self.server.about(self.name, &self.commit, file)? else { continue };
            if !file.ends_with(".json") {
                return Ok(vec![about]);
            }
            let shards = shards(&self.text(about)?).with_context(|| format!("{file} of {}", self.name))?;
            return shards.iter().map(|shard| self.shard(file, shard)).collect();
        }
        bail!("{} has none of {TENSORS:?}; it is no model that can be loaded here", self.name)
    }

    fn shard(&self, index: &str, shard: &str) -> Result<About> {
        let about = self.server.about(self.name, &self.commit, shard)?;
        about.with_context(|| format!("{index} of {} names {shard}, which is not there", self.name))
    }

    fn get(&mut self, about: About) -> Result<PathBuf> {
        let came = download(&self.server, &self.repository, self.name, &about)?;
        let path = self.repository.place(&about.etag, &self.commit, &about.file)?;
        self.files.push((about, came));
        Ok(path)
    }

    fn text(&mut self, about: About) -> Result<String> {
        if about.size > MOST_TEXT {
            bail!("{} of {} has {} bytes, and {MOST_TEXT} are the most", about.file, self.name, about.size);
        }
        let path = self.get(about)?;
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// Says what is to come, or that there is no room for it.
fn announce(path: &Path, count: usize, (size, left): (u64, u64), free: Option<u64>) -> Result<()> {
    let bytes = DecimalBytes;
    let room = free.map_or_else(String::new, |free| format!(", where {} are free", bytes(free)));
    eprintln!(
        "{} in {}, {} of it to fetch, to {}{room}",
        bytes(size),
        if count == 1 { "one file".to_owned() } else { format!("{count} files") },
        bytes(left),
        path.display()
    );
    if let Some(free) = free.filter(|free| *free < left) {
        bail!(
            "{} are to be fetched and {} are free at {}; make room, or name another folder by HF_HUB_CACHE",
            bytes(left),
            bytes(free),
            path.display()
        );
    }
    Ok(())
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files that an index names.
fn shards(text: &str) -> Result<BTreeSet<String>> {
    let index: Index = serde_json::from_str(text).context("it is no index of shards")?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(name) = names.iter().find(|name| !is_plain(name)) {
        bail!("it names {name:?}, which is no file of its folder");
    }
    if names.is_empty() || names.len() > MOST_SHARDS {
        bail!("it names {} files, expected 1 to {MOST_SHARDS}", names.len());
    }
    Ok(names)
}
