//! Reading `bundle.toml`.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::run::root;

/// One plugin to ship.
#[derive(Deserialize)]
pub struct Bundle {
    /// Crate whose cdylib is shipped.
    pub package: String,
    /// File name of the cdylib, without prefix and suffix.
    pub library: String,
    /// Display name, and the name of the bundles.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// Bundle identifier on macOS.
    pub identifier: String,
    /// The CLAP id.
    pub clap_id: String,
    /// "clap" and "vst3".
    pub formats: Vec<String>,
    /// Files laid beside the bundles.
    pub ship: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    bundle: Vec<Bundle>,
}

/// What is to be bundled.
pub fn bundles() -> Result<Vec<Bundle>> {
    let path = root().join("bundle.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(toml::from_str::<File>(&text).with_context(|| path.display().to_string())?.bundle)
}
