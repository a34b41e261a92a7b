//! Where a phrase ends.

use continuo_timeline::{Beats, Settings, Tick, Trigger};

use crate::history::History;

/// Follows the phrase being played; decides at ticks alone.
#[derive(Default)]
pub struct Phrase {
    /// Onset of its first note; `None` while nothing was played.
    began: Option<Beats>,
    /// Onset of the last.
    last: Option<Beats>,
    pedal_rose: bool,
    bar: Option<f64>,
    bars: u32,
}

/// A note this near to a bar line is on it, in beats: 30 ms at 120 BPM.
const ON_THE_LINE: f64 = 1.0 / 16.0;
/// A phrase that begins this little before a bar line begins with the bar, in beats.
const EARLY: f64 = 0.25;

impl Phrase {
    /// A note of the player begins.
    pub fn note(&mut self, at: Beats) {
        self.began.get_or_insert(at);
        self.last = Some(at);
    }

    /// The pedal came up after it was down.
    pub fn pedal_up(&mut self) {
        self.pedal_rose = true;
    }

    /// Where the phrase began, if one is under way.
    pub fn began(&self) -> Option<Beats> {
        self.began
    }

    /// It was answered, or given up: the next note begins another.
    pub fn close(&mut self) {
        self.began = None;
        self.bars = 0;
    }

    /// Where the phrase will end if nothing more is played; `None` when that cannot be known yet.
    pub fn due(&self, tick: &Tick, settings: &Settings, history: &History) -> Option<Beats> {
        let began = self.began?;
        let bar = tick.meter.bar().0;
        let mut next_bar = Beats(tick.bar.0 + bar);
        if begins_with(began, next_bar) {
            next_bar.0 += bar;
        }
        match settings.trigger {
            Trigger::Automatic => {
                let end = history.last_end().filter(|_| history.is_quiet())?;
                Some(Beats(end.0 + patience(began, history)))
            }
            Trigger::BarLine => Some(next_bar),
            Trigger::Bars => (self.bars + 1 >= u32::from(settings.trigger_bars)).then_some(next_bar),
            Trigger::Pedal | Trigger::Key | Trigger::Parameter => None,
        }
    }

    /// Whether the phrase ends at this tick.
    pub fn ends(&mut self, tick: &Tick, settings: &Settings, history: &History) -> bool {
        let new_bar = self.bar.is_some_and(|bar| tick.bar.0 > bar + 1e-6);
        self.bar = Some(tick.bar.0);
        let pedal = std::mem::take(&mut self.pedal_rose);
        let Some(began) = self.began else { return false };
        // The bar line that the phrase begins with ends no bar of it.
        let new_bar = new_bar && !begins_with(began, tick.bar);
        self.bars += u32::from(new_bar);
        // Who strikes on the bar line itself has not ended.
        let goes_on = self.last.is_some_and(|last| last.0 > tick.at.0 - ON_THE_LINE);
        match settings.trigger {
            Trigger::Automatic => silence(began, tick, history),
            Trigger::BarLine => new_bar && !goes_on,
            Trigger::Bars => new_bar && !goes_on && self.bars >= u32::from(settings.trigger_bars),
            Trigger::Pedal => pedal,
            Trigger::Key | Trigger::Parameter => false,
        }
    }
}

/// Whether a phrase begins on a bar line, a little before it, or later.
fn begins_with(began: Beats, bar: Beats) -> bool {
    began.0 > bar.0 - EARLY
}

/// Nothing held, and silence longer than a beat and than twice the median time between onsets.
fn silence(began: Beats, tick: &Tick, history: &History) -> bool {
    let Some(end) = history.last_end().filter(|_| history.is_quiet()) else { return false };
    tick.at.0 - end.0 >= patience(began, history) - 1e-6
}

/// Beats of silence that end the phrase.
fn patience(began: Beats, history: &History) -> f64 {
    let onsets = history.onsets_since(began);
    let mut gaps: Vec<f64> =
        onsets.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.02).collect();
    gaps.sort_by(f64::total_cmp);
    let median = gaps.get(gaps.len() / 2).copied().unwrap_or(0.0);
    (2.0 * median).clamp(1.0, 4.0)
}

