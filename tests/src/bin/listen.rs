//! Writes one phrase of eight bars for each style: `listen FOLDER`. `cargo xtask listen` has them continued.

use std::path::PathBuf;

use anyhow::{Context, Result};
use continuo_tests::gates::{STYLES, made};
use continuo_tests::midi;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context("usage: listen FOLDER")?;
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for number in 0..STYLES {
        let phrase = made(number);
        let name = format!("{:02}-{}.mid", number + 1, phrase.name.replace(' ', "-"));
        midi::write(&folder.join(&name), phrase.tempo, &[("Phrase", &phrase.notes)])?;
        println!("{name}");
    }
    Ok(())
}
