//! Another engine in a process of its own, loaded once, that does a run whenever it is told to.
//!
//! The line that it is told and the line that it says are described in `tests/scripts/peers/serve.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::json;

/// Those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// CTranslate2, int8.
    Ctranslate2,
    /// llama.cpp, q8_0.
    LlamaQ8,
    /// llama.cpp, q4_0.
    LlamaQ4,
    /// ONNX Runtime, int8.
    Onnx,
    /// Hugging Face, f32 with its cache.
    Hugging,
    /// Hugging Face, f32 without a cache: how the reference samples.
    Reference,
}

/// One that runs.
pub struct Peer {
    /// Its name and version.
    pub name: String,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Seconds of a run.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Run {
    /// Until the first token after the prompt.
    pub first: f64,
    /// From there to the last.
    pub rest: f64,
}

impl Kind {
    /// Its name among the scripts.
    fn script(self) -> &'static str {
        match self {
            Self::Ctranslate2 => "ctranslate2",
            Self::LlamaQ8 => "llama-q8_0",
            Self::LlamaQ4 => "llama-q4_0",
            Self::Onnx => "onnx",
            Self::Hugging => "hugging",
            Self::Reference => "reference",
        }
    }

    /// The environment that it lives in.
    fn home(self) -> &'static str {
        match self {
            Self::LlamaQ8 | Self::LlamaQ4 => "llama",
            Self::Hugging | Self::Reference => "hugging",
            Self::Ctranslate2 | Self::Onnx => self.script(),
        }
    }

    /// The Python that has its packages: made under `folder` if none is given. Fails with why not.
    pub fn installed(self, folder: &Path, python: Option<&Path>) -> Result<PathBuf> {
        if let Some(python) = python {
            return Ok(python.into());
        }
        let home = folder.join(self.home());
        eprintln!("looking after {} in {}", self.script(), home.display());
        let out = scripts(Path::new("python3")).arg("install").arg(&home).arg(self.home()).output();
        let out = out.context("python3 does not start")?;
        let said = String::from_utf8_lossy(&out.stdout);
        match said.lines().last() {
            Some("ready") => Ok(home.join("bin").join("python")),
            Some(why) => bail!("{}", why.trim_start_matches("no: ").to_owned()),
            None => bail!("{}", String::from_utf8_lossy(&out.stderr).trim().to_owned()),
        }
    }

    /// Loads `checkpoint` for so many threads.
    pub fn start(self, python: &Path, checkpoint: &Path, threads: usize) -> Result<Peer> {
        let mut command = scripts(python);
        command.args(["serve", self.script()]).arg(checkpoint).arg(threads.to_string());
        Peer::start(&mut command)
    }
}

/// A Python with the scripts on its path.
fn scripts(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "peers"]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

impl Peer {
    fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take().context("no output")?);
        let mut peer = Self { name: String::new(), child, orders, answers: BufReader::new(answers) };
        let said = peer.line()?;
        peer.name = said.strip_prefix("ready ").context(said.clone())?.to_owned();
        Ok(peer)
    }

    /// A prompt, and so many tokens after the first, for so many sequences side by side.
    pub fn run(&mut self, ids: &[u32], batch: usize, new: usize) -> Result<Run> {
        let order = json!({"ids": ids, "batch": batch, "new": new});
        let orders = self.orders.as_mut().context("it was told to end")?;
        writeln!(orders, "{order}").and_then(|()| orders.flush()).context("it has ended")?;
        let said = self.line()?;
        serde_json::from_str(&said).with_context(|| said.clone())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("it ended without a word: {}", self.child.wait()?);
        }
        Ok(line.trim().trim_start_matches("no: ").to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        self.orders = None;
        let _ = self.child.wait();
    }
}
