//! `POST /generate/stream`: the same as `/predict`, and how far it is meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use continuo_remote::wire::{Predict, Prediction, Problem, Progress, StreamEvent, Task};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::ask::Ask;
use super::caller::Caller;
use super::extract::Body;
use super::failure::Failure;
use super::life::{Life, Waiter};
use super::perform::Errand;
use super::play::TOKENS;
use super::service::Service;

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
    let errand = service.errand(&caller, request).await?;
    if errand.ask.task == Task::Embed {
        return Err(Failure::field("task", "task embed makes no music to stream; ask for it at /predict"));
    }
    let (say, heard) = unbounded_channel();
    let waiter = Waiter(service.life());
    let (task, own) = (errand.ask.task, Arc::clone(&waiter.0));
    let job_id = service.apart(move |service| service.jobs.create(task, own)).await?;
    let estimated_tokens = estimate(&errand.ask);
    // Whoever listens may have gone at any time; then the waiter calls the work off.
    let _ = say.send(Progress::Start { task: errand.ask.task, job_id: job_id.clone(), estimated_tokens });
    let house = Arc::clone(&service);
    let id = job_id.clone();
    let work = move |life: &Life| {
        told(&house, &errand, &id, life, &say);
        Ok(())
    };
    if let Err(failure) = service.submit(caller.lane, &waiter.0, work) {
        service.refuse(job_id, failure.clone(), caller.request_id).await;
        return Err(failure);
    }
    let events = UnboundedReceiverStream::new(heard).map(move |progress| {
        let _open = &waiter;
        Event::default().json_data(progress)
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Does the errand, and says everything about it.
fn told(service: &Service, errand: &Errand, job_id: &str, life: &Life, say: &UnboundedSender<Progress>) {
    let result = errand.perform(service, life, &mut |progress| {
        let _ = say.send(progress);
    });
    service.jobs.end(job_id, &result, &errand.request_id);
    let tokens_so_far = life.tokens.load(Ordering::Relaxed);
    let _ = say.send(match result {
        Ok(result) => complete(result),
        Err(failure) if failure.cancelled => Progress::Cancelled { tokens_so_far },
        Err(failure) => Progress::Error { problem: Box::new(failure.problem(&errand.request_id)) },
    });
}

fn complete(result: Prediction) -> Progress {
    Progress::Complete {
        output_hash: result.output_hash.clone().unwrap_or_default(),
        total_tokens: result.variations.iter().map(|one| one.tokens).sum(),
        result: Box::new(result),
    }
}

/// About how many tokens will come.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 8 * 8192
fn estimate(ask: &Ask) -> u64 {
    let by_time = (ask.length() * PACE) as u64;
    let notes = ask.notes.map_or(by_time, |most| by_time.min(most as u64));
    notes * TOKENS as u64 * ask.variations
}
