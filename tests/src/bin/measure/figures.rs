//! Figures of what came out.

use continuo_tests::host::{Pitched, Recording, Song, Sound, paired};

use crate::songs::{Phrase, RATE};

/// Ticks in a beat of the default model.
const TICKS: f64 = 48.0;

/// What was generated: everything that came out and was not played in; and how many notes hang at the end.
pub fn answer(out: &Recording, phrase: &Phrase, song: &Song) -> (Vec<Pitched>, usize) {
    let mut out = out.clone();
    let mut open = Vec::new();
    for (_, event) in &out.events {
        match *event {
            Sound::On { channel, key, .. } => open.push((channel, key)),
            Sound::Off { channel, key } => open.retain(|n| *n != (channel, key)),
            _ => {}
        }
    }
    let last = out.left.len() as u64;
    out.events.extend(open.iter().map(|&(channel, key)| (last, Sound::Off { channel, key })));
    let notes = paired(&out).unwrap_or_else(|why| {
        println!("  NOT IN ORDER: {why}");
        Vec::new()
    });
    let played: Vec<(u8, u64)> = phrase.notes.iter().map(|p| (p.key, song.sample(p.at, RATE))).collect();
    (notes.into_iter().filter(|n| !played.contains(&(n.key, n.at))).collect(), open.len())
}

/// Distance of an onset from the nearest tick of the model's grid, placed on the host's song position; in samples.
pub fn off_grid(at: u64, song: &Song) -> f64 {
    let stand = song.stand(at, RATE);
    let ticks = stand.beats * TICKS;
    (ticks - ticks.round()) / TICKS * 60.0 / stand.tempo * RATE
}

/// Largest absolute value.
pub fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, value| most.max(value.abs()))
}

/// Beats at a sample of a performance without jumps.
pub fn beats(at: u64, song: &Song) -> f64 {
    song.stand(at, RATE).beats
}

/// Where the sound of the first generated note begins, less where its note-on stands, in samples. `without` is the same
/// performance without an answer: the first sample that differs by more than -100 dB is the attack.
pub fn attack(with: &Recording, without: &Recording, first: u64) -> Option<i64> {
    let differs = |i: usize| {
        (with.left[i] - without.left[i]).abs() > 1e-5 || (with.right[i] - without.right[i]).abs() > 1e-5
    };
    let at = (0..with.left.len().min(without.left.len())).find(|&i| differs(i))?;
    Some(at as i64 - first as i64)
}

/// Notes of `expected` that are not in `notes` on the same tick and key.
pub fn missing(expected: &[Pitched], notes: &[Pitched], song: &Song) -> usize {
    let place = |n: &Pitched| ((song.stand(n.at, RATE).beats * TICKS).round() as i64, n.key);
    let there: Vec<_> = notes.iter().map(place).collect();
    expected.iter().filter(|n| !there.contains(&place(n))).count()
}

/// The shorter of two times, one by one.
pub fn quickest(mut so_far: Vec<f32>, next: Vec<f32>) -> Vec<f32> {
    if so_far.is_empty() {
        return next;
    }
    so_far.iter_mut().zip(next).for_each(|(least, next)| *least = least.min(next));
    so_far
}

/// Median, 99.9th percentile and maximum of the time of `process()`, as a share of a block.
pub fn shares(mut taken: Vec<f32>, block: u32) -> [f64; 3] {
    taken.sort_by(f32::total_cmp);
    let length = f64::from(block) / RATE;
    let at = |share: f64| {
        let index = ((taken.len() as f64 * share).ceil() as usize).clamp(1, taken.len().max(1)) - 1;
        taken.get(index).map_or(0.0, |seconds| f64::from(*seconds) / length)
    };
    [at(0.5), at(0.999), at(1.0)]
}
