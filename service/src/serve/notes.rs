//! `POST /v1/notes`: notes as they are made, for those who play along.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body as Bytes, Bytes as Line};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use continuo_inference::{Constraints, Engine, Event, Prompt, Sampling, Step, TimeFrame};
use continuo_remote::wire::{NoteLine, Notes, Problem, WireNote};
use continuo_timeline::{Instrument, Key};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Interval, interval_at};
use tokio_stream::{Stream, StreamExt};

use super::caller::Caller;
use super::extract::Body;
use super::failure::{Failure, fault};
use super::figures::Done;
use super::life::{Life, Waiter, say_last};
use super::play::TOKENS;
use super::service::Service;

/// Longest answer, and latest onset, in ticks.
const LONGEST: i32 = 100_000;
const LATEST: i32 = 2_000_000;
/// Most notes of a prompt.
const MOST: usize = 8192;
/// How long a look for the next note lasts: a request that was dropped ends within it.
const LOOK: Duration = Duration::from_millis(10);
/// A sign of life is sent when no line came for so long, also while the request waits for its turn or its model.
const SIGN: Duration = Duration::from_secs(1);
/// Lines that wait for whoever reads them; then the work waits too.
const LINES: usize = 256;
/// What these requests are called where work is counted.
const NAME: &str = "notes";

/// Answers a prompt of the engine; each note is sent when it is made.
#[utoipa::path(
    post, path = "/v1/notes", request_body = Notes,
    responses(
        (status = 200, body = NoteLine, content_type = "application/x-ndjson",
         description = "newline-delimited JSON: start, notes, then done or failed"),
        (status = "default", body = Problem)
    )
)]
pub async fn notes(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Body(asked): Body<Notes>,
) -> Result<Response, Failure> {
    sound(&asked)?;
    let (say, heard) = channel(LINES);
    let waiter = Waiter(service.life());
    let house = Arc::clone(&service);
    let work = move |life: &Life| {
        let began = Instant::now();
        let done = answer(&house, &asked, life, &say);
        counted(&house, life, began.elapsed(), done.as_ref().err());
        let last = done.unwrap_or_else(|failure| NoteLine::Failed { message: failure.message });
        say_last(&say, last);
        Ok(())
    };
    if let Err(failure) = service.submit_to(&service.live, caller.lane, &waiter.0, work) {
        counted(&service, &waiter.0, Duration::ZERO, Some(&failure));
        return Err(Failure { counted: true, ..failure });
    }
    let signs = interval_at(tokio::time::Instant::now() + SIGN, SIGN);
    let lines = Lines { heard, signs }.map(move |line| {
        let _open = &waiter;
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        Ok::<_, serde_json::Error>(Line::from(text))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Bytes::from_stream(lines)).into_response())
}

/// Lines as they are said, and signs of life between them.
struct Lines {
    heard: Receiver<NoteLine>,
    signs: Interval,
}

impl Stream for Lines {
    type Item = NoteLine;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<NoteLine>> {
        match self.heard.poll_recv(context) {
            Poll::Ready(line) => {
                self.signs.reset();
                Poll::Ready(line)
            }
            Poll::Pending => self.signs.poll_tick(context).map(|_| Some(NoteLine::Waiting)),
        }
    }
}

/// Counts an answer that is over.
fn counted(service: &Service, life: &Life, took: Duration, failure: Option<&Failure>) {
    let error = failure.map(|failure| if failure.cancelled { "cancelled" } else { failure.kind.name() });
    let tokens = life.tokens.load(Ordering::Relaxed);
    service.figures.done(&Done { task: NAME, error, tokens, took, together: 0.0 });
}

