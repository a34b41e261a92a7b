//! `POST /batch`: several requests at once; results in their order, each with its own error if it has one.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use continuo_remote::wire::{Batch, BatchResult, BatchResults, Predict, Prediction, Problem};
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;

use super::caller::Caller;
use super::extract::{Body, parsed};
use super::failure::{Failure, fault};
use super::predict::answered;
use super::service::{Service, defect};

/// Most operations of a batch.
const MOST: usize = 32;

/// A [`Batch`] whose operations are not looked at yet: one that is wrong costs only itself.
#[derive(Deserialize)]
pub struct Sheaf {
    operations: Vec<Value>,
}

/// Answers several requests.
#[utoipa::path(
    post, path = "/batch", request_body = Batch,
    responses((status = 200, body = BatchResults), (status = "default", body = Problem))
)]
pub async fn batch(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Body(batch): Body<Sheaf>,
) -> Result<Json<BatchResults>, Failure> {
    let count = batch.operations.len();
    if !(1..=MOST).contains(&count) {
        let text = format!("operations has {count} entries, and may have 1 to {MOST}");
        return Err(Failure::faulty(vec![fault(&["operations"], text, "value_error")]));
    }
    let began = Instant::now();
    // Dropped with this request, it ends what is still open.
    let mut open = JoinSet::new();
    let mut results: Vec<Option<BatchResult>> = (0..count).map(|_| None).collect();
    for (place, operation) in batch.operations.into_iter().enumerate() {
        let (service, caller) = (Arc::clone(&service), caller.clone());
        open.spawn(async move { (place, one(&service, &caller, place, operation).await) });
    }
    while let Some(done) = open.join_next().await {
        let (place, result) = done.map_err(|_| defect())?;
        results[place] = Some(result);
    }
    let results: Vec<BatchResult> = results.into_iter().flatten().collect();
    let summary = format!("Completed {count} operations in {:.1}s", began.elapsed().as_secs_f64());
    Ok(Json(BatchResults { results, summary }))
}

async fn one(service: &Arc<Service>, caller: &Caller, place: usize, operation: Value) -> BatchResult {
    let id = operation.get("id").and_then(Value::as_str).map_or_else(|| place.to_string(), String::from);
    let made = match request(operation) {
        Ok(request) => answered(service, caller, request).await,
        Err(failure) => Err(service.count(failure)),
    };
    shown(id, made, &caller.request_id)
}

/// The request of an operation, with what stands in `params`.
fn request(mut operation: Value) -> Result<Predict, Failure> {
    let wrong = |name: &str, what: &str| {
        Failure::faulty(vec![fault(&[name], format!("{name} is no {what}"), "type_error")])
    };
    if let Value::Object(fields) = &mut operation {
        match fields.remove("id") {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(_) => return Err(wrong("id", "text")),
        }
        match fields.remove("params") {
            None | Some(Value::Null) => {}
            Some(Value::Object(params)) => fields.extend(params),
            Some(_) => return Err(wrong("params", "object")),
        }
    }
    parsed(operation.to_string().as_bytes())
}

fn shown(id: String, made: Result<Prediction, Failure>, request_id: &str) -> BatchResult {
    let (status, result, error) = match made {
        Ok(prediction) => ("success", Some(Box::new(prediction)), None),
        Err(failure) => ("error", None, Some(Box::new(failure.problem(request_id)))),
    };
    BatchResult {
        id,
        status: status.into(),
        output_hash: result.as_ref().and_then(|result| result.output_hash.clone()),
        tokens: result.as_ref().and_then(|result| result.tokens),
        result,
        error,
    }
}