#[cfg(test)]
mod tests {
    use continuo_timeline::*;

    use super::*;

    fn tick(at: f64) -> Tick {
        Tick {
            at: Beats(at),
            song: Beats(at),
            bar: Beats((at / 4.0).floor() * 4.0),
            wrap: None,
            meter: Meter::COMMON,
            tempo: Bpm(120.0),
            playing: true,
            offline: false,
            epoch: Epoch(0),
        }
    }

    fn settings(trigger: Trigger) -> Settings {
        Settings { trigger, bars: 2, ..Settings::default() }
    }

    /// Beat at which a phrase ends that is played as (onset, length), or -1. Half a beat before it was known.
    fn end(notes: &[(f64, f64)], trigger: Trigger) -> f64 {
        let (mut history, mut phrase) = (History::default(), Phrase::default());
        let settings = settings(trigger);
        let mut due = None;
        for step in 0..24 * 24 {
            let now = f64::from(step) / 24.0;
            for &(at, len) in notes {
                if (at - now).abs() < 1e-9 {
                    phrase.note(Beats(at));
                    history.on(Beats(at), Key(60), Channel(0), Velocity(80), Instrument(0));
                }
                if (at + len - now).abs() < 1e-9 {
                    history.off(Beats(now), Key(60), Channel(0), Instrument(0));
                }
            }
            if phrase.ends(&tick(now), &settings, &history) {
                assert!(
                    due.is_some_and(|due: f64| due <= now + 1e-9 && due > now - 0.05),
                    "{due:?} at {now}"
                );
                return now;
            }
            let known = phrase.due(&tick(now), &settings, &history).filter(|due| due.0 - now <= 0.5);
            due = known.map(|due| due.0);
        }
        -1.0
    }

    #[test]
    fn silence_ends_a_phrase_after_a_beat_or_twice_its_pace() {
        assert!((end(&[(0.0, 0.5), (0.5, 0.5), (1.0, 0.5)], Trigger::Automatic) - 2.5).abs() < 0.05);
        assert!((end(&[(0.0, 1.0), (1.5, 1.0), (3.0, 1.0)], Trigger::Automatic) - 7.0).abs() < 0.05);
        assert!((end(&[(0.0, 20.0)], Trigger::Automatic) - 21.0).abs() < 0.05);
        assert!(end(&[], Trigger::Automatic) < 0.0);
    }

    #[test]
    fn bar_lines_end_a_phrase() {
        assert!((end(&[(1.0, 0.5)], Trigger::BarLine) - 4.0).abs() < 1e-9);
        assert!((end(&[(1.0, 0.5), (4.0, 0.5)], Trigger::BarLine) - 8.0).abs() < 1e-9);
        assert!((end(&[(1.0, 0.5)], Trigger::Bars) - 8.0).abs() < 1e-9);
        assert!(end(&[(1.0, 0.5)], Trigger::Parameter) < 0.0);
    }

    #[test]
    fn a_phrase_that_begins_on_a_bar_line_has_all_its_bars() {
        // On the line, a 24th of a beat before it, and a sixteenth before it, which is an upbeat.
        for (began, bar_line, bars) in
            [(4.0, 8.0, 12.0), (4.0 - 1.0 / 24.0, 8.0, 12.0), (3.75, 4.0, 8.0), (0.0, 4.0, 8.0)]
        {
            assert!((end(&[(began, 0.5)], Trigger::BarLine) - bar_line).abs() < 1e-9, "from {began}");
            assert!((end(&[(began, 0.5)], Trigger::Bars) - bars).abs() < 1e-9, "from {began}");
        }
        // A downbeat a little early in the middle of a phrase: it goes on.
        let early = [(1.0, 0.5), (4.0 - 1.0 / 24.0, 0.5)];
        assert!((end(&early, Trigger::BarLine) - 8.0).abs() < 1e-9);
    }
}
