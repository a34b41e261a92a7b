//! A piano roll as a picture: what was played and what was answered in two colours, with bar lines.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};

/// A note to draw: beats and key; whether it is the answer.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Onset in beats.
    pub at: f64,
    /// Length in beats.
    pub len: f64,
    /// MIDI key.
    pub key: u8,
    /// Whether it was generated.
    pub answer: bool,
}

const PAPER: [u8; 3] = [250, 248, 243];
const BLACK_KEYS: [u8; 3] = [240, 237, 230];
const BEAT_LINE: [u8; 3] = [224, 220, 210];
const BAR_LINE: [u8; 3] = [150, 145, 135];
const PLAYED: [u8; 3] = [52, 92, 160];
const ANSWER: [u8; 3] = [214, 104, 36];

const WIDTH: usize = 1400;
const ROW: usize = 10;

/// Draws `notes` to a PNG of 1400 pixels' width, with a line each beat and each bar of `bar` beats.
pub fn draw(notes: &[Bar], bar: f64, to: &Path) -> Result<()> {
    let low = notes.iter().map(|n| n.key).min().unwrap_or(60).saturating_sub(3);
    let high = (notes.iter().map(|n| n.key).max().unwrap_or(72) + 3).min(127);
    let beats = notes.iter().map(|n| n.at + n.len).fold(bar, f64::max);
    let beats = (beats / bar).ceil() * bar;
    let height = usize::from(high - low + 1) * ROW;
    let mut pixels = vec![PAPER; WIDTH * height];
    let mut fill = |x: std::ops::Range<usize>, y: std::ops::Range<usize>, colour: [u8; 3]| {
        for row in y.start..y.end.min(height) {
            pixels[row * WIDTH + x.start.min(WIDTH)..row * WIDTH + x.end.min(WIDTH)].fill(colour);
        }
    };
    let x = |beat: f64| (beat / beats * (WIDTH - 1) as f64) as usize;
    let y = |key: u8| usize::from(high - key) * ROW;
    for key in (low..=high).filter(|key| [1, 3, 6, 8, 10].contains(&(key % 12))) {
        fill(0..WIDTH, y(key)..y(key) + ROW, BLACK_KEYS);
    }
    for beat in 0..=beats as usize {
        let line = beat as f64 % bar == 0.0;
        let at = x(beat as f64);
        fill(at..at + if line { 2 } else { 1 }, 0..height, if line { BAR_LINE } else { BEAT_LINE });
    }
    for note in notes {
        let (from, to) = (x(note.at), x(note.at + note.len));
        fill(
            from..to.max(from + 3) - 1,
            y(note.key) + 1..y(note.key) + ROW - 1,
            if note.answer { ANSWER } else { PLAYED },
        );
    }
    let file = File::create(to).with_context(|| to.display().to_string())?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), u32::try_from(WIDTH)?, u32::try_from(height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels.as_flattened())?;
    Ok(())
}
