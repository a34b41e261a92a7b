//! Files by the hash of their content. In memory, bounded: the oldest are let go.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

/// What was put in and fits.
pub struct Store {
    shelves: Mutex<Shelves>,
    room: usize,
}

#[derive(Default)]
struct Shelves {
    files: HashMap<String, Arc<Vec<u8>>>,
    order: VecDeque<String>,
    size: usize,
}

impl Store {
    /// With room for so many bytes.
    pub fn new(room: usize) -> Self {
        Self { shelves: Mutex::default(), room }
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a file in; gives its hash: SHA-256 in lower-case hexadecimal digits.
    pub fn put(&self, bytes: Vec<u8>) -> String {
        let hash = hash(&bytes);
        let mut shelves = self.shelves();
        if !shelves.files.contains_key(&hash) {
            shelves.size += bytes.len();
            shelves.order.push_back(hash.clone());
            shelves.files.insert(hash.clone(), Arc::new(bytes));
        }
        while shelves.size > self.room && shelves.order.len() > 1 {
            if let Some(old) = shelves.order.pop_front().and_then(|hash| shelves.files.remove(&hash)) {
                shelves.size -= old.len();
            }
        }
        hash
    }

    /// The file of a hash.
    pub fn get(&self, hash: &str) -> Option<Arc<Vec<u8>>> {
        self.shelves().files.get(hash).map(Arc::clone)
    }
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

    #[test]
    fn files_are_found_by_content_and_the_oldest_go() {
        let store = Store::new(10);
        let a = store.put(b"abc".to_vec());
        assert_eq!(a, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(is_hash(&a));
        assert_eq!(store.put(b"abc".to_vec()), a);
        assert_eq!(store.get(&a).unwrap().as_slice(), b"abc");
        let b = store.put(b"0123456789".to_vec());
        assert!(store.get(&a).is_none() && store.get(&b).is_some());
        assert!(!is_hash("../../etc/passwd"));
    }
}
