//! What an instance that plays live remembers while its host has put it away: to change its rate, or to bounce.
//!
//! ```text
//! live ─▶ put away ─▶ live            within a minute: the same music at another rate, a phrase goes on
//! live ─▶ put away ─▶ bounce ─▶ put away ─▶ live        however long the bounce: what was heard counts, a phrase is over
//!                       └─ a memory of its own, so that it repeats
//! ```

use std::time::{Duration, Instant};

use continuo_timeline::{Clock, Cut};

use crate::worker::Memory;

/// What is put away for longer than this is forgotten. A bounce is not counted.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What was heard live, and where its line stood.
pub struct Past {
    memory: Memory,
    clock: Clock,
    /// How long it has been put away, but for what goes on now.
    rested: Duration,
    /// Since when it is: when it was put away, or when the bounce was over.
    since: Instant,
    /// Whether the host has bounced since it played.
    bounced: bool,
}

impl Past {
    /// The host puts it away now.
    pub fn new(memory: Memory, clock: Clock, now: Instant) -> Self {
        Self { memory, clock, rested: Duration::ZERO, since: now, bounced: false }
    }

    /// The host bounces from now on; nothing if it is forgotten by then.
    pub fn bounce(self, now: Instant) -> Option<Self> {
        let rested = self.rested_by(now);
        (rested < REMEMBERED).then_some(Self { rested, bounced: true, ..self })
    }

    /// The bounce is over.
    pub fn bounced(&mut self, now: Instant) {
        self.since = now;
    }

    /// It plays live again: what was heard, its line, and what becomes of what was under way on it. Nothing if it is
    /// forgotten.
    pub fn wake(self, now: Instant) -> Option<(Memory, Clock, Cut)> {
        let why = if self.bounced { Cut::Silence } else { Cut::Restart };
        (self.rested_by(now) < REMEMBERED).then_some((self.memory, self.clock, why))
    }

    fn rested_by(&self, now: Instant) -> Duration {
        self.rested + now.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn put_away(now: Instant) -> Past {
        let memory = Memory::new(Arc::default(), Arc::default(), Arc::default());
        Past::new(memory, Clock::new(48_000.0), now)
    }

    fn woken(past: Past, now: Instant) -> Option<Cut> {
        past.wake(now).map(|(_, _, why)| why)
    }

    #[test]
    fn a_minute_is_remembered_and_a_bounce_is_as_long_as_it_is() {
        let now = Instant::now();
        assert_eq!(woken(put_away(now), now + seconds(59)), Some(Cut::Restart));
        assert_eq!(woken(put_away(now), now + seconds(60)), None);
        let bounces = |before: u64, bounce: u64, after: u64| {
            let mut past = put_away(now).bounce(now + seconds(before))?;
            past.bounced(now + seconds(before + bounce));
            woken(past, now + seconds(before + bounce + after))
        };
        assert_eq!(bounces(10, 7_200, 10), Some(Cut::Silence), "two hours");
        assert_eq!(bounces(30, 60, 30), None, "what lies before and behind it counts together");
        assert_eq!(bounces(60, 0, 0), None);
    }

    #[test]
    fn bounces_one_after_the_other_are_one() {
        let now = Instant::now();
        let mut past = put_away(now).bounce(now + seconds(10)).unwrap();
        past.bounced(now + seconds(100));
        let mut past = past.bounce(now + seconds(130)).unwrap();
        past.bounced(now + seconds(1_000));
        assert_eq!(woken(past, now + seconds(1_019)), Some(Cut::Silence));
    }
}
