//! `listen`: a page with a phrase in each of twelve styles and what the model makes of it.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::bench::tool;
use crate::bundle;
use crate::run::{must, root, spell};

/// Makes target/listening/index.html.
pub fn listen() -> Result<()> {
    bundle::bundle(false)?;
    let folder = root().join("target/listening");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let mut write = tool("listen");
    let out = write.arg(&folder).output().with_context(|| spell(&write))?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut page = String::from(HEAD);
    for file in String::from_utf8(out.stdout)?.lines() {
        let name = file.trim_end_matches(".mid");
        continued(&folder, name)?;
        compared(&folder, name)?;
        write!(page, "{}", entry(name))?;
    }
    must(tool("listen").arg("--count").arg(&folder))?;
    let index = folder.join("index.html");
    std::fs::write(&index, page).with_context(|| index.display().to_string())?;
    println!("{}", index.display());
    Ok(())
}

fn continued(folder: &Path, name: &str) -> Result<()> {
    let file = |end: &str| folder.join(format!("{name}{end}"));
    let mut command = tool("continuo");
    command.arg("continue").arg(file(".mid")).arg("-o").arg(file("-answered.mid"));
    command.args(["--bars", "4", "--seed", "1", "--render"]).arg(file(".wav"));
    must(command.arg("--picture").arg(file(".png")))
}

/// What really follows, and the model's notes dealt out anew, as sound and picture.
fn compared(folder: &Path, name: &str) -> Result<()> {
    let file = |end: &str| folder.join(format!("{name}{end}"));
    must(tool("listen").arg("--shuffle").arg(file("-answered.mid")).arg(file("-shuffled.mid")))?;
    for kind in ["-real", "-shuffled"] {
        let mut command = tool("continuo");
        command.arg("show").arg(file(&format!("{kind}.mid"))).args(["--from", "9", "--render"]);
        command.arg(file(&format!("{kind}.wav"))).arg("--picture").arg(file(&format!("{kind}.png")));
        must(&mut command)?;
    }
    Ok(())
}

const HEAD: &str = "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Continuo: twelve phrases and their answers</title>\n\
    <style>body{font:16px sans-serif;max-width:60em;margin:2em auto}img{width:100%}</style>\n\
    <h1>Twelve phrases and their answers</h1>\n\
    <p>Eight bars, then four: as the music really goes on, by the default model (seed 1, top-p 0.95, none chosen over another), \
    and the model's notes dealt out anew. The first nine are passages of music that the model was not trained on \
    (sources in tests/excerpts/NOTICE); pop, funk and swing are made up by rule, and really go on by the same rule.</p>\n";

fn entry(name: &str) -> String {
    let mut text = format!("<h2>{name}</h2>\n<p><a href=\"{name}.mid\">the phrase</a></p>\n");
    let parts = [
        ("-real", "really", "-real"),
        ("", "the model", "-answered"),
        ("-shuffled", "shuffled", "-shuffled"),
    ];
    for (end, what, midi) in parts {
        let _ = write!(
            text,
            "<h3>{what}</h3>\n<img src=\"{name}{end}.png\" alt=\"piano roll\">\n\
             <p><audio controls src=\"{name}{end}.wav\"></audio> <a href=\"{name}{midi}.mid\">MIDI</a></p>\n"
        );
    }
    text
}
