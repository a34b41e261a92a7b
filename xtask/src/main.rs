//! The project's own commands: `cargo xtask COMMAND`. Spawns, links nothing of ours.
//!
//! ```text
//! demo, test, ci ─▶ doctor (what is missing) ─▶ bundle (what hosts load) ─▶ cargo, the host in tests/
//! ```

mod bench;
mod bundle;
mod counts;
mod demo;
mod doctor;
mod info;
mod listen;
mod run;
mod serve_demo;
mod test;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Continuo's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the plugin, play a phrase into it, and leave demo.mid, demo.wav and demo.png in target/demo.
    Demo,
    /// Run every test. What cannot run here is skipped by name, unless CONTINUO_REQUIRE names it.
    Test,
    /// What CI runs: tidy, format, installation of what is required, bundles, every test.
    Ci,
    /// Make Continuo.clap and Continuo.vst3 in target/bundled.
    Bundle {
        /// With the release profile.
        #[arg(long)]
        release: bool,
    },
    /// Build for release and put the bundles where this system's hosts look.
    Install,
    /// Say what is missing, for what, and how to get it.
    Doctor {
        /// Install what is missing (Debian and its kin, as root).
        #[arg(long)]
        install: bool,
        /// Only these parts: build, editor, xvfb, jack, ardour, pedalboard, standalone, training, chromium, clients, s3.
        parts: Vec<String>,
    },
    /// Hold the import rules and the sizes.
    Tidy,
    /// Measure: prints ratios and counts.
    Bench {
        /// What to measure.
        #[command(subcommand)]
        what: Option<bench::Bench>,
    },
    /// Start the service with the model in the box, and print what to try.
    ServeDemo,
    /// Make target/listening/index.html: twelve phrases and what the model makes of them.
    Listen,
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Demo => demo::demo(),
        Command::Test => test::test(),
        Command::Ci => test::ci(),
        Command::Bundle { release } => bundle::bundle(release).map(drop),
        Command::Install => bundle::install(),
        Command::Doctor { install, parts } => doctor::doctor(&parts, install),
        Command::Tidy => tidy::tidy(),
        Command::Bench { what } => bench::bench(what.unwrap_or(bench::Bench::Live)),
        Command::ServeDemo => serve_demo::serve_demo(),
        Command::Listen => listen::listen(),
    }
}
