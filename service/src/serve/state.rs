//! What outlives the process: the ledger and the store, and the folder that has them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fs4::FileExt;

use super::ledger::Ledger;
use super::store::Store;
use crate::models;

/// What was opened.
pub struct State {
    /// Files.
    pub store: Store,
    /// What is known about them, and jobs.
    pub ledger: Arc<Ledger>,
    /// Held as long as the state is used.
    pub lock: Option<File>,
}

/// The usual folder.
pub fn usual() -> PathBuf {
    models::folder().with_file_name("service")
}

impl State {
    /// Opens the state. Jobs that were under way when the last process ended have failed.
    pub fn open(state: Option<&str>, store: Option<&str>) -> Result<Self> {
        let folder = folder(state);
        let lock = match folder.as_deref().map(lock).transpose()? {
            Some(None) => {
                let folder = folder.unwrap_or_default();
                bail!(
                    "{} is in use by another continuo serve; choose another with --state",
                    folder.display()
                );
            }
            taken => taken.flatten(),
        };
        let state = Self::with(folder, store, lock)?;
        let interrupted = state.ledger.end_interrupted();
        let interrupted = interrupted.map_err(|failure| anyhow::anyhow!(failure.message))?;
        if interrupted > 0 {
            eprintln!("continuo: {interrupted} jobs were interrupted when the last process ended");
        }
        Ok(state)
    }

    /// The same, to look at it: nothing is changed. `None` if a service uses it.
    pub fn look(state: Option<&str>, store: Option<&str>) -> Result<Option<Self>> {
        let folder = folder(state);
        match folder.as_deref().map(lock).transpose()? {
            Some(None) => Ok(None),
            taken => Self::with(folder, store, taken.flatten()).map(Some),
        }
    }

    fn with(folder: Option<PathBuf>, store: Option<&str>, lock: Option<File>) -> Result<Self> {
        let path = folder.as_ref().map(|folder| folder.join("ledger.sqlite"));
        let ledger = Arc::new(Ledger::open(path.as_deref())?);
        let files = folder.map(|folder| folder.join("files"));
        let place = match (store, &files) {
            (Some(place), _) => place.to_owned(),
            (None, Some(files)) => files.to_string_lossy().into_owned(),
            (None, None) => "memory".into(),
        };
        Ok(Self { store: Store::at(&place)?, ledger, lock })
    }
}

/// The folder that an option means, if it means one.
fn folder(state: Option<&str>) -> Option<PathBuf> {
    match state {
        Some("memory") => None,
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(usual()),
    }
}

/// Takes a folder for this process alone, unless another has it; the lock ends with the process, however it ends.
fn lock(folder: &Path) -> Result<Option<File>> {
    let wrong = || format!("cannot use the folder {}; choose another with --state", folder.display());
    std::fs::create_dir_all(folder).with_context(wrong)?;
    let file = File::create(folder.join("lock")).with_context(wrong)?;
    Ok(FileExt::try_lock(&file).is_ok().then_some(file))
}
