//! Phrases for the listening page. `listen FOLDER` writes, for each style, a phrase of eight bars and the same with four
//! more bars by its rule; `listen --shuffle ANSWERED.mid OUT.mid` deals the answer's notes out anew.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Result, bail};
use continuo_tests::gates::{STYLES, continued, dealt, made};
use continuo_tests::midi;

/// Beats of a phrase.
const PHRASE: f64 = 32.0;

fn main() -> Result<()> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.as_slice() {
        [folder] => phrases(Path::new(folder)),
        [flag, answered, out] if flag == "--shuffle" => shuffle(Path::new(answered), Path::new(out)),
        _ => bail!("usage: listen FOLDER, or listen --shuffle ANSWERED.mid OUT.mid"),
    }
}

fn phrases(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for number in 0..STYLES {
        let phrase = made(number);
        let name = format!("{:02}-{}", number + 1, phrase.name.replace(' ', "-"));
        let write = |end: &str, notes| {
            midi::write(&folder.join(format!("{name}{end}.mid")), phrase.tempo, &[("Phrase", notes)])
        };
        write("", &phrase.notes)?;
        write("-rule", &continued(number).notes)?;
        println!("{name}.mid");
    }
    Ok(())
}

fn shuffle(answered: &Path, out: &Path) -> Result<()> {
    let (notes, tempo) = midi::read(answered)?;
    let split = notes.partition_point(|note| note.at < PHRASE - 1e-9);
    let (phrase, answer) = notes.split_at(split);
    let mut all = phrase.to_vec();
    all.extend(dealt(answer, PHRASE));
    midi::write(out, tempo, &[("Phrase and shuffled answer", &all)])
}
