//! The feedback guard: a host that leads our MIDI output back to our input must not make us answer ourselves.

use continuo_timeline::{Beats, Channel, Key, Velocity};

/// Notes that were just sent, the oldest overwritten first.
#[derive(Default)]
pub struct Echoes {
    sent: [Option<(Key, Channel, Velocity, Beats)>; 32],
    next: usize,
}

/// A note that comes back within this many beats is an echo: a few blocks of any size.
const WINDOW: f64 = 0.25;

impl Echoes {
    /// A note was sent at `at`. Realtime: yes.
    pub fn sent(&mut self, key: Key, channel: Channel, velocity: Velocity, at: Beats) {
        if let Some(place) = self.sent.get_mut(self.next) {
            *place = Some((key, channel, velocity, at));
        }
        self.next = (self.next + 1) % self.sent.len();
    }

    /// Whether a note heard at `at` is one of those, which is then forgotten. Realtime: yes.
    pub fn is_echo(&mut self, key: Key, channel: Channel, velocity: Velocity, at: Beats) -> bool {
        let same = |place: &Option<(Key, Channel, Velocity, Beats)>| {
            place.is_some_and(|(k, c, v, sent)| {
                (k, c, v) == (key, channel, velocity) && at.0 - sent.0 <= WINDOW
            })
        };
        let found = self.sent.iter_mut().find(|place| same(place));
        found.map(|place| *place = None).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_one_note_soon_after() {
        let mut echoes = Echoes::default();
        let note = (Key(60), Channel(0), Velocity(80));
        echoes.sent(note.0, note.1, note.2, Beats(1.0));
        assert!(!echoes.is_echo(Key(61), note.1, note.2, Beats(1.0)));
        assert!(echoes.is_echo(note.0, note.1, note.2, Beats(1.1)));
        assert!(!echoes.is_echo(note.0, note.1, note.2, Beats(1.1)));
        echoes.sent(note.0, note.1, note.2, Beats(1.0));
        assert!(!echoes.is_echo(note.0, note.1, note.2, Beats(2.0)));
    }
}
