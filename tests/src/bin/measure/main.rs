//! Measures a bundle's behaviour in time in a host of ours, and prints ratios and counts: `measure Continuo.clap [PART]`.
//!
//! ```text
//! phrase × tempo × block ─▶ simulated clock (the plugin waits for its worker) ─▶ onsets, answers, hanging notes
//!                        ─▶ paced by the wall clock ─▶ cost of process(), late and lost notes
//! ```
//! Nothing here fails for a time: the figures are for people.

mod figures;
mod plans;
mod songs;
mod sums;
mod watching;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clack_host::entry::EntryDescriptor;
use continuo_plugin as _;
use continuo_tests::host::{Act, Hosted, Pitched, Recording, Song, Source};

use figures::{answer, attack, beats, missing, most, off_grid, quickest, shares};
use songs::{Phrase, RATE, phrases, transports, voices};

/// The plugin waits for its worker at every block here, which takes a millisecond: small blocks with one phrase only.
const BLOCKS: [u32; 2] = [512, 4096];
const ALL_BLOCKS: [u32; 5] = [32, 64, 256, 1024, 4096];
const TEMPI: [f64; 3] = [60.0, 120.0, 180.0];
/// Beats of answer that are waited for: four bars, to a bar line.
const ANSWER: f64 = 20.0;
/// How much faster than life the cost is measured.
const HASTE: u32 = 4;
/// How often the row that a goal is set for is measured.
const AGAIN: usize = 5;

unsafe extern "C" {
    // Exported by the plugin crate.
    static clap_entry: EntryDescriptor;
}

fn main() -> Result<()> {
    let bundle = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .context("usage: measure Continuo.clap [simulated | jumps | cost | paced | plans | allocations]")?;
    let bundle = Source::Bundle(bundle);
    let phrases = phrases()?;
    let only = std::env::args().nth(2);
    let asked = |part: &str| only.as_deref().is_none_or(|only| only == part);
    // First: it sets a variable of the environment, and no other thread may run then.
    if asked("plans") {
        plans::plans(&bundle, &phrases);
    }
    if asked("simulated") {
        simulated(&bundle, &phrases);
    }
    if asked("jumps") {
        jumps(&bundle, &phrases);
    }
    if asked("cost") {
        cost(&bundle, &phrases);
    }
    if asked("paced") {
        paced(&bundle, &phrases);
    }
    if asked("allocations") {
        allocations(&phrases[0]);
    }
    Ok(())
}

/// How a performance is run.
#[derive(Clone, Copy, PartialEq)]
enum Clock {
    /// As fast as may be; the plugin waits for its worker.
    Simulated,
    /// The same, and nothing is answered.
    Mute,
    /// By the wall clock, so many times faster than life.
    Wall(u32),
    /// The same, with sums between the blocks.
    BesideSums(u32),
}

/// `song`, stopped a second before the end.
fn perform(source: &Source, phrase: &Phrase, song: &Song, block: u32, clock: Clock) -> Recording {
    // What the player's feel moves is no error of the clock.
    perform_with(source, phrase, song, block, clock, |plugin| plugin.turn("Feel", 0.0))
}

/// The same with parameters turned.
fn perform_with(
    source: &Source,
    phrase: &Phrase,
    song: &Song,
    block: u32,
    clock: Clock,
    turn: impl FnOnce(&mut Hosted),
) -> Recording {
    let seconds = song.sample(phrase.detected() + ANSWER, RATE) as f64 / RATE;
    let mut song = song.clone();
    song.acts.push((seconds, Act::Stop));
    let mut plugin = Hosted::new(source);
    let mut step = Duration::ZERO;
    match clock {
        Clock::Wall(haste) | Clock::BesideSums(haste) => {
            step = Duration::from_secs_f64(f64::from(block) / RATE) / haste
        }
        Clock::Simulated => plugin.offline(),
        Clock::Mute => {
            plugin.offline();
            plugin.turn("Mode", 0.0);
        }
    }
    turn(&mut plugin);
    plugin.activate(RATE, block);
    if clock != Clock::Mute {
        plugin.watch = watching::watch;
    }
    let sums = matches!(clock, Clock::BesideSums(_));
    watching::begin(step, (seconds * RATE) as usize / block as usize + 1000, sums);
    plugin.play_raw(&phrase.raw(&song), &song, seconds + 1.0, block)
}

