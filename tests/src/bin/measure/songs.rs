//! What is played: phrases of the repository and a few more, and what the host's transport does meanwhile.

use anyhow::Result;
use continuo_tests::host::{Act, Played, Song, parse};
use continuo_tests::{midi, require};

/// Samples a second of every measurement.
pub const RATE: f64 = 48_000.0;

/// A phrase: notes, and where the pedal goes down and up, in beats.
#[derive(Clone)]
pub struct Phrase {
    /// Its name.
    pub name: &'static str,
    /// Its notes.
    pub notes: Vec<Played>,
    /// Pedal: beat, down.
    pub pedal: Vec<(f64, bool)>,
}

impl Phrase {
    fn new(name: &'static str, notes: Vec<Played>) -> Self {
        Self { name, notes, pedal: Vec::new() }
    }

    /// When nothing of it is held any more, keys and pedal, in beats.
    pub fn end(&self) -> f64 {
        let up = self.pedal.iter().map(|(at, _)| *at);
        self.notes.iter().map(|n| n.at + n.len).chain(up).fold(0.0, f64::max)
    }

    /// When the written rule takes it for over: silence of a beat, or of twice the median time between onsets (at most 4).
    pub fn detected(&self) -> f64 {
        let mut onsets: Vec<f64> = self.notes.iter().map(|n| n.at).collect();
        onsets.sort_by(f64::total_cmp);
        let mut gaps: Vec<f64> = onsets.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > 0.02).collect();
        gaps.sort_by(f64::total_cmp);
        self.end() + (2.0 * gaps.get(gaps.len() / 2).copied().unwrap_or(0.0)).clamp(1.0, 4.0)
    }

    /// As raw MIDI by sample of a performance that starts with `song`.
    pub fn raw(&self, song: &Song) -> Vec<(u64, [u8; 3])> {
        let sample = |beats: f64| song.sample(beats, RATE);
        let notes = self.notes.iter().flat_map(|n| {
            let on = sample(n.at);
            let off = sample(n.at + n.len).max(on + 1);
            [(on, [0x90 | n.channel, n.key, n.velocity]), (off, [0x80 | n.channel, n.key, 0])]
        });
        let pedal =
            self.pedal.iter().map(|(at, down)| (sample(*at), [0xb0, 64, if *down { 127 } else { 0 }]));
        notes.chain(pedal).collect()
    }
}

/// The phrases of `tests/phrases`, and a sparse, a dense and a pedalled one.
pub fn phrases() -> Result<Vec<Phrase>> {
    let mut all = Vec::new();
    for name in ["demo", "stroll", "waltz-feel"] {
        let path = require::root().join(format!("tests/phrases/{name}.mid"));
        all.push(Phrase::new(name, midi::read(&path)?.0));
    }
    all.push(Phrase::new("sparse", parse("D4@0 len 1.5 vel 80 A4@2 F4@5 len 0.5 D4@7")));
    all.push(dense());
    let mut pedalled = Phrase::new(
        "pedal",
        parse("C3@0 len 0.4 G3@0.5 E4@1 C5@1.5 F3@2 C4@2.5 A4@3 C5@3.5 G3@4 D4@4.5 B4@5 D5@5.5"),
    );
    pedalled.pedal =
        vec![(0.05, true), (1.95, false), (2.05, true), (3.95, false), (4.05, true), (7.0, false)];
    all.push(pedalled);
    all.extend([shuffle(), hymn(), bossa(), beat()]);
    Ok(all)
}

/// Swung eighths over a walking bass, with accents on two and four.
fn shuffle() -> Phrase {
    let line = [69, 72, 74, 75, 76, 74, 72, 69, 67, 69, 72, 74, 72, 69, 67, 64];
    let note = |at: f64, len, key, velocity| Played { at, len, key, velocity, channel: 0 };
    let swung = |i: usize| (i / 2) as f64 + if i % 2 == 1 { 0.66 } else { 0.0 };
    let loud = |i: usize| if i % 4 == 2 { 104 } else { 78 };
    let mut notes: Vec<Played> = (0..16).map(|i| note(swung(i), 0.3, line[i], loud(i))).collect();
    notes.extend(
        [45, 48, 50, 52, 50, 48, 45, 43]
            .iter()
            .zip(0_u8..)
            .map(|(&key, beat)| note(f64::from(beat), 0.8, key, 70)),
    );
    Phrase::new("shuffle", notes)
}

