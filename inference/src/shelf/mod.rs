//! Packed weights on disk, so that a checkpoint is packed once on a machine, and lies in memory once however many
//! processes play it.
//!
//! ```text
//! $XDG_CACHE_HOME/continuo/weights/<hash of the checkpoint>-int8-1.packed   what is mapped: see `packing`
//!                                  <hash of its places and times>.seen      the hash of the checkpoint: see `identity`
//! ```
//! It is a cache: whoever deletes it loses a second at the next load. What is damaged or of another version is made anew.

mod identity;
mod packing;

use std::path::{Path, PathBuf};

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::files::Files;
use crate::kernel::Bits;
use crate::quick::{Quick, Source};

pub use identity::{hex, of_bytes};
pub use packing::{Reader, Writer};

/// What tells a checkpoint from others: a hash of its files and config.
pub type Identity = [u8; 32];

/// Checkpoints with less than this are packed faster than they are looked up.
const LEAST: u64 = 32 << 20;

/// A folder for packed weights.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: Option<PathBuf>,
    /// Bytes of the smallest checkpoint that is kept.
    least: u64,
}

/// A file of it.
#[derive(Clone, Debug)]
pub struct Shelved {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes of it.
    pub bytes: u64,
}

impl Shelf {
    /// The user's: `continuo/weights` among the caches, or `weights` in the folder that `CONTINUO_CACHE` names; none if that is empty, or if there
    /// is no home.
    pub fn usual() -> Self {
        let folder = match std::env::var_os("CONTINUO_CACHE") {
            Some(named) => (!named.is_empty()).then(|| PathBuf::from(named)),
            None => caches(),
        };
        Self { folder: folder.map(|folder| folder.join("weights")), least: LEAST }
    }

    /// One of its own, for checkpoints of any size.
    pub fn at(folder: &Path) -> Self {
        Self { folder: Some(folder.into()), least: 0 }
    }

    /// None: weights are packed at each load, into memory of their own.
    pub fn none() -> Self {
        Self { folder: None, least: 0 }
    }

    /// Where it is, if there is one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The packed weights on it.
    pub fn list(&self) -> Vec<Shelved> {
        let entries =
            self.folder.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let kept = entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "packed"));
        let mut kept: Vec<_> = kept
            .filter_map(|entry| Some(Shelved { path: entry.path(), bytes: entry.metadata().ok()?.len() }))
            .collect();
        kept.sort_by(|a, b| a.path.cmp(&b.path));
        kept
    }

    /// Deletes all that this program has put there. What is in use stays in memory until its last user ends.
    pub fn clear(&self) -> std::io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries.flatten() {
            let ours = ["packed", "seen", "unfinished"];
            if entry.path().extension().is_some_and(|it| ours.iter().any(|ours| it == *ours)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// What the files are, told by their content. Of large ones it is remembered here, where that can be written: then it
    /// is computed once and not at each load. `None` if they cannot be read.
    pub fn identity(&self, files: &Files) -> Option<Identity> {
        match self.place(files) {
            Some(folder) => identity::of(files, folder),
            None => identity::of_files(files),
        }
    }

    /// Where what is known of the files is kept, if they are worth it.
    fn place(&self, files: &Files) -> Option<&Path> {
        let folder = self.folder().filter(|_| files.bytes() >= self.least)?;
        std::fs::create_dir_all(folder).is_ok().then_some(folder)
    }

    /// The packed weights of a checkpoint of this identity, packed now if they are not there. `None` if there is no place
    /// for them: a shelf that cannot be written is no fault. Fails only if the checkpoint itself is not what it should be.
    pub fn weights(
        &self,
        (files, identity): (&Files, Identity),
        from: &Checkpoint<'_>,
        bits: Bits,
    ) -> Result<Option<Reader>, Error> {
        let Some(folder) = self.place(files) else { return Ok(None) };
        let path = folder.join(name(&identity, bits));
        if let Some(reader) = Reader::open(&path, &identity).filter(|reader| fits(reader, from, bits)) {
            return Ok(Some(reader));
        }
        let Ok(mut writer) = Writer::create(&path, identity) else { return Ok(None) };
        let forget = || files.forget();
        Quick::read(&mut Source::Packing(from, &mut writer, &forget), from, bits)?;
        let written = writer.finish().is_ok();
        Ok(written.then(|| Reader::open(&path, &identity)).flatten())
    }
}

/// Whether all that a model wants is there, in its size.
fn fits(reader: &Reader, from: &Checkpoint<'_>, bits: Bits) -> bool {
    let mut source = Source::Packed(from, reader.clone());
    Quick::read(&mut source, from, bits).is_ok()
        && matches!(&source, Source::Packed(_, rest) if rest.is_at_the_end())
}

/// A file's name: what it is of, how it is packed, and the version of that.
fn name(identity: &[u8; 32], bits: Bits) -> String {
    let bits = match bits {
        Bits::Eight => 8,
        Bits::Four => 4,
    };
    format!("{}-int{bits}-{}.packed", identity::hex(&identity[..16]), packing::VERSION)
}

/// The user's folder of caches of this program.
fn caches() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || variable("HOME");
    if cfg!(windows) {
        variable("LOCALAPPDATA").map(|folder| folder.join("Continuo").join("cache"))
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches/Continuo"))
    } else {
        let caches = variable("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
        caches.or_else(|| home().map(|home| home.join(".cache"))).map(|folder| folder.join("continuo"))
    }
}
