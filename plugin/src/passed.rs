//! The player's notes that were passed on and have not ended.

use continuo_timeline::{Channel, Key};

/// A bit for each key of each channel.
#[derive(Default)]
pub struct Passed {
    keys: [u128; 16],
}

impl Passed {
    /// A note was passed on. Realtime: yes.
    pub fn on(&mut self, channel: Channel, key: Key) {
        if let Some(keys) = self.keys.get_mut(usize::from(channel.0)) {
            *keys |= 1 << (key.0 & 127);
        }
    }

    /// It ends; whether it sounded. Realtime: yes.
    pub fn off(&mut self, channel: Channel, key: Key) -> bool {
        let Some(keys) = self.keys.get_mut(usize::from(channel.0)) else { return false };
        let bit = 1 << (key.0 & 127);
        let sounded = *keys & bit != 0;
        *keys &= !bit;
        sounded
    }

    /// Takes out any of a channel, or of all channels where none is named. Realtime: yes.
    pub fn pop(&mut self, channel: Option<Channel>) -> Option<(Channel, Key)> {
        let meant = |number: u8| channel.is_none_or(|channel| channel.0 == number);
        let mut all = (0_u8..).zip(&mut self.keys);
        let (number, keys) = all.find(|(number, keys)| **keys != 0 && meant(*number))?;
        let key = u8::try_from(keys.trailing_zeros()).ok()?;
        *keys &= *keys - 1;
        Some((Channel(number), Key(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_off_belongs_to_one_on() {
        let mut passed = Passed::default();
        assert!(!passed.off(Channel(3), Key(127)));
        passed.on(Channel(3), Key(127));
        assert!(!passed.off(Channel(4), Key(127)) && passed.off(Channel(3), Key(127)));
        assert!(!passed.off(Channel(3), Key(127)) && !passed.off(Channel(200), Key(0)));
    }

    #[test]
    fn all_come_out_once() {
        let mut passed = Passed::default();
        for (channel, key) in [(3, 127), (3, 0), (9, 36)] {
            passed.on(Channel(channel), Key(key));
        }
        assert_eq!(passed.pop(Some(Channel(9))), Some((Channel(9), Key(36))));
        assert_eq!(passed.pop(Some(Channel(9))), None);
        assert_eq!(passed.pop(None), Some((Channel(3), Key(0))));
        assert_eq!(passed.pop(None), Some((Channel(3), Key(127))));
        assert_eq!(passed.pop(None), None);
    }
}
