//! A folder of one test's own.

use std::path::{Path, PathBuf};

/// It goes with whoever holds it, also when the test fails.
pub struct Place(PathBuf);

impl Place {
    /// Apart from those of other tests, which have other names, and of other processes.
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("continuo-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    /// Writes a file; gives its path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        let written = std::fs::create_dir_all(path.parent().unwrap_or(&self.0))
            .and_then(|()| std::fs::write(&path, bytes));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.path(name)
    }

    /// The path of something in it, whether it is there or not.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl std::ops::Deref for Place {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
