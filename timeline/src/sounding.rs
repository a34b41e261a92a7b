//! What sounds: every note that was sent, until its own note-off.

use heapless::Vec;

use crate::units::{Beats, Channel, Key};

/// Most generated notes that can sound at once.
pub const CAPACITY: usize = 256;

/// A generated note that sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Voice {
    /// Channel it was sent on.
    pub channel: Channel,
    /// Key.
    pub key: Key,
    /// When it ends, on the line: a tempo change moves the sample, not the beat.
    pub until: Beats,
    /// Whether its note-on left through MIDI out, so that its note-off must.
    pub sent: bool,
}

/// The table of generated notes that sound.
#[derive(Default)]
pub struct Sounding {
    voices: Vec<Voice, CAPACITY>,
}

impl Sounding {
    /// Takes out what sounds on this channel and key. Realtime: yes.
    pub fn end(&mut self, channel: Channel, key: Key) -> Option<Voice> {
        let found = self.voices.iter().position(|voice| voice.channel == channel && voice.key == key);
        found.map(|index| self.voices.swap_remove(index))
    }

    /// A note begins; `false` if there is no room, and then it must not be sent. Realtime: yes.
    pub fn begin(&mut self, voice: Voice) -> bool {
        self.voices.push(voice).is_ok()
    }

    /// When the next one ends. Realtime: yes.
    pub fn next_end(&self) -> Option<Beats> {
        self.voices.iter().map(|voice| voice.until).min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// Takes out one that ends at or before `at`. Realtime: yes.
    pub fn pop_ended(&mut self, at: Beats) -> Option<Voice> {
        let found = self.voices.iter().position(|voice| voice.until.0 <= at.0)?;
        Some(self.voices.swap_remove(found))
    }

    /// Takes out any. Realtime: yes.
    pub fn pop(&mut self) -> Option<Voice> {
        self.voices.pop()
    }

    /// Makes all end at `at` at the latest. Realtime: yes.
    pub fn end_by(&mut self, at: Beats) {
        for voice in &mut self.voices {
            if voice.until.0 > at.0 {
                voice.until = at;
            }
        }
    }

    /// Whether nothing sounds. Realtime: yes.
    pub fn is_empty(&self) -> bool {
        self.voices.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(key: u8, until: f64) -> Voice {
        Voice { channel: Channel(0), key: Key(key), until: Beats(until), sent: true }
    }

    #[test]
    fn every_note_ends_once() {
        let mut sounding = Sounding::default();
        for (key, until) in [(60, 2.0), (64, 1.0), (67, 3.0)] {
            assert!(sounding.begin(voice(key, until)));
        }
        assert_eq!(sounding.next_end(), Some(Beats(1.0)));
        assert_eq!(sounding.pop_ended(Beats(1.0)), Some(voice(64, 1.0)));
        assert_eq!(sounding.pop_ended(Beats(1.5)), None);
        assert_eq!(sounding.end(Channel(0), Key(60)), Some(voice(60, 2.0)));
        assert_eq!(sounding.end(Channel(0), Key(60)), None);
        sounding.end_by(Beats(1.5));
        assert_eq!(sounding.pop(), Some(voice(67, 1.5)));
        assert!(sounding.is_empty());
    }
}
