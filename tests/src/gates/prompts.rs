//! Prompts of 8 bars in 4/4: the phrases of the repository, and loops made up by rule in twelve styles and any key.
//!
//! The rules are not those of `training/loops.py`; chords, grooves and lines are drawn anew for every number.

use anyhow::Result;

use crate::host::Played;
use crate::{midi, require};

/// A prompt.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it is.
    pub name: String,
    /// Beats a minute.
    pub tempo: f64,
    /// 8 bars.
    pub notes: Vec<Played>,
}

/// How the chords are broken: steps in a bar (in ticks of 1/48 beat) with the chord tone of each, and the tempo.
struct Style {
    name: &'static str,
    tempo: f64,
    comp: &'static [(u16, u8)],
    bass: &'static [u16],
    /// Onsets that the melody may have within a beat.
    grid: &'static [u16],
    drums: bool,
}

const EIGHTHS: &[u16] = &[0, 24];
const SIXTEENTHS: &[u16] = &[0, 12, 24, 36];
const SWING: &[u16] = &[0, 32];
const BEATS: &[u16] = &[0];
const CHORD: u8 = 9;

const LIST: [Style; 12] = [
    style("ballad", 72.0, &[(0, CHORD), (96, CHORD)], &[0], EIGHTHS, false),
    style(
        "arpeggio",
        96.0,
        &[(0, 0), (24, 1), (48, 2), (72, 3), (96, 2), (120, 1), (144, 2), (168, 1)],
        &[0],
        BEATS,
        false,
    ),
    style("pop", 112.0, &[(0, CHORD), (48, CHORD), (96, CHORD), (144, CHORD)], &[0, 72, 96], EIGHTHS, false),
    style(
        "rock",
        128.0,
        &[(0, CHORD), (24, CHORD), (72, CHORD), (120, CHORD)],
        &[0, 24, 96, 120],
        EIGHTHS,
        true,
    ),
    style(
        "funk",
        104.0,
        &[(24, CHORD), (60, CHORD), (120, CHORD), (156, CHORD)],
        &[0, 36, 84, 132],
        SIXTEENTHS,
        true,
    ),
    style(
        "house",
        122.0,
        &[(24, CHORD), (72, CHORD), (120, CHORD), (168, CHORD)],
        &[0, 48, 96, 144],
        EIGHTHS,
        true,
    ),
    style("swing", 140.0, &[(32, CHORD), (144, CHORD)], &[0, 48, 96, 144], SWING, false),
    style(
        "shuffle",
        108.0,
        &[(0, CHORD), (32, CHORD), (96, CHORD), (128, CHORD)],
        &[0, 32, 48, 80, 96, 128, 144, 176],
        SWING,
        true,
    ),
    style("bossa", 130.0, &[(0, CHORD), (72, CHORD), (120, CHORD)], &[0, 72, 96, 168], EIGHTHS, false),
    style(
        "march",
        116.0,
        &[(24, CHORD), (72, CHORD), (120, CHORD), (168, CHORD)],
        &[0, 48, 96, 144],
        BEATS,
        false,
    ),
    style("two voices", 92.0, &[], &[0, 24, 48, 72, 96, 120, 144, 168], SIXTEENTHS, false),
    style("melody alone", 100.0, &[], &[], EIGHTHS, false),
];

const fn style(
    name: &'static str,
    tempo: f64,
    comp: &'static [(u16, u8)],
    bass: &'static [u16],
    grid: &'static [u16],
    drums: bool,
) -> Style {
    Style { name, tempo, comp, bass, grid, drums }
}

/// How many styles there are.
pub const STYLES: usize = LIST.len();

/// Roots and thirds (in half-tones) of four bars; major keys, then minor ones.
const CHORDS: [&[(u8, u8)]; 6] = [
    &[(0, 4), (7, 4), (9, 3), (5, 4)],
    &[(0, 4), (9, 3), (2, 3), (7, 4)],
    &[(0, 4), (5, 4), (0, 4), (7, 4)],
    &[(0, 3), (8, 4), (3, 4), (10, 4)],
    &[(0, 3), (5, 3), (10, 4), (0, 3)],
    &[(0, 3), (10, 4), (8, 4), (10, 4)],
];
const SCALES: [[u8; 7]; 2] = [[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10]];

/// A seeded source of numbers (SplitMix64).
pub(super) struct Draws(pub u64);

impl Draws {
    /// A number below `below`.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) >> 16) as usize % below.max(1)
    }
}

