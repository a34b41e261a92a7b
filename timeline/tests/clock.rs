//! The clock under hosts of all kinds.

use continuo_timeline::{Bpm, Clock, Cut, Epoch, Host, Meter, Tick};

fn host(song: f64, tempo: f64) -> Host {
    Host { playing: true, song: Some(song), tempo: Some(tempo), ..Host::default() }
}

/// Grid points passed, as (sample, 24ths of a beat), for blocks of `block` samples.
fn grid(block: u32, tempo: f64, rate: f64, samples: u32) -> Vec<(u32, i64)> {
    let mut clock = Clock::new(rate);
    let mut passed = Vec::new();
    let mut now = 0;
    while now < samples {
        clock.begin(&host(f64::from(now) * tempo / 60.0 / rate, tempo), Bpm(120.0));
        let mut left = block;
        loop {
            let next = clock.samples_to_grid();
            if next >= left {
                clock.advance(left);
                now += left;
                break;
            }
            clock.advance(next);
            now += next;
            left -= next;
            #[allow(clippy::cast_possible_truncation)]
            passed.push((now, (clock.pass_grid(false).at.0 * 24.0).round() as i64));
        }
    }
    passed.retain(|&(at, _)| at < samples);
    passed
}

#[test]
fn grid_points_fall_on_the_same_samples_at_any_block_size() {
    for (tempo, rate) in [(120.0, 48_000.0), (97.3, 44_100.0), (61.0, 96_000.0)] {
        let whole = grid(4096, tempo, rate, 100_000);
        assert!(whole.len() > 20);
        for block in [1, 16, 333, 1000] {
            assert_eq!(grid(block, tempo, rate, 100_000), whole, "block {block} at {tempo}");
        }
    }
}

#[test]
fn a_seek_starts_an_epoch_and_the_line_goes_on_with_the_fraction_of_the_song() {
    let mut clock = Clock::new(48_000.0);
    assert_eq!(clock.begin(&host(7.25, 120.0), Bpm(120.0)), Some(Cut::Transport));
    clock.advance(24_000);
    let before = clock.line().0;
    assert_eq!(clock.begin(&host(8.25, 120.0), Bpm(120.0)), None);
    assert_eq!(clock.begin(&host(0.5, 120.0), Bpm(120.0)), Some(Cut::Seek));
    assert!(clock.line().0 >= before && (clock.line().0.fract() - 0.5).abs() < 1e-9);
    assert_eq!(clock.epoch(), Epoch(2));
    assert!((clock.tick(false).bar.0 - (clock.line().0 - 0.5)).abs() < 1e-9);
}

#[test]
fn without_a_host_the_internal_tempo_serves() {
    let mut clock = Clock::new(48_000.0);
    assert_eq!(clock.begin(&Host::default(), Bpm(90.0)), None);
    clock.advance(32_000);
    assert!((clock.line().0 - 1.0).abs() < 1e-9);
    assert_eq!(clock.begin(&Host { tempo: Some(f64::NAN), ..Host::default() }, Bpm(60.0)), None);
    assert_eq!(clock.tempo(), Bpm(60.0));
}

#[test]
fn a_loop_of_whole_grid_steps_goes_on_and_another_is_a_seek() {
    for (to, cut) in [(4.0, None), (3.5, None), (13.0 / 3.0, None), (4.51, Some(Cut::Seek))] {
        let mut clock = Clock::new(48_000.0);
        clock.begin(&host(to - 1.0, 120.0), Bpm(120.0));
        clock.advance(24_000);
        let before = clock.line().0;
        let wrap = Host { looped: Some((0.0, to)), ..host(0.0, 120.0) };
        assert_eq!(clock.begin(&wrap, Bpm(120.0)), cut);
        assert!(clock.take_wrap() && !clock.take_wrap(), "it came round, and that is told once");
        assert_eq!(clock.song().0, 0.0);
        assert!(cut.is_some() || clock.line().0 == before);
    }
}

#[test]
fn the_next_beat_is_the_songs_after_a_loop_of_half_beats_too() {
    let mut clock = Clock::new(48_000.0);
    let looped = |song| Host { looped: Some((0.0, 3.5)), ..host(song, 120.0) };
    clock.begin(&looped(0.0), Bpm(120.0));
    clock.advance(84_000);
    assert_eq!(clock.begin(&looped(0.0), Bpm(120.0)), None);
    clock.advance(6_000);
    assert!((clock.next_beat().0 - clock.line().0 - 0.75).abs() < 1e-9, "{:?}", clock.next_beat());
}

