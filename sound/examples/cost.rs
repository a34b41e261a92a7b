//! Prints what 64 voices cost, by family, as a share of real time on one core.
use continuo_sound::Synth;
use continuo_timeline::{Channel, Instrument, Key, Velocity};

fn main() {
    for program in [0, 16, 24, 40, 56, 88] {
        let mut synth = Synth::new(48_000.0);
        (30..94).for_each(|k| synth.note_on(Instrument(program), Key(k), Velocity(100), Channel(0)));
        let (mut l, mut r) = ([0.0; 64], [0.0; 64]);
        let (mut peak, mut square, mut sum) = (0f32, 0f32, 0f32);
        let start = std::time::Instant::now();
        (0..750).for_each(|_| synth.render(&mut l, &mut r));
        let share = start.elapsed().as_secs_f64() * 100.0;
        let mut one = Synth::new(48_000.0);
        one.note_on(Instrument(program), Key(60), Velocity(100), Channel(0));
        for _ in 0..750 {
            one.render(&mut l, &mut r);
            l.iter().for_each(|x| {
                peak = peak.max(x.abs());
                square += x * x;
                sum += x;
            });
        }
        let (rms, mean) = ((square / 48_000.0).sqrt(), sum / 48_000.0);
        println!(
            "program {program}: 64 voices {share:.1} %; one note: peak {peak:.3}, rms {rms:.4}, mean {mean:.6}"
        );
    }
}