/// Onsets and answers at every tempo; a row is the worst of the block sizes.
fn simulated(source: &Source, phrases: &[Phrase]) {
    println!(
        "SIMULATED CLOCK, blocks of {BLOCKS:?}, {} at 120 of {ALL_BLOCKS:?}; each row the worst of them",
        phrases[0].name
    );
    println!(
        "phrase       BPM  notes  off the grid  attack-on  first note after the phrase  after detection  hanging  same at all blocks"
    );
    for phrase in phrases {
        for tempo in TEMPI {
            let every = phrase.name == phrases[0].name && tempo == 120.0;
            row(source, phrase, tempo, if every { &ALL_BLOCKS } else { &BLOCKS });
        }
    }
}

/// One phrase at one tempo; the first of `blocks` also looks for the attack in the sound.
fn row(source: &Source, phrase: &Phrase, tempo: f64, blocks: &[u32]) {
    let song = Song::steady(tempo);
    let (mut grid, mut hanging, mut sound, mut all) = (0.0_f64, 0, None, Vec::new());
    for &block in blocks {
        let out = perform(source, phrase, &song, block, Clock::Simulated);
        let (notes, hangs) = answer(&out, phrase, &song);
        grid = grid.max(most(notes.iter().map(|n| off_grid(n.at, &song))));
        hanging += hangs;
        if block == BLOCKS[0]
            && let Some(first) = notes.first()
        {
            sound = attack(&out, &perform(source, phrase, &song, block, Clock::Mute), first.at);
        }
        all.push(notes);
    }
    let same = all.iter().all(|notes| *notes == all[0]);
    let first = all.iter().filter_map(|n| n.first()).map(|n| beats(n.at, &song)).fold(0.0, f64::max);
    let (after, detection) = (first - phrase.end(), first - phrase.detected());
    let sound = sound.map_or("-".into(), |samples| samples.to_string());
    println!(
        "{:<11} {tempo:>4}  {:>5}  {grid:>9.2} sa  {sound:>6} sa  {after:>8.3} beats {:>7.0} ms  {detection:>9.3} beats  {hanging:>7}  {same}",
        phrase.name,
        all[0].len(),
        after * 60e3 / tempo,
    );
}

/// Loops, seeks and tempo ramps at every tempo: of the first phrase at three sizes of block, of the others at one.
fn jumps(source: &Source, phrases: &[Phrase]) {
    println!("\nJUMPS, simulated clock");
    println!(
        "transport       phrase       BPM  block  notes  off the grid  after the jump, of the old plan  hanging"
    );
    for (number, phrase) in phrases.iter().enumerate() {
        for tempo in TEMPI {
            let blocks = if number == 0 { &[32, 512, 4096][..] } else { &[512] };
            for (name, song) in transports(tempo, phrase.detected()) {
                blocks.iter().for_each(|block| jump(source, phrase, (name, tempo), &song, *block));
            }
        }
    }
}

fn jump(source: &Source, phrase: &Phrase, (name, tempo): (&str, f64), song: &Song, block: u32) {
    let out = perform(source, phrase, song, block, Clock::Simulated);
    let (notes, hanging) = answer(&out, phrase, song);
    let grid = most(notes.iter().map(|n| off_grid(n.at, song)));
    let jump = song.acts.iter().skip(1).map(|(at, _)| (at * RATE).round() as u64).next();
    let stale = jump.map_or(0, |jump| notes.iter().filter(|n| n.at >= jump).count());
    println!(
        "{name:<15} {:<11} {tempo:>4}  {block:>5}  {:>5}  {grid:>9.2} sa  {stale:>32}  {hanging:>7}",
        phrase.name,
        notes.len()
    );
}

