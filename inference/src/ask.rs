//! An answer under way: the window that the model sees, and what may come next. No model is needed for it.

use std::collections::VecDeque;
use std::ops::Range;

use continuo_timeline::{Event, Instrument, Key};

use crate::Error;
use crate::model::{Model, TimeFrame};
use crate::near::Near;
use crate::prompt::Prompt;
use crate::vocabulary as v;

/// How far apart in ticks the first and the last onset of a window may lie: room is left for the answer.
const MOST_SPAN: i32 = 9_000;

/// A longer bar is not kept to: too little of the window would be left.
const MOST_BAR: i32 = MOST_SPAN / 4;

/// Triplet in absolute ticks of the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triplet {
    /// Tick.
    pub onset: i32,
    /// Ticks.
    pub duration: i32,
    /// Token of an event's note.
    pub note: u32,
    /// Whether it was known beforehand.
    pub control: bool,
}

/// The answer under way.
pub struct Ask {
    /// What was asked.
    pub prompt: Prompt,
    /// Instruments of the answer.
    wanted: Vec<Instrument>,
    /// These, and those that go on unheard beside them.
    all: Vec<Instrument>,
    /// What the model sees.
    pub window: Vec<Triplet>,
    /// Not in the window yet.
    controls: VecDeque<Triplet>,
    /// What the model takes for tick 0.
    pub offset: i32,
    /// The newest onset.
    pub now: i32,
    /// Notes on the newest onset.
    pub here: Vec<(Instrument, Key)>,
    /// Numbers drawn so far.
    pub drawn: u64,
    /// RESTs in a row.
    pub rests: u32,
    /// Notes given so far.
    pub given: u32,
    /// Onset and token of notes whose length is open.
    open: Vec<(i32, u32)>,
}

impl Ask {
    /// Refuses what starts before tick 0.
    pub fn new(prompt: Prompt) -> Result<Self, Error> {
        let prompt = Prompt { constraints: prompt.constraints.possible(), ..prompt };
        let mut history = prompt.history.clone();
        history.sort_unstable();
        if history.first().is_some_and(|event| event.onset < 0) {
            return Err(Error::Prompt("a note of the history is before tick 0".into()));
        }
        history.retain(|event| event.onset < prompt.start);
        let wanted = match &prompt.instruments {
            Some(list) if !list.is_empty() => parts(list.iter().map(|&i| Instrument(i.min(128)))),
            _ => parts(history.iter().map(|event| event.instrument)),
        };
        let beside =
            prompt.beside.iter().filter(|_| prompt.onsets.is_none()).map(|&i| Instrument(i.min(128)));
        let all = parts(wanted.iter().copied().chain(beside));
        let mut controls: Vec<Triplet> = prompt.controls.iter().map(|event| triplet(event, true)).collect();
        controls.sort_by_key(|control| control.onset);
        let mut ask = Self {
            wanted,
            all,
            window: Vec::new(),
            controls: controls.into(),
            offset: 0,
            now: 0,
            here: Vec::new(),
            drawn: 0,
            rests: 0,
            given: 0,
            open: prompt
                .held
                .iter()
                .map(|(onset, instrument, key)| (*onset, row(*instrument, *key)))
                .collect(),
            prompt,
        };
        ask.lay_out(&history);
        Ok(ask)
    }

    /// The prompt as triplets: a REST for each 100 ticks of silence, controls ahead of their time.
    fn lay_out(&mut self, history: &[Event]) {
        let mut last = 0;
        for event in history {
            self.rest(&mut last, event.onset);
            self.take_controls();
            self.window.push(triplet(event, false));
            self.advance(event.onset);
            self.here.push((event.instrument, event.key));
            last = event.onset;
        }
        self.rest(&mut last, self.prompt.start);
    }

    fn rest(&mut self, last: &mut i32, until: i32) {
        while until > *last + v::REST_EVERY {
            *last += v::REST_EVERY;
            self.take_controls();
            self.window.push(Triplet { onset: *last, duration: 0, note: v::REST, control: false });
            self.advance(*last);
        }
    }

