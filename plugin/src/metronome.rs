//! Clicks on the beats, through the built-in sound: never into MIDI out, never into an offline render.

use continuo_timeline::{Beats, Key, Tick, Velocity};

use crate::params::Clicks;

/// Where the counting began.
#[derive(Default)]
pub struct Metronome {
    began: Option<Beats>,
}

impl Metronome {
    /// The transport started: counting in begins anew. Realtime: yes.
    pub fn start(&mut self) {
        self.began = None;
    }

    /// The click at this grid point, if there is one. Realtime: yes.
    pub fn click(&mut self, tick: &Tick, clicks: Clicks) -> Option<(Key, Velocity)> {
        let began = *self.began.get_or_insert(tick.at);
        let bar = tick.meter.bar().0;
        let counts = match clicks {
            Clicks::Off => false,
            Clicks::CountIn => tick.at.0 - began.0 < bar - 1e-6,
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
}