/// Four parts in half notes under a pedal: sparse, with all held.
fn hymn() -> Phrase {
    let chords = [[48, 60, 64, 67], [53, 60, 65, 69], [50, 62, 65, 69], [55, 59, 62, 67]];
    let note = |at: f64, key| Played { at, len: 1.9, key, velocity: 66, channel: 0 };
    let notes =
        chords.iter().zip(0_u8..).flat_map(|(chord, i)| chord.map(|key| note(2.0 * f64::from(i), key)));
    let mut hymn = Phrase::new("hymn", notes.collect());
    hymn.pedal =
        (0..4).flat_map(|i| [(2.0 * f64::from(i) + 0.1, true), (2.0 * f64::from(i) + 1.95, false)]).collect();
    hymn
}

/// Syncopated chords against a bass of dotted quarters.
fn bossa() -> Phrase {
    let mut notes = parse(
        "D2@0 len 1.4 vel 80 A2@1.5 len 0.4 D2@2 len 1.4 A2@3.5 len 0.4 G2@4 len 1.4 D2@5.5 len 0.4 G2@6 len 1.4",
    );
    for at in [0.0, 1.0, 2.5, 3.5, 4.5, 5.5, 6.5] {
        let chord: [u8; 3] = if at < 3.9 { [60, 64, 69] } else { [59, 64, 65] };
        notes.extend(chord.map(|key| Played { at, len: 0.45, key, velocity: 72, channel: 0 }));
    }
    Phrase::new("bossa", notes)
}

/// Two bars of a drum kit, on the channel of drums.
fn beat() -> Phrase {
    let hit = |at: f64, key, velocity| Played { at, len: 0.1, key, velocity, channel: 9 };
    let mut notes: Vec<Played> =
        (0..16).map(|i| hit(f64::from(i) / 2.0, 42, if i % 2 == 0 { 90 } else { 60 })).collect();
    notes.extend([0.0, 2.5, 4.0, 6.5].map(|at| hit(at, 36, 100)));
    notes.extend([1.0, 3.0, 5.0, 7.0].map(|at| hit(at, 38, 108)));
    Phrase::new("beat", notes)
}

/// Two bars of sixteenths over four-note chords.
fn dense() -> Phrase {
    let line = [60, 62, 64, 67, 69, 67, 64, 62];
    let note = |at: f64, len, key| Played { at, len, key, velocity: 84, channel: 0 };
    let mut notes: Vec<Played> =
        (0..32).map(|i| note(f64::from(i) / 4.0, 0.22, line[i as usize % 8] + 12)).collect();
    for (beat, root) in [(0.0, 48), (2.0, 45), (4.0, 41), (6.0, 43)] {
        notes.extend([0, 7, 12, 16].map(|step| note(beat, 1.9, root + step)));
    }
    Phrase::new("dense", notes)
}

/// So many keys held for so many beats, on as many channels as it takes: for the cost of many voices.
pub fn voices(count: u8, beats: f64) -> Phrase {
    let note = |i: u8| Played { at: 0.5, len: beats, key: 30 + i % 64, velocity: 70, channel: i / 64 };
    Phrase::new("voices", (0..count).map(note).collect())
}

/// Names of transports, and what each does: each plays long enough for four bars of answer, then stops so that what
/// hangs is seen. `beats` is when the phrase is detected as over.
pub fn transports(tempo: f64, detected: f64) -> Vec<(&'static str, Song)> {
    let second = 60.0 / tempo;
    let mut looped = Song::steady(tempo);
    looped.looped = Some((0.0, 16.0));
    let mut seek = Song::steady(tempo);
    // In the middle of the answer, to another bar.
    seek.acts.push(((detected + 5.0) * second, Act::Play(64.0)));
    vec![("loop of 4 bars", looped), ("seek", seek), ("ramp", Song::ramp(tempo, tempo * 1.5, 32))]
}
