//! One conversation with a model: a prompt goes in, notes come out, one at a time.
//!
//! The token list is `[z] + triplets`; controls stand 500 ticks ahead, silence is broken by RESTs. What the
//! reference does and a player would not want is mended here: a REST is only ever the note of a triplet,
//! onsets lie in the span asked for, and notes do not stack without bound.
//!
//! A session decides and remembers; computing is done for it, alone ([`Session::next_note`]) or together with
//! others by the engine: it says what it [`Want`]s next.

use std::ops::Range;
use std::sync::Arc;

use continuo_timeline::{Event, Key};

use crate::Error;
use crate::ask::{Ask, Triplet, row, voice};
use crate::model::{Cache, Feed, Model, TimeFrame};
use crate::prompt::Prompt;
use crate::sampler::{choose, draw};
use crate::vocabulary as v;

/// A model, its cache, and the answer under way.
pub struct Session {
    model: Arc<Model>,
    cache: Cache,
    /// The tokens in `cache`.
    cached: Vec<u32>,
    /// The model's state after the last of them; empty when it is not known.
    state: Vec<f32>,
    ask: Option<Ask>,
    stage: Stage,
    /// The state before the triplet under way.
    mark: Vec<f32>,
    /// Whether only the prompt is computed.
    only_prompt: bool,
    /// The tokens that the window says, the last time it was looked at.
    aim: Vec<u32>,
    /// Where the window is laid out anew before it moves on, and the tokens there.
    spare: Option<(Cache, Vec<u32>)>,
    /// What is to be laid out there.
    soon: Vec<u32>,
}

/// What a session does next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Brings the cache to what the window says.
    Lay,
    /// Decides how long a note that still sounds becomes.
    Close(Triplet),
    /// Draws an onset from here on; so many triplets were `thrown` away in its place.
    Onset { first: i32, thrown: u8 },
    /// Feeds the onset, then draws a duration.
    Duration { onset: i32, thrown: u8 },
    /// Feeds the duration, then draws a note.
    Note { onset: i32, duration: u32, thrown: u8 },
    /// Feeds the note, which then stands.
    Stand(Triplet),
}

/// What a session needs, or has to say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Want {
    /// Tokens behind those of its cache; [`Session::fed`] takes the state.
    Tokens(Vec<u32>),
    /// Logits of these rows for its state; [`Session::choose`] takes them.
    Logits(Vec<Range<u32>>),
    /// Nothing: this is the next note.
    Note(Event),
    /// Nothing: the answer is complete.
    Over,
}

/// RESTs in a row of a model in beats, two beats each.
const MOST_SILENCE: u32 = 2;
/// So many RESTs in a row end an answer: the model has nothing more to say.
const MOST_RESTS: u32 = 16;

/// So many triplets in a row are thrown away before time goes on: a model that is sure of what cannot be is not asked for ever.
const MOST_THROWN: u8 = 4;

/// Tokens of a prompt that are computed at a time.
const PART: usize = 256;