    /// Controls whose time has come, into the window.
    pub fn take_controls(&mut self) {
        while let Some(control) = self.controls.pop_front_if(|control| self.now >= control.onset - v::DELTA) {
            self.window.push(control);
        }
    }

    /// Time goes on to an onset.
    pub fn advance(&mut self, onset: i32) {
        if onset > self.now {
            self.now = onset;
            self.here.clear();
        }
    }

    /// A triplet as a note of the answer; none, if it is of those that go on unheard.
    pub fn played(&mut self, triplet: Triplet) -> Option<Event> {
        let (instrument, key) = voice(triplet.note);
        self.advance(triplet.onset);
        self.here.push((instrument, key));
        let heard = self.wanted.contains(&instrument);
        self.given += u32::from(heard);
        heard.then_some(Event { onset: triplet.onset, duration: triplet.duration, instrument, key })
    }

    /// Who may play the next note: the first of an answer is heard.
    pub fn legal(&self) -> &[Instrument] {
        if self.given == 0 { &self.wanted } else { &self.all }
    }

    /// The listed onset after this one, or the first of the answer.
    pub fn next_listed(&self) -> Option<i32> {
        let from = if self.given > 0 { self.now + 1 } else { self.prompt.start.max(self.now) };
        let listed = self.prompt.onsets.iter().flatten().copied();
        listed.filter(|onset| *onset >= from).min()
    }

    /// Where each part may go on an onset, from its notes and to those of it that are known beforehand.
    pub fn near(&self, onset: i32) -> Near {
        let mut near = Near::default();
        let Some(leap) = self.prompt.leap else { return near };
        for &part in self.all.iter().filter(|part| !part.is_drums()) {
            let own = self.window.iter().filter(|triplet| triplet.note != v::REST);
            let own = own.map(|triplet| (triplet.onset, voice(triplet.note)));
            let mut own: Vec<(i32, u8)> =
                own.filter(|(_, voice)| voice.0 == part).map(|(onset, (_, key))| (onset, key.0)).collect();
            own.sort_unstable();
            near.add(part, &own, onset, leap);
        }
        near
    }

    /// The row above which notes on this onset stand, as in the data that models are trained on: by (instrument, key), each
    /// above those that stand there already.
    pub fn last_row(&self, onset: i32) -> Option<u32> {
        let last = if onset == self.now { self.here.iter().max() } else { None };
        last.map(|&(instrument, key)| row(instrument, key))
    }

    /// What each of several instruments gains for having been silent, where a beat has so many ticks.
    #[allow(clippy::cast_precision_loss)] // a window of ticks
    pub fn turns(&self, beat: i32) -> Vec<(Instrument, f32)> {
        if self.wanted.len() < 2 || self.prompt.constraints.balance <= 0.0 {
            return Vec::new();
        }
        let last = |part: Instrument| {
            let own = |triplet: &&Triplet| {
                !triplet.control && triplet.note != v::REST && voice(triplet.note).0 == part
            };
            self.window.iter().rev().find(own).map(|triplet| triplet.onset)
        };
        let beats = |part: Instrument| {
            last(part).map_or(f32::INFINITY, |last| (self.now - last) as f32 / beat as f32)
        };
        self.wanted.iter().map(|&part| (part, self.prompt.constraints.turn(beats(part)))).collect()
    }

    /// Whether no note can be added to the newest onset.
    pub fn is_full(&self) -> bool {
        let Some(&highest) = self.here.iter().max() else { return false };
        let near = self.near(self.now);
        let open = |voice: &(Instrument, Key)| {
            *voice > highest
                && self.prompt.constraints.allows(voice.0, voice.1)
                && near.allows(voice.0, voice.1)
        };
        let above = self.legal().iter().filter(|part| **part >= highest.0);
        self.here.len() >= usize::from(self.prompt.max_per_onset.max(1))
            || !above.flat_map(|part| (0..128).map(|key| (*part, Key(key)))).any(|voice| open(&voice))
    }

