//! `demo` and `bench`: the bundled plugin in a host process of ours.

use anyhow::Result;

use crate::run::{must, program, root, target};
use crate::{bundle, doctor};

/// Builds, plays the shipped phrase into the bundled .clap, and says what came back.
pub fn demo() -> Result<()> {
    doctor::prepare(&["build", "editor"])?;
    let bundled = bundle::bundle(false)?;
    let to = root().join("target/demo");
    std::fs::create_dir_all(&to)?;
    let play = target().join("debug").join(format!("play{}", std::env::consts::EXE_SUFFIX));
    must(
        program(&play.to_string_lossy(), &["tests/phrases/demo.mid"])
            .arg(bundled.join("Continuo.clap"))
            .arg(&to),
    )
}

/// Measures the plugin in a host process of ours.
pub fn bench() -> Result<()> {
    let bundled = bundle::bundle(false)?;
    let measure = target().join("debug").join(format!("measure{}", std::env::consts::EXE_SUFFIX));
    must(program(&measure.to_string_lossy(), &[]).arg(bundled.join("Continuo.clap")))
}