impl Session {
    /// A session without a prompt.
    pub fn new(model: Arc<Model>) -> Self {
        let cache = model.cache();
        let (cached, state, mark) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            model,
            cache,
            cached,
            state,
            ask: None,
            stage: Stage::Lay,
            mark,
            only_prompt: false,
            aim: Vec::new(),
            spare: None,
            soon: Vec::new(),
        }
    }

    /// How many tokens of `prompt` need no computing here.
    pub(crate) fn shares(&self, prompt: &Prompt) -> usize {
        let Ok(mut ask) = Ask::new(prompt.clone()) else { return 0 };
        ask.make_room(&self.model);
        same(&self.cached, &ask.tokens())
    }

    /// How many tokens of what another wants need no computing here.
    pub(crate) fn shares_with(&self, aim: &[u32]) -> usize {
        same(&self.cached, aim)
    }

    /// The tokens that it wants to have in its cache, and how many of them it has.
    pub(crate) fn aim(&self) -> (&[u32], usize) {
        (&self.aim, same(&self.cached, &self.aim))
    }

    /// The first `tokens` of what it holds, for another session.
    pub(crate) fn lend(&mut self, tokens: usize) -> (Cache, Vec<u32>) {
        let mut cache = self.cache.fork();
        cache.truncate(tokens);
        (cache, self.cached[..tokens].to_vec())
    }

    /// Takes what another holds instead of its own.
    pub(crate) fn borrow(&mut self, (cache, tokens): (Cache, Vec<u32>)) {
        (self.cache, self.cached) = (cache, tokens);
        self.state.clear();
    }

    /// Some of the tokens that its window will have once it has moved on, and a cache for them, if that is near:
    /// to be computed beside other things, so that nothing waits then. [`Self::fed_ahead`] is told.
    pub(crate) fn soon(&self, most: usize) -> Vec<u32> {
        let done = self.spare.as_ref().map_or(0, |(_, tokens)| same(tokens, &self.soon));
        self.soon.iter().skip(done).take(most).copied().collect()
    }

    /// Both caches: for what it wants, and for what it will want soon.
    pub(crate) fn caches(&mut self) -> (&mut Cache, &mut Cache) {
        let (spare, tokens) = self.spare.get_or_insert_with(|| (self.model.cache(), Vec::new()));
        let done = same(tokens, &self.soon);
        spare.truncate(done);
        tokens.truncate(done);
        (&mut self.cache, spare)
    }

    /// Tokens of [`Self::soon`] were put into the second cache.
    pub(crate) fn fed_ahead(&mut self, ids: &[u32]) {
        if let Some((_, tokens)) = &mut self.spare {
            tokens.extend(ids);
        }
    }

    /// Sets the prompt. Tokens that it shares with what the session holds are not computed again.
    /// [`Error::Prompt`] if the span is empty or starts before tick 0, or a note of the history does.
    pub fn begin(&mut self, prompt: Prompt) -> Result<(), Error> {
        if prompt.end <= prompt.start || prompt.start < 0 {
            return Err(Error::Prompt(format!(
                "it ends at tick {} and starts at {}",
                prompt.end, prompt.start
            )));
        }
        self.ask = Some(Ask::new(prompt)?);
        self.stage = Stage::Lay;
        self.only_prompt = false;
        self.soon.clear();
        Ok(())
    }

    /// The same, but only computes the prompt, so that another that shares its beginning starts sooner.
    pub(crate) fn prepare(&mut self, prompt: Prompt) -> Result<(), Error> {
        self.begin(prompt)?;
        self.only_prompt = true;
        Ok(())
    }

    /// The next note, or `None` when the answer is complete. [`Error::NotFinite`] if the weights are damaged.
    pub fn next_note(&mut self) -> Result<Option<Event>, Error> {
        let model = Arc::clone(&self.model);
        loop {
            match self.want() {
                Want::Tokens(ids) => {
                    let feed = Feed { cache: &mut self.cache, ids: &ids };
                    let states = model.feed_all(&mut [feed], &|| true).unwrap_or_default();
                    self.fed(&ids, states.into_iter().next().unwrap_or_default())?;
                }
                Want::Logits(rows) => {
                    let logits =
                        rows.iter().flat_map(|rows| model.logits(&self.state, rows.clone())).collect();
                    self.choose(logits)?;
                }
                Want::Note(event) => return Ok(Some(event)),
                Want::Over => return Ok(None),
            }
        }
    }

    /// Its cache, for what it wants to have fed.
    pub(crate) fn cache(&mut self) -> &mut Cache {
        &mut self.cache
    }

    /// The state that it wants logits for.
    pub(crate) fn state(&self) -> &[f32] {
        &self.state
    }

    /// What it needs next. The same until it is given.
    pub(crate) fn want(&mut self) -> Want {
        let Some(mut ask) = self.ask.take() else { return Want::Over };
        let want = self.wants(&mut ask);
        if want != Want::Over {
            self.ask = Some(ask);
        }
        want
    }

    fn wants(&mut self, ask: &mut Ask) -> Want {
        loop {
            match self.stage {
                Stage::Lay => {
                    ask.take_controls();
                    ask.make_room(&self.model);
                    self.aim = ask.tokens();
                    let ahead = self.ahead();
                    if !ahead.is_empty() {
                        return Want::Tokens(ahead);
                    }
                    self.soon = ask.soon(&self.model).unwrap_or_default();
                    if self.only_prompt {
                        return Want::Over;
                    }
                    match ask.open().map(Stage::Close).or_else(|| self.next_triplet(ask)) {
                        Some(stage) => self.stage = stage,
                        None => return Want::Over,
                    }
                }
                Stage::Close(open) => return Want::Logits(vec![ask.lengths(open)]),
                Stage::Onset { first, .. } => return Want::Logits(vec![self.onsets(ask, first)]),
                Stage::Duration { onset, .. } => match self.missing(ask, ask.time(onset), 0) {
                    Some(tokens) => return Want::Tokens(tokens),
                    None => return Want::Logits(vec![v::DUR..v::DUR + v::MAX_DUR]),
                },
                Stage::Note { onset, duration, .. } => match self.missing(ask, duration, 1) {
                    Some(tokens) => return Want::Tokens(tokens),
                    None => return Want::Logits(self.voices(ask, onset)),
                },
                Stage::Stand(triplet) => {
                    if let Some(tokens) = self.missing(ask, triplet.note, 2) {
                        return Want::Tokens(tokens);
                    }
                    self.stage = Stage::Lay;
                    if let Some(want) = Self::stands(ask, triplet) {
                        return want;
                    }
                }
            }
        }
    }

    /// The tokens of the window that the cache lacks, a part of them; what it has over is forgotten.
    fn ahead(&mut self) -> Vec<u32> {
        let tokens = std::mem::take(&mut self.aim);
        let mut here = same(&self.cached, &tokens);
        if let Some((cache, laid)) = &mut self.spare
            && same(laid, &tokens) > here
        {
            // The window has moved on, and its new beginning was laid out before.
            std::mem::swap(cache, &mut self.cache);
            std::mem::swap(laid, &mut self.cached);
            self.state.clear();
            here = same(&self.cached, &tokens);
        }
        if here == tokens.len() && (here != self.cached.len() || self.state.is_empty()) {
            here = here.saturating_sub(1); // the state belongs to the last token computed
        }
        self.forget(here);
        let lacks = tokens[here..].iter().take(PART).copied().collect();
        self.aim = tokens;
        lacks
    }

    fn forget(&mut self, from: usize) {
        if from < self.cached.len() {
            self.state.clear();
        }
        self.cache.truncate(from);
        self.cached.truncate(from);
    }

    /// A token of the triplet under way, if the cache ends just before it.
    fn missing(&self, ask: &Ask, token: u32, slot: usize) -> Option<Vec<u32>> {
        (self.cached.len() == 1 + 3 * ask.window.len() + slot).then(|| vec![token])
    }

    /// What was fed, and the state after it.
    pub(crate) fn fed(&mut self, ids: &[u32], state: Vec<f32>) -> Result<(), Error> {
        if state.is_empty() {
            return Err(Error::Prompt(format!("{} tokens do not fit the model", ids.len())));
        }
        self.state = state;
        self.cached.extend(ids);
        Ok(())
    }

    /// Takes the logits that it wanted, and draws.
    pub(crate) fn choose(&mut self, logits: Vec<f32>) -> Result<(), Error> {
        let Some(mut ask) = self.ask.take() else { return Ok(()) };
        let next = self.chosen(&mut ask, logits)?;
        if let Some(stage) = next {
            self.stage = stage;
            self.ask = Some(ask);
        }
        Ok(())
    }

    /// The stage after a draw; `None` when the answer is complete.
    fn chosen(&mut self, ask: &mut Ask, logits: Vec<f32>) -> Result<Option<Stage>, Error> {
        Ok(match self.stage {
            Stage::Close(open) => {
                let rows = ask.lengths(open);
                let best = (0..).zip(&logits).max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
                ask.close(open, i32::try_from(rows.start + best - v::DUR).unwrap_or(0));
                Some(Stage::Lay)
            }
            Stage::Onset { first, thrown } => {
                let rows = self.onsets(ask, first);
                let rest = if self.may_rest(ask) { ask.now + v::REST_EVERY } else { i32::MIN };
                let ticks = rows.clone().map(|row| ask.onset(row));
                let bias = ask.prompt.constraints.onset_bias(ticks, ask.now, self.beat(), rest);
                let onset = Self::pick(ask, &[rows], logits, &bias).map(|time| ask.onset(time))?;
                self.mark.clone_from(&self.state);
                match ask.prompt.onsets.is_some() && onset > ask.now {
                    true => ask.next_listed().and_then(|onset| Self::begins(ask, onset, thrown)),
                    false => Self::begins(ask, onset, thrown),
                }
            }
            Stage::Duration { onset, thrown } => {
                let duration = Self::pick(ask, &[v::DUR..v::DUR + v::MAX_DUR], logits, &[])?;
                Some(Stage::Note { onset, duration, thrown })
            }
            Stage::Note { onset, duration, thrown } => {
                let rows = self.voices(ask, onset);
                let note = Self::pick(ask, &rows, logits, &self.key_bias(ask, &rows, onset))?;
                let duration = i32::try_from(duration - v::DUR).unwrap_or(0);
                let triplet = Triplet { onset, duration, note, control: false };
                if thrown > MOST_THROWN || ask.last_row(onset).is_none_or(|last| note > last) {
                    Some(Stage::Stand(triplet))
                } else {
                    self.throw(ask, onset, thrown + 1)
                }
            }
            stage => Some(stage),
        })
    }

    /// The next triplet of an answer: from a draw, or at an onset that is known.
    fn next_triplet(&mut self, ask: &Ask) -> Option<Stage> {
        if let Some(list) = &ask.prompt.onsets
            && (!list.contains(&ask.now) || ask.given == 0 || ask.is_full())
        {
            self.mark.clone_from(&self.state);
            return Self::begins(ask, ask.next_listed()?, 0);
        }
        let mut first = ask.now.max(ask.prompt.start);
        if first == ask.now && ask.is_full() {
            first += 1;
        }
        Some(Stage::Onset { first, thrown: 0 })
    }

    /// A triplet at `onset`; a REST, where a listed one is far; `None` past the end.
    fn begins(ask: &Ask, onset: i32, thrown: u8) -> Option<Stage> {
        let rest = ask.now + v::REST_EVERY;
        if onset >= ask.prompt.end {
            None
        } else if ask.prompt.onsets.is_some() && onset > rest {
            Some(Stage::Stand(Triplet { onset: rest, duration: 0, note: v::REST, control: false }))
        } else {
            Some(Stage::Duration { onset, thrown })
        }
    }

    /// The note drawn cannot stand on an onset that has notes already: the triplet is thrown away and drawn anew, onset and
    /// all. After [`MOST_THROWN`] time goes on. A model whose training did not know the order of a chord believes too often
    /// that there is more of it; the best of what lies above would push its answers upward.
    fn throw(&mut self, ask: &Ask, onset: i32, thrown: u8) -> Option<Stage> {
        self.forget(1 + 3 * ask.window.len());
        self.state.clone_from(&self.mark);
        let on = i32::from(thrown > MOST_THROWN);
        match ask.prompt.onsets {
            Some(_) => ask.next_listed().and_then(|onset| Self::begins(ask, onset, MOST_THROWN + 1)),
            None => Some(Stage::Onset { first: onset + on, thrown }),
        }
    }

    /// Puts a triplet into the window; what there is to say of it.
    fn stands(ask: &mut Ask, triplet: Triplet) -> Option<Want> {
        ask.window.push(triplet);
        if triplet.note != v::REST {
            ask.rests = 0;
            return ask.played(triplet).map(Want::Note);
        }
        ask.rests += 1;
        ask.advance(triplet.onset);
        (ask.rests > MOST_RESTS).then_some(Want::Over)
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

    /// Whether time may pass without a note. Who is asked answers: the first note comes within two beats, and after a bar of
    /// silence another.
    fn may_rest(&self, ask: &Ask) -> bool {
        let beats = matches!(self.model.frame(), TimeFrame::Beats { .. });
        ask.prompt.onsets.is_none() && (!beats || ask.given > 0 && ask.rests < MOST_SILENCE)
    }

    /// Rows of the notes of the instruments asked for. Or a REST, if time went on.
    fn voices(&self, ask: &Ask, onset: i32) -> Vec<Range<u32>> {
        let rows = ask.legal().iter().map(|&one| row(one, Key(0))..row(one, Key(127)) + 1);
        let mut rows: Vec<_> = rows.collect();
        let stands = match self.model.frame() {
            TimeFrame::Beats { .. } => onset == ask.now + v::REST_EVERY,
            TimeFrame::Seconds => onset != ask.now || ask.here.is_empty(),
        };
        let rests = stands && self.may_rest(ask);
        if rests && !ask.prompt.constraints.allows_onset(onset, self.beat()) {
            rows.clear();
        }
        if rests {
            rows.push(v::REST..v::REST + 1);
        }
        rows
    }

    /// What the player's limits, and what stands on the onset already, add to the logits of these rows.
    fn key_bias(&self, ask: &Ask, rows: &[Range<u32>], onset: i32) -> Vec<f32> {
        let (below, near) = (ask.last_row(onset).filter(|_| self.model.ascends()), ask.near(onset));
        let free = |row: u32, leaps: bool| {
            let (instrument, key) = voice(row);
            let near = leaps || near.allows(instrument, key);
            let above = below.is_none_or(|last| row > last);
            row == v::REST || above && ask.prompt.constraints.allows(instrument, key) && near
        };
        let all = || rows.iter().cloned().flatten();
        let stuck = ask.prompt.leap.is_some() && !all().any(|row| free(row, false));
        let turns = ask.turns(self.beat());
        let turn = |row: u32| {
            let own = turns.iter().find(|(instrument, _)| row != v::REST && voice(row).0 == *instrument);
            own.map_or(0.0, |(_, gain)| *gain)
        };
        all().map(|row| if free(row, stuck) { turn(row) } else { f32::NEG_INFINITY }).collect()
    }

    /// Draws one of `rows`, which ascend, after `bias` is added to the logits of the first of them.
    fn pick(ask: &mut Ask, rows: &[Range<u32>], mut logits: Vec<f32>, bias: &[f32]) -> Result<u32, Error> {
        logits.iter_mut().zip(bias).for_each(|(logit, bias)| *logit += bias);
        let u = draw(ask.prompt.sampling.seed, ask.prompt.answer, ask.drawn);
        ask.drawn += 1;
        let index = choose(&logits, &ask.prompt.sampling, u).ok_or(Error::NotFinite)?;
        rows.iter().cloned().flatten().nth(index).ok_or(Error::NotFinite)
    }
}

/// How many tokens two lists begin with alike.
fn same(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
