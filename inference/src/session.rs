//! One conversation with a model: a prompt goes in, notes come out, one at a time.
//!
//! The token list is `[z] + triplets`; controls stand 500 ticks ahead, silence is broken by RESTs. What the
//! reference does and a player would not want is mended here: a REST is only ever the note of a triplet,
//! onsets lie in the span asked for, and notes do not stack without bound.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use continuo_timeline::{Event, Instrument, Key};

use crate::Error;
use crate::constraints::Constraints;
use crate::model::{Cache, Model, TimeFrame};
use crate::sampler::{Sampling, choose, draw};
use crate::vocabulary as v;

/// What is asked of a model. All times in ticks of its frame; 0 is a bar line.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What was played, in any order; onsets from 0.
    pub history: Vec<Event>,
    /// What will be played by others, known beforehand.
    pub controls: Vec<Event>,
    /// First onset allowed in the answer.
    pub start: i32,
    /// The answer's onsets lie before this.
    pub end: i32,
    /// The answer's first onset is here or before, where the model may place one at all.
    pub first_by: Option<i32>,
    /// Onsets that the answer has, each of them and no others, where it is long enough.
    pub onsets: Option<Vec<i32>>,
    /// How far in semitones an instrument that is no drum kit goes from one note to the next at most.
    pub leap: Option<u8>,
    /// What is forbidden, and how much is wanted.
    pub constraints: Constraints,
    /// Instruments allowed in the answer, 0 to 128; those of the history if `None`.
    pub instruments: Option<Vec<u8>>,
    /// Most notes on one onset.
    pub max_per_onset: u8,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Which answer to this prompt: another number, other draws.
    pub answer: u64,
}

impl Default for Prompt {
    /// An answer of no length to nothing: fill in at least `start` and `end`.
    fn default() -> Self {
        Self {
            history: Vec::new(),
            controls: Vec::new(),
            start: 0,
            end: 0,
            first_by: None,
            onsets: None,
            leap: None,
            constraints: Constraints::default(),
            instruments: None,
            max_per_onset: 6,
            sampling: Sampling::default(),
            answer: 0,
        }
    }
}

/// Triplet in absolute ticks of the prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Triplet {
    onset: i32,
    duration: i32,
    note: u32,
    control: bool,
}

/// A model, its cache, and the answer under way.
pub struct Session {
    model: Arc<Model>,
    cache: Cache,
    /// The tokens in `cache`.
    cached: Vec<u32>,
    /// The model's state after the last of them; empty when it is not known.
    state: Vec<f32>,
    ask: Option<Ask>,
    /// Asked before each piece of work; `false` ends the answer with [`Error::Cancelled`].
    wanted: Box<dyn Fn() -> bool + Send>,
}

/// The answer under way.
struct Ask {
    prompt: Prompt,
    legal: Vec<Instrument>,
    window: Vec<Triplet>,
    controls: VecDeque<Triplet>,
    offset: i32,
    now: i32,
    here: Vec<(Instrument, Key)>,
    drawn: u64,
    rests: u32,
    /// Notes given so far.
    given: u32,
}

/// So many RESTs in a row end an answer: the model has nothing more to say.
const MOST_RESTS: u32 = 16;

/// Tokens of a prompt that are computed before it is asked whether the answer is still wanted.
const PART: usize = 32;

/// How far apart in ticks the first and the last onset of a window may lie: room is left for the answer.
const MOST_SPAN: i32 = 9_000;

impl Session {
    /// A session without a prompt.
    pub fn new(model: Arc<Model>) -> Self {
        let cache = model.cache();
        Self { model, cache, cached: Vec::new(), state: Vec::new(), ask: None, wanted: Box::new(|| true) }
    }

    /// Work ends with [`Error::Cancelled`] when `wanted` says no. Asked at least once a token.
    pub(crate) fn work_while(&mut self, wanted: impl Fn() -> bool + Send + 'static) {
        self.wanted = Box::new(wanted);
    }

    /// How many tokens of `prompt` need no computing here.
    pub(crate) fn shares(&self, prompt: &Prompt) -> usize {
        let Ok(mut ask) = Ask::new(prompt.clone()) else { return 0 };
        self.make_room(&mut ask);
        self.cached.iter().zip(ask.tokens()).take_while(|(a, b)| *a == b).count()
    }

    /// Sets the prompt. Tokens that it shares with what the session holds are not computed again.
    pub fn begin(&mut self, prompt: Prompt) -> Result<(), Error> {
        if prompt.end <= prompt.start || prompt.start < 0 {
            return Err(Error::Prompt(format!(
                "it ends at tick {} and starts at {}",
                prompt.end, prompt.start
            )));
        }
        self.ask = Some(Ask::new(prompt)?);
        Ok(())
    }

