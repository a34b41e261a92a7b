//! `/jobs`: ask now, fetch later.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use continuo_remote::wire::{Job, JobAccepted, JobState, Predict, Problem};
use serde::Deserialize;

use super::caller::Caller;
use super::extract::{Asked, Body, Named};
use super::failure::Failure;
use super::service::Service;

/// Longest wait for a job, in seconds.
const WAIT: f64 = 60.0;

/// Query of `GET /jobs/{job_id}`.
#[derive(Deserialize)]
pub struct Patience {
    wait: Option<f64>,
}

/// Puts a request into the queue, and answers at once.
#[utoipa::path(
    post, path = "/jobs", request_body = Predict,
    responses((status = 202, body = JobAccepted), (status = "default", body = Problem))
)]
pub async fn create(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Body(request): Body<Predict>,
) -> Result<(StatusCode, Json<JobAccepted>), Failure> {
    let errand = service.errand(&caller, request).await?;
    let life = service.life();
    let job_id = service.jobs.create(errand.ask.task, Arc::clone(&life));
    let (house, id) = (Arc::clone(&service), job_id.clone());
    let work = move |life: &_| {
        let result = errand.perform(&house, life, &mut |_| ());
        house.jobs.end(&id, &result, &errand.request_id);
        Ok(())
    };
    if let Err(failure) = service.submit(caller.lane, &life, work) {
        service.jobs.end(&job_id, &Err(failure.clone()), &caller.request_id);
        return Err(failure);
    }
    let message = format!("GET /jobs/{job_id}?wait=30 until it is over; DELETE /jobs/{job_id} calls it off");
    Ok((StatusCode::ACCEPTED, Json(JobAccepted { job_id, status: JobState::Pending, message })))
}

/// How a job stands; waits for its end as long as is asked for.
#[utoipa::path(
    get, path = "/jobs/{job_id}",
    params(("job_id" = String, Path), ("wait" = Option<f64>, Query, minimum = 0.0, maximum = 60.0)),
    responses((status = 200, body = Job), (status = "default", body = Problem))
)]
pub async fn poll(
    State(service): State<Arc<Service>>,
    Named(id): Named,
    Asked(patience): Asked<Patience>,
) -> Result<Json<Job>, Failure> {
    let seconds = patience.wait.unwrap_or(0.0);
    if !(0.0..=WAIT).contains(&seconds) {
        let text = format!("wait {seconds} is outside 0 to {WAIT} s");
        return Err(Failure::invalid(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let ended = service.jobs.ended(&id).ok_or_else(|| unknown(&id))?;
    // Asked to be told before looking, so that no end falls between.
    let told = ended.notified();
    let job = service.jobs.get(&id).ok_or_else(|| unknown(&id))?;
    if job.status.is_over() || seconds == 0.0 {
        return Ok(Json(job));
    }
    // Told or not, the job is shown as it stands.
    let _ = tokio::time::timeout(Duration::from_secs_f64(seconds), told).await;
    service.jobs.get(&id).map(Json).ok_or_else(|| unknown(&id))
}

/// Calls a job off, or a stream.
#[utoipa::path(
    delete, path = "/jobs/{job_id}", params(("job_id" = String, Path)),
    responses((status = 200, body = Job), (status = "default", body = Problem))
)]
pub async fn cancel(State(service): State<Arc<Service>>, Named(id): Named) -> Result<Json<Job>, Failure> {
    service.jobs.cancel(&id).map(Json).ok_or_else(|| unknown(&id))
}

fn unknown(id: &str) -> Failure {
    let text = format!("there is no job {id:.80}; the newest 256 that are over are kept");
    Failure::invalid(StatusCode::NOT_FOUND, text)
}
