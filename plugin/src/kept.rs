//! What a take is: notes, how they came about, and what it is called among others.

use continuo_timeline::{Beats, Channel, Instrument, Key, Note, Velocity};
use serde::{Deserialize, Serialize};

/// A note of a take, in song positions (quarter notes).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // named for what they are
pub struct TakeNote {
    pub at: f64,
    pub len: f64,
    pub key: u8,
    pub velocity: u8,
    pub instrument: u8,
    pub channel: u8,
}

impl TakeNote {
    /// The same as a note at its song position, whatever the file said.
    pub fn note(&self) -> Note {
        Note {
            at: Beats(self.at),
            len: Beats(self.len),
            key: Key(self.key & 127),
            velocity: Velocity(self.velocity.clamp(1, 127)),
            instrument: Instrument(self.instrument.min(128)),
            channel: Channel(self.channel & 15),
        }
    }
}

/// An answer that the player kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Take {
    /// What it is called in other takes: 16 hexadecimal digits, given once and never to another of the project. It stays
    /// what it is when the take grows or falls silent, and when others come or go.
    #[serde(default)]
    pub id: String,
    /// Its notes.
    pub notes: Vec<TakeNote>,
    /// The seed that it was drawn with.
    #[serde(default)]
    pub seed: u32,
    /// Name of the model, or of the file that it came from.
    #[serde(default)]
    pub model: String,
    /// What tells the model's weights from others: 32 hexadecimal digits. Empty where nobody knows: a service does not say
    /// it, and older takes have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub weights: String,
    /// What it answers: 16 hexadecimal digits that are the same where the same was played before it. Empty where nobody
    /// knows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// How it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Takes that it was played around.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<String>,
    /// Takes that the model had heard of late when it made this one, the oldest first: those that it goes on from, or
    /// varies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Whether it is silent.
    #[serde(default)]
    pub muted: bool,
}

/// What an answer was asked for with; of older takes nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// What the plugin did: "Respond".
    pub mode: String,
    /// Length in bars.
    pub bars: u8,
    /// Quarter notes a minute.
    pub tempo: f64,
    /// Softmax temperature.
    pub temperature: f32,
    /// Nucleus mass.
    pub top_p: f32,
    /// Wanted notes a beat, relative to what was played.
    pub density: f32,
}

impl Take {
    /// Whether both are one take, perhaps grown since.
    pub fn is(&self, other: &Self) -> bool {
        !self.id.is_empty() && self.id == other.id
    }

    /// Gives it a name that no other has, if it has none: digits of what it holds, so that one which an earlier version
    /// saved without is called the same at every load.
    pub fn name(&mut self, others: &[Self]) {
        let is_free = |id: &str| !id.is_empty() && others.iter().all(|other| other.id != id);
        for again in 0_u32.. {
            if is_free(&self.id) {
                return;
            }
            let notes = self.notes.iter().flat_map(|note| {
                let what = [note.key, note.velocity, note.instrument, note.channel];
                [note.at, note.len].into_iter().flat_map(f64::to_le_bytes).chain(what)
            });
            let numbers = [self.seed, again].into_iter().flat_map(u32::to_le_bytes);
            let words = [&self.model, &self.weights, &self.context].into_iter().flat_map(|word| word.bytes());
            self.id = digits(notes.chain(numbers).chain(words));
        }
    }
}

/// The take that plays: the newest that is not muted.
pub fn sounding(takes: &[Take]) -> Option<&Take> {
    takes.iter().rev().find(|take| !take.muted)
}

/// Where a take came from in few words, as a musician counts takes: "around take 2". Empty where it came from none.
fn origin(take: &Take, takes: &[Take]) -> String {
    let number = |id: &String| takes.iter().position(|other| other.id == *id).map(|place| place + 1);
    let (word, ids) = if take.around.is_empty() { ("after", &take.after) } else { ("around", &take.around) };
    match (ids.iter().rev().find_map(number), ids.is_empty()) {
        (Some(number), _) => format!("{word} take {number}"),
        (None, false) => format!("{word} a take that is gone"),
        (None, true) => String::new(),
    }
}

/// A take in words: "take 3 by default (1a2b3c4d), around take 2".
pub fn in_words(take: &Take, takes: &[Take]) -> String {
    let number = takes.iter().position(|other| other.id == take.id).map_or(0, |place| place + 1);
    let by = if take.model.is_empty() { String::new() } else { format!(" by {}", take.model) };
    let weights = take.weights.get(..8).map(|digits| format!(" ({digits})")).unwrap_or_default();
    let origin = origin(take, takes);
    let origin = if origin.is_empty() { origin } else { format!(", {origin}") };
    format!("take {number}{by}{weights}{origin}")
}

/// 16 hexadecimal digits, the same for the same bytes: FNV-1a (Fowler, Noll and Vo).
pub fn digits(bytes: impl Iterator<Item = u8>) -> String {
    let hash = bytes.fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(key: u8) -> Take {
        let note = TakeNote { at: 4.0, len: 1.0, key, velocity: 90, instrument: 0, channel: 0 };
        Take { notes: vec![note], ..Take::default() }
    }

    #[test]
    fn a_name_is_given_once_and_to_one() {
        let mut takes: Vec<Take> = Vec::new();
        for key in [60, 60, 62, 60] {
            let mut next = take(key);
            next.name(&takes);
            takes.push(next);
        }
        let mut ids: Vec<&str> = takes.iter().map(|take| take.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.len() == 4 && ids.iter().all(|id| id.len() == 16), "{ids:?}");
        let before = takes[2].id.clone();
        takes[2].notes.push(take(64).notes[0]);
        let mut grown = takes.remove(2);
        grown.name(&takes);
        assert_eq!(grown.id, before);
    }

    #[test]
    fn where_a_take_came_from_is_told_by_its_number() {
        let named = |id: &str, around: &[&str], after: &[&str]| {
            let all = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
            Take { id: id.into(), around: all(around), after: all(after), ..take(60) }
        };
        let mut takes = vec![
            named("a", &[], &[]),
            named("b", &[], &["a"]),
            named("c", &["b"], &["a"]),
            named("d", &[], &["a", "c"]),
        ];
        let told = |takes: &[Take]| takes.iter().map(|take| origin(take, takes)).collect::<Vec<_>>();
        assert_eq!(told(&takes), ["", "after take 1", "around take 2", "after take 3"]);
        takes.remove(0);
        assert_eq!(told(&takes), ["after a take that is gone", "around take 1", "after take 2"]);
        let weights = "0123456789abcdef0123456789abcdef".to_owned();
        takes[1] = Take { model: "default".into(), weights, ..takes[1].clone() };
        assert_eq!(in_words(&takes[1], &takes), "take 2 by default (01234567), around take 1");
        assert_eq!(in_words(&take(60), &[take(60)]), "take 1");
    }
}
