//! What is here: `/health`, `/models`, `/cas/{hash}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use continuo_remote::wire::{
    API_VERSION, Health, ModelEntry, ModelSize, ModelStatus, Models, Problem, SERVICE, SERVICE_VERSION, Task,
};

use super::extract::Named;
use super::failure::Failure;
use super::service::Service;
use super::shelf::{installed, remedy};
use super::store::is_hash;
use super::tasks::wishes;

/// Most tokens of an answer.
const TOKENS: u64 = 8192;

/// Whether the service is up.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)))]
pub async fn health(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    if accept.contains("text/plain") && !accept.contains("json") {
        return "ok".into_response();
    }
    let health = Health { status: "ok".into(), service: SERVICE.into(), version: SERVICE_VERSION.into() };
    Json(health).into_response()
}

/// Which models are here and what they do.
#[utoipa::path(
    get, path = "/models", responses((status = 200, body = Models), (status = "default", body = Problem))
)]
pub async fn models(State(service): State<Arc<Service>>) -> Json<Models> {
    let any = !service.shelf.is_strict() || ModelSize::ALL.into_iter().any(installed);
    let mut models = BTreeMap::new();
    let general =
        [Task::Generate, Task::GenerateSeeded, Task::Continue, Task::Bridge, Task::Loops, Task::Embed];
    let mut add = |name: &str, tasks: &[Task], here: bool| {
        models.insert(name.to_owned(), entry(tasks, here));
    };
    add("default", &general, !service.shelf.is_strict());
    add("base", &[Task::Generate, Task::GenerateSeeded, Task::Continue, Task::Embed], any);
    add("bridge", &[Task::Bridge], any);
    add("loops", &[Task::Loops], any);
    add("classifier", &[Task::Classify], false);
    for size in ModelSize::ALL {
        add(size.name(), &general, installed(size));
    }
    for size in ModelSize::ALL {
        if let Some(entry) = models.get_mut(size.name()).filter(|one| one.status != ModelStatus::Available) {
            entry.remedy = Some(remedy(size));
        }
    }
    if let Some(bridge) = models.get_mut("bridge") {
        bridge.requires = vec!["section_a".into()];
        bridge.optional = vec!["section_b".into()];
    }
    Json(Models { models, version: API_VERSION.into() })
}

fn entry(tasks: &[Task], here: bool) -> ModelEntry {
    ModelEntry {
        status: if here { ModelStatus::Available } else { ModelStatus::NotInstalled },
        capabilities: tasks.iter().map(|task| task.name().into()).collect(),
        max_tokens: TOKENS,
        supported_constraints: wishes::SUPPORTED.iter().map(|name| (*name).into()).collect(),
        requires: Vec::new(),
        optional: Vec::new(),
        remedy: None,
    }
}

/// A file by the SHA-256 of its content.
#[utoipa::path(
    get, path = "/cas/{hash}", params(("hash" = String, Path, pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 200, description = "the file", content_type = "audio/midi"),
        (status = "default", body = Problem)
    )
)]
pub async fn file(State(service): State<Arc<Service>>, Named(hash): Named) -> Result<Response, Failure> {
    if !is_hash(&hash) {
        let text = "a content hash has 64 hexadecimal digits, in lower case";
        return Err(Failure::invalid(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let missing =
        || Failure::invalid(StatusCode::NOT_FOUND, "nothing is stored under this hash, or it was let go");
    let bytes = service.store.get(&hash).ok_or_else(missing)?;
    let head = [(header::CONTENT_TYPE, "audio/midi".to_owned()), (header::ETAG, format!("\"{hash}\""))];
    Ok((head, bytes.as_ref().clone()).into_response())
}
