//! Files by the hash of their content: on the local disk, in memory, or in any S3-compatible service.
//!
//! A file is whole under its name or not there: the disk's is written beside its place, flushed and renamed. What is
//! stored is never changed, so a second write of the same bytes does nothing.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::http::StatusCode;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::failure::Failure;

/// Where files are.
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    runtime: Handle,
    /// For messages.
    place: String,
}

/// A part of a file, and the size of all of it.
pub struct Piece {
    /// The bytes.
    pub bytes: axum::body::Bytes,
    /// Which they are.
    pub range: Range<u64>,
    /// Of the whole file.
    pub size: u64,
}

impl Store {
    /// At a place: a folder, `memory`, or `s3://bucket/prefix` with the usual AWS_ variables. Asynchronous work
    /// is done on the current runtime.
    pub fn at(place: &str) -> Result<Self> {
        let runtime = Handle::current();
        let objects: Arc<dyn ObjectStore> = match place {
            "memory" => Arc::new(InMemory::new()),
            place if place.starts_with("s3://") => s3(place)?,
            place if place.contains("://") => {
                bail!("--store {place} is neither a folder, nor memory, nor s3://bucket/prefix")
            }
            folder => disk(Path::new(folder))?,
        };
        Ok(Self { objects, runtime, place: place.into() })
    }

    /// Puts a file in, durably; gives its hash, and whether it is new. Not for threads that serve.
    pub fn put(&self, bytes: Vec<u8>) -> Result<(String, bool), Failure> {
        self.runtime.block_on(self.write(bytes))
    }

    /// The same where it may be awaited.
    pub async fn write(&self, bytes: Vec<u8>) -> Result<(String, bool), Failure> {
        let hash = hash(&bytes);
        let key = key(&hash);
        match self.objects.head(&key).await {
            Ok(there) if there.size == bytes.len() as u64 => return Ok((hash, false)),
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(self.broken("read", &error)),
        }
        let put = self.objects.put(&key, PutPayload::from(bytes)).await;
        put.map_err(|error| self.broken("write", &error))?;
        Ok((hash, true))
    }

    /// The file of a hash. Not for threads that serve.
    pub fn get(&self, hash: &str) -> Result<Option<Vec<u8>>, Failure> {
        let piece = self.runtime.block_on(self.read(hash, None))?;
        Ok(piece.map(|piece| piece.bytes.to_vec()))
    }

    /// The file of a hash, or a part of it.
    pub async fn read(&self, hash: &str, range: Option<GetRange>) -> Result<Option<Piece>, Failure> {
        let options = GetOptions { range, ..GetOptions::default() };
        let found = match self.objects.get_opts(&key(hash), options).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.broken("read", &error)),
        };
        let (range, size) = (found.range.clone(), found.meta.size);
        let bytes = found.bytes().await.map_err(|error| self.broken("read", &error))?;
        Ok(Some(Piece { bytes, range, size }))
    }

    /// Takes a file out again that nobody was told of.
    pub async fn forget(&self, hash: &str) -> Result<(), Failure> {
        self.objects.delete(&key(hash)).await.map_err(|error| self.broken("write", &error))
    }

    /// Size of the file of a hash.
    pub async fn size(&self, hash: &str) -> Result<Option<u64>, Failure> {
        match self.objects.head(&key(hash)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.broken("read", &error)),
        }
    }

    fn broken(&self, what: &str, error: &Error) -> Failure {
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(deeper) = cause {
            why = deeper.to_string();
            cause = deeper.source();
        }
        let text = format!("cannot {what} in the store {}: {why}; nothing was kept of this", self.place);
        Failure::failed(text)
            .of(StatusCode::INSUFFICIENT_STORAGE)
            .with(serde_json::json!({ "reason": "storage" }))
            .suggest("make room there, or start the service with another --store, then ask again")
    }
}

fn disk(folder: &Path) -> Result<Arc<dyn ObjectStore>> {
    let wrong = || format!("cannot keep files in {}", folder.display());
    std::fs::create_dir_all(folder).with_context(wrong)?;
    sweep(folder);
    let disk = LocalFileSystem::new_with_prefix(folder).with_context(wrong)?;
    Ok(Arc::new(disk.with_fsync(true).with_automatic_cleanup(true)))
}

/// Removes what a process that was killed left half written: its names hold a `#`.
fn sweep(folder: &Path) {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    for path in inside(folder).iter().flat_map(|shelf| inside(shelf)) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().contains('#')) {
            // It stays, and does no harm.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn s3(place: &str) -> Result<Arc<dyn ObjectStore>> {
    continuo_remote::with_tls();
    let rest = place.strip_prefix("s3://").unwrap_or(place);
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        bail!("--store {place} names no bucket; write s3://bucket/prefix");
    }
    let built = AmazonS3Builder::from_env().with_bucket_name(bucket).build();
    let objects = built.with_context(|| {
        format!("--store {place}: set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and for others than Amazon AWS_ENDPOINT")
    })?;
    match prefix.trim_matches('/') {
        "" => Ok(Arc::new(objects)),
        prefix => Ok(Arc::new(PrefixStore::new(objects, prefix))),
    }
}

/// Two digits are the shelf, so that no folder grows too large.
fn key(hash: &str) -> Key {
    let (shelf, rest) = hash.split_at_checked(2).unwrap_or(("", hash));
    Key::from_iter([shelf, rest])
}

/// SHA-256 in hexadecimal digits.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text is a hash.
pub fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn files_are_found_by_content_on_the_disk_and_in_memory() {
        let folder = std::env::temp_dir().join(format!("continuo-store-{}", std::process::id()));
        let half = folder.join("ba/x#1");
        std::fs::create_dir_all(half.parent().unwrap()).unwrap();
        std::fs::write(&half, b"half").unwrap();
        for place in [folder.to_str().unwrap(), "memory"] {
            runtime().block_on(async {
                let store = Store::at(place).unwrap();
                let (a, new) = store.write(b"abc".to_vec()).await.unwrap();
                assert_eq!(a, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
                assert!(is_hash(&a) && new);
                assert_eq!(store.write(b"abc".to_vec()).await.unwrap(), (a.clone(), false));
                assert_eq!(&store.read(&a, None).await.unwrap().unwrap().bytes[..], b"abc");
                let part = store.read(&a, Some(GetRange::Bounded(1..9))).await.unwrap().unwrap();
                assert_eq!((&part.bytes[..], part.range, part.size), (&b"bc"[..], 1..3, 3));
                assert!(store.read(&"0".repeat(64), None).await.unwrap().is_none());
            });
        }
        assert!(!half.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn places_that_are_none_are_refused() {
        let runtime = runtime();
        let _inside = runtime.enter();
        assert!(Store::at("ftp://x").is_err() && Store::at("s3://").is_err());
        assert!(!is_hash("../../etc/passwd"));
    }
}
