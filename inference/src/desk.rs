//! What the engine's thread does: all open answers together, a token each, so that weights are read once for
//! all of them; prompts in parts between.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use crate::engine::{Job, Step, Work};
use crate::model::Feed;
use crate::session::Want;
use crate::{Error, Model, Prompt, Session};

/// Sessions of answers that are over, kept for the prompts that they have computed.
const MOST_IDLE: usize = 4;

/// Answers under way, and sessions that wait for others.
pub struct Desk {
    model: Arc<Model>,
    /// Milliseconds a token took lately, as bits.
    pace: Arc<AtomicU32>,
    work: Arc<Work>,
    closing: Arc<AtomicBool>,
    open: Vec<Open>,
    idle: Vec<Session>,
}

/// An answer that is being made, or a prompt that is computed ahead of need.
struct Open {
    session: Session,
    /// Who gets the notes; nobody, if only the prompt is wanted.
    out: Option<Sender<Step>>,
    alive: Weak<()>,
    /// When its last note was made; none before the first.
    before: Option<Instant>,
    /// It is over, and its session may be used again.
    over: bool,
}

impl Desk {
    /// Without work.
    pub fn new(
        model: Arc<Model>,
        (pace, work): (Arc<AtomicU32>, Arc<Work>),
        closing: Arc<AtomicBool>,
    ) -> Self {
        Self { model, pace, work, closing, open: Vec::new(), idle: Vec::new() }
    }

    /// Until nobody can ask any more.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            if self.open.is_empty() {
                match jobs.recv() {
                    Ok(job) => self.begin(job),
                    Err(_) => return,
                }
            }
            loop {
                match jobs.try_recv() {
                    Ok(job) => self.begin(job),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.turn();
        }
    }

    /// Finds a session for the job: the one that has most of its prompt.
    fn begin(&mut self, job: Job) {
        let (prompt, out, alive) = match job {
            Job::Answer { prompt, out, alive } => (prompt, Some(out), alive),
            // What is computed ahead gives way to what is asked for, and to what is newer.
            Job::Prepare(_) if self.open.iter().any(|open| open.out.is_some()) => return,
            Job::Prepare(prompt) => (prompt, None, Weak::new()),
        };
        self.set_aside(|open| open.out.is_none());
        if out.is_some() && alive.strong_count() == 0 {
            return;
        }
        let mut session = self.session_for(&prompt);
        let begun = if out.is_some() { session.begin(prompt) } else { session.prepare(prompt) };
        match (begun, out) {
            (Ok(()), out) => self.open.push(Open { session, out, alive, before: None, over: false }),
            (Err(error), out) => {
                // What is wrong with a prompt that is only prepared is told when an answer to it is asked for.
                let _ = out.map(|out| out.send(Step::Failed(error.to_string())));
                self.idle.push(session);
            }
        }
    }

    /// An idle session, the one that has most of the prompt, or a new one.
    fn session_for(&mut self, prompt: &Prompt) -> Session {
        let shared = self.idle.iter().map(|session| session.shares(prompt)).enumerate();
        match shared.max_by_key(|(_, tokens)| *tokens) {
            Some((index, tokens)) if tokens > 1 || self.idle.len() >= MOST_IDLE => self.idle.remove(index),
            _ => Session::new(Arc::clone(&self.model)),
        }
    }

    /// One token for each open answer, or a part of one's prompt.
    fn turn(&mut self) {
        let began = Instant::now();
        let step = catch_unwind(AssertUnwindSafe(|| self.step()));
        if step.is_err() {
            // Which of the sessions is sound cannot be known.
            for open in self.open.drain(..) {
                open.say(Step::Failed(DEFECT.into()));
            }
        }
        let busy = u64::try_from(began.elapsed().as_micros()).unwrap_or(0);
        self.work.busy.fetch_add(busy, Ordering::Relaxed);
        self.set_aside(|open| open.over);
    }

    fn set_aside(&mut self, which: impl Fn(&Open) -> bool) {
        let (away, open) = std::mem::take(&mut self.open).into_iter().partition(which);
        self.open = open;
        self.idle.extend(Vec::into_iter(away).map(|open: Open| open.session));
        let surplus = self.idle.len().saturating_sub(MOST_IDLE);
        self.idle.drain(..surplus);
    }

    fn step(&mut self) {
        let mut wants: Vec<Want> = self.open.iter_mut().map(|open| open.want(&self.pace)).collect();
        self.draw(&mut wants);
        self.feed(&wants);
    }

    /// Logits for those that want them; what they want then.
    fn draw(&mut self, wants: &mut [Want]) {
        for group in groups(wants) {
            let span = span(wants, &group);
            let states: Vec<&[f32]> = group.iter().map(|&at| self.open[at].session.state()).collect();
            let logits = match &span {
                Some(span) => self.model.logits_all(&states, span.clone()),
                None => vec![self.all(states[0], &wants[group[0]])],
            };
            for (at, logits) in group.into_iter().zip(logits) {
                let own = match (&span, &wants[at]) {
                    (Some(span), Want::Logits(rows)) => {
                        logits[(rows[0].start - span.start) as usize..].to_vec()
                    }
                    _ => logits,
                };
                let chosen = self.open[at].session.choose(own);
                self.open[at].check(chosen);
                wants[at] = self.open[at].want(&self.pace);
            }
        }
    }

    /// Logits of several stretches of rows.
    fn all(&self, state: &[f32], want: &Want) -> Vec<f32> {
        let Want::Logits(rows) = want else { return Vec::new() };
        rows.iter().flat_map(|rows| self.model.logits(state, rows.clone())).collect()
    }

    /// Single tokens together, and a part of the first prompt.
    fn feed(&mut self, wants: &[Want]) {
        let tokens = |at: &usize| if let Want::Tokens(ids) = &wants[*at] { ids.len() } else { 0 };
        let all = || 0..wants.len();
        let singles: Vec<usize> = all().filter(|at| tokens(at) == 1).collect();
        for chosen in singles.chunks(self.model.most_together()) {
            self.work.steps.fetch_add(1, Ordering::Relaxed);
            self.work.tokens.fetch_add(chosen.len() as u64, Ordering::Relaxed);
            self.feed_some(chosen, wants);
        }
        all().find(|at| tokens(at) > 1).into_iter().for_each(|at| self.feed_some(&[at], wants));
    }

    fn feed_some(&mut self, chosen: &[usize], wants: &[Want]) {
        let (closing, alive) = (
            &self.closing,
            chosen.first().map(|&at| (self.open[at].alive.clone(), self.open[at].out.is_some())),
        );
        let wanted = || {
            let alive = alive.as_ref().is_none_or(|(alive, asked)| !asked || alive.strong_count() > 0);
            !closing.load(Ordering::Relaxed) && (alive || chosen.len() > 1)
        };
        let mut feeds = Vec::new();
        for (at, open) in self.open.iter_mut().enumerate() {
            if let (true, Want::Tokens(ids)) = (chosen.contains(&at), &wants[at]) {
                feeds.push(Feed { cache: open.session.cache(), ids });
            }
        }
        let Some(states) = self.model.feed_all(&mut feeds, &wanted) else { return };
        for (&at, state) in chosen.iter().zip(states) {
            if let Want::Tokens(ids) = &wants[at] {
                let fed = self.open[at].session.fed(ids, state);
                self.open[at].check(fed);
            }
        }
    }
}

