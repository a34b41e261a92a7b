//! What a checkpoint is, told by its content: two copies of it are one, and one that was changed in place is another.
//!
//! To hash half a gigabyte takes a second. So the hash is remembered with all that tells that files are still those that
//! were hashed: where they are, their sizes, their times (of the last change of anything about them too, which no
//! program can set), and a sample of their pages.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::files::Files;

/// Files that have changed later than this are not remembered: another change might fall on the same time.
const SETTLED: Duration = Duration::from_secs(2);

/// Pages of a file in the sample.
const PAGES: u64 = 64;
const PAGE: u64 = 4_096;

/// A file in memory, as if it were one on disk.
pub fn of_bytes(bytes: &[u8]) -> [u8; 32] {
    let mut hash = started("");
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
    hash.finalize().into()
}

/// The hash of the files' content and config, remembered nowhere. `None` if they cannot be read.
pub fn of_files(files: &Files) -> Option<[u8; 32]> {
    content(files).ok()
}

/// The same, remembered in `folder` if that can be written.
pub fn of(files: &Files, folder: &Path) -> Option<[u8; 32]> {
    let seen = folder.join(format!("{}.seen", hex(&stamp(files)?)));
    if let Some(known) = std::fs::read_to_string(&seen).ok().and_then(|text| parsed(text.trim())) {
        return Some(known);
    }
    let content = content(files).ok()?;
    if settled(files) {
        // Not remembered, it is hashed again.
        let unfinished = seen.with_extension(format!("{}.unfinished", std::process::id()));
        let _ = std::fs::write(&unfinished, hex(&content)).and_then(|()| std::fs::rename(&unfinished, &seen));
    }
    Some(content)
}

/// All of the config and of every file.
fn content(files: &Files) -> std::io::Result<[u8; 32]> {
    let mut hash = started(files.config().unwrap_or_default());
    let mut room = vec![0; 1 << 20];
    for path in files.paths() {
        let mut file = File::open(path)?;
        hash.update(file.metadata()?.len().to_le_bytes());
        loop {
            match file.read(&mut room)? {
                0 => break,
                count => hash.update(&room[..count]),
            }
        }
    }
    Ok(hash.finalize().into())
}

/// Where and when the files are, and a sample of them.
fn stamp(files: &Files) -> Option<[u8; 32]> {
    let mut hash = started(files.config().unwrap_or_default());
    for path in files.paths() {
        let mut file = File::open(path).ok()?;
        let (about, place) = (file.metadata().ok()?, path.canonicalize().ok()?);
        hash.update(place.as_os_str().as_encoded_bytes());
        hash.update(format!("{} {:?} {}", about.len(), about.modified().ok(), on_disk(&about)));
        let mut page = Vec::new();
        for number in 0..PAGES {
            page.clear();
            file.seek(SeekFrom::Start(about.len() / PAGES * number)).ok()?;
            (&mut file).take(PAGE).read_to_end(&mut page).ok()?;
            hash.update(&page);
        }
    }
    Some(hash.finalize().into())
}

/// Config first: it says what the tensors mean.
fn started(config: &str) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update((config.len() as u64).to_le_bytes());
    hash.update(config);
    hash
}

/// Which file it is, and when anything about it changed.
#[cfg(unix)]
fn on_disk(about: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{} {} {}.{}", about.dev(), about.ino(), about.ctime(), about.ctime_nsec())
}

#[cfg(not(unix))]
fn on_disk(about: &Metadata) -> String {
    format!("{:?}", about.created().ok())
}

fn settled(files: &Files) -> bool {
    let age = |path: &Path| {
        let changed = std::fs::metadata(path).and_then(|about| about.modified()).ok()?;
        SystemTime::now().duration_since(changed).ok()
    };
    files.paths().all(|path| age(path).is_some_and(|age| age > SETTLED))
}

/// Lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parsed(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}
