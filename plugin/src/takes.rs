//! The take that plays at its place in the song: a table on the audio thread, filled by the worker.

use continuo_timeline::{Beats, Note};

/// Most notes of a take that plays.
pub const CAPACITY: usize = 8192;

/// A note that stands no further before a bar line than this, in bars, stands on it.
const NEAR: f64 = 1e-4;

/// A take that goes on into the next bar by no more than this, in beats, ends with the one before it.
const OVER: f64 = 0.25;

/// Two tables of fixed room: one plays while the other is filled.
pub struct TakeTable {
    playing: Vec<Note>,
    coming: Vec<Note>,
    /// Where the last of its notes ends, of each.
    ends: f64,
    coming_ends: f64,
    next: usize,
    /// Song positions between which it plays, and whether it turns at the second of them by itself.
    looped: Option<(Beats, Beats)>,
    turns: bool,
    /// Whether it did, and the host has not yet.
    ahead: bool,
}

/// What comes next of a take, and at which song position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// A note.
    Note(Beats),
    /// The end of the host's loop.
    Turn(Beats),
}

impl Default for TakeTable {
    fn default() -> Self {
        Self {
            playing: Vec::with_capacity(CAPACITY),
            coming: Vec::with_capacity(CAPACITY),
            ends: f64::NEG_INFINITY,
            coming_ends: f64::NEG_INFINITY,
            next: 0,
            looped: None,
            turns: false,
            ahead: false,
        }
    }
}

impl TakeTable {
    /// A new table comes. Realtime: yes.
    pub fn begin(&mut self) {
        self.coming.clear();
        self.coming_ends = f64::NEG_INFINITY;
    }

    /// A note of it, in order of song position; what is over the capacity is left out. Realtime: yes.
    pub fn add(&mut self, note: Note) {
        if self.coming.len() < CAPACITY {
            self.coming_ends = self.coming_ends.max(note.at.0 + note.len.0);
            self.coming.push(note);
        }
    }

    /// It is complete and plays from `song` on. Realtime: yes.
    pub fn end(&mut self, song: Beats) {
        std::mem::swap(&mut self.playing, &mut self.coming);
        self.ends = self.coming_ends;
        self.seek(song);
    }

    /// The bar line before its first note and the one behind its last, where bars of this length are counted from the
    /// start of the song. Realtime: yes.
    pub fn in_bars(&self, bar: Beats) -> Option<(Beats, Beats)> {
        let (first, last) = (self.playing.first()?.at.0, self.playing.last()?.at.0);
        let from = (first / bar.0 + NEAR).floor();
        let to = ((self.ends - OVER) / bar.0).ceil().max((last / bar.0 + NEAR).floor() + 1.0);
        Some((Beats(from * bar.0), Beats(to * bar.0)))
    }

    /// The song is elsewhere now. Realtime: yes.
    pub fn seek(&mut self, song: Beats) {
        self.next = self.playing.partition_point(|note| note.at.0 < song.0 - 1e-6);
        self.ahead = false;
    }

    /// The host's loop, if the song is in one at the start of a block. A host may come to its end within the block, and
    /// say so with the next: what stands behind the end is not played, and where the music goes on around the loop
    /// (`turns`) the take does too. Realtime: yes.
    pub fn go_round(&mut self, looped: Option<(Beats, Beats)>, turns: bool) {
        (self.looped, self.turns) = (looped, turns);
    }

    /// The host says that it has come round a loop that begins here. Realtime: yes.
    pub fn came_round(&mut self, from: Beats) {
        if !std::mem::take(&mut self.ahead) {
            self.seek(from);
        }
    }

    /// Whether the loop came round here and not yet in the host. Realtime: yes.
    pub fn is_ahead(&self) -> bool {
        self.ahead
    }

    /// What comes next, in positions of a song that does not turn. Realtime: yes.
    pub fn next(&self) -> Option<Next> {
        let note = self.playing.get(self.next).map(|note| note.at);
        let Some((from, to)) = self.looped else { return note.map(Next::Note) };
        match note.filter(|at| at.0 < to.0 - 1e-6) {
            Some(at) if self.ahead => Some(Next::Note(at + to - from)),
            Some(at) => Some(Next::Note(at)),
            None => (self.turns && !self.ahead).then_some(Next::Turn(to)),
        }
    }

    /// The end of the loop is reached. Realtime: yes.
    pub fn turn(&mut self) {
        if let Some((from, _)) = self.looped {
            self.seek(from);
            self.ahead = true;
        }
    }

    /// Takes the next note. Realtime: yes.
    pub fn pop(&mut self) -> Option<Note> {
        let note = self.playing.get(self.next).copied();
        self.next += usize::from(note.is_some());
        note
    }
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Channel, Instrument, Key, Velocity};

    use super::*;

    #[test]
    fn a_take_is_of_whole_bars() {
        let bars = |notes: &[(f64, f64)], bar: f64| {
            let (velocity, instrument, channel) = (Velocity(80), Instrument(0), Channel(0));
            let mut table = TakeTable::default();
            table.begin();
            for (at, len) in notes {
                let (at, len) = (Beats(*at), Beats(*len));
                table.add(Note { at, len, key: Key(60), velocity, instrument, channel });
            }
            table.end(Beats(0.0));
            table.in_bars(Beats(bar)).map(|(from, to)| (from.0, to.0))
        };
        assert_eq!(bars(&[], 4.0), None);
        assert_eq!(bars(&[(0.0, 1.0)], 4.0), Some((0.0, 4.0)));
        assert_eq!(bars(&[(5.0, 1.0), (11.0, 1.2)], 4.0), Some((4.0, 12.0)), "released a little late");
        assert_eq!(bars(&[(5.0, 8.0), (11.0, 0.5)], 4.0), Some((4.0, 16.0)), "a long one is the last");
        assert_eq!(bars(&[(5.0, 1.0), (12.0, 0.1)], 4.0), Some((4.0, 16.0)), "on the bar line");
        assert_eq!(bars(&[(-1.0, 0.5), (3.5, 1.0)], 3.5), Some((-3.5, 7.0)));
    }

    #[test]
    fn a_take_turns_where_the_loop_does() {
        let (velocity, instrument, channel) = (Velocity(80), Instrument(0), Channel(0));
        let mut table = TakeTable::default();
        for at in [4.0, 7.5, 8.1] {
            table.add(Note { at: Beats(at), len: Beats(1.0), key: Key(60), velocity, instrument, channel });
        }
        table.end(Beats(7.0));
        table.go_round(Some((Beats(4.0), Beats(8.0))), true);
        assert_eq!(table.next(), Some(Next::Note(Beats(7.5))));
        table.pop();
        assert_eq!(table.next(), Some(Next::Turn(Beats(8.0))));
        table.turn();
        assert_eq!(table.next(), Some(Next::Note(Beats(8.0))), "the first of the loop, where its end was");
        table.pop();
        // The host follows, and nothing is played twice.
        table.came_round(Beats(4.0));
        assert_eq!(table.next(), Some(Next::Note(Beats(7.5))));
        // Around a loop that breaks off, nothing more until it does.
        table.go_round(Some((Beats(4.0), Beats(7.25))), false);
        assert_eq!(table.next(), None);
        table.came_round(Beats(4.0));
        assert_eq!(table.next(), Some(Next::Note(Beats(4.0))));
    }
}