/// Cost of `process()` as a share of the block, live (nothing waits), `HASTE` times faster than life.
fn cost(source: &Source, phrases: &[Phrase]) {
    println!(
        "\nCOST of process() as a share of the block, 48 kHz, live at {HASTE} times the pace of life (dev profile)"
    );
    println!(
        "phrase         block    median     p99.9       max    sums as long: median     p99.9       max"
    );
    // Held for more than half of the performance, so that the median has them.
    let many = [voices(16, 30.0), voices(64, 30.0)];
    let names = ["16 held keys", "64 held keys"];
    let dense = phrases.iter().find(|p| p.name == "dense").into_iter().map(|p| ("dense", p));
    for (name, phrase) in dense.chain(names.into_iter().zip(&many)) {
        for block in [32, 64, 128, 256, 512, 1024, 4096] {
            cost_of(source, name, phrase, block);
        }
    }
    println!(
        "... and again, since a goal is set for it; and each block as quick as it ever was, which no chance can make slow:"
    );
    let (mut ours, mut sums) = (Vec::new(), Vec::new());
    for _ in 0..AGAIN {
        let [taken, control] = cost_of(source, names[1], &many[1], 64);
        ours = quickest(ours, taken);
        sums = quickest(sums, control);
    }
    print_cost("the quickest", 64, [ours, sums]);
}

/// Measures and prints a row; gives the seconds of each `process()`, and of each time of sums.
fn cost_of(source: &Source, name: &str, phrase: &Phrase, block: u32) -> [Vec<f32>; 2] {
    perform(source, phrase, &Song::steady(120.0), block, Clock::BesideSums(HASTE));
    let both = [watching::taken(), watching::sums()];
    print_cost(name, block, both.clone());
    both
}

fn print_cost(name: &str, block: u32, both: [Vec<f32>; 2]) {
    print!("{name:<13} {block:>6}");
    for (before, taken) in ["  ", "                "].into_iter().zip(both) {
        let [median, high, max] = shares(taken, block).map(|share| share * 100.0);
        print!("{before}{median:>6.2} %  {high:>6.2} %  {max:>6.2} %");
    }
    println!();
}

/// In life's own time: what is late or lost against the same song on the simulated clock.
fn paced(source: &Source, phrases: &[Phrase]) {
    println!("\nPACED BY THE WALL CLOCK, blocks of 64, 120 BPM");
    println!("phrase       notes  first after detection  late  lost  hanging  process(): median  p99.9  max");
    let song = Song::steady(120.0);
    for phrase in phrases {
        let expected = answer(&perform(source, phrase, &song, 512, Clock::Simulated), phrase, &song).0;
        let out = perform(source, phrase, &song, 64, Clock::Wall(1));
        let [median, high, max] = shares(watching::taken(), 64);
        let (notes, hanging) = answer(&out, phrase, &song);
        // What is played late is played as it comes, so that it is off the grid.
        let late = notes.iter().filter(|n: &&Pitched| off_grid(n.at, &song).abs() > 1.5).count();
        let first = notes.first().map_or(f64::NAN, |n| beats(n.at, &song) - phrase.detected());
        println!(
            "{:<11} {:>6}  {first:>9.3} beats {:>3.0} ms  {late:>4}  {:>4}  {hanging:>7}  {:>14.2} %  {:>4.1} %  {:>4.1} %",
            phrase.name,
            notes.len(),
            first * 500.0,
            missing(&expected, &notes, &song),
            median * 100.0,
            high * 100.0,
            max * 100.0,
        );
    }
}

/// The linked plugin under a counting allocator.
fn allocations(phrase: &Phrase) {
    // SAFETY: a static that is never written.
    let linked = Source::Linked(unsafe { &clap_entry });
    let mut plugin = Hosted::new(&linked);
    plugin.offline();
    plugin.activate(RATE, 64);
    plugin.watch = watching::guard;
    watching::begin(Duration::ZERO, 0, false);
    let song = Song::steady(120.0);
    plugin.play_raw(&phrase.raw(&song), &song, 14.0, 64);
    println!("\nallocations and frees in process(), 14 s, the plugin linked: {}", watching::counted());
}
