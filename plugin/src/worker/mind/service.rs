//! What becomes of an answer whose service is gone, or too slow: the model here makes the rest, where it may.

use continuo_timeline::{Beats, Tick};

use super::Mind;

/// A service that has said nothing for so long, in seconds, while what it gave is nearly used up, is too slow.
const SILENCE: f64 = 0.4;
/// The model here needs about so long for a first note, in seconds.
const NEEDED: f64 = 0.2;

impl Mind {
    /// Whether the answer under way is to be made by another, decided at each tick.
    pub(super) fn watch_over_service(&mut self, tick: &Tick) {
        let Some(asking) = self.asking.as_ref().filter(|asking| !asking.done && asking.maker().is_there())
        else {
            return;
        };
        // Where the host waits, time is no reason.
        let needed = NEEDED * tick.tempo.0 / 60.0;
        let near = asking.frontier().0 - tick.at.0 < needed;
        let gone = asking.maker().is_gone();
        let slow = !tick.offline && near && asking.is_silent(SILENCE);
        if gone || slow {
            // Where nobody stands in for it, a slow service is better than none.
            if self.stood_in_for() && !gone {
                self.engines.was_slow();
            }
        }
    }

    /// Another makes the rest of the answer under way, where another may; whether that is so.
    pub(super) fn stood_in_for(&mut self) -> bool {
        let (Some(tick), Some(asking)) = (self.tick, &mut self.asking) else { return false };
        let Some(maker) = self.engines.stand_in().filter(|_| asking.maker().is_there()) else { return false };
        let needed = if tick.offline { 0.0 } else { NEEDED * tick.tempo.0 / 60.0 };
        self.author = maker.author();
        if let Some(answer) = &mut self.newest {
            answer.author = self.author.clone();
        }
        self.pace.of(&self.author.model);
        asking.hand_over(maker, Beats(tick.at.0 + needed));
        true
    }
}
