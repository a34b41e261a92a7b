//! Prints what voices cost by family: microseconds of one core for a block of 64 frames at 48 kHz, and the share of the block.
//! The best of many stretches is shown, since whatever else the machine does can only add to it.
use continuo_sound::Synth;
use continuo_timeline::{Channel, Instrument, Key, Velocity};
use std::time::Instant;

const RATE: f64 = 48_000.0;
const BLOCK: usize = 64;
/// Blocks that are measured together, and how often.
const TOGETHER: usize = 25;
const TIMES: usize = 200;

fn main() {
    println!("program  voices  us a block  of the block  one note: peak     rms       mean");
    for program in [0, 16, 24, 40, 56, 88, 128] {
        for voices in [1, 8, 64] {
            let best = best(program, voices);
            let share = best / 1e6 / (BLOCK as f64 / RATE) * 100.0;
            print!("{program:>7}  {voices:>6}  {best:>10.2}  {share:>10.2} %");
            if voices == 1 {
                let (peak, rms, mean) = loudness(program);
                print!("          {peak:>6.3}  {rms:>6.4}  {mean:>9.6}");
            }
            println!();
        }
    }
}

fn sounding(program: u8, keys: std::ops::Range<u8>) -> Synth {
    let mut synth = Synth::new(RATE);
    keys.for_each(|key| synth.note_on(Instrument(program), Key(key), Velocity(100), Channel(0)));
    synth
}

/// Microseconds of a block.
fn best(program: u8, voices: u8) -> f64 {
    let mut shortest = f64::INFINITY;
    let (mut left, mut right) = ([0.0; BLOCK], [0.0; BLOCK]);
    for _ in 0..TIMES {
        let mut synth = sounding(program, 30..30 + voices);
        let start = Instant::now();
        (0..TOGETHER).for_each(|_| synth.render(&mut left, &mut right));
        shortest = shortest.min(start.elapsed().as_secs_f64() * 1e6 / TOGETHER as f64);
    }
    shortest
}

/// Peak, root mean square and mean of a second of middle C.
fn loudness(program: u8) -> (f32, f32, f32) {
    let mut synth = sounding(program, 60..61);
    let (mut left, mut right) = ([0.0; BLOCK], [0.0; BLOCK]);
    let (mut peak, mut square, mut sum, mut count) = (0f32, 0f32, 0f32, 0f32);
    for _ in 0..RATE as usize / BLOCK {
        synth.render(&mut left, &mut right);
        for x in left {
            peak = peak.max(x.abs());
            square += x * x;
            sum += x;
            count += 1.0;
        }
    }
    (peak, (square / count).sqrt(), sum / count)
}
