//! Notes to come, in order of time; a fixed number of them.

use heapless::Vec;

use crate::message::Note;
use crate::units::{Beats, Epoch};

/// Most notes that can wait.
pub const CAPACITY: usize = 2048;

/// Notes of the current epoch that are still to come.
#[derive(Default)]
pub struct Schedule {
    // Latest first, so that the next one is popped from the end.
    notes: Vec<Note, CAPACITY>,
    epoch: Epoch,
}

impl Schedule {
    /// Forgets everything; from now on only notes of `epoch` are taken. Realtime: yes.
    pub fn cut(&mut self, epoch: Epoch) {
        self.notes.clear();
        self.epoch = epoch;
    }

    /// Forgets what begins at `from` or later; what begins before ends by then. From now on only notes of `epoch` are
    /// taken. Realtime: yes.
    pub fn cut_from(&mut self, from: Beats, epoch: Epoch) {
        self.forget_from(from);
        for note in &mut self.notes {
            note.len.0 = note.len.0.min(from.0 - note.at.0);
        }
        self.epoch = epoch;
    }

    /// Takes a note; `false` if there is no room. A note of another epoch is forgotten. Realtime: yes.
    pub fn plan(&mut self, note: Note, epoch: Epoch) -> bool {
        if epoch != self.epoch {
            return true;
        }
        let place = self.notes.iter().rposition(|other| other.at.0 > note.at.0).map_or(0, |index| index + 1);
        self.notes.insert(place, note).is_ok()
    }

    /// Forgets what begins at `from` or later. Realtime: yes.
    pub fn forget_from(&mut self, from: Beats) {
        self.notes.retain(|note| note.at.0 < from.0);
    }

    /// Onset of the next note. Realtime: yes.
    pub fn next(&self) -> Option<Beats> {
        self.notes.last().map(|note| note.at)
    }

    /// The first onset after a place. Realtime: yes.
    pub fn next_after(&self, at: Beats) -> Option<Beats> {
        self.notes.iter().rev().map(|note| note.at).find(|onset| onset.0 > at.0 + 1e-9)
    }

    /// Takes the next note out. Realtime: yes.
    pub fn pop(&mut self) -> Option<Note> {
        self.notes.pop()
    }

    /// Notes that wait. Realtime: yes.
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// Whether none waits. Realtime: yes.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Channel, Instrument, Key, Velocity};

    fn note(at: f64, key: u8) -> Note {
        Note {
            at: Beats(at),
            len: Beats(1.0),
            key: Key(key),
            velocity: Velocity(80),
            instrument: Instrument(0),
            channel: Channel(0),
        }
    }

    #[test]
    fn comes_out_in_order_of_time_and_of_arrival_at_the_same_time() {
        let mut schedule = Schedule::default();
        for (at, key) in [(2.0, 1), (1.0, 2), (3.0, 3), (1.0, 4), (0.5, 5)] {
            assert!(schedule.plan(note(at, key), Epoch(0)));
        }
        let order: std::vec::Vec<u8> = std::iter::from_fn(|| schedule.pop()).map(|note| note.key.0).collect();
        assert_eq!(order, [5, 2, 4, 1, 3]);
    }

    #[test]
    fn a_new_plan_replaces_the_old_one_from_its_place_on() {
        let mut schedule = Schedule::default();
        for at in [1.0, 2.0, 3.0] {
            schedule.plan(note(at, 60), Epoch(0));
        }
        schedule.forget_from(Beats(2.0));
        schedule.plan(note(2.5, 62), Epoch(0));
        let order: std::vec::Vec<f64> = std::iter::from_fn(|| schedule.pop()).map(|note| note.at.0).collect();
        assert_eq!(order, [1.0, 2.5]);
    }

    #[test]
    fn what_begins_before_a_cut_ends_by_it() {
        let mut schedule = Schedule::default();
        for (at, key) in [(1.0, 1), (1.0, 2), (1.5, 3), (2.0, 4)] {
            schedule.plan(note(at, key), Epoch(0));
        }
        assert_eq!(
            (schedule.next_after(Beats(1.0)), schedule.next_after(Beats(2.0))),
            (Some(Beats(1.5)), None)
        );
        schedule.cut_from(Beats(2.0), Epoch(1));
        assert!(schedule.plan(note(1.75, 5), Epoch(0)));
        let left: std::vec::Vec<(u8, f64)> =
            std::iter::from_fn(|| schedule.pop()).map(|note| (note.key.0, note.len.0)).collect();
        assert_eq!(left, [(1, 1.0), (2, 1.0), (3, 0.5)]);
    }

    #[test]
    fn old_epochs_die_unheard_and_a_full_schedule_says_so() {
        let mut schedule = Schedule::default();
        schedule.plan(note(1.0, 1), Epoch(0));
        schedule.cut(Epoch(1));
        assert!(schedule.plan(note(1.0, 2), Epoch(0)) && schedule.is_empty());
        for _ in 0..CAPACITY {
            assert!(schedule.plan(note(1.0, 3), Epoch(1)));
        }
        assert!(!schedule.plan(note(1.0, 4), Epoch(1)));
        assert_eq!(schedule.len(), CAPACITY);
    }
}
