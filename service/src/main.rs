//! `continuo`: the engine of the plugin from the command line.
//!
//! One JSON document on stdout where data is printed, messages and progress on stderr, exit code 1 on failure.

mod continuing;
mod render;
mod roll;
mod song;

use clap::{Parser, Subcommand};

/// Music that goes on: continue MIDI files with a music transformer on this machine.
#[derive(Parser)]
#[command(
    name = "continuo",
    version,
    after_help = "Start with:  continuo continue song.mid -o more.mid --render more.wav"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play on where a MIDI file ends. The file's own notes stay untouched; the answer begins at the next bar line.
    Continue(continuing::Continue),
}

fn main() -> std::process::ExitCode {
    let done = match Arguments::parse().command {
        Command::Continue(command) => command.run(),
    };
    match done {
        Ok(report) => {
            println!("{report:#}");
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("continuo: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
