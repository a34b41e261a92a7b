//! One engine for each model and process: a thread that steps all open answers in turn, a note each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use continuo_timeline::Event;
use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};

use crate::{Model, Prompt, Session};

/// Steps the answers of all sessions of one model. Dropping the last handle joins the thread.
pub struct Engine {
    asks: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    model: Arc<Model>,
    pace: Arc<AtomicU32>,
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

struct Job {
    session: Session,
    prompt: Option<Prompt>,
    out: Sender<Step>,
    alive: Weak<()>,
}

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
        let thread_pace = Arc::clone(&pace);
        let thread = std::thread::Builder::new()
            .name("continuo-engine".into())
            .spawn(move || run(&jobs, &thread_pace))
            .ok();
        Self { asks: Some(asks), thread, model, pace }
    }

    /// Asks for an answer.
    pub fn answer(&self, prompt: Prompt) -> Answer {
        let (out, notes) = unbounded();
        let life = Arc::new(());
        let job = Job {
            session: Session::new(Arc::clone(&self.model)),
            prompt: Some(prompt),
            out,
            alive: Arc::downgrade(&life),
        };
        let sent = self.asks.as_ref().is_some_and(|asks| self.thread.is_some() && asks.send(job).is_ok());
        Answer { notes, over: !sent, _life: life }
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

    fn seen(&mut self, step: Step) -> Step {
        self.over = matches!(step, Step::Done | Step::Failed(_));
        step
    }
}

/// The engine's thread: ends when no handle is left.
fn run(jobs: &Receiver<Job>, pace: &AtomicU32) {
    let mut open: Vec<Job> = Vec::new();
    loop {
        if open.is_empty() {
            match jobs.recv() {
                Ok(job) => open.push(job),
                Err(_) => return,
            }
        }
        loop {
            match jobs.try_recv() {
                Ok(job) => open.push(job),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        open.retain(|job| job.alive.strong_count() > 0);
        open.retain_mut(|job| job.step(pace));
    }
}

impl Job {
    /// Makes one note; `false` when there is nothing more to make.
    fn step(&mut self, pace: &AtomicU32) -> bool {
        let began = Instant::now();
        let made = catch_unwind(AssertUnwindSafe(|| {
            if let Some(prompt) = self.prompt.take() {
                self.session.begin(prompt)?;
            }
            self.session.next_note()
        }));
        let step = match made {
            Ok(Ok(Some(event))) => Step::Note(event),
            Ok(Ok(None)) => Step::Done,
            Ok(Err(error)) => Step::Failed(error.to_string()),
            Err(_) => Step::Failed("the engine met a defect of its own; ask again, and report it".into()),
        };
        if let Step::Note(_) = step {
            pace.store((began.elapsed().as_secs_f32() * 1000.0 / 3.0).to_bits(), Ordering::Relaxed);
        }
        let more = matches!(step, Step::Note(_));
        self.out.send(step).is_ok() && more
    }
}
