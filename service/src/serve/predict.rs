//! `POST /predict`: one request, one answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use continuo_remote::wire::{Predict, Prediction, Problem};

use super::caller::Caller;
use super::extract::Body;
use super::failure::Failure;
use super::life::Waiter;
use super::service::{Service, compatible, outcome};

/// Makes, continues, bridges or embeds music.
#[utoipa::path(
    post, path = "/predict", request_body = Predict,
    params(("client_job_id" = Option<String>, Query, description = "the caller's own name for the job")),
    responses((status = 200, body = Prediction), (status = "default", body = Problem))
)]
pub async fn predict(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Body(request): Body<Predict>,
) -> Result<Json<Prediction>, Failure> {
    let busy = request.compat.as_ref().and_then(|compat| compat.busy_status);
    let answer = answered(&service, &caller, request).await;
    answer.map(Json).map_err(|failure| compatible(failure, busy))
}

/// The answer to a request; called off when nobody waits for it any more.
pub async fn answered(
    service: &Arc<Service>,
    caller: &Caller,
    request: Predict,
) -> Result<Prediction, Failure> {
    let errand = Arc::new(service.errand(caller, request).await?);
    let waiter = Waiter(service.life());
    let (house, own) = (Arc::clone(service), Arc::clone(&errand));
    let work = move |life: &_| own.perform(&house, life, &mut |_| ());
    match service.submit(caller.lane, &waiter.0, work) {
        Ok(coming) => outcome(coming).await,
        Err(failure) => Err(errand.refused(service, &waiter.0, failure)),
    }
}
