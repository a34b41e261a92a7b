//! The files of a model, mapped into memory: a Hugging Face folder in any of its forms, or one compact file.
//! Only what is being read takes memory, however large the files are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::Error;
use crate::checkpoint::{Checkpoint, View};
use crate::pickle;

/// What an index of shards (`model.safetensors.index.json`) says.
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
    parts: Vec<(PathBuf, Mmap)>,
}

fn map(path: &Path) -> Result<Mmap, Error> {
    let fail = |source| Error::Read { path: path.into(), source };
    let file = File::open(path).map_err(fail)?;
    // SAFETY: the map is read only, and lives as long as the model is being loaded. A program that shortens
    // the file meanwhile ends this one with a bus error, as with every tool that maps weights.
    unsafe { Mmap::map(&file) }.map_err(fail)
}

fn text(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Files {
    /// Opens a folder (`model.safetensors`, else its shards, else `pytorch_model.bin`, else its shards) or a
    /// compact file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            let parts = vec![(path.to_path_buf(), map(path)?)];
            return Ok(Self { path: path.into(), config: None, parts });
        }
        let parts = parts(path)?.into_iter().map(|name| {
            let file = path.join(name);
            map(&file).map(|bytes| (file, bytes))
        });
        let parts = parts.collect::<Result<_, _>>()?;
        Ok(Self { path: path.into(), config: Some(text(&path.join("config.json"))?), parts })
    }

    /// Text of its config, if that is a file of its own.
    pub fn config(&self) -> Option<&str> {
        self.config.as_deref()
    }

    /// The files that hold tensors.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|(path, _)| path.as_path())
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, map)| map.len() as u64).sum()
    }

    /// Gives back the memory of what was read so far; what is looked at again is read again.
    pub fn forget(&self) {
        #[cfg(unix)]
        for (_, map) in &self.parts {
            // SAFETY: the pages are those of a file, mapped read only: they come again as they were.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
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

/// The files of a folder that may hold tensors, an index before what it names; the first that is there counts.
const TENSORS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Names of the files of a folder that hold its tensors, whether they are there or only in an index.
pub fn parts(folder: &Path) -> Result<BTreeSet<String>, Error> {
    let fail = |path: PathBuf, what: String| Error::Checkpoint { path, what };
    let Some(first) = TENSORS.into_iter().find(|name| folder.join(name).exists()) else {
        let what = "holds neither model.safetensors, nor pytorch_model.bin, nor an index of their shards";
        return Err(fail(folder.into(), what.into()));
    };
    if !first.ends_with(".json") {
        return Ok(BTreeSet::from([first.to_owned()]));
    }
    let index = folder.join(first);
    let read: Index =
        serde_json::from_str(&text(&index)?).map_err(|error| fail(index.clone(), error.to_string()))?;
    let names: BTreeSet<String> = read.weight_map.into_values().collect();
    // A shard lies beside its index: no name may lead out of the folder.
    if let Some(name) = names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
        return Err(fail(index, format!("names the shard {name:?}, which is not a file of its folder")));
    }
    Ok(names)
}
