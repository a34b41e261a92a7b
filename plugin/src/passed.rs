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
}
