//! The plan ahead of the playhead: what is committed, what is planned, and the plan before it as a backup.
//!
//! ```text
//! played │ committed: never changed │ planned: replaced when the player does something else │ free
//!        now                        now + horizon                                           end of the plan
//! ```
//! A new plan replaces the old one with its first note, not before: until then the old one plays on. Plans reach two
//! bars ahead and are renewed every half beat to two beats, so that one that does not come in time is covered.

use std::sync::atomic::Ordering;

use continuo_timeline::{Beats, FromWorker, Note, Quantise, Tick};

use super::Mind;
use crate::worker::asking::Asking;

/// What takes over in the middle of a plan begins this long after now, in beats: about 20 ms at 120 BPM.
pub(super) const MARGIN: f64 = 1.0 / 24.0;

/// An answer is made thinner no more often than this, in beats: each time is to show first.
const APART: f64 = 0.5;

/// Seconds that a note may be late and is played all the same.
const LATE: f64 = 0.02;

/// The plan that another is to replace.
pub struct Backup {
    asking: Asking,
    /// Where the new one begins.
    from: Beats,
}

impl Mind {
    /// Keeps what is planned as a backup of what will be, from a place on; what is committed of it.
    pub(super) fn keep_as_backup(&mut self, from: Beats) -> Vec<Note> {
        let Some(asking) = self.asking.take() else { return Vec::new() };
        let committed = asking.notes.iter().filter(|note| note.at.0 < from.0 - 1e-9).copied().collect();
        self.backup = Some(Backup { asking, from });
        committed
    }

    /// Whether the newest plan has not come yet.
    pub(super) fn waits_for_a_plan(&self) -> bool {
        self.backup.is_some()
    }

    /// What is planned and not in the history yet, the backup too.
    pub(super) fn planned(&self) -> impl Iterator<Item = Note> {
        let backup = self.backup.iter().flat_map(|backup| &backup.asking.notes);
        backup.chain(self.asking.iter().flat_map(|asking| &asking.notes)).copied()
    }

    /// The newest plan is there (or will not come): it takes over from where it begins, or from now on when that is past.
    /// Notes of it that are past are none.
    pub(super) fn take_over(&mut self) {
        let (Some(backup), Some(tick)) = (self.backup.take(), self.tick) else { return };
        let late = if tick.offline { f64::NEG_INFINITY } else { tick.at.0 + MARGIN };
        let from = Beats(backup.from.0.max(late));
        self.archive_before(&backup.asking.notes, from);
        let epoch = backup.asking.epoch;
        self.unsent.push(FromWorker::Replan { from, epoch });
        self.from = Some(from);
    }

    /// An answer on demand that misses its place waits for the next one, whole: its notes keep their distances. By how
    /// many beats it was put off, given its first note.
    pub(super) fn put_off(&mut self, first: &Note) -> f64 {
        let (Some(tick), Some(settings), Some(asking)) = (self.tick, self.settings, &mut self.asking) else {
            return 0.0;
        };
        let late = tick.at.0 - first.at.0;
        if tick.offline || settings.mode.plays_along() || late * 60.0 / tick.tempo.0 <= LATE {
            return 0.0;
        }
        let bar = tick.meter.bar().0;
        let on_a_line = settings.waits_for_bars();
        let step = match (settings.quantise, settings.counted_bars()) {
            (_, Some(count)) => f64::from(count) * bar,
            (Quantise::None | Quantise::Beat, _) if !on_a_line => 1.0,
            (Quantise::LoopStart, _) => tick.wrap.map_or(bar, |(_, length)| length.0.max(1.0)),
            _ => bar,
        };
        let beats = ((late + MARGIN) / step).ceil() * step;
        asking.put_off(beats);
        let (end, epoch) = (asking.question.end, asking.epoch);
        self.unsent.push(FromWorker::AnswerEnds { asked: tick.at, end, epoch });
        beats
    }

    /// What of a plan is played although another follows.
    fn archive_before(&mut self, notes: &[Note], until: Beats) {
        if self.settings.is_some_and(|settings| settings.muted) {
            return;
        }
        notes.iter().filter(|note| note.at.0 < until.0 - 1e-9).for_each(|note| self.history.add(*note));
    }

    /// An epoch ends while a plan is waited for: what was played of the backup belongs to the history.
    pub(super) fn drop_backup(&mut self, at: Beats) {
        if let Some(backup) = self.backup.take() {
            self.archive(&backup.asking.notes, at);
        }
    }

    /// Where the music was at each beat: a plan in time, the one before it, or none.
    pub(super) fn count_beat(&mut self, tick: &Tick) {
        let beat = (tick.at.0 + 1e-6).floor();
        if std::mem::replace(&mut self.beat, beat) == beat {
            return;
        }
        let Some(asking) = self.asking.as_ref().filter(|asking| asking.question.start.0 < tick.at.0) else {
            return;
        };
        let covers = |asking: &Asking| asking.done || asking.frontier().0 >= tick.at.0;
        let counter = match &self.backup {
            None if covers(asking) => &self.view.hits,
            Some(backup) if covers(&backup.asking) => &self.view.backups,
            _ => &self.view.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// On a machine that does not keep up, what is left of an answer is asked for thinner before notes come late.
    pub(super) fn thin_out(&mut self, tick: &Tick) {
        if tick.offline || tick.at.0 - self.thinned < APART {
            return;
        }
        // What is asked for now comes so much later.
        let (horizon, soonest) = (self.pace.horizon(tick), Beats(tick.at.0 + self.lead(tick)));
        let Some(asking) = self.asking.as_mut().filter(|asking| asking.is_under_way(tick.at)) else { return };
        if self.pace.runs_dry(asking.frontier().0 - tick.at.0, horizon) {
            self.thinned = tick.at.0;
            asking.thin_out(self.pace.density(), soonest);
        }
    }
}
