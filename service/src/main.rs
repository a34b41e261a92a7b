//! `continuo`: the engine of the plugin from the command line.
//!
//! One JSON document on stdout where data is printed, messages and progress on stderr; exit code 1 on failure,
//! 2 when the failure is the document (`error`) or the command line is wrong.

mod accompanying;
mod bridging;
mod config;
mod continuing;
mod exact;
mod generating;
mod hub;
mod listening;
mod models;
mod placing;
mod player;
mod playing;
mod render;
mod roll;
mod serve;
mod showing;
mod tokens;
mod varying;

use std::io::Write;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use continuo_service::{part, song};
use serde_json::Value;

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
    /// Music from nothing.
    Generate(generating::Generate),
    /// Other instruments play along with a MIDI file.
    Accompany(accompanying::Accompany),
    /// Play from the end of one MIDI file to the start of another.
    Bridge(bridging::Bridge),
    /// Play some bars of a MIDI file anew.
    Vary(varying::Vary),
    /// A vector for a MIDI file, to compare it with others.
    Embed(listening::Embed),
    /// How much each note of a MIDI file surprises the model.
    Score(listening::Score),
    /// A MIDI file as sound and as a piano roll.
    Show(showing::Show),
    /// A MIDI file as the model's tokens.
    Tokens(tokens::Tokens),
    /// What the model expects after some tokens.
    Logits(exact::Logits),
    /// Generate tokens exactly as the reference does.
    Sample(exact::Sample),
    /// The same over HTTP, for other programs and machines.
    Serve(serve::Serve),
    /// Whether `serve` would run with these options, and what is in its way.
    Doctor(serve::checks::Doctor),
    /// The models on this machine.
    #[command(subcommand)]
    Models(models::Models),
}

fn main() -> std::process::ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("continuo: {}", said(&error));
            return std::process::ExitCode::FAILURE;
        }
    };
    let done = match arguments.command {
        Command::Continue(command) => command.run(),
        Command::Generate(command) => command.run(),
        Command::Accompany(command) => command.run(),
        Command::Bridge(command) => command.run(),
        Command::Vary(command) => command.run(),
        Command::Embed(command) => command.run(),
        Command::Score(command) => command.run(),
        Command::Show(command) => command.run(),
        Command::Tokens(command) => Ok(command.run()),
        Command::Logits(command) => command.run(),
        Command::Sample(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Models(command) => command.run(),
    };
    match done {
        Ok(report) => {
            // Whoever reads may have seen enough.
            let _ = writeln!(std::io::stdout().lock(), "{}", written(&report));
            std::process::ExitCode::from(if report.get("error").is_some() { 2 } else { 0 })
        }
        Err(error) => {
            eprintln!("continuo: {}", said(&error));
            std::process::ExitCode::FAILURE
        }
    }
}

/// The command line, and what a configuration file adds to it.
fn arguments() -> anyhow::Result<Arguments> {
    let mut command = Arguments::command();
    let given = command.get_matches_mut();
    if let Some((name @ ("serve" | "doctor"), options)) = given.subcommand()
        && let Some(known) = command.find_subcommand(name)
    {
        let added = config::added(known, options)?;
        if !added.is_empty() {
            return Ok(Arguments::parse_from(std::env::args_os().chain(added)));
        }
    }
    Ok(Arguments::from_arg_matches(&given)?)
}

/// An error and its causes, each said once.
fn said(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| match cause.to_string() {
        cause if text.is_empty() => cause,
        cause if text.contains(&cause) => text,
        cause => format!("{text}: {cause}"),
    })
}

/// A line for each field, unless there are long lists of numbers.
fn written(report: &Value) -> String {
    let long = |value: &Value| value.as_array().is_some_and(|list| list.iter().any(Value::is_number));
    let is_long = report.as_object().is_some_and(|fields| fields.values().any(long));
    if is_long { report.to_string() } else { format!("{report:#}") }
}