    /// Computes the prompt that [`Self::begin`] set, so that another that shares its beginning starts sooner.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        let Some(mut ask) = self.ask.take() else { return Ok(()) };
        ask.take_controls();
        self.make_room(&mut ask);
        self.feed(&ask.tokens())
    }

    /// The next note, or `None` when the answer is complete.
    pub fn next_note(&mut self) -> Result<Option<Event>, Error> {
        let Some(mut ask) = self.ask.take() else { return Ok(None) };
        let note = self.sample(&mut ask)?;
        if note.is_some() {
            self.ask = Some(ask);
        }
        Ok(note)
    }

    /// Draws triplets until one is a note.
    fn sample(&mut self, ask: &mut Ask) -> Result<Option<Event>, Error> {
        loop {
            ask.take_controls();
            self.make_room(ask);
            self.feed(&ask.tokens())?;
            let Some(triplet) = self.triplet(ask)? else { return Ok(None) };
            ask.window.push(triplet);
            if triplet.note == v::REST {
                ask.rests += 1;
                ask.advance(triplet.onset);
                if ask.rests > MOST_RESTS {
                    return Ok(None);
                }
                continue;
            }
            ask.rests = 0;
            return Ok(Some(ask.played(triplet)));
        }
    }

    /// Draws onset, duration and note; `None` when the onset is past the end.
    fn triplet(&mut self, ask: &mut Ask) -> Result<Option<Triplet>, Error> {
        let onset = match self.drawn_onset(ask)? {
            Some(onset) if onset < ask.prompt.end => onset,
            _ => return Ok(None),
        };
        if ask.prompt.onsets.is_some() && onset > ask.now + v::REST_EVERY {
            let onset = ask.now + v::REST_EVERY;
            return Ok(Some(Triplet { onset, duration: 0, note: v::REST, control: false }));
        }
        self.push(&[v::TIME + u32::try_from(onset - ask.offset).unwrap_or(0).min(v::MAX_TIME - 1)])?;
        let duration = self.pick(ask, &[v::DUR..v::DUR + v::MAX_DUR])?;
        self.push(&[duration])?;
        let voices = self.voices(ask, onset);
        let note = self.pick_biased(ask, &voices, &Self::key_bias(ask, &voices))?;
        self.push(&[note])?;
        let duration = i32::try_from(duration - v::DUR).unwrap_or(0);
        Ok(Some(Triplet { onset, duration, note, control: false }))
    }

    /// Draws an onset; where they are listed, whether there is another note on this one before the next.
    fn drawn_onset(&mut self, ask: &mut Ask) -> Result<Option<i32>, Error> {
        let stays = match &ask.prompt.onsets {
            Some(list) if list.contains(&ask.now) && ask.given > 0 && !ask.is_full() => true,
            Some(_) => return Ok(ask.next_listed()),
            None => false,
        };
        let mut first = ask.now.max(ask.prompt.start);
        if first == ask.now && ask.is_full() {
            first += 1;
        }
        let onsets = self.onsets(ask, first);
        let ticks = onsets.clone().map(|row| ask.offset + i32::try_from(row - v::TIME).unwrap_or(0));
        let rest = ask.now + v::REST_EVERY;
        let bias = ask.prompt.constraints.onset_bias(ticks, ask.now, self.beat(), rest);
        let time = self.pick_biased(ask, &[onsets], &bias)?;
        let onset = ask.offset + i32::try_from(time - v::TIME).unwrap_or(0);
        Ok(if stays && onset > ask.now { ask.next_listed() } else { Some(onset) })
    }

    /// Rows of the onsets from `first`. Models in beats are trained with a REST in each silence, so that no
    /// onset is further than that from the one before it.
    fn onsets(&self, ask: &Ask, first: i32) -> Range<u32> {
        let row = |tick: i32| v::TIME + u32::try_from(tick - ask.offset).unwrap_or(0).min(v::MAX_TIME);
        match self.model.frame() {
            TimeFrame::Beats { .. } => {
                let by = ask.prompt.first_by.filter(|_| ask.given == 0).unwrap_or(i32::MAX);
                row(first)..row((ask.now + v::REST_EVERY).min(by).max(first) + 1)
            }
            TimeFrame::Seconds => match ask.prompt.first_by.filter(|_| ask.given == 0) {
                Some(by) => row(first)..row(by.max(first) + 1),
                None => row(first)..v::TIME + v::MAX_TIME,
            },
        }
    }

    /// Ticks in a beat, or what comes near it.
    fn beat(&self) -> i32 {
        match self.model.frame() {
            TimeFrame::Beats { ticks_per_beat } => i32::try_from(ticks_per_beat).unwrap_or(48),
            TimeFrame::Seconds => 50,
        }
    }

    /// Rows of the notes of the instruments asked for; on an onset that has notes already only those above
    /// them, since models are trained on (onset, instrument, key) in order. Or a REST, if time went on.
    fn voices(&self, ask: &Ask, onset: i32) -> Vec<Range<u32>> {
        let last = if onset == ask.now { ask.here.iter().max().copied() } else { None };
        let above = last.map_or(v::NOTE, |(instrument, key)| row(instrument, key) + 1);
        let instruments = ask.legal.iter().map(|&one| row(one, Key(0))..row(one, Key(127)) + 1);
        let mut rows: Vec<_> = instruments.map(|rows| rows.start.max(above)..rows.end).collect();
        let stands = match self.model.frame() {
            TimeFrame::Beats { .. } => onset == ask.now + v::REST_EVERY,
            TimeFrame::Seconds => last.is_none(),
        };
        if stands && !ask.prompt.constraints.allows_onset(onset, self.beat()) {
            rows.clear();
        }
        if stands && ask.prompt.onsets.is_none() {
            rows.push(v::REST..v::REST + 1);
        }
        rows
    }

    /// What the player's limits add to the logits of these rows.
    fn key_bias(ask: &Ask, rows: &[Range<u32>]) -> Vec<f32> {
        let free = |row: u32, leaps: bool| {
            let (instrument, key) = voice(row);
            let near = leaps || ask.is_near(instrument, key);
            row == v::REST || ask.prompt.constraints.allows(instrument, key) && near
        };
        let all = || rows.iter().cloned().flatten();
        let stuck = ask.prompt.leap.is_some() && !all().any(|row| free(row, false));
        all().map(|row| if free(row, stuck) { 0.0 } else { f32::NEG_INFINITY }).collect()
    }

    /// Draws one of `rows`, which ascend.
    fn pick(&self, ask: &mut Ask, rows: &[Range<u32>]) -> Result<u32, Error> {
        self.pick_biased(ask, rows, &[])
    }

    /// The same with something added to the logits of the first rows.
    fn pick_biased(&self, ask: &mut Ask, rows: &[Range<u32>], bias: &[f32]) -> Result<u32, Error> {
        let mut logits: Vec<f32> =
            rows.iter().flat_map(|rows| self.model.logits(&self.state, rows.clone())).collect();
        logits.iter_mut().zip(bias).for_each(|(logit, bias)| *logit += bias);
        let u = draw(ask.prompt.sampling.seed, ask.prompt.answer, ask.drawn);
        ask.drawn += 1;
        let index = choose(&logits, &ask.prompt.sampling, u).ok_or(Error::NotFinite)?;
        rows.iter().cloned().flatten().nth(index).ok_or(Error::NotFinite)
    }

    /// Brings the cache to exactly `tokens`.
    fn feed(&mut self, tokens: &[u32]) -> Result<(), Error> {
        let mut same = self.cached.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        if same == tokens.len() && (same != self.cached.len() || self.state.is_empty()) {
            same = same.saturating_sub(1); // the state belongs to the last token computed
        }
        if same < self.cached.len() {
            self.state.clear();
        }
        self.cache.truncate(same);
        self.cached.truncate(same);
        tokens.get(same..).unwrap_or_default().chunks(PART).try_for_each(|tokens| self.push(tokens))
    }

    fn push(&mut self, tokens: &[u32]) -> Result<(), Error> {
        if !(self.wanted)() {
            return Err(Error::Cancelled);
        }
        let state = self.model.feed(&mut self.cache, tokens);
        if state.is_empty() {
            return Err(Error::Prompt(format!("{} tokens do not fit the model", tokens.len())));
        }
        self.state = state;
        self.cached.extend(tokens);
        Ok(())
    }

    /// When the window is full it moves on: a quarter is let go, and time is counted from a new bar line.
    fn make_room(&self, ask: &mut Ask) {
        let most = (self.model.positions() - 1) / 3;
        if ask.window.len() < most && ask.now - ask.offset < MOST_SPAN {
            return;
        }
        let keep = (most * 3 / 4).min(ask.window.len() * 3 / 4);
        ask.window.drain(..ask.window.len() - keep);
        let oldest = ask.now - MOST_SPAN * 3 / 4;
        ask.window.retain(|triplet| triplet.onset >= oldest);
        let bar = match self.model.frame() {
            TimeFrame::Beats { ticks_per_beat } => i32::try_from(ticks_per_beat * 4).unwrap_or(192),
            TimeFrame::Seconds => 1,
        };
        let first = ask.window.iter().map(|t| t.onset).min().unwrap_or(ask.now);
        ask.offset = first.div_euclid(bar) * bar;
    }
}

