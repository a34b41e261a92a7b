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
/// How long a service may take to load its model.
const LOADING: Duration = Duration::from_secs(60);
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
        /// Name of its model.
        model: String,
        /// Ticks in a quarter note of that model; 0 where a tick is 10 ms.
        ticks_per_beat: u32,
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

    /// Where it is.
    pub fn address(&self) -> &str {
        self.client.address()
    }

    /// Lets the service read a prompt ahead of need; nobody hears how that went. Returns at once.
    pub fn prepare(&self, prompt: Notes) {
        let link = self.client.link();
        self.client.spawn(async move {
            let prompt = Notes { prepare: true, ..prompt };
            // What is read in vain costs nothing but time of the service.
            let _ = link.send(link.request(Method::POST, "/v1/notes").timeout(SILENCE).json(&prompt)).await;
        });
    }

    /// Asks for an answer. Returns at once.
    pub fn answer(&self, prompt: Notes) -> Answer {
        let (say, steps) = unbounded();
        let pace = if let State::Ready { ms_per_token, .. } = self.state() { ms_per_token } else { 0.0 };
        let (link, state) = (self.client.link(), Arc::clone(&self.state));
        let run = Run { link, state, prompt, say, given: 0, model: None, pace };
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
        let known = matches!(*state.lock().unwrap_or_else(PoisonError::into_inner), State::Ready { .. });
        let look = if known { lives(&link).await.map(|()| None) } else { introduced(&link).await.map(Some) };
        match look {
            Ok(news) => {
                news.into_iter().for_each(|ready| set(&state, ready));
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

/// Whether the service is there.
async fn lives(link: &Link) -> Result<(), Error> {
    link.send(link.request(Method::GET, "/models").timeout(SILENCE)).await.map(drop)
}

/// Which model answers there: what a prompt is written for. A service may have to load it first.
async fn introduced(link: &Link) -> Result<State, Error> {
    let nothing = Notes { end: 1, prepare: true, ..Notes::default() };
    let request = link.request(Method::POST, "/v1/notes").timeout(LOADING).json(&nothing);
    let mut response = link.send(request).await?;
    let mut lines = Lines::default();
    while let Some(piece) = response.chunk().await.map_err(|error| link.away(&error))? {
        lines.push(&piece);
        while let Some(line) = lines.next_line() {
            match serde_json::from_slice(&line).map_err(|error| strange(link, error))? {
                NoteLine::Start { model, ticks_per_beat } => {
                    return Ok(State::Ready { model, ticks_per_beat, ms_per_token: 0.0 });
                }
                NoteLine::Failed { message } => {
                    return Err(Error::Away { address: link.address().into(), why: message });
                }
                _ => {}
            }
        }
        ended(link, &lines)?;
    }
    Err(Error::Away { address: link.address().into(), why: "the connection ended early".into() })
}

fn strange(link: &Link, why: impl ToString) -> Error {
    Error::Strange { address: link.address().into(), why: why.to_string() }
}

/// Refuses a line that does not end.
fn ended(link: &Link, lines: &Lines) -> Result<(), Error> {
    if lines.is_endless() { Err(strange(link, "it sends a line without end")) } else { Ok(()) }
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
    /// The model that answers, and its ticks in a beat.
    model: Option<(String, u32)>,
    /// Milliseconds a token took before.
    pace: f32,
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
        match timeout(SILENCE, self.link.send(request)).await {
            Ok(Ok(response)) => self.read(response).await.unwrap_or_else(End::Broken),
            Ok(Err(error)) => End::Broken(error),
            Err(_) => End::Broken(self.silent()),
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
            ended(&self.link, &lines)?;
        }
    }

    /// Takes a line; `notes` counts those of this connection.
    fn line(&mut self, line: &[u8], notes: &mut usize) -> Result<Option<End>, Error> {
        match serde_json::from_slice::<NoteLine>(line).map_err(|error| strange(&self.link, error))? {
            NoteLine::Waiting => return Ok(None),
            NoteLine::Start { model, ticks_per_beat } => {
                let ms_per_token = self.pace;
                set(&self.state, State::Ready { model: model.clone(), ticks_per_beat, ms_per_token });
                self.model = Some((model, ticks_per_beat));
                return Ok(None);
            }
            NoteLine::Note { note } => {
                *notes += 1;
                if *notes > self.given {
                    self.given = *notes;
                    let event =
                        event(&note).ok_or_else(|| strange(&self.link, format!("it says {note:?}")))?;
                    let _ = self.say.send(Step::Note(event));
                }
                return Ok(None);
            }
            NoteLine::Done { ms_per_token, .. } => {
                if let Some((model, ticks_per_beat)) = self.model.take() {
                    set(&self.state, State::Ready { model, ticks_per_beat, ms_per_token });
                }
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

/// A note of the wire, if it is one.
fn event(note: &WireNote) -> Option<Event> {
    let sound = note.onset >= 0 && note.duration >= 0 && note.instrument <= 128 && note.key <= 127;
    sound.then_some(Event {
        onset: note.onset,
        duration: note.duration,
        instrument: Instrument(note.instrument),
        key: Key(note.key),
    })
}
