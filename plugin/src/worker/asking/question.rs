//! What is answered, and where.

use std::time::{Duration, Instant};

use continuo_music::expression::Dynamics;
use continuo_music::feel::Feel;
use continuo_timeline::{Beats, Bpm, Meter, Mode, Note, Quantise, Settings, Tick};

/// Notes that a player's manner is taken from, at most, and how far back they reach in beats.
const MOST_LATELY: usize = 96;
const LATELY: f64 = 32.0;
/// What is needed in so many seconds is not needed soon.
const FAR: f64 = 3600.0;
/// In beats.
pub(super) const SIXTEENTH: f64 = 0.25;

/// What is answered, and where: kept so that the same can be asked again.
#[derive(Clone, Debug)]
pub struct Question {
    /// What was heard, in order.
    pub notes: Vec<Note>,
    /// What of it the player played.
    pub own: Vec<Note>,
    /// Whether it is a whole: a phrase, with a beginning and an end.
    pub whole: bool,
    /// First onset of the answer, at the earliest.
    pub start: Beats,
    /// First onset of the answer, at the latest.
    pub first_by: Beats,
    /// It ends here.
    pub end: Beats,
    /// What of it still sounds.
    pub held: Vec<Note>,
    /// What others play, known beforehand.
    pub controls: Vec<Note>,
    /// A bar line, and the length of a bar.
    pub bar: (Beats, f64),
    /// Time signature when it was asked.
    pub meter: Meter,
    /// Tempo when it was asked.
    pub tempo: Bpm,
    /// Where the music stood then.
    pub now: Beats,
    /// By how much the notes stand later here than they were heard: it was asked before.
    pub moved: Beats,
}

impl Question {
    /// The answer to `notes` that starts at `start` and lasts for the bars asked for, to a bar line.
    pub fn new(notes: Vec<Note>, start: Beats, tick: &Tick, settings: &Settings) -> Self {
        // An answer that waits is no answer: on a beat or bar line, or when somebody asks, it begins there, else within a
        // sixteenth.
        let on_a_line = settings.waits_for_bars() || settings.is_asked();
        let first_by = match settings.quantise {
            Quantise::None if !on_a_line => Beats(start.0 + SIXTEENTH),
            _ => start,
        };
        let length = tick.meter.bar().0;
        let into = (start.0 - tick.bar.0).rem_euclid(length);
        let whole = if into < 1e-6 || length - into < 1e-6 { start.0 } else { start.0 - into + length };
        let end = Beats(whole + f64::from(settings.bars.max(1)) * length);
        let whole = settings.mode == Mode::Respond;
        Self {
            notes,
            own: Vec::new(),
            whole,
            held: Vec::new(),
            controls: Vec::new(),
            start,
            first_by,
            end,
            bar: (tick.bar, length),
            meter: tick.meter,
            tempo: tick.tempo,
            now: tick.at,
            moved: Beats(0.0),
        }
    }

    /// A plan for `beats` beats from `start` on, with what others will play meanwhile.
    pub fn plan(notes: Vec<Note>, controls: Vec<Note>, start: Beats, beats: f64, tick: &Tick) -> Self {
        let bar = (tick.bar, tick.meter.bar().0);
        let end = Beats(start.0 + beats);
        let (own, held, whole) = (Vec::new(), Vec::new(), false);
        let (meter, tempo, now, moved) = (tick.meter, tick.tempo, tick.at, Beats(0.0));
        Self { notes, own, whole, held, controls, start, first_by: end, end, bar, meter, tempo, now, moved }
    }

    /// What is held goes on until the answer begins at least, and the model says how much longer: nobody means a note to
    /// end where an answer to it is thought of.
    pub fn hold(&mut self, held: Vec<Note>) {
        let start = self.start.0;
        let holds = |note: &Note| {
            held.iter().any(|one| (one.at, one.key, one.instrument) == (note.at, note.key, note.instrument))
        };
        for note in self.notes.iter_mut().filter(|note| holds(note)) {
            note.len.0 = note.len.0.max(start - note.at.0);
        }
        self.held = held;
    }

    /// How the player placed notes lately.
    pub(super) fn feel(&self) -> Feel {
        Feel::of(self.lately(), self.bar.0)
    }

    /// How loud the player played lately.
    pub(super) fn dynamics(&self) -> Dynamics {
        Dynamics::of(self.lately(), self.bar.0, self.meter)
    }

    fn lately(&self) -> &[Note] {
        let from = self.own.len().saturating_sub(MOST_LATELY);
        let own = self.own.get(from..).unwrap_or_default();
        let recent = own.partition_point(|note| note.at.0 < self.start.0 - LATELY - 1e-6);
        own.get(recent..).unwrap_or_default()
    }

    /// The moment at which the music will be at `at`, at the tempo of when it was asked.
    pub(super) fn moment(&self, asked: Instant, at: f64) -> Instant {
        let seconds = (at - self.now.0) * 60.0 / self.tempo.0;
        asked + Duration::try_from_secs_f64(seconds.min(FAR)).unwrap_or_default()
    }

    pub(super) fn bar_before(&self, at: f64) -> Beats {
        Beats(self.bar.0.0 + ((at - self.bar.0.0) / self.bar.1 + 1e-9).floor() * self.bar.1)
    }
}
