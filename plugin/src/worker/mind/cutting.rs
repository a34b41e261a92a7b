//! What ends an answer before its time, and what of it was heard.

use continuo_timeline::{Beats, Cut, FromWorker, GRID, Mode, Note};

use super::lineage::Lineage;
use super::{Answer, Mind, takes_turns};
use crate::view::Activity;
use crate::worker::along::Along;

impl Mind {
    /// An epoch ends: what of the answer is heard until `heard` belongs to the history, the rest is void.
    pub(super) fn cut(&mut self, at: Beats, heard: Beats, why: Cut) {
        if why == Cut::Transport && std::mem::take(&mut self.rolls) {
            self.stop();
        }
        if matches!(why, Cut::Seek | Cut::Transport) {
            self.stay_in_place();
        }
        let holds = self.settings.is_some_and(|settings| settings.mode == Mode::Hold);
        let goes_on = holds && why == Cut::Seek && self.phrase.began().is_none();
        self.holds = goes_on && (self.holds || self.asking.is_some());
        self.guess = None;
        self.along.plan_anew();
        // Where the line jumped, what lies between was not heard.
        let heard = if heard.0 > at.0 { heard } else { self.heard_until(at) };
        self.drop_backup(heard);
        if let Some(asking) = self.asking.take() {
            if asking.question.start.0 > heard.0 {
                self.newest = self.before.take();
            } else if why != Cut::Again {
                self.archive(&asking.notes, heard);
            }
        }
        self.unsent
            .retain(|message| !matches!(message, FromWorker::Planned { .. } | FromWorker::AnswerEnds { .. }));
        if matches!(why, Cut::Silence | Cut::Restart) {
            self.history.release(at, self.instrument());
            self.pedal = false;
        }
        if why == Cut::Silence {
            self.phrase.close();
        }
        if why == Cut::Anew {
            self.forget();
        }
        self.activity(if self.is_armed() { Activity::Waiting } else { Activity::Off });
    }

    /// The song jumps: what was planned behind that would else be looked for where it goes on.
    fn stay_in_place(&mut self) {
        let place = |answer: &Answer| self.placed(&answer.notes);
        let placed = [self.newest.as_ref().map(place), self.before.as_ref().map(place)];
        for (answer, placed) in [&mut self.newest, &mut self.before].into_iter().zip(placed) {
            if let Some(answer) = answer {
                answer.placed = answer.placed.take().or(placed);
            }
        }
    }

    /// As if nothing had been heard or answered.
    fn forget(&mut self) {
        (self.history, self.phrase, self.along) = Default::default();
        (self.newest, self.before, self.grows) = (None, None, None);
        self.lineage = Lineage::default();
        (self.answers, self.pedal) = (0, false);
    }

    /// The host stops: nobody answers what was played until then. What is played from now on is another phrase.
    fn stop(&mut self) {
        if let (Some(tick), Some(settings)) = (self.tick, self.settings.filter(takes_turns)) {
            self.note_down(&tick, &settings);
        }
        self.phrase.close();
        self.pressed = None;
        self.along = Along::default();
    }

    /// Where on the line the music came before an epoch began at `at`. Where the line jumped, what lies between was not heard:
    /// it came to the last tick, or less than a step further.
    fn heard_until(&self, at: Beats) -> Beats {
        let step = 1.0 / f64::from(GRID);
        match self.tick {
            Some(tick) if at.0 > tick.at.0 + step + 1e-6 => Beats(tick.at.0 + step / 2.0),
            _ => at,
        }
    }

    pub(super) fn archive(&mut self, notes: &[Note], until: Beats) {
        if self.settings.is_some_and(|settings| settings.muted) {
            return; // nobody heard it
        }
        for note in notes.iter().filter(|note| note.at.0 < until.0) {
            let len = Beats(note.len.0.min(until.0 - note.at.0));
            self.history.add(Note { len, ..*note });
        }
    }
}