    /// The window as tokens, up to the onset of the first note whose length is open.
    pub fn tokens(&self) -> Vec<u32> {
        self.tokens_of(&self.window, self.offset)
    }

    fn tokens_of(&self, window: &[Triplet], offset: i32) -> Vec<u32> {
        let anticipates = !self.prompt.controls.is_empty();
        let mut tokens = vec![if anticipates { v::ANTICIPATE } else { v::AUTOREGRESS }];
        let open = self.open();
        for triplet in window {
            let shift = if triplet.control { v::CONTROL_OFFSET } else { 0 };
            tokens.push(time(triplet.onset, offset) + shift);
            if open == Some(*triplet) {
                break;
            }
            let duration = u32::try_from(triplet.duration).unwrap_or(0).min(v::MAX_DUR - 1);
            tokens.extend([v::DUR + duration + shift, triplet.note + shift]);
        }
        tokens
    }

    /// The token of an onset.
    pub fn time(&self, onset: i32) -> u32 {
        time(onset, self.offset)
    }

    /// The onset of a token.
    pub fn onset(&self, time: u32) -> i32 {
        self.offset + i32::try_from(time - v::TIME).unwrap_or(0)
    }

    /// The first note of the window that still sounds and whose length is open.
    pub fn open(&self) -> Option<Triplet> {
        let held =
            |triplet: &&Triplet| !triplet.control && self.open.contains(&(triplet.onset, triplet.note));
        self.window.iter().find(held).copied()
    }

    /// Rows of the lengths that it may have.
    pub fn lengths(&self, open: Triplet) -> Range<u32> {
        let least = u32::try_from(self.prompt.start - open.onset).unwrap_or(0).clamp(1, v::MAX_DUR - 1);
        v::DUR + least..v::DUR + v::MAX_DUR
    }

    /// Its length in ticks, as the model has it.
    pub fn close(&mut self, open: Triplet, duration: i32) {
        self.open.retain(|one| *one != (open.onset, open.note));
        for triplet in self.window.iter_mut().filter(|triplet| **triplet == open) {
            triplet.duration = duration;
        }
    }

    /// When the window is full it moves on: a quarter is let go, and time is counted from a new bar line.
    pub fn make_room(&mut self, model: &Model) {
        let most = most(model);
        if self.window.len() < most && self.now - self.offset < MOST_SPAN {
            return;
        }
        let keep = (most * 3 / 4).min(self.window.len() * 3 / 4);
        self.window = self.from(self.window.len() - keep, most);
        let oldest = self.now - MOST_SPAN * 3 / 4;
        self.window.retain(|triplet| triplet.onset >= oldest);
        let bar = self.bar(model);
        self.offset = bar_line(&self.window, bar).unwrap_or_else(|| bar_before(self.now, bar));
    }

    /// What the window's tokens will begin with once it has moved on, if that is near.
    pub fn soon(&self, model: &Model) -> Option<Vec<u32>> {
        let most = most(model);
        if self.window.len() + most / 4 < most {
            return None;
        }
        let kept = self.from(most - most * 3 / 4, most);
        Some(self.tokens_of(&kept, bar_line(&kept, self.bar(model))?))
    }

    /// The window from a place on. Controls stand ahead of their time: those of what is kept come first, as they do in a window
    /// that begins there, the last of them where they are many.
    fn from(&self, place: usize, most: usize) -> Vec<Triplet> {
        let (gone, kept) = self.window.split_at(place.min(self.window.len()));
        let begin = kept.iter().find(|triplet| !triplet.control).map_or(self.now, |first| first.onset);
        let mut all: Vec<Triplet> =
            gone.iter().copied().filter(|triplet| triplet.control && triplet.onset >= begin).collect();
        all.drain(..all.len().saturating_sub(most / 8));
        all.extend(kept);
        all
    }

    /// Ticks of a bar; 1 for a model that has heard none.
    fn bar(&self, model: &Model) -> i32 {
        match model.frame() {
            TimeFrame::Beats { ticks_per_beat } => {
                let common = i32::try_from(ticks_per_beat * 4).unwrap_or(192);
                self.prompt.bar.filter(|bar| (1..=MOST_BAR).contains(bar)).unwrap_or(common)
            }
            TimeFrame::Seconds => 1,
        }
    }
}

