//! An engine on another machine: notes come as they are made.
//!
//! A connection that breaks is made again, and the same prompt asked again: with its seed it has the same answer, so
//! the notes that came already are passed over and the answer goes on. Dropping an answer closes its connection,
//! and with that the service stops within a token.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use continuo_timeline::{Event, Instrument, Key};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};
use reqwest::{Method, Response};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::Error;
use crate::client::{Client, Link};
use crate::lines::Lines;
use crate::wire::{NoteLine, Notes, WireNote};

/// The service gives a sign of life each second; without one for so long the connection is taken for broken.
const SILENCE: Duration = Duration::from_secs(5);
/// The first wait before another try, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Tries of an answer that brings nothing new.
const TRIES: u32 = 6;
/// How often it is looked whether the service is there, when it was.
const WATCH: Duration = Duration::from_secs(5);

/// How the service stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum State {
    /// Not known yet.
    #[default]
    Connecting,
    /// It answers.
    Ready {
        /// Milliseconds a token took lately; 0 before the first answer.
        ms_per_token: f32,
    },
    /// It does not, and is tried again.
    Away {
        /// Why, and what helps.
        why: String,
    },
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

/// The engine of a service.
pub struct Remote {
    client: Client,
    state: Arc<Mutex<State>>,
    watch: Option<AbortHandle>,
}

/// An answer under way. Dropping it calls it off.
pub struct Answer {
    steps: Receiver<Step>,
    over: bool,
    task: Option<AbortHandle>,
}

impl Remote {
    /// The engine of a service. It is looked for at once, and again and again, on a thread of its own.
    pub fn new(client: Client) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let watch = client.spawn(watch(client.link(), Arc::clone(&state)));
        Self { client, state, watch }
    }

    /// How the service stands.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for an answer. Returns at once.
    pub fn answer(&self, prompt: Notes) -> Answer {
        let (say, steps) = unbounded();
        let run = Run { link: self.client.link(), state: Arc::clone(&self.state), prompt, say, given: 0 };
        let task = self.client.spawn(run.to_the_end());
        Answer { steps, over: false, task }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.watch.iter().for_each(AbortHandle::abort);
    }
}

impl Answer {
    /// The next step without waiting.
    pub fn poll(&mut self) -> Step {
        if self.over {
            return Step::Done;
        }
        match self.steps.try_recv() {
            Ok(step) => self.seen(step),
            Err(TryRecvError::Empty) => Step::Pending,
            Err(TryRecvError::Disconnected) => self.seen(Step::Failed("the client stopped".into())),
        }
    }

    /// Waits for the next step, but no longer than `most`: then it is [`Step::Pending`].
    pub fn wait_for(&mut self, most: Duration) -> Step {
        if self.over {
            return Step::Done;
        }
        match self.steps.recv_timeout(most) {
            Ok(step) => self.seen(step),
            Err(RecvTimeoutError::Timeout) => Step::Pending,
            Err(RecvTimeoutError::Disconnected) => self.seen(Step::Failed("the client stopped".into())),
        }
    }

    fn seen(&mut self, step: Step) -> Step {
        self.over = matches!(step, Step::Done | Step::Failed(_));
        step
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.task.iter().for_each(AbortHandle::abort);
    }
}

fn set(state: &Mutex<State>, new: State) {
    *state.lock().unwrap_or_else(PoisonError::into_inner) = new;
}

/// Looks again and again whether the service is there.
async fn watch(link: Link, state: Arc<Mutex<State>>) {
    let mut pause = BACK_OFF.0;
    loop {
        let request = link.request(Method::GET, "/models").timeout(SILENCE);
        match link.send(request).await {
            Ok(_) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                if !matches!(*state, State::Ready { .. }) {
                    *state = State::Ready { ms_per_token: 0.0 };
                }
                pause = BACK_OFF.0;
            }
            Err(error) => {
                set(&state, State::Away { why: error.to_string() });
                pause = (pause * 2).min(WATCH);
            }
        }
        sleep(if pause == BACK_OFF.0 { WATCH } else { pause }).await;
    }
}

/// How a try ended.
enum End {
    /// With the last line.
    Over,
    /// Before it.
    Broken(Error),
}

/// One answer, over as many connections as it takes.
struct Run {
    link: Link,
    state: Arc<Mutex<State>>,
    prompt: Notes,
    say: Sender<Step>,
    /// Notes that were given.
    given: usize,
}

impl Run {
    async fn to_the_end(mut self) {
        let (mut tries, mut pause) = (0, BACK_OFF.0);
        loop {
            let before = self.given;
            let error = match self.attempt().await {
                End::Over => return,
                End::Broken(error) => error,
            };
            if self.given > before {
                (tries, pause) = (0, BACK_OFF.0);
            }
            tries += 1;
            if !error.may_pass() || tries >= TRIES {
                // Nobody may listen any more.
                let _ = self.say.send(Step::Failed(error.to_string()));
                return;
            }
            if matches!(error, Error::Away { .. }) {
                set(&self.state, State::Away { why: error.to_string() });
            }
            let told = match error {
                Error::Refused { retry_after: Some(seconds), .. } => Duration::from_secs(seconds.min(10)),
                _ => pause,
            };
            sleep(told).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    async fn attempt(&mut self) -> End {
        let request = self.link.request(Method::POST, "/v1/notes").json(&self.prompt);
        match self.link.send(request).await {
            Ok(response) => self.read(response).await.unwrap_or_else(End::Broken),
            Err(error) => End::Broken(error),
        }
    }

    async fn read(&mut self, mut response: Response) -> Result<End, Error> {
        let (mut lines, mut notes) = (Lines::default(), 0);
        loop {
            let piece = timeout(SILENCE, response.chunk()).await.map_err(|_| self.silent())?;
            let Some(piece) = piece.map_err(|error| self.link.away(&error))? else {
                return Err(self.cut());
            };
            lines.push(&piece);
            while let Some(line) = lines.next_line() {
                if let Some(end) = self.line(&line, &mut notes)? {
                    return Ok(end);
                }
            }
        }
    }

    /// Takes a line; `notes` counts those of this connection.
    fn line(&mut self, line: &[u8], notes: &mut usize) -> Result<Option<End>, Error> {
        let strange = |error: serde_json::Error| Error::Strange {
            address: self.link.address().into(),
            why: error.to_string(),
        };
        match serde_json::from_slice::<NoteLine>(line).map_err(strange)? {
            NoteLine::Start { .. } | NoteLine::Waiting => return Ok(None),
            NoteLine::Note { note } => {
                *notes += 1;
                if *notes > self.given {
                    self.given = *notes;
                    let _ = self.say.send(Step::Note(event(&note)));
                }
                return Ok(None);
            }
            NoteLine::Done { ms_per_token, .. } => {
                set(&self.state, State::Ready { ms_per_token });
                let _ = self.say.send(Step::Done);
            }
            NoteLine::Failed { message } => {
                let _ = self.say.send(Step::Failed(message));
            }
        }
        Ok(Some(End::Over))
    }

    fn silent(&self) -> Error {
        let why = format!("no sign of life for {} s", SILENCE.as_secs());
        Error::Away { address: self.link.address().into(), why }
    }

    fn cut(&self) -> Error {
        Error::Away { address: self.link.address().into(), why: "the connection ended early".into() }
    }
}

fn event(note: &WireNote) -> Event {
    Event {
        onset: note.onset,
        duration: note.duration,
        instrument: Instrument(note.instrument),
        key: Key(note.key),
    }
}
