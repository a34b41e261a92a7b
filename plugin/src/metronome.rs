//! Clicks on the beats, through the built-in sound: never into MIDI out, never into an offline render.

use continuo_timeline::{Beats, Key, Tick, Velocity};

use crate::params::Clicks;

/// Where the counting in began.
#[derive(Default)]
pub struct Metronome {
    began: Option<Beats>,
    /// Whether it begins with the next grid point.
    begins: bool,
}

impl Metronome {
    /// The transport started or stopped: counting in begins anew, or ends. Realtime: yes.
    pub fn turn(&mut self, rolls: bool) {
        (self.began, self.begins) = (None, rolls);
    }

    /// The click at this grid point, if there is one. Realtime: yes.
    pub fn click(&mut self, tick: &Tick, clicks: Clicks) -> Option<(Key, Velocity)> {
        if std::mem::take(&mut self.begins) {
            self.began = Some(tick.at);
        }
        let bar = tick.meter.bar().0;
        let counts = match clicks {
            Clicks::Off => false,
            Clicks::CountIn => self.began.is_some_and(|began| tick.at.0 - began.0 < bar - 1e-6),
            Clicks::On => true,
        };
        let into = tick.at.0 - tick.bar.0;
        let is_on = |step: f64| (into / step - (into / step).round()).abs() < 1e-6;
        let beat = 4.0 / f64::from(tick.meter.denominator);
        match (counts && is_on(beat), is_on(bar)) {
            (false, _) => None,
            (true, true) => Some((Key(76), Velocity(110))),
            (true, false) => Some((Key(77), Velocity(80))),
        }
    }
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Bpm, Epoch, Meter};

    use super::*;

    fn clicks(clicks: Clicks, beats: u32) -> Vec<(f64, u8)> {
        let mut metronome = Metronome::default();
        metronome.turn(true);
        clicked(&mut metronome, clicks, beats)
    }

    fn clicked(metronome: &mut Metronome, clicks: Clicks, beats: u32) -> Vec<(f64, u8)> {
        let tick = |step: u32| Tick {
            at: Beats(f64::from(step) / 24.0),
            song: Beats(f64::from(step) / 24.0),
            bar: Beats((f64::from(step) / 72.0).floor() * 3.0),
            wrap: None,
            meter: Meter { numerator: 3, denominator: 4 },
            tempo: Bpm(100.0),
            playing: true,
            offline: false,
            epoch: Epoch(0),
        };
        let at = |step| metronome.click(&tick(step), clicks).map(|(key, _)| (f64::from(step) / 24.0, key.0));
        (0..beats * 24).filter_map(at).collect()
    }

    #[test]
    fn a_bar_counts_in_and_the_first_beat_is_told_apart() {
        assert_eq!(clicks(Clicks::CountIn, 9), [(0.0, 76), (1.0, 77), (2.0, 77)]);
        assert_eq!(clicks(Clicks::On, 4), [(0.0, 76), (1.0, 77), (2.0, 77), (3.0, 76)]);
        assert!(clicks(Clicks::Off, 9).is_empty());
    }

    #[test]
    fn a_transport_that_stands_is_not_counted_in() {
        let mut metronome = Metronome::default();
        assert!(clicked(&mut metronome, Clicks::CountIn, 4).is_empty(), "just loaded");
        metronome.turn(true);
        metronome.turn(false);
        assert!(clicked(&mut metronome, Clicks::CountIn, 4).is_empty(), "after a stop");
    }
}