/// Triplets that a window has room for.
fn most(model: &Model) -> usize {
    (model.positions() - 1) / 3
}

/// The bar line at or before the first onset.
fn bar_line(window: &[Triplet], bar: i32) -> Option<i32> {
    window.iter().map(|triplet| bar_before(triplet.onset, bar)).min()
}

/// The bar line at or before an onset.
fn bar_before(onset: i32, bar: i32) -> i32 {
    onset.div_euclid(bar) * bar
}

/// The token of an onset in a window whose tick 0 is `offset`.
fn time(onset: i32, offset: i32) -> u32 {
    v::TIME + u32::try_from(onset - offset).unwrap_or(0).min(v::MAX_TIME - 1)
}

fn triplet(event: &Event, control: bool) -> Triplet {
    let note = row(event.instrument, event.key);
    Triplet { onset: event.onset, duration: event.duration, note, control }
}

/// Each once, in order; the piano if there is none.
fn parts(instruments: impl Iterator<Item = Instrument>) -> Vec<Instrument> {
    let mut parts: Vec<Instrument> = instruments.collect();
    parts.sort_unstable();
    parts.dedup();
    if parts.is_empty() { vec![Instrument(0)] } else { parts }
}

/// The token of a note.
pub fn row(instrument: Instrument, key: Key) -> u32 {
    v::NOTE + 128 * u32::from(instrument.0.min(128)) + u32::from(key.0 & 127)
}

/// Instrument and key of a note token.
#[allow(clippy::cast_possible_truncation)] // 129 * 128 numbers
pub fn voice(row: u32) -> (Instrument, Key) {
    let number = row.saturating_sub(v::NOTE).min(v::MAX_NOTE - 1);
    (Instrument((number / 128) as u8), Key((number % 128) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Precision;

    #[test]
    fn a_window_that_moves_on_keeps_what_is_known_of_its_time() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/default.safetensors");
        let model = Model::load_as(path.as_ref(), Precision::Quick).unwrap();
        let event = |onset, key| Event { onset, duration: 10, instrument: Instrument(0), key: Key(key) };
        let history = (0..150).map(|i| event(24 * i, 60)).collect();
        let controls = (0..150).map(|i| event(24 * i, 40)).collect();
        let prompt = Prompt { history, controls, start: 3600, end: 4000, ..Prompt::default() };
        let mut ask = Ask::new(prompt).unwrap();
        ask.make_room(&model);
        assert!(ask.window.len() < most(&model));
        let first = ask.window.iter().find(|triplet| !triplet.control).unwrap().onset;
        let known: Vec<i32> =
            ask.window.iter().filter(|triplet| triplet.control).map(|control| control.onset).collect();
        assert!(known.is_sorted() && known[0] <= first + 24, "from {first} on {known:?} are known");
    }

    #[test]
    fn a_window_that_moves_on_begins_at_a_bar_line_of_the_meter() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/default.safetensors");
        let model = Model::load_as(path.as_ref(), Precision::Quick).unwrap();
        let key = |i: i32| Key(60 + (i % 12) as u8);
        let history =
            (0..300).map(|i| Event { onset: 12 * i, duration: 10, instrument: Instrument(0), key: key(i) });
        let waltz = Prompt {
            history: history.collect(),
            start: 3600,
            end: 4032,
            bar: Some(144),
            ..Prompt::default()
        };
        for (bar, ticks) in [(Some(144), 144), (None, 192), (Some(0), 192), (Some(i32::MAX), 192)] {
            let mut ask = Ask::new(Prompt { bar, ..waltz.clone() }).unwrap();
            ask.make_room(&model);
            let first = ask.window[0].onset;
            assert_eq!(ask.offset, first / ticks * ticks, "{bar:?}");
            assert!(first % 144 > 0 && first % 192 > 0, "the first note is no bar line by chance: {first}");
        }
    }
}
