//! What the built-in instrument promises.
use continuo_sound::Synth;
use continuo_timeline::{Channel, Instrument, Key, Velocity};

const RATE: f64 = 48_000.0;

fn take(synth: &mut Synth, frames: usize, block: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut l, mut r) = (vec![9.0; frames], vec![9.0; frames]);
    l.chunks_mut(block).zip(r.chunks_mut(block)).for_each(|(l, r)| synth.render(l, r));
    (l, r)
}

fn on(synth: &mut Synth, program: u8, key: u8, velocity: u8) {
    synth.note_on(Instrument(program), Key(key), Velocity(velocity), Channel(0));
}

#[test]
fn any_split_gives_the_same_samples() {
    let play = |block| {
        let mut s = Synth::new(RATE);
        [0, 24, 48, 128].iter().for_each(|&p| on(&mut s, p, 46, 100));
        let first = take(&mut s, 5000, block);
        s.all_off(None);
        (first, take(&mut s, 20_000, block))
    };
    let whole = play(64);
    assert!(whole == play(1) && whole == play(997));
}

#[test]
fn full_polyphony_stays_below_full_scale_and_ends_silent() {
    for program in [0, 4, 16, 24, 40, 56, 64, 73, 80, 88, 128] {
        let mut s = Synth::new(RATE);
        (30..110).for_each(|k| on(&mut s, program, k, 127));
        assert_eq!(s.voices(), 64);
        let (l, r) = take(&mut s, 24_000, 64);
        let peak = l.iter().chain(&r).fold(0f32, |m, x| m.max(x.abs()));
        assert!(peak > 0.1 && peak <= 0.98, "program {program}: peak {peak}");
        s.all_off(None);
        take(&mut s, 48_000 * 8, 512);
        let (l, r) = take(&mut s, 1000, 64);
        assert!(s.voices() == 0 && l.iter().chain(&r).all(|x| *x == 0.0), "program {program} rings on");
    }
}

#[test]
fn a_raised_level_is_limited_and_not_clipped() {
    let peak = |gain: f32| {
        let mut s = Synth::new(RATE);
        s.level(gain);
        (50..60).for_each(|k| on(&mut s, 16, k, 127));
        let (l, r) = take(&mut s, 24_000, 64);
        l.iter().chain(&r).fold(0f32, |m, x| m.max(x.abs()))
    };
    assert!(peak(2.0) > 0.5 && peak(2.0) <= 0.98, "{}", peak(2.0));
    assert!(peak(0.01) < 0.1 && peak(0.0) == 0.0);
}

#[test]
fn one_channel_is_let_go_alone() {
    let mut s = Synth::new(RATE);
    on(&mut s, 16, 60, 100);
    s.note_on(Instrument(16), Key(64), Velocity(100), Channel(1));
    s.pedal(Channel(0), true);
    s.all_off(Some(Channel(0)));
    take(&mut s, 48_000 * 4, 512);
    assert_eq!(s.voices(), 1, "the other channel's note goes on");
    s.all_off(None);
    take(&mut s, 48_000 * 4, 512);
    assert_eq!(s.voices(), 0);
}

#[test]
fn cut_is_silence_at_once() {
    let mut s = Synth::new(RATE);
    on(&mut s, 0, 60, 100);
    take(&mut s, 1000, 64);
    s.cut();
    let (l, r) = take(&mut s, 1000, 64);
    assert!(s.voices() == 0 && l.iter().chain(&r).all(|x| *x == 0.0));
}

#[test]
fn keys_are_in_tune() {
    for program in [0, 4, 16, 24, 40, 56, 73] {
        for key in [24u8, 45, 60, 84, 96] {
            let mut s = Synth::new(RATE);
            on(&mut s, program, key, 90);
            take(&mut s, 9600, 64);
            let (l, _) = take(&mut s, 48_000, 64);
            let power = |cents: f64| {
                let w =
                    std::f64::consts::TAU * 440.0 * 2f64.powf((f64::from(key) - 69.0 + cents / 100.0) / 12.0)
                        / RATE;
                let (mut re, mut im) = (0.0, 0.0);
                for (i, x) in l.iter().enumerate() {
                    let hann = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / 48_000.0).cos();
                    re += hann * f64::from(*x) * (w * i as f64).cos();
                    im += hann * f64::from(*x) * (w * i as f64).sin();
                }
                re * re + im * im
            };
            let centre = power(0.0);
            assert!(centre > power(-40.0) && centre > power(40.0), "program {program} key {key}");
        }
    }
}