/// Which answers want logits of rows that can be had together: of one stretch with the same end.
fn groups(wants: &[Want]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(u32, Vec<usize>)> = Vec::new();
    for (at, want) in wants.iter().enumerate() {
        let Want::Logits(rows) = want else { continue };
        let end = if let [rows] = rows.as_slice() { rows.end } else { 0 };
        match groups.iter_mut().find(|(other, _)| end > 0 && *other == end) {
            Some((_, group)) => group.push(at),
            None => groups.push((end, vec![at])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The stretch that holds what a group wants; `None` if it is one answer that wants several.
fn span(wants: &[Want], group: &[usize]) -> Option<Range<u32>> {
    let rows = group.iter().map(|&at| match &wants[at] {
        Want::Logits(rows) if rows.len() == 1 => Some(rows[0].clone()),
        _ => None,
    });
    let rows: Vec<Range<u32>> = rows.collect::<Option<_>>()?;
    Some(rows.iter().map(|rows| rows.start).min()?..rows.first()?.end)
}

impl Open {
    /// What it wants; a note is sent, and then it wants something else.
    fn want(&mut self, pace: &AtomicU32) -> Want {
        while !self.over {
            if self.out.is_some() && self.alive.strong_count() == 0 {
                break;
            }
            match self.session.want() {
                Want::Note(event) => self.note(event, pace),
                Want::Over => {
                    self.say(Step::Done);
                    break;
                }
                want => return want,
            }
        }
        self.over = true;
        Want::Over
    }

    fn note(&mut self, event: crate::Event, pace: &AtomicU32) {
        let now = Instant::now();
        // The first has its prompt in it.
        if let Some(before) = self.before.replace(now) {
            pace.store(((now - before).as_secs_f32() * 1000.0 / 3.0).to_bits(), Ordering::Relaxed);
        }
        self.say(Step::Note(event));
    }

    fn check(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.say(Step::Failed(error.to_string()));
            self.over = true;
        }
    }

    fn say(&self, step: Step) {
        // Who does not listen any more has dropped the answer, which is seen at the next turn.
        let _ = self.out.as_ref().map(|out| out.send(step));
    }
}

const DEFECT: &str = "the engine met a defect of its own; ask again, and report it";
