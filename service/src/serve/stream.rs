//! `POST /generate/stream`: the same as `/predict`, and how far it is meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use continuo_remote::wire::{Predict, Prediction, Problem, Progress, StreamEvent, Task};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::ask::Ask;
use super::caller::Caller;
use super::extract::Body;
use super::failure::Failure;
use super::life::{Life, Waiter, say_last};
use super::perform::Errand;
use super::play::TOKENS;
use super::service::{Service, compatible};

/// Words that wait for whoever reads them, each with the file so far; then the work waits too.
const WORDS: usize = 8;
/// Notes that a second has, about.
const PACE: f64 = 6.0;

/// Makes music, and says how far it is: events `start`, `progress`, then `complete`, `cancelled` or `error`.
#[utoipa::path(
    post, path = "/generate/stream", request_body = Predict,
    responses(
        (status = 200, body = StreamEvent, content_type = "text/event-stream",
         description = "server-sent events; the data of each is a Progress"),
        (status = "default", body = Problem)
    )
)]
pub async fn stream(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Body(request): Body<Predict>,
) -> Result<impl IntoResponse, Failure> {
    let busy = request.compat.as_ref().and_then(|compat| compat.busy_status);
    let errand = service.errand(&caller, request).await?;
    if errand.ask.task == Task::Embed {
        return Err(Failure::field("task", "task embed makes no music to stream; ask for it at /predict"));
    }
    let (say, heard) = channel(WORDS);
    let waiter = Waiter(service.life());
    let (task, estimated_tokens) = (errand.ask.task, estimate(&errand.ask));
    let make = move |id: &str| {
        let job_id = id.to_owned();
        // Whoever listens may have gone at any time; then the waiter calls the work off.
        let _ = say.try_send(Progress::Start { task, job_id: job_id.clone(), estimated_tokens });
        move |service: &Service, errand: &Errand, life: &Life| told(service, errand, &job_id, life, &say)
    };
    let begun = service.begin(caller.lane, &waiter.0, errand, make).await;
    begun.map_err(|failure| compatible(failure, busy))?;
    let events = ReceiverStream::new(heard).map(move |progress| {
        let _open = &waiter;
        Event::default().json_data(progress)
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Does the errand, and says everything about it.
fn told(service: &Service, errand: &Errand, job_id: &str, life: &Life, say: &Sender<Progress>) {
    let result = errand.perform(service, life, &mut |progress| {
        life.say(say, progress);
    });
    service.jobs.end(job_id, &result, &errand.request_id);
    let tokens_so_far = life.tokens.load(Ordering::Relaxed);
    let last = match result {
        Ok(result) => complete(result, errand.first.get()),
        Err(failure) if failure.cancelled => Progress::Cancelled { tokens_so_far },
        Err(failure) => Progress::Error { problem: Box::new(failure.problem(&errand.request_id)) },
    };
    say_last(say, last);
}

/// The hash is told here also where `include` leaves it out of the result.
fn complete(result: Prediction, first: Option<&String>) -> Progress {
    Progress::Complete {
        output_hash: first.cloned().unwrap_or_default(),
        total_tokens: result.variations.iter().map(|one| one.tokens).sum(),
        result: Box::new(result),
    }
}

/// About how many tokens will come.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 8 * 8192
fn estimate(ask: &Ask) -> u64 {
    let by_time = (ask.length() * PACE) as u64;
    let notes = by_time.min(ask.most_notes() as u64);
    notes * TOKENS as u64 * ask.variations
}
