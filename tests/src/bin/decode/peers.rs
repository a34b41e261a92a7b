//! Ours beside other engines, on the same made-up checkpoint, in turns: one run of ours, one of theirs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use continuo_inference::Model;
use continuo_inference::kernel::Bits;

use crate::made_up;
use crate::peer::{Kind, Peer, Run};
use crate::play::{self, Rows};
use crate::shape::Shape;

/// What is compared.
#[derive(Args)]
pub struct Asked {
    /// Runs of each.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only these, by name; else all.
    #[arg(long = "peer", value_enum)]
    peers: Vec<Kind>,
    /// Threads.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 1])]
    threads: Vec<usize>,
    /// Sequences side by side.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4])]
    batch: Vec<usize>,
    /// A Python that has their packages; else environments of their own are made under target/bench/peers.
    #[arg(long, env = "CONTINUO_PEERS_PYTHON")]
    python: Option<PathBuf>,
    /// Installs, converts and loads, and measures nothing.
    #[arg(long)]
    prepare: bool,
}

/// What was measured beside one other.
struct Column {
    first: Vec<f64>,
    rate: Vec<f64>,
    /// Ours over theirs, a pair of runs at a time.
    ratio: Vec<f64>,
    first_ratio: Vec<f64>,
}

/// A peer, or why there is none.
struct Seat {
    kind: Kind,
    peer: Result<Peer, String>,
}

/// Ours, with weights of eight bits, and with four between the embeddings.
struct Ours {
    eight: Arc<Model>,
    four: Arc<Model>,
}

/// All of it.
pub fn compare(asked: &Asked) -> Result<()> {
    let checkpoint = made_up::folder()?;
    let kinds = if asked.peers.is_empty() { Kind::value_variants() } else { &asked.peers };
    let home = checkpoint.with_file_name("peers");
    let pythons: Vec<_> =
        kinds.iter().map(|kind| (*kind, kind.installed(&home, asked.python.as_deref()))).collect();
    println!("{}", made_up::SHAPE);
    println!(
        "prompt {} tokens, {} after the first; the likeliest each time: theirs of all rows, ours of those that may stand there (a triplet\nadmits a sixth of them); median (least to most) of {}, each right after a run of ours",
        play::ids().len(),
        play::NEW,
        asked.rounds
    );
    for &threads in &asked.threads {
        let load = |bits| Shape::Small.model(threads, bits);
        let ours = Ours { eight: load(Bits::Eight)?, four: load(Bits::Four)? };
        let mut seats: Vec<Seat> =
            pythons.iter().map(|(kind, python)| seat(*kind, python, &checkpoint, threads)).collect();
        for &batch in &asked.batch {
            if !asked.prepare {
                table(asked.rounds, (threads, batch), &ours, &mut seats);
            }
        }
        for Seat { kind, peer } in &seats {
            if let Err(why) = peer {
                println!("{kind:?}: not measured: {why}");
            }
        }
    }
    Ok(())
}

fn seat(kind: Kind, python: &Result<PathBuf>, checkpoint: &Path, threads: usize) -> Seat {
    let start = |python: &PathBuf| kind.start(python, checkpoint, threads).map_err(|why| format!("{why:#}"));
    Seat { kind, peer: python.as_ref().map_err(|why| format!("{why:#}")).and_then(start) }
}

/// Rounds with everyone in turn.
fn table(rounds: usize, (threads, batch): (usize, usize), ours: &Ours, seats: &mut [Seat]) {
    let [mut eight, mut four, mut all] = [const { Column::EMPTY }; 3];
    let mut columns: Vec<Column> = seats.iter().map(|_| Column::EMPTY).collect();
    // What is loaded, but was never used, is used once unseen.
    let warm = |seat: &mut Seat| seat.run(batch, 8).is_some();
    seats.iter_mut().map(warm).for_each(drop);
    play::run(&ours.eight, batch, Rows::Legal);
    play::run(&ours.four, batch, Rows::Legal);
    for _ in 0..rounds {
        for (seat, column) in seats.iter_mut().zip(&mut columns) {
            // Weights of four bits are measured against such.
            let (model, own) = match seat.kind {
                Kind::LlamaQ4 => (&ours.four, &mut four),
                _ => (&ours.eight, &mut eight),
            };
            let before = play::run(model, batch, Rows::Legal);
            own.take(batch, before, before);
            if let Some(theirs) = seat.run(batch, play::NEW) {
                column.take(batch, before, theirs);
            }
        }
        let before = play::run(&ours.eight, batch, Rows::Legal);
        all.take(batch, before, play::run(&ours.eight, batch, Rows::All));
    }
    println!("\n{threads} thread{}, batch {batch}", if threads == 1 { "" } else { "s" });
    println!(
        "  first token, ms          tokens/s                 ours / theirs, decode    first token, theirs / ours"
    );
    eight.print("Continuo, int8");
    all.print("Continuo, int8, all rows");
    four.print("Continuo, int4 between the embeddings (what llama.cpp's q4_0 is compared with)");
    for (seat, column) in seats.iter().zip(columns) {
        if let Ok(peer) = &seat.peer {
            column.print(&peer.name);
        }
    }
}

impl Seat {
    /// A run; one that fails empties the seat. The reference is measured alone: it knows no batches.
    fn run(&mut self, batch: usize, new: usize) -> Option<Run> {
        if self.kind == Kind::Reference && batch > 1 {
            return None;
        }
        match self.peer.as_mut().ok()?.run(&play::ids(), batch, new) {
            Ok(run) => Some(run),
            Err(why) => {
                self.peer = Err(format!("{why:#}"));
                None
            }
        }
    }
}

impl Column {
    const EMPTY: Self =
        Self { first: Vec::new(), rate: Vec::new(), ratio: Vec::new(), first_ratio: Vec::new() };

    #[allow(clippy::cast_precision_loss)] // hundreds of tokens
    fn take(&mut self, batch: usize, ours: Run, theirs: Run) {
        self.first.push(theirs.first);
        self.rate.push((batch * play::NEW) as f64 / theirs.rest);
        self.ratio.push(theirs.rest / ours.rest);
        self.first_ratio.push(theirs.first / ours.first);
    }

    fn print(mut self, name: &str) {
        let columns = [&mut self.first, &mut self.rate, &mut self.ratio, &mut self.first_ratio];
        if columns[0].is_empty() {
            return;
        }
        let scales = [(1000.0, 1), (1.0, 1), (1.0, 2), (1.0, 2)];
        let texts = columns.into_iter().zip(scales).map(|(list, (scale, digits))| {
            list.sort_by(f64::total_cmp);
            let at = |place: usize| format!("{:.digits$}", list[place] * scale);
            format!("{:<25}", format!("{} ({} to {})", at(list.len() / 2), at(0), at(list.len() - 1)))
        });
        println!("{name}\n  {}", texts.collect::<String>().trim_end());
    }
}
