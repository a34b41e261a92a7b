//! The reference's `generate` and its baseline `generate_ar`, step for step, quirks included: a yardstick to
//! compare models and ports with. The live engine is the session, which keeps a cache and guards
//! against what is admitted here.

use crate::error::Error;
use crate::masks;
use crate::model::Model;
use crate::ops::{self, CONTROL, Token};
use crate::vocabulary::{ANTICIPATE, AUTOREGRESS, DELTA};
use serde::{Deserialize, Deserializer};
use std::collections::VecDeque;

/// Tokens of history that a model sees: 339 triplets.
const WINDOW: usize = 1017;
/// Controls that start before this many ticks are dropped. (The reference passes seconds for ticks.)
const FIRST_CONTROL: Token = 5;

/// Logits of the next token after these; length at least the vocabulary's.
pub type Logits<'a> = dyn FnMut(&[u32]) -> Result<Vec<f32>, Error> + 'a;

/// What to generate. In JSON its fields have the reference's names; absent or `null` means the default.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Without anticipation: controls become events (`generate_ar`).
    #[serde(skip)]
    pub baseline: bool,
    /// From here, in seconds.
    #[serde(rename = "start_time")]
    pub start: f64,
    /// To here, in seconds.
    #[serde(rename = "end_time")]
    pub end: f64,
    /// Events: up to `start` they are the prompt, later ones are controls too.
    #[serde(deserialize_with = "list")]
    pub inputs: Vec<Token>,
    /// Controls, as control tokens.
    #[serde(deserialize_with = "list")]
    pub controls: Vec<Token>,
    /// Nucleus mass; 0 is greedy.
    pub top_p: f64,
    /// How far ahead controls are given while generating, in ticks. (The prompt always takes 500.)
    pub delta: Token,
    /// One uniform number in [0, 1) a token; past their end the likeliest token is taken.
    #[serde(deserialize_with = "list")]
    pub uniforms: Vec<f64>,
}

fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Default for Request {
    fn default() -> Self {
        let delta = Token::from(DELTA);
        let (inputs, controls, uniforms) = (Vec::new(), Vec::new(), Vec::new());
        Self { baseline: false, start: 0.0, end: 0.0, inputs, controls, top_p: 1.0, delta, uniforms }
    }
}

/// Seconds that a request may name: a day. Silence is counted out in RESTs, which take memory.
const DAY: f64 = 86_400.0;

