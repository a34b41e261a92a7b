//! Where bars begin in the song.
//!
//! A meter alone does not say it: after four bars of 4/4 those of 3/4 are not counted from the start of the song. Hosts tell
//! where the current bar began, some of them wrongly; what they say is followed while it makes sense.

use crate::units::Meter;

/// The bar lines of the song, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bars {
    /// A bar line; the start of the song until a host tells of another.
    origin: f64,
    meter: Meter,
    /// Where the song was when its meter changed or it jumped: for a while afterwards other bar lines are no nonsense.
    moved: f64,
    /// Whether the host told what cannot be.
    doubted: bool,
}

/// A host may be so late with its bar lines, in beats: a block.
const LATE: f64 = 0.5;
/// And so early: it rounds.
const EARLY: f64 = 0.05;
/// Bar lines that differ by less are one.
const SAME: f64 = 1e-3;

impl Bars {
    /// The host's transport starts: it is believed again. Realtime: yes.
    pub fn start(&mut self) {
        self.doubted = false;
    }

    /// The song is elsewhere now. Realtime: yes.
    pub fn moved(&mut self, song: f64) {
        self.moved = song;
    }

    /// The song stands at `song`, where the host says that the bar began at `bar`. Realtime: yes.
    pub fn follow(&mut self, song: f64, bar: Option<f64>, meter: Meter) {
        if meter != core::mem::replace(&mut self.meter, meter) {
            self.moved = song;
        }
        let Some(bar) = bar.filter(|_| !self.doubted) else { return };
        let length = meter.bar().0;
        let apart = (bar - self.origin) / length;
        let same = libm::fabs(apart - libm::round(apart)) * length < SAME;
        let possible = (-EARLY..length + LATE).contains(&(song - bar));
        let fresh = (0.0..LATE).contains(&(song - self.moved));
        match (possible, same) {
            (true, true) => {}
            (true, false) if fresh => self.origin = bar,
            (false, _) if fresh => {}
            // Bars are as long as one another until the meter changes: this host counts in something else.
            _ => (self.origin, self.doubted) = (0.0, true),
        }
    }

    /// Beats since the last bar line. Realtime: yes.
    pub fn since(&self, song: f64, meter: Meter) -> f64 {
        let (bar, into) = (meter.bar().0, song - self.origin);
        into - bar * libm::floor(into / bar + 1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALTZ: Meter = Meter { numerator: 3, denominator: 4 };
    const FIVE: Meter = Meter { numerator: 5, denominator: 4 };

    /// Beats since the bar line at every quarter of a beat from one place to another; the host starts there.
    fn played(
        from: f64,
        to: f64,
        meter: impl Fn(f64) -> Meter,
        told: impl Fn(f64) -> f64,
    ) -> std::vec::Vec<f64> {
        let (mut bars, mut song, mut all) = (Bars::default(), from, std::vec::Vec::new());
        bars.moved(from);
        while song < to {
            bars.follow(song, Some(told(song)), meter(song));
            all.push(bars.since(song, meter(song)));
            song += 0.25;
        }
        all
    }

    #[test]
    fn after_a_change_of_meter_bars_are_where_the_host_says() {
        let meter = |song: f64| if song < 16.0 { Meter::COMMON } else { WALTZ };
        let told = |song: f64| {
            if song < 16.0 { (song / 4.0).floor() * 4.0 } else { 16.0 + ((song - 16.0) / 3.0).floor() * 3.0 }
        };
        for from in [0.0, 16.0, 17.25] {
            for (step, into) in (0_u32..).zip(played(from, 30.0, meter, told)) {
                let song = from + f64::from(step) / 4.0;
                assert!((into - (song - told(song))).abs() < 1e-9, "{into} beats into the bar at {song}");
            }
        }
        // A block late, at the change of meter too.
        let late = played(14.1, 30.0, meter, |song| told(song - 0.25));
        assert!((late.last().unwrap() - (29.85 - 28.0)).abs() < 1e-6, "{late:?}");
    }

    #[test]
    fn a_host_that_tells_nonsense_is_not_followed() {
        let counted = |from: f64| (0..56_u32).map(move |step| (from + f64::from(step) / 4.0) % 5.0);
        let told: [fn(f64) -> f64; 4] = [
            |_| 0.0,
            // Bars of four beats whatever the meter is, counted from 1.
            |song| (song / 5.0).floor() * 4.0 + 4.0,
            |song| song + 7.0,
            |_| f64::NAN,
        ];
        for (number, told) in told.into_iter().enumerate() {
            let all = played(0.0, 14.0, |_| FIVE, told);
            assert!(all.iter().zip(counted(0.0)).all(|(a, b)| (a - b).abs() < 1e-9), "{number}: {all:?}");
            // From the middle of the song it is noticed at the next bar line.
            let all = played(25.0, 39.0, |_| FIVE, told);
            let after = all.iter().zip(counted(25.0)).skip(21);
            assert!(after.into_iter().all(|(a, b)| (a - b).abs() < 1e-9), "{number}: {all:?}");
        }
    }
}