/// Refuses what no engine could answer.
fn sound(asked: &Notes) -> Result<(), Failure> {
    let mut faults = Vec::new();
    let mut check = |good: bool, name: &str, text: String| {
        if !good {
            faults.push(fault(&[name], text, "value_error"));
        }
    };
    let (start, end) = (asked.start, asked.end);
    let span = (0..=LATEST).contains(&start) && (1..=LONGEST).contains(&end.saturating_sub(start));
    check(
        span,
        "end",
        format!("from tick {start} to {end}: start is 0 to {LATEST}, end 1 to {LONGEST} later"),
    );
    let all = asked.history.iter().chain(&asked.held).chain(&asked.controls);
    let fits =
        |note: &WireNote| (0..=LATEST).contains(&note.onset) && note.instrument <= 128 && note.key <= 127;
    let bad = all.clone().find(|note| !fits(note));
    check(bad.is_none(), "history", format!("a note is out of range: {bad:?}"));
    let count = all.count();
    check(count <= MOST, "history", format!("{count} notes are told, and at most {MOST} may be"));
    let heat = (0.01..=2.0).contains(&asked.temperature);
    check(heat, "temperature", format!("temperature {} is outside 0.01 to 2", asked.temperature));
    check((0.0..=1.0).contains(&asked.top_p), "top_p", format!("top_p {} is outside 0 to 1", asked.top_p));
    let bar = asked.bar.is_none_or(|bar| (1..=LONGEST).contains(&bar));
    check(bar, "bar", format!("a bar of {:?} ticks: it has 1 to {LONGEST}", asked.bar));
    let parts = asked.instruments.iter().flatten().chain(&asked.beside).all(|program| *program <= 128);
    check(parts, "instruments", "instruments are 0 to 128".into());
    if faults.is_empty() { Ok(()) } else { Err(Failure::faulty(faults)) }
}

/// Sends the notes of an answer until it is over or nobody listens; gives the last line.
fn answer(
    service: &Service,
    asked: &Notes,
    life: &Life,
    say: &Sender<NoteLine>,
) -> Result<NoteLine, Failure> {
    life.check()?;
    let chosen = service.shelf.choose(asked.model_size, life)?;
    let model = chosen.engine.model();
    let ticks_per_beat = match model.frame() {
        TimeFrame::Beats { ticks_per_beat } => ticks_per_beat,
        TimeFrame::Seconds => 0,
    };
    if asked.ticks_per_beat.is_some_and(|ticks| ticks != ticks_per_beat) {
        let text =
            format!("the model counts {ticks_per_beat} ticks a beat (0: 10 ms each), and the prompt others");
        return Err(Failure::field("ticks_per_beat", text));
    }
    life.say(say, NoteLine::Start { model: model.name().into(), ticks_per_beat });
    if asked.prepare {
        chosen.engine.prepare(prompt(asked));
        return Ok(NoteLine::Done { notes: 0, ms_per_token: chosen.engine.ms_per_token() });
    }
    relay(&chosen.engine, asked, life, say)
}

fn relay(engine: &Engine, asked: &Notes, life: &Life, say: &Sender<NoteLine>) -> Result<NoteLine, Failure> {
    let mut answer = engine.answer(prompt(asked));
    let mut notes = 0;
    loop {
        life.check()?;
        match answer.wait_for(LOOK) {
            Step::Note(event) => {
                notes += 1;
                life.tokens.fetch_add(TOKENS as u64, Ordering::Relaxed);
                // Where nobody listens any more the life is called off, and with it the work.
                life.say(say, NoteLine::Note { note: WireNote::from(&event) });
            }
            Step::Pending => {}
            Step::Failed(why) => return Err(Failure::failed(why)),
            Step::Done => return Ok(NoteLine::Done { notes, ms_per_token: engine.ms_per_token() }),
        }
    }
}

fn prompt(asked: &Notes) -> Prompt {
    let event = |note: &WireNote| Event {
        onset: note.onset,
        duration: note.duration.clamp(0, 999),
        instrument: Instrument(note.instrument),
        key: Key(note.key),
    };
    Prompt {
        history: asked.history.iter().map(event).collect(),
        held: asked
            .held
            .iter()
            .map(|note| (note.onset, Instrument(note.instrument), Key(note.key)))
            .collect(),
        controls: asked.controls.iter().map(event).collect(),
        start: asked.start,
        end: asked.end,
        bar: asked.bar,
        first_by: asked.first_by,
        constraints: Constraints {
            density: asked.limits.density,
            phases: asked.limits.phases,
            keys: asked.limits.keys,
            scale: asked.limits.scale,
            balance: asked.limits.balance,
        },
        instruments: asked.instruments.clone(),
        beside: asked.beside.clone(),
        max_per_onset: asked.max_per_onset,
        sampling: Sampling { temperature: asked.temperature, top_p: asked.top_p, seed: asked.seed },
        answer: asked.answer,
        ..Prompt::default()
    }
}
