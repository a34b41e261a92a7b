//! Beats and ticks of a model, and a prompt in them.

use continuo_timeline::{Beats, Bpm, Event, Note};

/// A time frame: tick 0 is a bar line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// The bar line that is tick 0.
    pub origin: Beats,
    /// Ticks in a beat, whole.
    pub ticks_per_beat: f64,
}

impl Frame {
    /// For a model that counts in musical time.
    pub fn beats(ticks_per_beat: u32, origin: Beats) -> Self {
        Self { origin, ticks_per_beat: f64::from(ticks_per_beat) }
    }

    /// For a model that counts in 10 ms: a tempo near the real one whose beat is a whole number of ticks, a
    /// multiple of 12 if one is within 8 %, else of 4.
    pub fn seconds(tempo: Bpm, origin: Beats) -> Self {
        let exact = 6000.0 / tempo.0.clamp(10.0, 1000.0);
        let twelve = (exact / 12.0).round().max(1.0) * 12.0;
        let near = (twelve / exact - 1.0).abs() <= 0.08;
        let ticks_per_beat = if near { twelve } else { (exact / 4.0).round().max(1.0) * 4.0 };
        Self { origin, ticks_per_beat }
    }

    /// The nearest tick.
    #[allow(clippy::cast_possible_truncation)] // hours of music fit
    pub fn tick(&self, at: Beats) -> i32 {
        ((at.0 - self.origin.0) * self.ticks_per_beat).round() as i32
    }

    /// The first tick not before `at`.
    #[allow(clippy::cast_possible_truncation)] // hours of music fit
    pub fn tick_after(&self, at: Beats) -> i32 {
        ((at.0 - self.origin.0) * self.ticks_per_beat - 1e-6).ceil() as i32
    }

    /// A length in ticks.
    #[allow(clippy::cast_possible_truncation)] // hours of music fit
    pub fn ticks(&self, length: Beats) -> i32 {
        (length.0 * self.ticks_per_beat).round() as i32
    }

    /// Where a tick is.
    pub fn beat(&self, tick: i32) -> Beats {
        Beats(self.origin.0 + f64::from(tick) / self.ticks_per_beat)
    }

    /// Notes as events in order; none before tick 0, durations 1 to 999.
    pub fn events(&self, notes: &[Note]) -> Vec<Event> {
        let mut events: Vec<Event> = notes.iter().map(|note| self.event(note)).collect();
        events.retain(|event| event.onset >= 0);
        events.sort_unstable();
        events.dedup_by_key(|event| (event.onset, event.instrument, event.key));
        events
    }

    fn event(&self, note: &Note) -> Event {
        let onset = self.tick(note.at);
        let duration = (self.tick(note.at + note.len) - onset).clamp(1, 999);
        Event { onset, duration, instrument: note.instrument, key: note.key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_and_ticks_go_there_and_back() {
        let frame = Frame::beats(48, Beats(8.0));
        for tick in -100..1000 {
            assert_eq!(frame.tick(frame.beat(tick)), tick);
            assert_eq!(frame.tick_after(frame.beat(tick)), tick);
        }
    }

    #[test]
    fn a_beat_in_seconds_is_a_whole_number_of_ticks_near_the_tempo() {
        for tempo in 40..240 {
            let frame = Frame::seconds(Bpm(f64::from(tempo)), Beats(0.0));
            assert!((frame.ticks_per_beat % 4.0).abs() < 1e-9);
            assert!((frame.ticks_per_beat / (6000.0 / f64::from(tempo)) - 1.0).abs() <= 0.09, "{tempo}");
        }
        assert!((Frame::seconds(Bpm(120.0), Beats(0.0)).ticks_per_beat - 48.0).abs() < 1e-9);
    }
}