#[test]
fn a_loop_comes_round_within_a_block_while_the_tempo_ramps() {
    let mut clock = Clock::new(48_000.0);
    let looped = |song, tempo| Host { looped: Some((0.0, 3.5)), ..host(song, tempo) };
    clock.begin(&looped(3.25, 120.0), Bpm(120.0));
    let line = clock.line().0;
    // A quarter of a beat to the end of the loop, and a quarter more: 0.04 more than the tempo says.
    let grid: Vec<Tick> = (0..12)
        .map(|_| {
            clock.advance(clock.samples_to_grid());
            clock.pass_grid(false)
        })
        .collect();
    for (step, tick) in (0_u32..).zip(&grid) {
        let song = (3.25 + f64::from(step) / 24.0) % 3.5;
        assert!((tick.song.0 - song).abs() < 1e-6, "grid point {step} at {:?}", tick.song);
        let (wrap, length) = tick.wrap.expect("in the loop");
        assert!((wrap.0 - tick.at.0 - (3.5 - song)).abs() < 1e-6 && length.0 == 3.5);
    }
    clock.advance(clock.samples_to_grid());
    assert_eq!(clock.begin(&looped(0.29, 130.0), Bpm(120.0)), None);
    assert!((clock.song().0 - 0.29).abs() < 1e-9 && (clock.line().0 - line - 0.54).abs() < 1e-9);
    // The song elsewhere is a seek, also where it goes back by the length of the loop.
    clock.begin(&looped(9.0, 120.0), Bpm(120.0));
    clock.advance(100);
    assert_eq!(clock.begin(&looped(clock.song().0 - 3.5, 120.0), Bpm(120.0)), Some(Cut::Seek));
}

#[test]
fn a_host_that_tells_no_tempo_is_followed_by_its_positions() {
    for (block, tempo) in [(64, 60.0), (512, 93.0), (4096, 60.0), (4096, 200.0)] {
        let mut clock = Clock::new(48_000.0);
        let mut cuts = Vec::new();
        for number in 0..60_u32 {
            let song = 2.0 + f64::from(number * block) * tempo / 60.0 / 48_000.0;
            let untold = Host { tempo: Some(0.0), ..host(song, 0.0) };
            cuts.extend(clock.begin(&untold, Bpm(120.0)).map(|why| (number, why)));
            assert!(number == 0 || (clock.tempo().0 - tempo).abs() < 1e-6, "{:?}", clock.tempo());
            clock.advance(block);
        }
        assert_eq!(cuts, [(0, Cut::Transport)], "blocks of {block} at {tempo}");
    }
}

#[test]
fn a_position_that_stands_is_a_stop_where_no_tempo_is_told() {
    let mut clock = Clock::new(48_000.0);
    let mut cuts = Vec::new();
    for number in 0..20_u32 {
        let song = f64::from(number.min(10)) * 0.125;
        let untold = Host { tempo: None, ..host(song, 0.0) };
        cuts.extend(clock.begin(&untold, Bpm(120.0)).map(|why| (number, why)));
        clock.advance(3_000);
    }
    assert_eq!(cuts, [(0, Cut::Transport), (15, Cut::Transport)]);
    assert!(!clock.playing());
}

#[test]
fn bars_are_where_the_host_says() {
    let mut clock = Clock::new(48_000.0);
    let waltz = Meter { numerator: 3, denominator: 4 };
    let told = |song, bar| Host { meter: Some(waltz), bar: Some(bar), ..host(song, 120.0) };
    // After four bars of four: beat 17 is the second of a bar.
    clock.begin(&told(17.0, 16.0), Bpm(120.0));
    assert!((clock.tick(false).bar.0 - (clock.line().0 - 1.0)).abs() < 1e-9);
    clock.advance(60_000);
    assert!((clock.tick(false).bar.0 - (clock.line().0 - 0.5)).abs() < 1e-9, "the next bar began at 19");
    clock.begin(&told(2.0, 0.0), Bpm(120.0));
    assert!((clock.tick(false).bar.0 - (clock.line().0 - 2.0)).abs() < 1e-9);
}

#[test]
fn a_host_that_rounds_its_position_moves_no_note() {
    let mut clock = Clock::new(48_000.0);
    let per_block = 512.0 * 120.0 / 60.0 / 48_000.0;
    clock.begin(&host(0.0, 120.0), Bpm(120.0));
    for block in 1..2000_u32 {
        clock.advance(512);
        let song = f64::from(block) * per_block;
        clock.begin(&host((song * 1920.0).floor() / 1920.0, 120.0), Bpm(120.0));
        // Half a tick is the rounding's mean; what is left must be less than a sample.
        let samples = (clock.song().0 - song) / per_block * 512.0;
        assert!((-7.5..=0.5).contains(&samples), "{samples} samples at block {block}");
    }
    let before = clock.song().0;
    clock.advance(512);
    assert!((clock.song().0 - before - per_block).abs() < 1e-9);
}

#[test]
fn ramps_are_not_seeks() {
    let mut clock = Clock::new(48_000.0);
    let mut song = 0.0;
    clock.begin(&host(song, 60.0), Bpm(120.0));
    for block in 0..400_u32 {
        let tempo = 60.0 + f64::from(block) * 0.5;
        // The ramp inside the block: the host is ahead of a constant tempo.
        song += 512.0 * (tempo + 0.25) / 60.0 / 48_000.0;
        clock.advance(512);
        assert_eq!(clock.begin(&host(song, tempo + 0.5), Bpm(120.0)), None);
    }
}

#[test]
fn a_tempo_that_is_not_told_for_a_block_stays() {
    let mut clock = Clock::new(48_000.0);
    clock.begin(&host(0.0, 90.0), Bpm(120.0));
    clock.advance(4_000);
    let untold = Host { tempo: Some(f64::NAN), ..host(0.125, 0.0) };
    assert_eq!(clock.begin(&untold, Bpm(120.0)), None);
    assert_eq!(clock.tempo(), Bpm(90.0));
}