/// The phrases of the repository (played twice, to make 8 bars), then made-up loops until there are `count`.
pub fn prompts(count: usize) -> Result<Vec<Made>> {
    let mut all = Vec::new();
    for name in ["demo", "stroll", "waltz-feel"] {
        let (once, tempo) = midi::read(&require::root().join(format!("tests/phrases/{name}.mid")))?;
        let again = once.iter().map(|n| Played { at: n.at + 16.0, ..*n });
        let notes = once.iter().copied().chain(again).collect();
        all.push(Made { name: name.into(), tempo, notes });
    }
    let made = (0..).map(made).take(count.saturating_sub(all.len()));
    all.extend(made);
    all.truncate(count);
    Ok(all)
}

/// Made-up loop number `number`: its style is `number` modulo [`STYLES`], everything else is drawn.
pub fn made(number: usize) -> Made {
    let Made { notes, .. } = continued(number);
    let notes = notes.into_iter().filter(|note| note.at < 32.0).collect();
    let style = &LIST[number % STYLES];
    Made { name: style.name.into(), tempo: style.tempo, notes }
}

/// The same with four more bars by the same rule: what really follows.
pub fn continued(number: usize) -> Made {
    let style = &LIST[number % STYLES];
    let mut draws = Draws(number as u64 * 7919 + 1);
    let tonic = draws.below(12) as u8;
    let which = draws.below(CHORDS.len());
    let (chords, scale) = (CHORDS[which], SCALES[usize::from(which >= 3)]);
    let mut notes = Vec::new();
    // The same four bars of melody come three times, the second and third time with another end.
    let mut tune = melody(style, &mut draws, 0..16);
    let end = melody(style, &mut draws, 28..32);
    let motif: Vec<_> = tune.iter().filter(|n| n.0 < 12 * 48).copied().collect();
    for later in [0, 16 * 48] {
        tune.extend(motif.iter().map(|n| (n.0 + 16 * 48 + later, n.1, n.2)));
        tune.extend(end.iter().map(|n| (n.0 + later, n.1, n.2)));
    }
    for bar in 0..12 {
        accompany(style, bar, tonic, chords[bar % 4], &mut notes);
    }
    for (tick, length, degree) in tune {
        let key = 60 + tonic % 12 + scale[degree % 7] + 12 * (degree / 7) as u8;
        notes.push(note(tick, length, key, 92, 0));
    }
    Made { name: style.name.into(), tempo: style.tempo, notes }
}

/// Onset, length and degree of a line over some beats: steps rather than leaps, onsets on the style's grid.
fn melody(style: &Style, draws: &mut Draws, beats: std::ops::Range<u32>) -> Vec<(u32, u32, usize)> {
    let mut degree = 2 + draws.below(4);
    let mut onsets = Vec::new();
    for beat in beats.clone() {
        let here = style.grid.iter().enumerate();
        let dense = style.grid.len() > 2;
        onsets.extend(
            here.filter(|(i, _)| {
                draws.below(8)
                    < if *i == 0 {
                        7
                    } else if dense {
                        5
                    } else {
                        4
                    }
            })
            .map(|(_, step)| beat * 48 + u32::from(*step)),
        );
    }
    let last = beats.end * 48;
    let ends = onsets.iter().skip(1).copied().chain([last]).collect::<Vec<_>>();
    let mut line = Vec::new();
    for (at, end) in onsets.into_iter().zip(ends) {
        degree = (degree + draws.below(5)).saturating_sub(2).min(11);
        line.push((at, (end - at).min(96) * 9 / 10, degree));
    }
    line
}

fn accompany(style: &Style, bar: usize, tonic: u8, (root, third): (u8, u8), notes: &mut Vec<Played>) {
    let from = bar as u32 * 192;
    let low = 48 + (tonic + root) % 12;
    let tones = [0, third, 7, 12];
    for (step, which) in style.comp {
        let at = from + u32::from(*step);
        match *which {
            CHORD => notes.extend(tones[..3].iter().map(|t| note(at, 22, low + t, 68, 0))),
            one => notes.push(note(at, 22, low + tones[usize::from(one)], 72, 0)),
        }
    }
    for (index, step) in style.bass.iter().enumerate() {
        let key = low - 12 + if index % 2 == 1 { 7 } else { 0 };
        notes.push(note(from + u32::from(*step), 22, key, 80, 0));
    }
    if style.drums {
        let off = style.grid.get(1).filter(|_| style.grid.len() == 2).map_or(24, |step| u32::from(*step));
        let hats = (0..4).flat_map(|beat| [(beat * 48, 42), (beat * 48 + off, 42)]);
        let kit = hats.chain([(0, 36), (48, 38), (96, 36), (144, 38)]);
        notes.extend(kit.map(|(step, key)| note(from + step, 6, key, 84, 9)));
    }
}

fn note(tick: u32, length: u32, key: u8, velocity: u8, channel: u8) -> Played {
    Played { at: f64::from(tick) / 48.0, len: f64::from(length.max(1)) / 48.0, key, velocity, channel }
}
