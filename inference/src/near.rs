//! Where a part may go from note to note, when it is to go no further than so many semitones.

use continuo_timeline::{Instrument, Key};

/// Keys that parts may play on an onset; all, where nothing is asked.
#[derive(Default)]
pub struct Near {
    /// Of each part a bit for each key.
    parts: Vec<(Instrument, u128)>,
}

impl Near {
    /// A part's own notes are its onsets and keys, in order; notes of it that are known beforehand among them.
    pub fn add(&mut self, part: Instrument, own: &[(i32, u8)], onset: i32, leap: u8) {
        let open = (0..128_u8).filter(|key| is_near(own, (onset, *key), leap));
        self.parts.push((part, open.fold(0, |all, key| all | 1 << key)));
    }

    /// Whether a part may play a key.
    pub fn allows(&self, instrument: Instrument, key: Key) -> bool {
        let own = self.parts.iter().find(|(part, _)| *part == instrument);
        own.is_none_or(|(_, open)| open >> (key.0 & 127) & 1 == 1)
    }
}

/// Whether a note is near those before and after it. To one that is known and too far the part goes step by step: its next
/// note is nearer to it than the last.
fn is_near(own: &[(i32, u8)], here: (i32, u8), leap: u8) -> bool {
    let place = own.partition_point(|note| *note < here);
    let before = place.checked_sub(1).map(|last| own[last].1);
    let after = own.get(place).map(|next| next.1);
    let comes = after.is_none_or(|next| {
        let far = next.abs_diff(here.1);
        far <= leap || before.is_some_and(|last| far < next.abs_diff(last))
    });
    comes && before.is_none_or(|last| last.abs_diff(here.1) <= leap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(own: &[(i32, u8)], onset: i32) -> Vec<u8> {
        let mut near = Near::default();
        near.add(Instrument(0), own, onset, 2);
        (0..128).filter(|key| near.allows(Instrument(0), Key(*key))).collect()
    }

    #[test]
    fn a_part_stays_near_its_notes_on_both_sides() {
        assert_eq!(open(&[], 5).len(), 128);
        assert_eq!(open(&[(0, 60)], 5), [58, 59, 60, 61, 62]);
        assert_eq!(open(&[(0, 60), (9, 61)], 5), [59, 60, 61, 62]);
        assert_eq!(open(&[(9, 60)], 5), [58, 59, 60, 61, 62]);
        // A note that is far is come nearer to.
        assert_eq!(open(&[(0, 60), (9, 70)], 5), [61, 62]);
        // On one onset the lower comes first.
        assert_eq!(open(&[(0, 60), (5, 61)], 5), [59, 60, 61, 62, 63]);
    }
}
