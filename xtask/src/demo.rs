//! `demo`: the bundled plugin in a host process of ours.

use anyhow::Result;

use crate::bench::tool;
use crate::run::{must, root};
use crate::{bundle, doctor};

/// Builds, plays the shipped phrase into the bundled .clap, and says what came back.
pub fn demo() -> Result<()> {
    doctor::prepare(&["build", "editor"])?;
    let bundled = bundle::bundle(false)?;
    let to = root().join("target/demo");
    std::fs::create_dir_all(&to)?;
    must(tool("play").arg("tests/phrases/demo.mid").arg(bundled.join("Continuo.clap")).arg(&to))
}
