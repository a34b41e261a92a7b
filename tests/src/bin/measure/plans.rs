//! Plans by the wall clock: was each beat planned in time, and what came late. The plugin's own counts, which it writes
//! where `CONTINUO_FIGURES` says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use continuo_tests::host::{Hosted, Song, Source};

use crate::songs::Phrase;
use crate::{Clock, answer, perform_with};

/// What the plugin counted.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
pub struct Counts {
    hit: u32,
    backup: u32,
    miss: u32,
    notes: u32,
    late: u32,
    dropped: u32,
    p95_ms: f64,
    density: f64,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            hit: self.hit + other.hit,
            backup: self.backup + other.backup,
            miss: self.miss + other.miss,
            notes: self.notes + other.notes,
            late: self.late + other.late,
            dropped: self.dropped + other.dropped,
            p95_ms: self.p95_ms.max(other.p95_ms),
            density: self.density.min(other.density),
        }
    }

    /// Notes that were not played since they came late, of 10,000.
    fn misses(&self) -> f64 {
        f64::from(self.late + self.dropped) * 1e4 / f64::from((self.notes + self.late + self.dropped).max(1))
    }
}

/// Takes the counts of the instance that ended last.
fn take(path: &Path) -> Counts {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

/// A file of this process, which the plugin is told of.
fn figures() -> PathBuf {
    let path = std::env::temp_dir().join(format!("continuo-figures-{}.jsonl", std::process::id()));
    // SAFETY: no other thread of this process runs yet that reads the environment.
    unsafe { std::env::set_var("CONTINUO_FIGURES", &path) };
    path
}

/// Threads that do nothing but be in the way.
struct Hogs(Arc<AtomicBool>, Vec<std::thread::JoinHandle<()>>);

impl Hogs {
    fn new(count: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let hog = |over: Arc<AtomicBool>| move || while !over.load(Ordering::Relaxed) {};
        Self(Arc::clone(&over), (0..count).map(|_| std::thread::spawn(hog(Arc::clone(&over)))).collect())
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.drain(..).for_each(|hog| drop(hog.join()));
    }
}

/// Respond and Duet in life's own time, at three tempi, alone and with every core busy twice over.
pub fn plans(source: &Source, phrases: &[Phrase]) {
    let path = figures();
    println!("\nPLANS, paced by the wall clock, blocks of 64; beats of answers");
    println!(
        "mode     BPM  phrases     hit  backup  miss   notes  late or lost  of 10,000  first note, p95  density at the end  hanging"
    );
    let kinds = ["dense", "pedal", "sparse", "shuffle", "beat"];
    let phrases: Vec<Phrase> =
        phrases.iter().filter(|phrase| kinds.contains(&phrase.name)).cloned().collect();
    let busy = 2 * std::thread::available_parallelism().map_or(2, usize::from);
    for hogs in [0, busy] {
        if hogs > 0 {
            println!("with {hogs} threads in the way:");
        }
        let _hogs = Hogs::new(hogs);
        let tempi: &[f64] = if hogs > 0 { &[120.0] } else { &[60.0, 120.0, 180.0] };
        for (name, mode, tempi) in [("Respond", 1.0, &[120.0][..]), ("Duet", 3.0, tempi)] {
            for &tempo in tempi {
                row(source, &phrases, name, mode, tempo, &path);
            }
        }
    }
}

fn row(source: &Source, phrases: &[Phrase], name: &str, mode: f64, tempo: f64, path: &Path) {
    let song = Song::steady(tempo);
    let (mut all, mut hanging) = (Counts { density: 1.0, ..Counts::default() }, 0);
    for phrase in phrases {
        let turn = |plugin: &mut Hosted| plugin.turn("Mode", mode);
        let out = perform_with(source, phrase, &song, 64, Clock::Wall(1), turn);
        hanging += answer(&out, phrase, &song).1;
        all = all.and(take(path));
    }
    println!(
        "{name:<7} {tempo:>4}  {:>7}  {:>6}  {:>6}  {:>4}  {:>6}  {:>12}  {:>9.1}  {:>12.0} ms  {:>18.2}  {hanging:>7}",
        phrases.len(),
        all.hit,
        all.backup,
        all.miss,
        all.notes,
        all.late + all.dropped,
        all.misses(),
        all.p95_ms,
        all.density,
    );
}
