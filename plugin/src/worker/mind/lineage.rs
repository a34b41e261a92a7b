//! Which takes a take was made from: those that it was played around, and those that the model had heard before it.

use std::collections::VecDeque;

use continuo_timeline::{Beats, Instrument, Key, Note};

/// Takes, and changes of the take that is played around, that are remembered.
const MOST: usize = 64;
/// Places that differ by less are one, in beats.
const SAME: f64 = 1e-6;

/// A note of a take as it was heard.
type Heard = (Beats, Key, Instrument);

/// What was kept and what was played around, on the line.
#[derive(Debug, Default)]
pub struct Lineage {
    /// Takes that were kept here, the oldest first.
    kept: VecDeque<(String, Vec<Heard>)>,
    /// From where on the line which take is played around, if one is.
    around: VecDeque<(Beats, Option<String>)>,
}

impl Lineage {
    /// What was heard is a take now; or the take of that name has more notes.
    pub fn keeps(&mut self, id: &str, notes: &[Note]) {
        let heard = notes.iter().map(|note| (note.at, note.key, note.instrument)).collect();
        match self.kept.iter_mut().find(|(one, _)| one == id) {
            Some((_, before)) => *before = heard,
            None => push(&mut self.kept, (id.to_owned(), heard)),
        }
    }

    /// What is played from here on is played around this take, or none.
    pub fn plays_around(&mut self, at: Beats, take: Option<&str>) {
        if self.around.back().and_then(|(_, one)| one.as_deref()) != take {
            push(&mut self.around, (at, take.map(str::to_owned)));
        }
    }

    /// Takes that were played around between two places, the oldest first.
    pub fn around(&self, from: Beats, to: Beats) -> Vec<String> {
        let ends = self.around.iter().skip(1).map(|(at, _)| at.0).chain([f64::INFINITY]);
        let stretches = self.around.iter().zip(ends);
        let there = stretches.filter(|((begins, _), ends)| begins.0 < to.0 - SAME && *ends > from.0 + SAME);
        let mut ids: Vec<String> = Vec::new();
        for ((_, id), _) in there {
            ids.extend(id.clone().filter(|id| !ids.contains(id)));
        }
        ids
    }

    /// Takes of which any note is among these, which were heard so much earlier; the oldest first.
    pub fn after(&self, notes: &[Note], earlier: Beats) -> Vec<String> {
        let is_one = |(at, key, instrument): &Heard, note: &Note| {
            (note.at.0 - earlier.0 - at.0).abs() < SAME && (note.key, note.instrument) == (*key, *instrument)
        };
        let heard = |take: &[Heard]| take.iter().any(|one| notes.iter().any(|note| is_one(one, note)));
        self.kept.iter().filter(|(_, take)| heard(take)).map(|(id, _)| id.clone()).collect()
    }
}

fn push<T>(list: &mut VecDeque<T>, one: T) {
    if list.len() == MOST {
        list.pop_front();
    }
    list.push_back(one);
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Channel, Velocity};

    use super::*;

    fn note(at: f64, key: u8) -> Note {
        let (velocity, instrument, channel) = (Velocity(80), Instrument(0), Channel(0));
        Note { at: Beats(at), len: Beats(1.0), key: Key(key), velocity, instrument, channel }
    }

    #[test]
    fn a_take_that_was_heard_is_known_by_its_notes() {
        let mut lineage = Lineage::default();
        lineage.keeps("a", &[note(4.0, 60)]);
        lineage.keeps("b", &[note(8.0, 60)]);
        let heard = [note(0.0, 48), note(4.0, 60), note(8.0, 62), note(9.0, 64)];
        assert_eq!(lineage.after(&heard, Beats(0.0)), ["a"]);
        assert_eq!(
            lineage.after(&heard.map(|note| Note { at: Beats(note.at.0 + 8.0), ..note }), Beats(8.0)),
            ["a"]
        );
        assert_eq!(lineage.after(&heard, Beats(8.0)), [""; 0]);
        // It grew.
        lineage.keeps("b", &[note(8.0, 60), note(9.0, 64)]);
        assert_eq!(lineage.after(&heard, Beats(0.0)), ["a", "b"]);
        (0..MOST).for_each(|n| lineage.keeps(&n.to_string(), &[]));
        assert_eq!(lineage.after(&heard, Beats(0.0)), [""; 0], "so long ago");
    }

    #[test]
    fn what_was_played_around_is_known_by_its_place() {
        let mut lineage = Lineage::default();
        assert_eq!(lineage.around(Beats(0.0), Beats(4.0)), [""; 0]);
        for (at, take) in [(0.0, None), (4.0, Some("a")), (5.0, Some("a")), (8.0, Some("b")), (12.0, None)] {
            lineage.plays_around(Beats(at), take);
        }
        for (from, to, ids) in [
            (0.0, 4.0, &[][..]),
            (2.0, 6.0, &["a"]),
            (6.0, 10.0, &["a", "b"]),
            (8.0, 20.0, &["b"]),
            (12.0, 16.0, &[]),
        ] {
            assert_eq!(lineage.around(Beats(from), Beats(to)), ids, "{from} to {to}");
        }
    }
}
