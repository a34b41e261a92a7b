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
use super::life::Life;
use super::perform::Errand;
use super::service::{Service, compatible};

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
    let busy = request.compat.as_ref().and_then(|compat| compat.busy_status);
    let errand = service.errand(&caller, request).await?;
    let make = |id: &str| {
        let id = id.to_owned();
        move |service: &Service, errand: &Errand, life: &Life| {
            let result = errand.perform(service, life, &mut |_| ());
            service.jobs.end(&id, &result, &errand.request_id);
        }
    };
    let begun = service.begin(caller.lane, &service.life(), errand, make).await;
    let job_id = begun.map_err(|failure| compatible(failure, busy))?;
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
    // Asked to be told while the job is looked at, so that no end falls between.
    if let Some(told) = service.jobs.ended(&id).filter(|_| seconds > 0.0) {
        // Told or not, the job is shown as it stands.
        let _ = tokio::time::timeout(Duration::from_secs_f64(seconds), told).await;
    }
    standing(&service, id).await
}

/// Calls a job off, or a stream.
#[utoipa::path(
    delete, path = "/jobs/{job_id}", params(("job_id" = String, Path)),
    responses((status = 200, body = Job), (status = "default", body = Problem))
)]
pub async fn cancel(State(service): State<Arc<Service>>, Named(id): Named) -> Result<Json<Job>, Failure> {
    let asked = id.clone();
    let job = service.apart(move |service| service.jobs.cancel(&asked)).await?;
    job.map(Json).ok_or_else(|| unknown(&id))
}

async fn standing(service: &Arc<Service>, id: String) -> Result<Json<Job>, Failure> {
    let asked = id.clone();
    let job = service.apart(move |service| service.jobs.get(&asked)).await?;
    job.map(Json).ok_or_else(|| unknown(&id))
}

fn unknown(id: &str) -> Failure {
    let text = format!("there is no job {id:.80}; the newest 4096 that are over are kept");
    Failure::invalid(StatusCode::NOT_FOUND, text)
}
