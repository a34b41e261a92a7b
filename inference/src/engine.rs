//! One engine for each model and process: a thread that steps all open answers together, a token each.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use continuo_timeline::Event;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};

use crate::desk::Desk;
use crate::{Model, Prompt, priority};

/// What an engine has done since it was made.
#[derive(Debug, Default)]
pub struct Work {
    /// Steps of single tokens.
    pub steps: AtomicU64,
    /// Tokens of those steps: how many answers were stepped together, summed.
    pub tokens: AtomicU64,
    /// Microseconds that were computed.
    pub busy: AtomicU64,
}

/// Steps the answers of all sessions of one model. Dropping the last handle joins the thread.
pub struct Engine {
    asks: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    model: Arc<Model>,
    pace: Arc<AtomicU32>,
    work: Arc<Work>,
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

/// What an engine is asked.
pub(crate) enum Job {
    /// An answer.
    Answer { prompt: Prompt, by: Option<Instant>, out: Sender<Step>, alive: Weak<()> },
    /// Only computes the prompt, if nothing else is to do.
    Prepare(Prompt),
}

static ENGINES: Mutex<Vec<Weak<Engine>>> = Mutex::new(Vec::new());

impl Engine {
    /// The engine of `model` in this process; made if there is none, or if its thread has ended.
    pub fn shared(model: Arc<Model>) -> Arc<Self> {
        let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
        engines.retain(|engine| engine.upgrade().is_some_and(|engine| engine.lives()));
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
        let work = Arc::new(Work::default());
        let desk =
            Desk::new(Arc::clone(&model), (Arc::clone(&pace), Arc::clone(&work)), Arc::clone(&closing));
        let thread = std::thread::Builder::new()
            .name("continuo-engine".into())
            .spawn(move || {
                priority::lower();
                desk.run(&jobs);
            })
            .ok();
        Self { asks: Some(asks), thread, model, pace, work, closing }
    }

    /// Asks for an answer.
    pub fn answer(&self, prompt: Prompt) -> Answer {
        self.answer_by(prompt, None)
    }

    /// Asks for an answer whose first notes are needed at a moment. What is needed earlier is computed first, what has no
    /// such moment last.
    pub fn answer_by(&self, prompt: Prompt, by: Option<Instant>) -> Answer {
        let (out, notes) = unbounded();
        let life = Arc::new(());
        let job = Job::Answer { prompt, by, out, alive: Arc::downgrade(&life) };
        if let Some(asks) = self.asks.as_ref().filter(|_| self.thread.is_some()) {
            // Where nobody takes it, its other end is gone, and the answer has failed.
            let _ = asks.send(job);
        }
        Answer { notes, over: false, _life: life }
    }

    /// Computes a prompt ahead of need, when no answer is open: one that begins alike starts sooner.
    pub fn prepare(&self, prompt: Prompt) {
        if let Some(asks) = &self.asks {
            // An engine that has ended has nothing to prepare for.
            let _ = asks.send(Job::Prepare(prompt));
        }
    }

    /// Whether its thread runs.
    fn lives(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Milliseconds a token took lately; 0 before the first.
    pub fn ms_per_token(&self) -> f32 {
        f32::from_bits(self.pace.load(Ordering::Relaxed))
    }

    /// What it has done.
    pub fn work(&self) -> &Work {
        &self.work
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
