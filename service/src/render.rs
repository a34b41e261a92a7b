//! Notes through the built-in sound, to a WAV file.

use std::path::Path;

use anyhow::{Context, Result, bail};
use continuo_sound::Synth;
use continuo_timeline::Note;

/// Samples a second of what is rendered.
pub const RATE: u32 = 48_000;
/// Seconds that ring on after the last note.
const TAIL: f64 = 3.0;
/// Seconds that a WAV file can hold: its sizes have 32 bits.
const LONGEST: f64 = 22_000.0;

/// A note on or off at a sample.
struct Change {
    at: u64,
    on: bool,
    note: Note,
}

/// Renders `notes` to a 16-bit stereo file; `seconds` says when a beat is. Gives the length in seconds.
pub fn render(path: &Path, notes: &[Note], seconds: impl Fn(continuo_timeline::Beats) -> f64) -> Result<f64> {
    let changes = changes(notes, seconds);
    let end = changes.last().map_or(0, |change| change.at) + samples(TAIL);
    if end > samples(LONGEST) {
        bail!("the result lasts longer than the {LONGEST} s that a WAV file can hold; leave out --render");
    }
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec)
        .with_context(|| format!("cannot write {}; check the folder and its rights", path.display()))?;
    let mut synth = Synth::new(f64::from(RATE));
    let mut now = 0;
    for change in &changes {
        write(&mut file, &mut synth, change.at - now)?;
        now = change.at;
        let note = change.note;
        if change.on {
            synth.note_on(note.instrument, note.key, note.velocity, note.channel);
        } else {
            synth.note_off(note.channel, note.key);
        }
    }
    write(&mut file, &mut synth, end - now)?;
    file.finalize()?;
    #[allow(clippy::cast_precision_loss)]
    Ok(end as f64 / f64::from(RATE))
}

/// Offs before ons where they meet.
fn changes(notes: &[Note], seconds: impl Fn(continuo_timeline::Beats) -> f64) -> Vec<Change> {
    let mut changes: Vec<Change> = notes
        .iter()
        .flat_map(|&note| {
            let on = samples(seconds(note.at));
            let off = samples(seconds(note.at + note.len)).max(on + 1);
            [Change { at: on, on: true, note }, Change { at: off, on: false, note }]
        })
        .collect();
    changes.sort_by_key(|change| (change.at, change.on));
    changes
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // hours of music fit
fn samples(seconds: f64) -> u64 {
    (seconds.max(0.0) * f64::from(RATE)).round() as u64
}

fn write<W: std::io::Write + std::io::Seek>(
    file: &mut hound::WavWriter<W>,
    synth: &mut Synth,
    mut frames: u64,
) -> Result<()> {
    let (mut left, mut right) = ([0.0_f32; 1024], [0.0_f32; 1024]);
    while frames > 0 {
        let count = usize::try_from(frames.min(1024)).unwrap_or(1024);
        synth.render(&mut left[..count], &mut right[..count]);
        for (l, r) in left[..count].iter().zip(&right[..count]) {
            for sample in [l, r] {
                #[allow(clippy::cast_possible_truncation)]
                file.write_sample((sample.clamp(-1.0, 1.0) * 32767.0) as i16)?;
            }
        }
        frames -= count as u64;
    }
    Ok(())
}
