//! One engine for each model and process: a thread that steps all open answers in turn, a note each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use continuo_timeline::Event;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};

use crate::{Error, Model, Prompt, Session, priority};

/// Steps the answers of all sessions of one model. Dropping the last handle joins the thread.
pub struct Engine {
    asks: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    model: Arc<Model>,
    pace: Arc<AtomicU32>,
    closing: Arc<AtomicBool>,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The next note.
    Note(Event),
    /// Nothing yet.
    Pending,
    /// The answer is complete.
    Done,
    /// It cannot be made; why.
    Failed(String),
}

/// An answer under way. Dropping it cancels it.
pub struct Answer {
    notes: Receiver<Step>,
    over: bool,
    _life: Arc<()>,
}

enum Job {
    Answer {
        prompt: Prompt,
        out: Sender<Step>,
        alive: Weak<()>,
    },
    /// Only computes the prompt, if nothing else is to do.
    Prepare(Prompt),
}

/// An answer that is being made.
struct Open {
    session: Session,
    out: Sender<Step>,
    alive: Weak<()>,
    /// Whether the next step computes the prompt first.
    fresh: bool,
}

/// Sessions of answers that are over, kept for the prompts that they have computed.
const MOST_IDLE: usize = 4;

static ENGINES: Mutex<Vec<Weak<Engine>>> = Mutex::new(Vec::new());

impl Engine {
    /// The engine of `model` in this process; made if there is none.
    pub fn shared(model: Arc<Model>) -> Arc<Self> {
        let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
        engines.retain(|engine| engine.strong_count() > 0);
        let found =
            engines.iter().filter_map(Weak::upgrade).find(|engine| Arc::ptr_eq(&engine.model, &model));
        found.unwrap_or_else(|| {
            let engine = Arc::new(Self::start(model));
            engines.push(Arc::downgrade(&engine));
            engine
        })
    }

    fn start(model: Arc<Model>) -> Self {
        let (asks, jobs) = unbounded();
        let pace = Arc::new(AtomicU32::new(0));
        let closing = Arc::new(AtomicBool::new(false));
        let bench = Bench {
            model: Arc::clone(&model),
            pace: Arc::clone(&pace),
            closing: Arc::clone(&closing),
            open: Vec::new(),
            idle: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("continuo-engine".into())
            .spawn(move || {
                priority::lower();
                bench.run(&jobs);
            })
            .ok();
        Self { asks: Some(asks), thread, model, pace, closing }
    }

    /// Asks for an answer.
    pub fn answer(&self, prompt: Prompt) -> Answer {
        let (out, notes) = unbounded();
        let life = Arc::new(());
        let job = Job::Answer { prompt, out, alive: Arc::downgrade(&life) };
        let sent = self.asks.as_ref().is_some_and(|asks| self.thread.is_some() && asks.send(job).is_ok());
        Answer { notes, over: !sent, _life: life }
    }

    /// Computes a prompt ahead of need, when no answer is open: one that begins alike starts sooner.
    pub fn prepare(&self, prompt: Prompt) {
        if let Some(asks) = &self.asks {
            // An engine that has ended has nothing to prepare for.
            let _ = asks.send(Job::Prepare(prompt));
        }
    }

    /// Milliseconds a token took lately; 0 before the first.
    pub fn ms_per_token(&self) -> f32 {
        f32::from_bits(self.pace.load(Ordering::Relaxed))
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        drop(self.asks.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic in there was told to each answer already.
            let _ = thread.join();
        }
    }
}

impl Answer {
    /// The next step without waiting.
    pub fn poll(&mut self) -> Step {
        if self.over {
            return Step::Done;
        }
        match self.notes.try_recv() {
            Ok(step) => self.seen(step),
            Err(TryRecvError::Empty) => Step::Pending,
            Err(TryRecvError::Disconnected) => self.seen(Step::Failed("the engine stopped".into())),
        }
    }

    /// Waits for the next step.
    pub fn wait(&mut self) -> Step {
        if self.over {
            return Step::Done;
        }
        let step = self.notes.recv().unwrap_or_else(|_| Step::Failed("the engine stopped".into()));
        self.seen(step)
    }