impl Request {
    /// Fails on numbers that would cost memory and time without bound, or mean nothing.
    fn check(&self) -> Result<(), Error> {
        let ticks = ops::ticks(DAY);
        let tokens = self.inputs.iter().chain(&self.controls);
        let refuse = |what: String| Err(Error::Prompt(what));
        if let Some(time) = [self.start, self.end].into_iter().find(|time| time.is_nan() || time.abs() > DAY)
        {
            return refuse(format!(
                "{time} s is more than a day; give start_time and end_time within {DAY} s"
            ));
        }
        if let Some(token) = tokens.copied().find(|token| !(0..=ticks + CONTROL).contains(token)) {
            return refuse(format!("token {token} is outside 0 to {}", ticks + CONTROL));
        }
        if self.delta.saturating_abs() > ticks {
            return refuse(format!("delta {} is outside {} to {ticks}", self.delta, -ticks));
        }
        let share = |number: &&f64| !(0.0..=1.0).contains(*number);
        match self.uniforms.iter().chain([&self.top_p]).find(share) {
            Some(number) => refuse(format!("{number} is outside 0 to 1; top_p and uniforms are shares")),
            None => Ok(()),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Prompt, answer and later inputs, sorted, without RESTs.
    pub events: Vec<Token>,
    /// Tokens as the model gave them, onsets counted from the window's start; the last triplet, which lies
    /// at or after the end, included.
    pub sampled: Vec<u32>,
}

/// Answers `request` as the reference does.
pub fn generate(model: &mut Logits, request: &Request) -> Result<Output, Error> {
    request.check()?;
    if request.baseline { without_anticipation(model, request) } else { anticipating(model, request) }
}

fn anticipating(model: &mut Logits, request: &Request) -> Result<Output, Error> {
    let (start, end) = (ops::ticks(request.start), ops::ticks(request.end));
    let (prompt, future) = prompt_and_future(&request.inputs, start)?;
    let controls = ops::clip(&request.controls, FIRST_CONTROL, ops::max_time(&request.controls, None), false);
    let z = if controls.is_empty() && future.is_empty() { AUTOREGRESS } else { ANTICIPATE };
    let ahead: Vec<Token> = controls.into_iter().chain(future.iter().map(|token| token + CONTROL)).collect();
    let (tokens, rest) = ops::anticipate(&prompt, &ops::sort(&ahead), Token::from(DELTA))?;
    let mut waiting: VecDeque<[Token; 3]> = ops::triplets(&rest).collect();
    let mut now = ops::max_time(&prompt, None);
    let mut run = Run::new(model, request, z, tokens);
    loop {
        while let Some(control) = waiting.front().filter(|c| now >= c[0] - CONTROL - request.delta).copied() {
            run.tokens.extend(control);
            waiting.pop_front();
        }
        let triplet = run.triplet(start.max(now))?;
        if triplet[0] >= end {
            break;
        }
        run.tokens.extend(triplet);
        now = forward(now, triplet[0])?;
    }
    let (events, _) = ops::split(&run.tokens);
    Ok(run.finish(ops::sort(&[ops::unpad(&events), future].concat())))
}

fn without_anticipation(model: &mut Logits, request: &Request) -> Result<Output, Error> {
    let (start, end) = (ops::ticks(request.start), ops::ticks(request.end));
    let inputs = ops::combine(&request.inputs, &request.controls);
    let (prompt, future) = prompt_and_future(&inputs, start)?;
    let mut waiting: VecDeque<[Token; 3]> = ops::triplets(&future).collect();
    let mut now = ops::max_time(&prompt, None);
    let mut run = Run::new(model, request, AUTOREGRESS, prompt);
    loop {
        let triplet = run.triplet(start.max(now))?;
        if triplet[0] >= end {
            break;
        }
        now = forward(now, triplet[0])?;
        while let Some(control) = waiting.front().filter(|control| now >= control[0]).copied() {
            run.tokens.extend(control);
            waiting.pop_front();
        }
        run.tokens.extend(triplet);
    }
    run.tokens.extend(waiting.front().into_iter().flatten());
    let events = ops::unpad(&run.tokens);
    Ok(run.finish(ops::sort(&[events, future].concat())))
}

fn prompt_and_future(inputs: &[Token], start: Token) -> Result<(Vec<Token>, Vec<Token>), Error> {
    let prompt = ops::pad(&ops::clip(inputs, 0, start, false), start, 100)?;
    Ok((prompt, ops::clip(inputs, start + 1, ops::max_time(inputs, None), false)))
}

fn forward(now: Token, onset: Token) -> Result<Token, Error> {
    if onset < now {
        return Err(Error::Prompt(format!("an onset at tick {onset} after one at {now}")));
    }
    Ok(onset)
}

/// A sequence that grows.
struct Run<'a, 'm> {
    model: &'a mut Logits<'m>,
    request: &'a Request,
    z: u32,
    /// All triplets, in absolute time.
    tokens: Vec<Token>,
    sampled: Vec<u32>,
}

impl<'a, 'm> Run<'a, 'm> {
    fn new(model: &'a mut Logits<'m>, request: &'a Request, z: u32, tokens: Vec<Token>) -> Self {
        Self { model, request, z, tokens, sampled: Vec::new() }
    }

    fn finish(self, events: Vec<Token>) -> Output {
        Output { events, sampled: self.sampled }
    }

    /// The next triplet, in absolute time; `now` closes earlier onsets.
    fn triplet(&mut self, now: Token) -> Result<[Token; 3], Error> {
        let window = &self.tokens[self.tokens.len().saturating_sub(WINDOW)..];
        let offset = ops::min_time(window, None);
        let mut ids = vec![self.z];
        for triplet in ops::triplets(window) {
            for token in [triplet[0] - offset, triplet[1], triplet[2]] {
                let id = u32::try_from(token).map_err(|_| outside(token))?;
                ids.push(id);
            }
        }
        let mut triplet = [0; 3];
        for (slot, token) in triplet.iter_mut().enumerate() {
            let id = self.token(slot, now - offset, &ids)?;
            *token = Token::from(id);
            ids.push(id);
            self.sampled.push(id);
        }
        triplet[0] += offset;
        Ok(triplet)
    }

    fn token(&mut self, slot: usize, since: Token, ids: &[u32]) -> Result<u32, Error> {
        let mut logits = (self.model)(ids)?;
        masks::apply(&mut logits, &masks::legal(slot, since, &self.tokens));
        masks::nucleus(&mut logits, self.request.top_p);
        let uniform = self.request.uniforms.get(self.sampled.len()).copied();
        let row = uniform.map_or_else(|| likeliest(&logits), |u| pick(&logits, u)).ok_or(Error::NotFinite)?;
        u32::try_from(row).map_err(|_| Error::NotFinite)
    }
}

fn outside(token: Token) -> Error {
    Error::Prompt(format!("token {token} is none of the model's; keep the prompt within 100 s"))
}

fn likeliest(logits: &[f32]) -> Option<usize> {
    let rows = logits.iter().enumerate().filter(|(_, logit)| logit.is_finite());
    rows.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map(|(row, _)| row)
}

/// The first row whose cumulated share exceeds `u` of the whole.
fn pick(logits: &[f32], u: f64) -> Option<usize> {
    let shares = masks::softmax(logits);
    let total: f64 = shares.iter().copied().map(f64::from).sum();
    let mut sum = 0.0;
    shares.iter().position(|share| {
        sum += f64::from(*share);
        sum > u * total
    })
}

/// The logits of `model` for [`generate`]: tokens that a call shares with the one before are not computed
/// again, which changes no bit of them.
pub fn logits_of(model: &Model) -> impl FnMut(&[u32]) -> Result<Vec<f32>, Error> + '_ {
    let (mut cache, mut cached) = (model.cache(), Vec::<u32>::new());
    move |ids| {
        // The last one is always computed: its state is what is wanted.
        let most = ids.len().saturating_sub(1);
        let same = cached.iter().zip(&ids[..most]).take_while(|(a, b)| a == b).count();
        cache.truncate(same);
        cached.truncate(same);
        let state = model.feed(&mut cache, &ids[same..]);
        if state.is_empty() {
            return Err(Error::Prompt(format!(
                "{} tokens, the highest {}, where the model takes 1 to {} below {}",
                ids.len(),
                ids.iter().max().unwrap_or(&0),
                model.positions(),
                model.rows()
            )));
        }
        cached.extend(&ids[same..]);
        Ok(model.logits(&state, 0..u32::try_from(model.rows()).unwrap_or(u32::MAX)))
    }
}
