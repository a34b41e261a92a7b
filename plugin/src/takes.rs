//! The take that plays at its place in the song: a table on the audio thread, filled by the worker.

use continuo_timeline::{Beats, Note};

/// Most notes of a take that plays.
pub const CAPACITY: usize = 8192;

/// Two tables of fixed room: one plays while the other is filled.
pub struct TakeTable {
    playing: Vec<Note>,
    coming: Vec<Note>,
    next: usize,
}

impl Default for TakeTable {
    fn default() -> Self {
        Self { playing: Vec::with_capacity(CAPACITY), coming: Vec::with_capacity(CAPACITY), next: 0 }
    }
}

impl TakeTable {
    /// A new table comes. Realtime: yes.
    pub fn begin(&mut self) {
        self.coming.clear();
    }

    /// A note of it, in order of song position; what is over the capacity is left out. Realtime: yes.
    pub fn add(&mut self, note: Note) {
        if self.coming.len() < CAPACITY {
            self.coming.push(note);
        }
    }

    /// It is complete and plays from `song` on. Realtime: yes.
    pub fn end(&mut self, song: Beats) {
        std::mem::swap(&mut self.playing, &mut self.coming);
        self.seek(song);
    }

    /// The song is elsewhere now. Realtime: yes.
    pub fn seek(&mut self, song: Beats) {
        self.next = self.playing.partition_point(|note| note.at.0 < song.0 - 1e-6);
    }

    /// The next note, in song positions. Realtime: yes.
    pub fn next(&self) -> Option<&Note> {
        self.playing.get(self.next)
    }

    /// Takes it. Realtime: yes.
    pub fn pop(&mut self) -> Option<Note> {
        let note = self.playing.get(self.next).copied();
        self.next += usize::from(note.is_some());
        note
    }
}
