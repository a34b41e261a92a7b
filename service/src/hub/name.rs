//! What a model is called on the Hub.

use std::fmt;

use anyhow::{Result, bail};

/// Repository and revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `owner/name`.
    pub repository: String,
    /// A branch, a tag or a commit.
    pub revision: String,
}

impl Name {
    /// `small`, `medium`, `large`, or `owner/name`; each may end in `@revision`, `main` if absent.
    pub fn parse(text: &str) -> Result<Self> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, "main"));
        let repository = match repository {
            "small" | "medium" | "large" => format!("stanford-crfm/music-{repository}-800k"),
            other => other.to_owned(),
        };
        let parts: Vec<&str> = repository.split('/').collect();
        if parts.len() != 2 || !parts.iter().all(|part| is_plain(part) && !part.contains("--")) {
            bail!("{text:?} is no model of the Hub: give small, medium, large or owner/name[@revision]");
        }
        if !revision.split('/').all(is_plain) {
            bail!("{revision:?} is no revision: give a branch, a tag or a commit");
        }
        Ok(Self { repository, revision: revision.to_owned() })
    }

    /// Its folder in the cache.
    pub fn folder(&self) -> String {
        format!("models--{}", self.repository.replace('/', "--"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            "main" => f.write_str(&self.repository),
            revision => write!(f, "{}@{revision}", self.repository),
        }
    }
}

/// Whether a word can be a part of a path and of an address as it is.
pub fn is_plain(word: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !word.is_empty() && !word.starts_with('.') && word.len() <= 200 && word.chars().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_hub() {
        let name = |text| Name::parse(text).unwrap().to_string();
        assert_eq!(name("small"), "stanford-crfm/music-small-800k");
        assert_eq!(name("a/b.c@refs/pr/1"), "a/b.c@refs/pr/1");
        assert_eq!(name("a/b@main"), "a/b");
        for wrong in ["", "tiny", "a/b/c", "a/..", "../b", "a/b@", "a/b@../../x", "a--b/c", "a/b c", "/b"] {
            assert!(Name::parse(wrong).is_err(), "{wrong}");
        }
    }
}
