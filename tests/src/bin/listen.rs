//! Phrases for the listening page, eight bars each. `listen FOLDER` writes each as NAME.mid, and what really follows behind it
//! as NAME-real.mid; `listen --shuffle ANSWERED.mid OUT.mid` deals the notes of an answer out anew; `listen --count FOLDER` prints
//! what can be counted in a page that was made.
//!
//! Nine are passages of music that the default model was not trained on (`tests/excerpts`); three are made up by rule, in
//! styles that such music lacks, and "really" is the rule's own there.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail};
use continuo_inference::compound::{Compound, SCORE_TICKS, to_score};
use continuo_service::song::Song;
use continuo_tests::gates::{Made, STYLES, continued, dealt};
use continuo_tests::require;
use continuo_timeline::{Beats, Bpm, Instrument, Meter};

/// Bars of a phrase.
const BARS: f64 = 8.0;
/// The made-up styles of the page.
const STYLES_WANTED: [&str; 3] = ["pop", "funk", "swing"];

/// Notes in ticks of a score, with what their file says of time.
struct Passage {
    notes: Vec<Compound>,
    tempo: Bpm,
    meter: Meter,
}

impl Passage {
    fn read(path: &Path) -> Result<Self> {
        let song = Song::read(path)?;
        let note = |note: &continuo_timeline::Note| Compound {
            onset: ticks(note.at.0),
            duration: ticks(note.len.0).max(1),
            key: note.key.0,
            instrument: note.instrument.0,
            velocity: note.velocity.0,
        };
        let (_, meter) = song.meter(Beats(0.0));
        Ok(Self { notes: song.notes.iter().map(note).collect(), tempo: song.tempo(Beats(0.0)), meter })
    }

    fn made(made: &Made) -> Self {
        let notes = made.notes.iter().map(|note| Compound {
            onset: ticks(note.at),
            duration: ticks(note.len).max(1),
            key: note.key,
            instrument: if note.channel == 9 { Instrument::DRUMS.0 } else { 0 },
            velocity: note.velocity,
        });
        Self { notes: notes.collect(), tempo: Bpm(made.tempo), meter: Meter::COMMON }
    }

    /// Where the phrase is over.
    fn end(&self) -> i64 {
        ticks(BARS * self.meter.bar().0)
    }

    /// Its first eight bars, what sounds at their end cut there.
    fn phrase(&self) -> Self {
        let end = self.end();
        let inside = self.notes.iter().filter(|note| note.onset < end);
        let cut = |note: &Compound| Compound { duration: note.duration.min(end - note.onset), ..*note };
        Self { notes: inside.map(cut).collect(), tempo: self.tempo, meter: self.meter }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let bytes = to_score(&self.notes, self.tempo, self.meter)?;
        std::fs::write(path, bytes).with_context(|| path.display().to_string())
    }
}

#[allow(clippy::cast_possible_truncation)] // a passage is some bars long
fn ticks(beats: f64) -> i64 {
    (beats * f64::from(SCORE_TICKS)).round() as i64
}

fn main() -> Result<()> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.as_slice() {
        [folder] => phrases(Path::new(folder)),
        [flag, answered, out] if flag == "--shuffle" => shuffle(Path::new(answered), Path::new(out)),
        [flag, folder] if flag == "--count" => count(Path::new(folder)),
        _ => bail!("usage: listen FOLDER, listen --shuffle ANSWERED.mid OUT.mid, or listen --count FOLDER"),
    }
}

fn phrases(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let excerpts = require::root().join("tests/excerpts");
    let mut files: Vec<_> =
        std::fs::read_dir(&excerpts)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|end| end == "mid"));
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        all.push((name, Passage::read(&path)?));
    }
    for made in (0..STYLES).map(continued).filter(|made| STYLES_WANTED.contains(&made.name.as_str())) {
        all.push((made.name.replace(' ', "-"), Passage::made(&made)));
    }
    for (number, (name, passage)) in (1..).zip(all) {
        let name = format!("{number:02}-{name}");
        passage.phrase().write(&folder.join(format!("{name}.mid")))?;
        passage.write(&folder.join(format!("{name}-real.mid")))?;
        println!("{name}.mid");
    }
    Ok(())
}

fn shuffle(answered: &Path, out: &Path) -> Result<()> {
    let mut whole = Passage::read(answered)?;
    let from = whole.end();
    let answer: Vec<Compound> = whole.notes.iter().filter(|note| note.onset >= from).copied().collect();
    whole.notes.retain(|note| note.onset < from);
    let until = from + from / 2; // four bars
    whole.notes.extend(dealt(&answer, from, until, i64::from(SCORE_TICKS) / 4));
    whole.write(out)
}

const COLUMNS: &str = "\
| | | notes a bar | notes an onset | mean key by bar | pitch classes of the phrase |
|---|---|---|---|---|---|";

/// A table: the phrase, and each of the three that follow it.
fn count(folder: &Path) -> Result<()> {
    let mut names: Vec<String> = std::fs::read_dir(folder)?
        .filter_map(|entry| {
            entry.ok()?.file_name().into_string().ok()?.strip_suffix("-real.mid").map(Into::into)
        })
        .collect();
    names.sort();
    println!("{COLUMNS}");
    for name in names {
        let phrase = Passage::read(&folder.join(format!("{name}.mid")))?;
        let heard = classes(&phrase.notes);
        println!("{}", row(&name, "phrase", &phrase, (0, 8), heard));
        for (end, what) in [("real", "real"), ("answered", "model"), ("shuffled", "shuffled")] {
            let whole = Passage::read(&folder.join(format!("{name}-{end}.mid")))?;
            println!("{}", row("", what, &whole, (8, 12), heard));
        }
    }
    Ok(())
}

fn row(name: &str, what: &str, passage: &Passage, (from, to): (i64, i64), heard: [bool; 12]) -> String {
    let bar = passage.end() / 8;
    let of = |bars: std::ops::Range<i64>| -> Vec<Compound> {
        let inside = |note: &&Compound| (bars.start * bar..bars.end * bar).contains(&note.onset);
        passage.notes.iter().filter(inside).copied().collect()
    };
    let all = of(from..to);
    let mut onsets: Vec<i64> = all.iter().map(|note| note.onset).collect();
    onsets.dedup();
    let pitched: Vec<&Compound> = all.iter().filter(|note| is_pitched(note)).collect();
    let known = pitched.iter().filter(|note| heard[usize::from(note.key % 12)]).count();
    let share = |part: usize, whole: usize| match whole {
        0 => "-".to_owned(),
        whole => format!("{:.2}", part as f64 / whole as f64),
    };
    let keys = (from..to).map(|at| mean_key(&of(at..at + 1))).collect::<Vec<_>>().join(" ");
    format!(
        "| {name} | {what} | {} | {} | {keys} | {} |",
        share(all.len(), (to - from) as usize),
        share(all.len(), onsets.len()),
        share(known, pitched.len())
    )
}

fn is_pitched(note: &Compound) -> bool {
    note.instrument != Instrument::DRUMS.0
}

fn classes(notes: &[Compound]) -> [bool; 12] {
    let mut heard = [false; 12];
    notes.iter().filter(|note| is_pitched(note)).for_each(|note| heard[usize::from(note.key % 12)] = true);
    heard
}

fn mean_key(notes: &[Compound]) -> String {
    let keys: Vec<f64> =
        notes.iter().filter(|note| is_pitched(note)).map(|note| f64::from(note.key)).collect();
    match keys.len() {
        0 => "-".into(),
        count => format!("{:.0}", keys.iter().sum::<f64>() / count as f64),
    }
}