    /// Waits for the next step, but no longer than `most`: then it is [`Step::Pending`].
    pub fn wait_for(&mut self, most: Duration) -> Step {
        if self.over {
            return Step::Done;
        }
        match self.notes.recv_timeout(most) {
            Ok(step) => self.seen(step),
            Err(RecvTimeoutError::Timeout) => Step::Pending,
            Err(RecvTimeoutError::Disconnected) => self.seen(Step::Failed("the engine stopped".into())),
        }
    }

    fn seen(&mut self, step: Step) -> Step {
        self.over = matches!(step, Step::Done | Step::Failed(_));
        step
    }
}

/// What the engine's thread works on.
struct Bench {
    model: Arc<Model>,
    pace: Arc<AtomicU32>,
    closing: Arc<AtomicBool>,
    open: Vec<Open>,
    idle: Vec<Session>,
}

impl Bench {
    /// Until no handle is left.
    fn run(mut self, jobs: &Receiver<Job>) {
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
            self.round();
        }
    }

    /// Finds a session for the job: the one that has most of its prompt.
    fn begin(&mut self, job: Job) {
        let (prompt, out, alive) = match job {
            Job::Answer { prompt, out, alive } => (prompt, out, alive),
            Job::Prepare(prompt) if self.open.is_empty() => return self.prepare(prompt),
            Job::Prepare(_) => return,
        };
        if alive.strong_count() == 0 {
            return;
        }
        let mut session = self.session_for(&prompt);
        let (life, closing) = (alive.clone(), Arc::clone(&self.closing));
        session.work_while(move || life.strong_count() > 0 && !closing.load(Ordering::Relaxed));
        match session.begin(prompt) {
            Ok(()) => self.open.push(Open { session, out, alive, fresh: true }),
            Err(error) => {
                let _ = out.send(Step::Failed(error.to_string()));
                self.idle.push(session);
            }
        }
    }

    fn prepare(&mut self, prompt: Prompt) {
        let mut session = self.session_for(&prompt);
        let closing = Arc::clone(&self.closing);
        session.work_while(move || !closing.load(Ordering::Relaxed));
        // What is wrong with the prompt is told when an answer to it is asked for.
        let done = catch_unwind(AssertUnwindSafe(|| session.begin(prompt).and_then(|()| session.prepare())));
        if done.is_ok() {
            self.idle.push(session);
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

    /// One note for each open answer.
    fn round(&mut self) {
        for mut open in std::mem::take(&mut self.open) {
            match open.step(&self.pace) {
                Next::More => self.open.push(open),
                Next::Over => self.idle.push(open.session),
                Next::Broken => {}
            }
        }
        let surplus = self.idle.len().saturating_sub(MOST_IDLE);
        self.idle.drain(..surplus);
    }
}

/// What a step leaves.
enum Next {
    More,
    Over,
    /// The session met a panic and must not be used again.
    Broken,
}

impl Open {
    /// Makes one note.
    fn step(&mut self, pace: &AtomicU32) -> Next {
        if self.alive.strong_count() == 0 {
            return Next::Over;
        }
        let began = Instant::now();
        let (step, next) = match catch_unwind(AssertUnwindSafe(|| self.session.next_note())) {
            Ok(Ok(Some(event))) => (Step::Note(event), Next::More),
            Ok(Ok(None)) => (Step::Done, Next::Over),
            Ok(Err(Error::Cancelled)) => return Next::Over,
            Ok(Err(error)) => (Step::Failed(error.to_string()), Next::Over),
            Err(_) => (Step::Failed(DEFECT.into()), Next::Broken),
        };
        if matches!(next, Next::More) && !std::mem::take(&mut self.fresh) {
            pace.store((began.elapsed().as_secs_f32() * 1000.0 / 3.0).to_bits(), Ordering::Relaxed);
        }
        if self.out.send(step).is_ok() || matches!(next, Next::Broken) { next } else { Next::Over }
    }
}

const DEFECT: &str = "the engine met a defect of its own; ask again, and report it";
