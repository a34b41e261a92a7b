//! `bench`: what programs in `tests/` measure: behaviour in time, the engine, the model.

use anyhow::Result;
use clap::Subcommand;

use crate::bundle;
use crate::counts;
use crate::run::{cargo, must, program, root, target, works};

/// What is measured.
#[derive(Subcommand, Clone)]
pub enum Bench {
    /// The bundled plugin in a host of ours: cost, onsets, time to the answer, late and hanging notes.
    Live,
    /// Ardour in a real JACK graph, with eight instances and without, in turns: xruns and whose they are, and notes that hang.
    Jack {
        /// Minutes of each turn.
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
        /// Tracks, each with an instance.
        #[arg(long, default_value_t = 8)]
        tracks: u32,
        /// Turns with and without, the order changing each time.
        #[arg(long, default_value_t = 1)]
        pairs: u32,
        /// No real-time priority for JACK's threads, even where it may be had.
        #[arg(long)]
        fair: bool,
        /// A check of the bench itself: its player is late every five seconds, for which the machine must not be blamed.
        #[arg(long)]
        stumble: bool,
        /// A third kind of turn: no plugin, but as much work as theirs beside the graph.
        #[arg(long)]
        beside: bool,
    },
    /// The engine: loading, prompts, tokens a second, against this machine's memory.
    Decode {
        /// `default`: the model in the box; `small`: Stanford's smallest shape, weights made up (half a gigabyte); else both.
        #[arg(value_parser = ["default", "small"])]
        shape: Option<String>,
        /// The small shape beside CTranslate2, llama.cpp, ONNX Runtime and Hugging Face, which are installed from PyPI
        /// into target/bench/peers.
        #[arg(long)]
        peers: bool,
        /// What the program itself takes: `-- --rounds 3 --threads 2`, and of the peers `--batch 1 --peer onnx`.
        #[arg(last = true)]
        more: Vec<String>,
    },
    /// The service: requests and notes a second of 1, 4 and 8 clients at once, against the same one at a time.
    Serve,
    /// The service under so many mixed requests; fails if its memory grows.
    Soak {
        /// How many.
        #[arg(default_value_t = 500)]
        requests: u64,
    },
    /// The service under files and requests that are broken in all ways; fails if one brings it down.
    Mutate {
        /// How many.
        #[arg(default_value_t = 100_000)]
        requests: u64,
    },
    /// Instructions of a token, counted by valgrind: what no neighbour disturbs.
    Counts,
    /// Fifty answers of the model against chance; fails if it is not clearly better.
    Model,
}

/// Builds, and measures.
pub fn bench(what: Bench) -> Result<()> {
    let bundled = match what {
        Bench::Serve | Bench::Soak { .. } | Bench::Mutate { .. } => {
            must(&mut cargo(&["build", "-p", "continuo-service", "-p", "continuo-tests", "--bins"]))?;
            root()
        }
        Bench::Decode { .. } | Bench::Counts => {
            must(&mut cargo(&["build", "-p", "continuo-tests", "--bin", "decode"]))?;
            root()
        }
        _ => bundle::bundle(false)?,
    };
    match what {
        Bench::Serve => must(tool("serve_load").arg("throughput")),
        Bench::Mutate { requests } => must(tool("serve_load").arg("mutate").arg(requests.to_string())),
        Bench::Soak { requests } => must(tool("serve_load").arg("soak").arg(requests.to_string())),
        Bench::Live => must(tool("measure").arg(bundled.join("Continuo.clap"))),
        Bench::Jack { minutes, tracks, pairs, fair, stumble, beside } => {
            let (python, script) =
                (root().join(".venv/bin/python"), root().join("tests/scripts/jack_run.py"));
            anyhow::ensure!(
                works(&python.to_string_lossy(), &["-c", "import jack, numpy"])
                    && works("sh", &["-c", "command -v ardour7-lua && command -v jackd"]),
                "Ardour, JACK or a Python module is missing: cargo xtask doctor --install ardour jack"
            );
            let mut run = program(&python.to_string_lossy(), &[]);
            run.arg(script).arg(bundled.join("Continuo.vst3")).arg(target().join("jack"));
            for (name, value) in [
                ("--minutes", minutes.to_string()),
                ("--tracks", tracks.to_string()),
                ("--pairs", pairs.to_string()),
            ] {
                run.arg(name).arg(value);
            }
            let flags = [(fair, "--fair"), (stumble, "--stumble"), (beside, "--beside")];
            must(run.args(flags.into_iter().filter_map(|(on, flag)| on.then_some(flag))))
        }
        Bench::Decode { peers: true, more, .. } => must(tool("decode").arg("peers").args(more)),
        Bench::Decode { shape, more, .. } => must(tool("decode").arg("engine").args(shape).args(more)),
        Bench::Counts => counts::counts(),
        Bench::Model => must(&mut tool("gates")),
    }
}

/// A program of ours in the dev profile, which [`bundle::bundle`] built.
pub fn tool(name: &str) -> std::process::Command {
    let path = target().join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    program(&path.to_string_lossy(), &[])
}
