//! The file: a header that is checked, then lists of numbers one after the other, each from a multiple of 64 bytes on.
//! Nothing in it says how long a list is: whoever reads knows it, and what does not come out even is refused.
//!
//! ```text
//! 0  magic      16  version, order of bytes      24  length of the file      32  sum of what follows the header
//! 40 identity   72  sum of all before            4096  the lists
//! ```

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::Mmap;

use crate::quick::{Kept, Mapped, Number};

/// Of the file and of how weights are packed: 1 has the first block in eight bits always.
pub const VERSION: u32 = 1;

const MAGIC: &[u8; 16] = b"continuo packed\n";
/// Written as the machine has it: another order of bytes is another number.
const ORDER: u32 = 0x0102_0304;
/// Where the lists begin, and where their sum stands.
const HEADER: usize = 4_096;
const SUM: usize = 32;
/// What a list begins at a multiple of.
const LINE: usize = 64;

/// A file that is being read: gives out its lists in order.
#[derive(Clone)]
pub struct Reader {
    map: Arc<Mmap>,
    at: usize,
}

/// A file that is being made.
pub struct Writer {
    path: PathBuf,
    unfinished: PathBuf,
    file: Option<File>,
    identity: [u8; 32],
    length: usize,
    sum: Sum,
    /// The first thing that went wrong.
    failed: Option<io::Error>,
}

impl Reader {
    /// Maps a file and checks all of it. `None` if it is not there, damaged, or of something else.
    pub fn open(path: &Path, identity: &[u8; 32]) -> Option<Self> {
        let file = File::open(path).ok()?;
        // SAFETY: the map is read only. Files of this folder are written under other names, and only renamed when they are
        // whole: nobody writes into one that can be found.
        let map = unsafe { Mmap::map(&file) }.ok()?;
        if map.len() < HEADER {
            return None;
        }
        let stored = u64::from_ne_bytes(map[SUM..SUM + 8].try_into().ok()?);
        let expected = header(identity, map.len(), stored);
        if map[..expected.len()] != expected {
            return None;
        }
        let mut sum = Sum::default();
        sum.add(&map[HEADER..]);
        (sum.value() == stored).then(|| Self { map: Arc::new(map), at: HEADER })
    }

    /// The next list, of so many numbers.
    pub fn list<T: Number>(&mut self, len: usize) -> Option<Kept<T>> {
        let list = Mapped::new(&self.map, self.at, len)?;
        self.at += (len * size_of::<T>()).next_multiple_of(LINE);
        Some(Kept::Mapped(list))
    }

    /// Whether all lists were given out.
    pub fn is_at_the_end(&self) -> bool {
        self.at == self.map.len()
    }
}

impl Writer {
    /// A file that will be at `path` when it is finished.
    pub fn create(path: &Path, identity: [u8; 32]) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unfinished = path.with_extension(format!("{}-{number}.unfinished", std::process::id()));
        let mut file = File::create_new(&unfinished)?;
        file.write_all(&[0; HEADER])?;
        let sum = Sum::default();
        Ok(Self {
            path: path.into(),
            unfinished,
            file: Some(file),
            identity,
            length: HEADER,
            sum,
            failed: None,
        })
    }

    /// One more list. What goes wrong is told by [`Self::finish`].
    pub fn list<T: Number>(&mut self, list: &Kept<T>) {
        let bytes = list.bytes();
        let rest = bytes.len().next_multiple_of(LINE) - bytes.len();
        let (whole, last) = bytes.split_at(bytes.len() / LINE * LINE);
        let mut line = [0; LINE];
        line[..last.len()].copy_from_slice(last);
        let line = if rest > 0 { &line[..] } else { &[] };
        for part in [whole, line] {
            self.sum.add(part);
            self.length += part.len();
            if let (Some(file), None) = (&mut self.file, &self.failed) {
                self.failed = file.write_all(part).err();
            }
        }
    }

    /// Puts it where it is found.
    pub fn finish(mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header(&self.identity, self.length, self.sum.value()))?;
        // What a power cut leaves half written is found by its sum.
        drop(file);
        std::fs::rename(&self.unfinished, &self.path)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.file = None;
        // Gone, if it was finished.
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

fn header(identity: &[u8; 32], length: usize, sum: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_ne_bytes());
    bytes.extend(ORDER.to_ne_bytes());
    bytes.extend((length as u64).to_ne_bytes());
    bytes.extend(sum.to_ne_bytes());
    bytes.extend(identity);
    let mut whole = bytes.clone();
    whole.resize(whole.len().next_multiple_of(LINE), 0);
    let mut own = Sum::default();
    own.add(&whole);
    bytes.extend(own.value().to_ne_bytes());
    bytes
}

/// A sum of whole lines that tells damage, as fast as memory is read; it is no defence against malice, which could write a
/// whole file.
#[derive(Clone, Copy)]
struct Sum([u64; 8]);

impl Default for Sum {
    fn default() -> Self {
        Self(std::array::from_fn(|lane| lane as u64 + 1))
    }
}

impl Sum {
    fn add(&mut self, lines: &[u8]) {
        let mut lanes = self.0;
        for line in lines.as_chunks::<LINE>().0 {
            for (lane, word) in lanes.iter_mut().zip(line.as_chunks::<8>().0) {
                // An odd factor and a turn lose nothing, so that one changed bit always changes the sum.
                *lane =
                    (*lane ^ u64::from_ne_bytes(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
            }
        }
        self.0 = lanes;
    }

    fn value(&self) -> u64 {
        let fold = |all: u64, lane: &u64| (all ^ lane).wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(31);
        self.0.iter().fold(0, fold)
    }
}
