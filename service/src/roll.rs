//! A piano roll as a PNG: the prompt in one colour, the answer in another, bar lines behind.

use std::io::{Error, Write};

use continuo_timeline::{Beats, Note};

const WIDTH: usize = 1600;
const ROW: usize = 9;
const MARGIN: usize = 12;
const PAPER: [u8; 3] = [22, 24, 29];
const BLACK_KEY: [u8; 3] = [18, 20, 24];
const LINE: [u8; 3] = [58, 62, 72];
const HEARD: [u8; 3] = [126, 162, 201];
const ANSWER: [u8; 3] = [235, 168, 88];

/// Draws `heard` and `answer` with bar lines at `bars`; writes a PNG of 1600 pixels' width.
pub fn draw(out: impl Write, heard: &[Note], answer: &[Note], bars: &[Beats]) -> Result<(), Error> {
    let canvas = Canvas::over(heard, answer);
    let mut pixels = canvas.paper(bars);
    for (notes, colour) in [(heard, HEARD), (answer, ANSWER)] {
        for note in notes {
            canvas.note(&mut pixels, note, colour);
        }
    }
    let mut encoder = png::Encoder::new(out, number(WIDTH), number(canvas.height()));
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().map_err(Error::other)?.write_image_data(&pixels).map_err(Error::other)
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// What part of the plane is drawn.
struct Canvas {
    from: f64,
    beats: f64,
    low: u8,
    high: u8,
}

impl Canvas {
    fn over(heard: &[Note], answer: &[Note]) -> Self {
        let all = || heard.iter().chain(answer);
        let from = all().map(|note| note.at.0).fold(f64::INFINITY, f64::min);
        let to = all().map(|note| note.at.0 + note.len.0).fold(0.0, f64::max);
        let from = if from.is_finite() { from.floor() } else { 0.0 };
        Self {
            from,
            beats: (to - from).max(1.0),
            low: all().map(|note| note.key.0).min().unwrap_or(60).saturating_sub(2),
            high: all().map(|note| note.key.0).max().unwrap_or(60).saturating_add(2).min(127),
        }
    }

    fn height(&self) -> usize {
        usize::from(self.high.saturating_sub(self.low)) * ROW + ROW + 2 * MARGIN
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn x(&self, beat: f64) -> usize {
        let share = ((beat - self.from) / self.beats).clamp(0.0, 1.0);
        MARGIN + (share * (WIDTH - 2 * MARGIN) as f64) as usize
    }

    fn y(&self, key: u8) -> usize {
        MARGIN + usize::from(self.high.saturating_sub(key.max(self.low))) * ROW
    }

    fn paper(&self, bars: &[Beats]) -> Vec<u8> {
        let mut pixels = PAPER.repeat(WIDTH * self.height());
        for key in (self.low..=self.high).filter(|key| matches!(key % 12, 1 | 3 | 6 | 8 | 10)) {
            self.fill(&mut pixels, (0, WIDTH), (self.y(key), self.y(key) + ROW), BLACK_KEY);
        }
        for bar in bars.iter().filter(|bar| bar.0 >= self.from && bar.0 <= self.from + self.beats) {
            let x = self.x(bar.0);
            self.fill(&mut pixels, (x, x + 1), (0, self.height()), LINE);
        }
        pixels
    }

    fn note(&self, pixels: &mut [u8], note: &Note, colour: [u8; 3]) {
        let (left, right) = (self.x(note.at.0), self.x(note.at.0 + note.len.0));
        let top = self.y(note.key.0);
        let light = 110 + u16::from(note.velocity.0.min(127)) * 145 / 127;
        let shade = colour.map(|part| u8::try_from(u16::from(part) * light / 255).unwrap_or(255));
        self.fill(pixels, (left, right.max(left + 3) - 1), (top + 1, top + ROW - 1), shade);
    }

    fn fill(&self, pixels: &mut [u8], (left, right): (usize, usize), rows: (usize, usize), colour: [u8; 3]) {
        for y in rows.0..rows.1.min(self.height()) {
            let row = &mut pixels[y * WIDTH * 3..(y + 1) * WIDTH * 3];
            for pixel in row.chunks_exact_mut(3).take(right).skip(left) {
                pixel.copy_from_slice(&colour);
            }
        }
    }
}
