//! A small CLAP host: plays a MIDI file into a bundle offline, and leaves what came back as demo.mid, demo.wav and demo.png.
//!
//! `play PHRASE.mid Continuo.clap FOLDER`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use continuo_tests::host::{Hosted, Pitched, Played, Recording, Song, Source, paired, spell};
use continuo_tests::{midi, picture};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 512;
const BAR: f64 = 4.0;
/// Bars that are played after the phrase.
const AFTER: f64 = 6.0;

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [phrase, bundle, folder] = &args[..] else { bail!("usage: play PHRASE.mid Continuo.clap FOLDER") };
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let (score, tempo) = midi::read(phrase)?;
    let end = score.iter().map(|n| n.at + n.len).fold(0.0, f64::max);
    let beats = (end / BAR).ceil() * BAR + AFTER * BAR;
    let song = Song::steady(tempo);

    let mut plugin = Hosted::new(&Source::Bundle(bundle.clone()));
    plugin.offline();
    plugin.activate(RATE, BLOCK);
    let recording = plugin.play(&score, &song, beats * 60.0 / tempo, BLOCK);
    plugin.deactivate();

    let answer = answer(&recording, &score, &song)?;
    let notes: Vec<Played> = answer.iter().map(|note| in_beats(note, tempo)).collect();
    midi::write(&folder.join("demo.mid"), tempo, &[("Phrase", &score), ("Answer", &notes)])?;
    sound(&recording, &folder.join("demo.wav"))?;
    roll(&score, &notes, &folder.join("demo.png"))?;
    report(phrase, folder, &score, &notes, end);
    if notes.is_empty() {
        bail!("the plugin did not answer");
    }
    Ok(())
}

// What came out less what was played through.
fn answer(recording: &Recording, score: &[Played], song: &Song) -> Result<Vec<Pitched>> {
    let mut recording = recording.clone();
    // A note that still sounds at the end of the performance is cut there.
    let last = recording.left.len() as u64;
    let hanging: Vec<_> = hanging(&recording);
    recording.events.extend(hanging.into_iter().map(|(channel, key)| (last, off(channel, key))));
    let notes = paired(&recording).map_err(|why| anyhow::anyhow!(why))?;
    let through = |n: &Pitched| score.iter().any(|p| p.key == n.key && song.sample(p.at, RATE) == n.at);
    Ok(notes.into_iter().filter(|n| !through(n)).collect())
}

fn off(channel: u8, key: u8) -> continuo_tests::host::Sound {
    continuo_tests::host::Sound::Off { channel, key }
}

fn hanging(recording: &Recording) -> Vec<(u8, u8)> {
    use continuo_tests::host::Sound;
    let mut open = Vec::new();
    for (_, event) in &recording.events {
        match *event {
            Sound::On { channel, key, .. } => open.push((channel, key)),
            Sound::Off { channel, key } => open.retain(|n| *n != (channel, key)),
            _ => {}
        }
    }
    open
}

fn in_beats(note: &Pitched, tempo: f64) -> Played {
    let beats = |samples: u64| samples as f64 / RATE * tempo / 60.0;
    Played {
        at: beats(note.at),
        len: beats(note.end - note.at),
        key: note.key,
        velocity: note.velocity,
        channel: note.channel,
    }
}

fn sound(recording: &Recording, to: &Path) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(to, spec).with_context(|| to.display().to_string())?;
    for (left, right) in recording.left.iter().zip(&recording.right) {
        for x in [left, right] {
            file.write_sample((x.clamp(-1.0, 1.0) * 32_767.0) as i16)?;
        }
    }
    file.finalize()?;
    println!("loudest sample {:.2} of 1", recording.peak(0..recording.left.len()));
    Ok(())
}

fn roll(score: &[Played], answer: &[Played], to: &Path) -> Result<()> {
    let bar = |answer: bool| move |n: &Played| picture::Bar { at: n.at, len: n.len, key: n.key, answer };
    let notes: Vec<_> = score.iter().map(bar(false)).chain(answer.iter().map(bar(true))).collect();
    picture::draw(&notes, BAR, to)
}

fn report(phrase: &Path, folder: &Path, score: &[Played], answer: &[Played], end: f64) {
    let name = |file: &str| folder.join(file).display().to_string();
    println!("played   {}: {} notes, ends at beat {end:.2}", phrase.display(), score.len());
    let (tonic, mode, share) = scale(score);
    println!("         {tonic} {mode}: {:.0} % of its notes are of that scale", share * 100.0);
    let (Some(first), Some(last)) = (answer.first(), answer.last()) else { return };
    let (low, high) = answer.iter().fold((127, 0), |(l, h), n| (n.key.min(l), n.key.max(h)));
    let bars = ((last.at + last.len - first.at) / BAR).max(0.25);
    println!(
        "answered {} notes from beat {:.3}: {:.3} beats after the phrase",
        answer.len(),
        first.at,
        first.at - end
    );
    println!(
        "         {:.1} notes a bar, from {} to {}",
        answer.len() as f64 / bars,
        spell(low),
        spell(high)
    );
    println!(
        "         {:.0} % of its notes are of the phrase's scale",
        in_scale(answer, &tonic, mode) * 100.0
    );
    println!("left     {}\n         {}\n         {}", name("demo.mid"), name("demo.wav"), name("demo.png"));
}

const MODES: [(&str, [u8; 7]); 2] = [("minor", [0, 2, 3, 5, 7, 8, 10]), ("major", [0, 2, 4, 5, 7, 9, 11])];

// The scale that holds most of the notes' lengths; the bass and the first note settle a tie.
fn scale(notes: &[Played]) -> (String, &'static str, f64) {
    let bass = notes.iter().min_by_key(|n| (n.at as u32, n.key)).map_or(0, |n| n.key % 12);
    let rate = |tonic: u8, steps: &[u8; 7]| {
        let all: f64 = notes.iter().map(|n| n.len).sum();
        let of: f64 =
            notes.iter().filter(|n| steps.contains(&((n.key + 12 - tonic) % 12))).map(|n| n.len).sum();
        of / all.max(1e-9) + if tonic == bass { 0.01 } else { 0.0 }
    };
    let all = (0..12).flat_map(|tonic| MODES.iter().map(move |(mode, steps)| (tonic, *mode, steps)));
    let best = all.max_by(|a, b| rate(a.0, a.2).total_cmp(&rate(b.0, b.2)));
    let (tonic, mode, steps) = best.unwrap_or((0, "major", &MODES[1].1));
    let name = spell(tonic + 60);
    (name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(), mode, rate(tonic, steps).min(1.0))
}

fn in_scale(notes: &[Played], tonic: &str, mode: &str) -> f64 {
    let steps = MODES.iter().find(|m| m.0 == mode).map_or(MODES[1].1, |m| m.1);
    let tonic =
        (0..12).find(|k| spell(k + 60).trim_end_matches(|c: char| c.is_ascii_digit()) == tonic).unwrap_or(0);
    let of = notes.iter().filter(|n| steps.contains(&((n.key + 12 - tonic) % 12))).count();
    of as f64 / notes.len().max(1) as f64
}
