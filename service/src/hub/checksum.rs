//! The sum that a server gives with a file, and the sum of what came.

use sha2::Digest as _;

/// A sum under way.
enum Sum {
    /// Of large files: of their bytes.
    Sha256(sha2::Sha256),
    /// Of small files: git's, over a head and their bytes.
    GitBlob(sha1::Sha1),
    /// The server gave none that is known here.
    Unknown,
}

/// Compares what comes with what was said.
pub struct Checksum {
    sum: Sum,
    wanted: String,
}

impl Checksum {
    /// For a file of `size` bytes that the server calls `etag`: 64 hexadecimal digits are a SHA-256, 40 are
    /// git's SHA-1.
    pub fn new(etag: &str, size: u64) -> Self {
        let hexadecimal = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let sum = match etag.len() {
            64 if hexadecimal => Sum::Sha256(sha2::Sha256::new()),
            40 if hexadecimal => Sum::GitBlob(sha1::Sha1::new_with_prefix(format!("blob {size}\0"))),
            _ => Sum::Unknown,
        };
        Self { sum, wanted: etag.to_ascii_lowercase() }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.sum {
            Sum::Sha256(sum) => sum.update(bytes),
            Sum::GitBlob(sum) => sum.update(bytes),
            Sum::Unknown => {}
        }
    }

    /// What the sum is where it is another than was said.
    pub fn differs(self) -> Option<String> {
        let sum = match self.sum {
            Sum::Sha256(sum) => hexadecimal(&sum.finalize()),
            Sum::GitBlob(sum) => hexadecimal(&sum.finalize()),
            Sum::Unknown => return None,
        };
        (sum != self.wanted).then_some(sum)
    }

    /// What kind of sum it is.
    pub fn kind(&self) -> &'static str {
        match self.sum {
            Sum::Sha256(_) => "sha256",
            Sum::GitBlob(_) => "git",
            Sum::Unknown => "none",
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    fn differs(etag: &str, bytes: &[u8]) -> Option<String> {
        let mut sum = Checksum::new(etag, bytes.len() as u64);
        bytes.chunks(2).for_each(|part| sum.update(part));
        sum.differs()
    }

    #[test]
    fn sums_are_those_of_sha256sum_and_git() {
        let whole = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(differs(whole, b"abc"), None);
        assert!(differs(whole, b"abd").is_some());
        // `printf 'hello\n' | git hash-object --stdin`
        let blob = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(differs(blob, b"hello\n"), None);
        assert_eq!(differs(&blob.to_uppercase(), b"hello\n"), None);
        assert!(differs(blob, b"hello").is_some());
    }
}
