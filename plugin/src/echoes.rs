//! The feedback guard: a host that leads our MIDI output back to our input must not make us answer ourselves.
//!
//! What such a host brings back comes a whole number of its blocks after it was sent, to the sample. A player who strikes
//! the key of an answer does not, so unisons are heard.

use continuo_timeline::{Channel, Key, Velocity};

use crate::passed::Passed;

/// A note-on, or a note-off where there is no velocity.
type Sent = (Key, Channel, Option<Velocity>);

/// Notes that were just sent, the oldest overwritten first.
pub struct Echoes {
    /// Each with the sample it was sent at.
    sent: [Option<(Sent, u64)>; ROOM],
    next: usize,
    /// Notes whose on came back: only their offs do.
    back: Passed,
    /// Sample at which the block begins.
    now: u64,
    /// Length of this block, and of the longest of all: a host that cuts its blocks in two brings back whole ones.
    block: u32,
    longest: u32,
}

/// Ons and offs that are remembered.
const ROOM: usize = 128;
/// An echo comes so many blocks later at most.
const BLOCKS: u64 = 4;

impl Default for Echoes {
    fn default() -> Self {
        Self { sent: [None; ROOM], next: 0, back: Passed::default(), now: 0, block: 0, longest: 0 }
    }
}

impl Echoes {
    /// A block of so many samples begins. Realtime: yes.
    pub fn begin(&mut self, block: u32) {
        self.now += u64::from(self.block);
        self.block = block;
        self.longest = self.longest.max(block);
    }

    /// A note-on was sent at a frame of this block, or a note-off without a velocity. Realtime: yes.
    pub fn sent(&mut self, key: Key, channel: Channel, velocity: Option<Velocity>, frame: u32) {
        if let Some(place) = self.sent.get_mut(self.next) {
            *place = Some(((key, channel, velocity), self.now + u64::from(frame)));
        }
        self.next = (self.next + 1) % ROOM;
    }

    /// Whether a note-on or note-off heard at a frame of this block is one of those, which is then forgotten. Realtime: yes.
    pub fn is_echo(&mut self, key: Key, channel: Channel, velocity: Option<Velocity>, frame: u32) -> bool {
        if velocity.is_none() && !self.back.has(channel, key) || !self.take(key, channel, velocity, frame) {
            return false;
        }
        match velocity {
            Some(_) => self.back.on(channel, key),
            None => _ = self.back.off(channel, key),
        }
        true
    }

    fn take(&mut self, key: Key, channel: Channel, velocity: Option<Velocity>, frame: u32) -> bool {
        let at = self.now + u64::from(frame);
        let blocks = [u64::from(self.block), u64::from(self.longest)];
        let whole = |apart: u64, block: u64| {
            block > 0 && apart.is_multiple_of(block) && (1..=BLOCKS).contains(&(apart / block))
        };
        let same = |place: &Option<(Sent, u64)>| {
            place.is_some_and(|(what, sent)| {
                let apart = at.saturating_sub(sent);
                what == (key, channel, velocity) && blocks.iter().any(|block| whole(apart, *block))
            })
        };
        let found = self.sent.iter_mut().find(|place| same(place));
        found.map(|place| *place = None).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key(60);
    const CHANNEL: Channel = Channel(0);
    const LOUD: Option<Velocity> = Some(Velocity(80));

    #[test]
    fn an_echo_comes_once_and_to_the_sample() {
        let mut echoes = Echoes::default();
        echoes.begin(512);
        echoes.sent(KEY, CHANNEL, LOUD, 100);
        echoes.sent(KEY, CHANNEL, None, 300);
        assert!(!echoes.is_echo(KEY, CHANNEL, LOUD, 100), "not in the same block");
        echoes.begin(512);
        assert!(!echoes.is_echo(Key(61), CHANNEL, LOUD, 100));
        assert!(!echoes.is_echo(KEY, CHANNEL, LOUD, 101), "the player, a sample later");
        assert!(echoes.is_echo(KEY, CHANNEL, LOUD, 100));
        assert!(!echoes.is_echo(KEY, CHANNEL, LOUD, 100), "once");
        assert!(!echoes.is_echo(KEY, CHANNEL, None, 100));
        assert!(echoes.is_echo(KEY, CHANNEL, None, 300));
    }

    #[test]
    fn an_off_is_none_where_the_on_was_none() {
        let mut echoes = Echoes::default();
        echoes.begin(512);
        echoes.sent(KEY, CHANNEL, LOUD, 100);
        echoes.sent(KEY, CHANNEL, None, 300);
        echoes.begin(512);
        assert!(!echoes.is_echo(KEY, CHANNEL, None, 300), "the player's, by chance");
    }

    #[test]
    fn an_echo_comes_within_four_blocks_also_where_one_is_cut_in_two() {
        for (late, heard) in [(4, true), (5, false)] {
            let mut echoes = Echoes::default();
            echoes.begin(256);
            echoes.sent(KEY, CHANNEL, LOUD, 7);
            (0..late).for_each(|_| echoes.begin(256));
            assert_eq!(echoes.is_echo(KEY, CHANNEL, LOUD, 7), heard, "{late} blocks");
        }
        let mut echoes = Echoes::default();
        echoes.begin(256);
        echoes.begin(100);
        echoes.begin(156);
        echoes.sent(KEY, CHANNEL, LOUD, 20);
        echoes.begin(130);
        echoes.begin(126);
        assert!(!echoes.is_echo(KEY, CHANNEL, LOUD, 20), "not there");
        echoes.begin(256);
        assert!(!echoes.is_echo(KEY, CHANNEL, LOUD, 20));
        assert!(echoes.is_echo(KEY, CHANNEL, LOUD, 120), "where it was in the whole block");
    }
}
