//! The files of a model, in memory: a Hugging Face folder in any of its forms, or one compact file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::Deserialize;

use crate::Error;
use crate::checkpoint::{Checkpoint, View};
use crate::pickle;

/// What `model.safetensors.index.json` says.
#[derive(Deserialize)]
struct Index {
    /// Tensor to file.
    weight_map: BTreeMap<String, String>,
}

/// All bytes of a model.
pub struct Files {
    path: PathBuf,
    /// Text of `config.json`; a compact file has it in its metadata.
    config: Option<String>,
    /// One file, or the shards.
    parts: Vec<(PathBuf, Vec<u8>)>,
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })
}

fn text(path: &Path) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}

impl Files {
    /// Reads a folder (`model.safetensors`, else its shards, else `pytorch_model.bin`) or a compact file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            let parts = vec![(path.to_path_buf(), read(path)?)];
            return Ok(Self { path: path.into(), config: None, parts });
        }
        let parts = names(path)?.into_iter().map(|name| {
            let file = path.join(name);
            read(&file).map(|bytes| (file, bytes))
        });
        let parts = parts.collect::<Result<_, _>>()?;
        Ok(Self { path: path.into(), config: Some(text(&path.join("config.json"))?), parts })
    }

    /// Its tensors by name.
    pub fn checkpoint(&self) -> Result<Checkpoint<'_>, Error> {
        match (&self.config, self.parts.first()) {
            (None, Some((path, bytes))) => Checkpoint::compact(path, bytes),
            (Some(config), _) => Checkpoint::folder(&self.path, config, self.tensors()?),
            (None, None) => Err(Error::Checkpoint { path: self.path.clone(), what: "no files".into() }),
        }
    }

    fn tensors(&self) -> Result<BTreeMap<String, View<'_>>, Error> {
        let mut tensors = BTreeMap::new();
        for (path, bytes) in &self.parts {
            let fail = |what: String| Error::Checkpoint { path: path.clone(), what };
            if path.extension().is_some_and(|extension| extension == "bin") {
                tensors.extend(pickle::tensors(bytes).map_err(fail)?);
            } else {
                let file = SafeTensors::deserialize(bytes).map_err(|error| fail(error.to_string()))?;
                tensors.extend(file.tensors().into_iter().map(|(name, view)| (name, View::of(&view))));
            }
        }
        Ok(tensors)
    }
}

/// The files of a folder that hold tensors.
fn names(folder: &Path) -> Result<BTreeSet<String>, Error> {
    let fail = |path: PathBuf, what: String| Error::Checkpoint { path, what };
    let whole = ["model.safetensors", "pytorch_model.bin"];
    let index = folder.join("model.safetensors.index.json");
    if folder.join(whole[0]).exists() || (!index.exists() && folder.join(whole[1]).exists()) {
        return Ok(whole
            .into_iter()
            .find(|name| folder.join(name).exists())
            .map(String::from)
            .into_iter()
            .collect());
    }
    if !index.exists() {
        let what = "holds neither model.safetensors, nor model.safetensors.index.json, nor pytorch_model.bin";
        return Err(fail(folder.into(), what.into()));
    }
    let read: Index =
        serde_json::from_str(&text(&index)?).map_err(|error| fail(index.clone(), error.to_string()))?;
    let names: BTreeSet<String> = read.weight_map.into_values().collect();
    // A shard lies beside its index: no name may lead out of the folder.
    if let Some(name) = names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
        return Err(fail(index, format!("names the shard {name:?}, which is not a file of its folder")));
    }
    Ok(names)
}
