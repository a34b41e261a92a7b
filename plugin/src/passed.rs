//! What of the player's was passed on and has not ended: notes, pedals that are down, bends that are not in the middle.

use continuo_timeline::{Channel, Key};

use crate::events::Output;

/// A bit for each key of each channel, and for the pedal and the bend of each.
#[derive(Default)]
pub struct Passed {
    keys: [u128; 16],
    pedals: u16,
    bends: u16,
}

/// A bend by less, in semitones, is none: the middle of 14 bits is not quite half.
const MIDDLE: f32 = 1e-3;

impl Passed {
    /// A note was passed on. Realtime: yes.
    pub fn on(&mut self, channel: Channel, key: Key) {
        if let Some(keys) = self.keys.get_mut(usize::from(channel.0)) {
            *keys |= 1 << (key.0 & 127);
        }
    }

    /// Whether a note of it sounds. Realtime: yes.
    pub fn has(&self, channel: Channel, key: Key) -> bool {
        self.keys.get(usize::from(channel.0)).is_some_and(|keys| keys >> (key.0 & 127) & 1 != 0)
    }

    /// It ends; whether it sounded. Realtime: yes.
    pub fn off(&mut self, channel: Channel, key: Key) -> bool {
        let Some(keys) = self.keys.get_mut(usize::from(channel.0)) else { return false };
        let bit = 1 << (key.0 & 127);
        let sounded = *keys & bit != 0;
        *keys &= !bit;
        sounded
    }

    /// A pedal was moved; whether that is to be passed on where other things are (`open`) or not. Its rise always is when its
    /// fall was. Realtime: yes.
    pub fn pedal(&mut self, channel: Channel, down: bool, open: bool) -> bool {
        moved(&mut self.pedals, channel, down, open)
    }

    /// The same for a pitch bend. Realtime: yes.
    pub fn bend(&mut self, channel: Channel, semitones: f32, open: bool) -> bool {
        moved(&mut self.bends, channel, !(-MIDDLE..=MIDDLE).contains(&semitones), open)
    }

    /// What ends a pedal or a bend of a channel, or of all channels where none is named, until there is none.
    /// Realtime: yes.
    pub fn pop_control(&mut self, channel: Option<Channel>) -> Option<Output> {
        let meant = channel.map_or(u16::MAX, bit);
        if let Some(channel) = take(&mut self.pedals, meant) {
            return Some(Output::PedalUp { channel });
        }
        take(&mut self.bends, meant).map(|channel| Output::BendBack { channel })
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

fn bit(channel: Channel) -> u16 {
    1 << (channel.0 & 15)
}

/// Something that is out of its rest, or back there, on a channel; whether that is passed on.
fn moved(bits: &mut u16, channel: Channel, out: bool, open: bool) -> bool {
    let was = *bits & bit(channel) != 0;
    match out {
        true if open => *bits |= bit(channel),
        true => {}
        false => *bits &= !bit(channel),
    }
    open || was && !out
}

/// Takes one of those that are meant out.
fn take(bits: &mut u16, meant: u16) -> Option<Channel> {
    let found = u8::try_from((*bits & meant).trailing_zeros()).ok().filter(|number| *number < 16)?;
    *bits &= !bit(Channel(found));
    Some(Channel(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_on_goes_back_to_rest_through_a_closed_door() {
        let mut passed = Passed::default();
        assert!(!passed.pedal(Channel(2), true, false) && !passed.pedal(Channel(2), false, false));
        assert!(passed.pedal(Channel(2), true, true) && !passed.pedal(Channel(2), true, false));
        assert!(passed.pedal(Channel(2), false, false) && !passed.pedal(Channel(2), false, false));
        assert!(passed.bend(Channel(3), 0.5, true) && !passed.bend(Channel(3), 0.4, false));
        assert!(passed.bend(Channel(3), 0.0001, false) && passed.bend(Channel(15), f32::NAN, true));
        passed.pedal(Channel(0), true, true);
        assert_eq!(passed.pop_control(Some(Channel(1))), None);
        assert_eq!(passed.pop_control(None), Some(Output::PedalUp { channel: Channel(0) }));
        assert_eq!(passed.pop_control(None), Some(Output::BendBack { channel: Channel(15) }));
        assert_eq!(passed.pop_control(None), None);
    }

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
