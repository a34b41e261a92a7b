//! The cache of the Hub on this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use continuo_inference::library;

use super::name::Name;

/// Folders of all repositories.
pub struct Cache {
    /// See [`library::cache`].
    pub root: PathBuf,
}

impl Cache {
    /// The one that the environment names.
    pub fn of_environment() -> Self {
        Self { root: library::cache() }
    }

    /// The snapshot of one revision, if it is wholly there.
    pub fn snapshot(&self, name: &Name) -> Option<PathBuf> {
        let folder = self.root.join(name.folder());
        let any = || (name.revision == "main").then(|| library::any(&folder)).flatten();
        library::snapshot(&folder, &name.revision).or_else(any)
    }

    /// Where one repository's files lie.
    pub fn repository(&self, name: &Name) -> Repository {
        let locks = self.root.join(".locks").join(name.folder());
        Repository { folder: self.root.join(name.folder()), locks }
    }
}

/// Files of one repository.
pub struct Repository {
    folder: PathBuf,
    locks: PathBuf,
}

impl Repository {
    /// A file's bytes, by what the server calls them.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Files of a commit.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Keeps others, also tools in other languages, from writing the same blob until it is dropped.
    pub fn lock(&self, etag: &str) -> Result<fs::File> {
        let path = self.locks.join(format!("{etag}.lock"));
        fs::create_dir_all(&self.locks).with_context(|| cannot(&self.locks))?;
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| cannot(&path))?;
        // A file system without locks is used without them.
        let _ = file.lock();
        Ok(file)
    }

    /// Makes `file` of a commit out of a blob.
    pub fn place(&self, etag: &str, commit: &str, file: &str) -> Result<PathBuf> {
        let path = self.snapshot(commit).join(file);
        let target = Path::new("../../blobs").join(etag);
        if fs::read_link(&path).is_ok_and(|there| there == target) {
            return Ok(path);
        }
        fs::create_dir_all(self.snapshot(commit)).with_context(|| cannot(&path))?;
        link(&target, &self.blob(etag), &path, symlink).with_context(|| cannot(&path))?;
        Ok(path)
    }

    /// Writes down where a branch or tag stood.
    pub fn name(&self, revision: &str, commit: &str) -> Result<()> {
        if revision == commit {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        let part = path.with_file_name(format!(".{}", std::process::id()));
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&part, commit)?;
            fs::rename(&part, &path)
        };
        write().with_context(|| cannot(&path))
    }
}

/// Why a file could not be written.
pub fn cannot(path: &Path) -> String {
    format!("cannot write {}; check its rights, or name another folder by HF_HUB_CACHE", path.display())
}

/// A link to `target`, seen from `path`'s folder; where the file system has none, a copy of `blob`. What stood
/// there is replaced at once.
fn link(
    target: &Path,
    blob: &Path,
    path: &Path,
    symlink: impl Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let part = path.with_file_name(format!(".{}.link", std::process::id()));
    let _ = fs::remove_file(&part);
    if symlink(target, &part).is_err() {
        fs::copy(blob, &part)?;
    }
    fs::rename(&part, path)
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_are_no_links_there_are_copies() {
        let folder = std::env::temp_dir().join(format!("continuo-links-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (blob, path) = (folder.join("blob"), folder.join("config.json"));
        fs::write(&blob, "{}").unwrap();
        fs::write(&path, "older").unwrap();
        let none = |_: &Path, _: &Path| Err(io::Error::other("no links here"));
        link(Path::new("blob"), &blob, &path, none).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
        assert!(!path.is_symlink());
        link(Path::new("blob"), &blob, &path, symlink).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