impl Ask {
    fn new(prompt: Prompt) -> Result<Self, Error> {
        let prompt = Prompt { constraints: prompt.constraints.possible(), ..prompt };
        let mut history = prompt.history.clone();
        history.sort_unstable();
        if history.first().is_some_and(|event| event.onset < 0) {
            return Err(Error::Prompt("a note of the history is before tick 0".into()));
        }
        history.retain(|event| event.onset < prompt.start);
        let legal = match &prompt.instruments {
            Some(list) if !list.is_empty() => parts(list.iter().map(|&i| Instrument(i.min(128)))),
            _ => parts(history.iter().map(|event| event.instrument)),
        };
        let mut controls: Vec<Triplet> = prompt.controls.iter().map(|event| triplet(event, true)).collect();
        controls.sort_by_key(|control| control.onset);
        let mut ask = Self {
            legal,
            window: Vec::new(),
            controls: controls.into(),
            offset: 0,
            now: 0,
            here: Vec::new(),
            drawn: 0,
            rests: 0,
            given: 0,
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

    fn take_controls(&mut self) {
        while let Some(control) = self.controls.pop_front_if(|control| self.now >= control.onset - v::DELTA) {
            self.window.push(control);
        }
    }

    fn advance(&mut self, onset: i32) {
        if onset > self.now {
            self.now = onset;
            self.here.clear();
        }
    }

    fn played(&mut self, triplet: Triplet) -> Event {
        let (instrument, key) = voice(triplet.note);
        self.advance(triplet.onset);
        self.here.push((instrument, key));
        self.given += 1;
        Event { onset: triplet.onset, duration: triplet.duration, instrument, key }
    }

    /// The listed onset after this one, or the first of the answer.
    fn next_listed(&self) -> Option<i32> {
        let from = if self.given > 0 { self.now + 1 } else { self.prompt.start.max(self.now) };
        let listed = self.prompt.onsets.iter().flatten().copied();
        listed.filter(|onset| *onset >= from).min()
    }

    /// Whether an instrument may go to a key from its last note.
    fn is_near(&self, instrument: Instrument, key: Key) -> bool {
        let Some(leap) = self.prompt.leap.filter(|_| !instrument.is_drums()) else { return true };
        let own = |triplet: &&Triplet| {
            !triplet.control && triplet.note != v::REST && voice(triplet.note).0 == instrument
        };
        let last = self.window.iter().rev().find(own);
        last.is_none_or(|last| voice(last.note).1.0.abs_diff(key.0) <= leap)
    }

    /// Whether no note can be added to the newest onset.
    fn is_full(&self) -> bool {
        let top = self.legal.iter().max().and_then(|&instrument| {
            let open = |key: &u8| self.prompt.constraints.allows(instrument, Key(*key));
            (0..128).rev().find(open).map(|key| (instrument, Key(key)))
        });
        self.here.len() >= usize::from(self.prompt.max_per_onset.max(1))
            || self.here.iter().max().copied() >= top
    }

    fn tokens(&self) -> Vec<u32> {
        let anticipates = !self.prompt.controls.is_empty();
        let mut tokens = vec![if anticipates { v::ANTICIPATE } else { v::AUTOREGRESS }];
        for triplet in &self.window {
            let shift = if triplet.control { v::CONTROL_OFFSET } else { 0 };
            let onset = u32::try_from(triplet.onset - self.offset).unwrap_or(0).min(v::MAX_TIME - 1);
            let duration = u32::try_from(triplet.duration).unwrap_or(0).min(v::MAX_DUR - 1);
            tokens.extend([v::TIME + onset + shift, v::DUR + duration + shift, triplet.note + shift]);
        }
        tokens
    }
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
fn row(instrument: Instrument, key: Key) -> u32 {
    v::NOTE + 128 * u32::from(instrument.0.min(128)) + u32::from(key.0 & 127)
}

/// Instrument and key of a note token.
#[allow(clippy::cast_possible_truncation)] // 129 * 128 numbers
fn voice(row: u32) -> (Instrument, Key) {
    let number = row.saturating_sub(v::NOTE).min(v::MAX_NOTE - 1);
    (Instrument((number / 128) as u8), Key((number % 128) as u8))
}
