//! Where answers begin.

use continuo_timeline::{Beats, Quantise, Settings, Tick};

/// Where an answer begins that may begin from `earliest` on.
pub fn launch(earliest: Beats, tick: &Tick, settings: &Settings) -> Beats {
    let grid = |origin: f64, step: f64| Beats(origin + ((earliest.0 - origin) / step - 1e-6).ceil() * step);
    let bar = tick.meter.bar().0;
    let bars = |count: f64| {
        // Counted from the start of the song.
        let number = ((tick.song.0 - (tick.at.0 - tick.bar.0)) / bar).round();
        grid(tick.bar.0 - number.rem_euclid(count) * bar, count * bar)
    };
    if let Some(count) = settings.counted_bars() {
        return bars(f64::from(count));
    }
    match settings.quantise {
        Quantise::None => grid(tick.bar.0, 1.0 / 48.0),
        Quantise::Beat => grid(tick.bar.0, 1.0),
        Quantise::LoopStart => match tick.wrap {
            Some((wrap, length)) if length.0 > 0.0 => grid(wrap.0, length.0),
            _ => grid(tick.bar.0, bar),
        },
        _ => grid(tick.bar.0, bar),
    }
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Bpm, Epoch, Meter};

    use super::*;

    #[test]
    fn lines_are_counted_in_the_song_and_given_on_the_line() {
        // The line is 3 beats ahead of the song, which stands in its bar 5 (from 0).
        let (at, song, bar) = (Beats(24.5), Beats(21.5), Beats(23.0));
        let (meter, tempo, epoch) = (Meter::COMMON, Bpm(120.0), Epoch(0));
        let wrap = Some((Beats(24.0), Beats(9.0)));
        let tick = Tick { at, song, bar, wrap, meter, tempo, playing: true, offline: false, epoch };
        let settings = |quantise| Settings { quantise, launch_bars: 3, ..Settings::default() };
        let from = |quantise| (launch(at, &tick, &settings(quantise)).0 * 48.0).round() / 48.0;
        assert_eq!(from(Quantise::None), 24.5);
        assert_eq!(from(Quantise::Beat), 25.0);
        assert_eq!(from(Quantise::Bar), 27.0);
        assert_eq!(from(Quantise::TwoBars), 27.0);
        assert_eq!(from(Quantise::FourBars), 35.0);
        // Bars 0, 3, 6: the next line is that of bar 6.
        assert_eq!(from(Quantise::Bars), 27.0);
        assert_eq!(from(Quantise::LoopStart), 33.0);
        let tick = Tick { wrap: None, ..tick };
        assert_eq!(launch(at, &tick, &settings(Quantise::LoopStart)).0, 27.0);
    }
}
