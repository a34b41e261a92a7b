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

/// Tokens of a prompt that are computed at a time while others wait for their next one.
const PART_BESIDE_OTHERS: usize = 48;

/// So many tokens more than it has itself are worth borrowing from another session.
const WORTH_BORROWING: usize = 24;

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
    /// When its first notes are needed.
    by: Option<Instant>,
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
                    Ok(job) => self.take(job),
                    Err(_) => return,
                }
            }
            loop {
                match jobs.try_recv() {
                    Ok(job) => self.take(job),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.turn();
        }
    }

    /// Begins a job. A defect there ends what is open, and not the engine.
    fn take(&mut self, job: Job) {
        let out = match &job {
            Job::Answer { out, .. } => Some(out.clone()),
            Job::Prepare(_) => None,
        };
        if !self.guarded(|desk| desk.begin(job))
            && let Some(out) = out
        {
            // Nobody may listen any more.
            let _ = out.send(Step::Failed(DEFECT.into()));
        }
    }

    /// Does something. After a defect all that is open has failed: which of the sessions is sound cannot be known.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) -> bool {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_ok() {
            return true;
        }
        self.idle.clear();
        for open in self.open.drain(..) {
            open.say(Step::Failed(DEFECT.into()));
        }
        false
    }

    /// Finds a session for the job: the one that has most of its prompt.
    fn begin(&mut self, job: Job) {
        let (prompt, by, out, alive) = match job {
            Job::Answer { prompt, by, out, alive } => (prompt, by, Some(out), alive),
            // What is computed ahead gives way to what is asked for, and to what is newer.
            Job::Prepare(_) if self.open.iter().any(|open| open.out.is_some()) => return,
            Job::Prepare(prompt) => (prompt, None, None, Weak::new()),
        };
        self.set_aside(|open| open.out.is_none());
        if out.is_some() && alive.strong_count() == 0 {
            return;
        }
        let mut session = self.session_for(&prompt);
        let begun = if out.is_some() { session.begin(prompt) } else { session.prepare(prompt) };
        match (begun, out) {
            (Ok(()), out) => self.put(Open { session, out, alive, by, before: None, over: false }),
            (Err(error), out) => {
                // What is wrong with a prompt that is only prepared is told when an answer to it is asked for.
                let _ = out.map(|out| out.send(Step::Failed(error.to_string())));
                self.idle.push(session);
            }
        }
    }

    /// Among the open ones, which stand in the order in which they are needed.
    fn put(&mut self, new: Open) {
        let later =
            |open: &Open| open.out.is_none() || open.by.is_none_or(|by| new.by.is_some_and(|new| new < by));
        let at = if new.by.is_none() { None } else { self.open.iter().position(later) };
        self.open.insert(at.unwrap_or(self.open.len()), new);
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
        self.guarded(Self::step);
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

    /// Single tokens together, with what will be wanted soon beside them, and a part of the most urgent prompt.
    fn feed(&mut self, wants: &[Want]) {
        let tokens = |at: &usize| if let Want::Tokens(ids) = &wants[*at] { ids.len() } else { 0 };
        let all = || 0..wants.len();
        let singles: Vec<usize> = all().filter(|at| tokens(at) == 1).collect();
        for chosen in singles.chunks(self.model.most_together()) {
            self.work.steps.fetch_add(1, Ordering::Relaxed);
            self.work.tokens.fetch_add(chosen.len() as u64, Ordering::Relaxed);
            self.step_some(chosen, wants);
        }
        let Some(at) = all().find(|at| tokens(at) > 1) else { return };
        if let (false, Want::Tokens(ids)) = (self.borrows(at), &wants[at]) {
            // Others wait for their next token meanwhile.
            let part = if singles.is_empty() { ids.len() } else { ids.len().min(PART_BESIDE_OTHERS) };
            self.lay(at, &ids[..part]);
        }
    }

    /// Whether a session was lent the beginning of its prompt by another that has more of it: then it wants something else.
    fn borrows(&mut self, at: usize) -> bool {
        let (aim, own) = self.open[at].session.aim();
        let aim = aim.to_vec();
        let others = self.open.iter_mut().enumerate().filter(|(other, _)| *other != at);
        let others = others.map(|(_, open)| &mut open.session).chain(&mut self.idle);
        let lender =
            others.map(|session| (session.shares_with(&aim), session)).max_by_key(|(shares, _)| *shares);
        let Some((shares, lender)) = lender.filter(|(shares, _)| *shares >= own + WORTH_BORROWING) else {
            return false;
        };
        let lent = lender.lend(shares.min(aim.len() - 1));
        self.open[at].session.borrow(lent);
        true
    }

    /// One token for each of a few, and what some of them will want soon, as far as the same step has room for it.
    fn step_some(&mut self, chosen: &[usize], wants: &[Want]) {
        let mut room = self.model.most_together().saturating_sub(chosen.len());
        let mut soon: Vec<Vec<u32>> = Vec::new();
        for at in chosen {
            let ids = self.open[*at].session.soon(room);
            room -= ids.len();
            soon.push(ids);
        }
        let (mut feeds, mut ahead) = (Vec::new(), soon.iter());
        for (at, open) in self.open.iter_mut().enumerate() {
            let (true, Want::Tokens(ids)) = (chosen.contains(&at), &wants[at]) else { continue };
            match ahead.next().filter(|soon| !soon.is_empty()) {
                None => feeds.push(Feed { cache: open.session.cache(), ids }),
                Some(soon) => {
                    let (cache, spare) = open.session.caches();
                    feeds.extend([Feed { cache, ids }, Feed { cache: spare, ids: soon }]);
                }
            }
        }
        let mut states = self.model.feed_all(&mut feeds, &|| true).unwrap_or_default().into_iter();
        for (at, soon) in chosen.iter().zip(&soon) {
            let state = states.next().unwrap_or_default();
            if !soon.is_empty() && states.next().is_some_and(|state| !state.is_empty()) {
                self.open[*at].session.fed_ahead(soon);
            }
            self.fed(*at, &wants[*at], state);
        }
    }

    fn fed(&mut self, at: usize, want: &Want, state: Vec<f32>) {
        if let Want::Tokens(ids) = want {
            let fed = self.open[at].session.fed(ids, state);
            self.open[at].check(fed);
        }
    }

    /// A part of a prompt.
    fn lay(&mut self, at: usize, ids: &[u32]) {
        let (closing, open) = (&self.closing, &mut self.open[at]);
        let (alive, asked) = (open.alive.clone(), open.out.is_some());
        let wanted = || !closing.load(Ordering::Relaxed) && (!asked || alive.strong_count() > 0);
        let mut feed = [Feed { cache: open.session.cache(), ids }];
        if let Some(state) = self.model.feed_all(&mut feed, &wanted).and_then(|mut states| states.pop()) {
            let fed = open.session.fed(ids, state);
            open.check(fed);
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

#[cfg(test)]
mod tests {
    use continuo_timeline::{Event, Instrument, Key};
    use crossbeam_channel::unbounded;

    use super::*;
    use crate::Precision;

    fn desk() -> Desk {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/default.safetensors");
        let model = Model::load_as(path.as_ref(), Precision::Quick).unwrap();
        Desk::new(model, Default::default(), Arc::default())
    }

    /// Eighths for so many of them, then an answer.
    fn prompt(notes: i32, bars: i32, answer: u64) -> Prompt {
        let note = |i: i32| {
            let key = Key(60 + (i * 5 % 12) as u8);
            Event { onset: 24 * i, duration: 20, instrument: Instrument(0), key }
        };
        let start = (24 * notes + 191) / 192 * 192;
        let history = (0..notes).map(note).collect();
        Prompt { history, start, end: start + 192 * bars, answer, ..Prompt::default() }
    }

    fn alone(model: &Arc<Model>, prompt: Prompt) -> Vec<Event> {
        let mut session = Session::new(Arc::clone(model));
        session.begin(prompt).unwrap();
        std::iter::from_fn(|| session.next_note().unwrap()).collect()
    }

    fn ask(desk: &mut Desk, prompt: Prompt, by: Option<Instant>) -> (Receiver<Step>, Arc<()>) {
        let ((out, notes), life) = (unbounded(), Arc::new(()));
        desk.begin(Job::Answer { prompt, by, out, alive: Arc::downgrade(&life) });
        (notes, life)
    }

    fn notes(steps: &Receiver<Step>) -> Vec<Event> {
        steps
            .try_iter()
            .filter_map(|step| if let Step::Note(event) = step { Some(event) } else { None })
            .collect()
    }

    #[test]
    fn variations_share_the_computing_of_their_prompt() {
        let mut desk = desk();
        let expected: Vec<_> = (0..4).map(|answer| alone(&desk.model, prompt(120, 2, answer))).collect();
        let before = desk.model.computed();
        let asked: Vec<_> = (0..4).map(|answer| ask(&mut desk, prompt(120, 2, answer), None)).collect();
        // As far as the first note of all.
        while asked.iter().any(|(steps, _)| steps.is_empty()) {
            desk.turn();
        }
        let computed = desk.model.computed() - before;
        assert!((361..600).contains(&computed), "{computed} tokens for four prompts of 361");
        while !desk.open.is_empty() {
            desk.turn();
        }
        for ((steps, _), expected) in asked.iter().zip(expected) {
            assert_eq!(notes(steps), expected);
        }
    }

    #[test]
    fn a_defect_ends_what_is_open_and_not_the_desk() {
        let mut desk = desk();
        let (steps, _life) = ask(&mut desk, prompt(8, 1, 0), None);
        assert!(!desk.guarded(|_| panic!("a defect")));
        assert!(matches!(steps.try_iter().last(), Some(Step::Failed(_))) && desk.open.is_empty());
        let (steps, _life) = ask(&mut desk, prompt(8, 1, 0), None);
        while !desk.open.is_empty() {
            desk.turn();
        }
        assert_eq!(notes(&steps), alone(&desk.model, prompt(8, 1, 0)));
    }

    #[test]
    fn a_window_that_moves_on_was_laid_out_before() {
        let mut desk = desk();
        let long = prompt(100, 40, 0);
        let expected = alone(&desk.model, long.clone());
        let (steps, _life) = ask(&mut desk, long, None);
        while steps.is_empty() {
            desk.turn();
        }
        let mut most = 0;
        while !desk.open.is_empty() {
            let before = desk.model.computed();
            desk.turn();
            most = most.max(desk.model.computed() - before);
        }
        let made = notes(&steps);
        assert!(made.len() > 100 && made == expected, "{} notes, {} alone", made.len(), expected.len());
        assert!(most <= 8, "{most} tokens in one turn");
    }

    #[test]
    fn what_is_needed_first_is_begun_first() {
        let mut desk = desk();
        let now = Instant::now();
        let at = |seconds| Some(now + std::time::Duration::from_secs(seconds));
        let asked: Vec<_> = [None, at(9), at(3), at(6)]
            .map(|by| ask(&mut desk, prompt(40, 1, by.map_or(0, |_| 7)), by))
            .into();
        let order: Vec<_> = desk.open.iter().map(|open| open.by).collect();
        assert_eq!(order, [at(3), at(6), at(9), None]);
        while asked[2].0.is_empty() {
            desk.turn();
        }
        assert!(asked[0].0.is_empty());
    }
}
