//! What is here: `/health`, `/models`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use continuo_remote::wire::{
    API_VERSION, Health, ModelEntry, ModelSize, ModelStatus, Models, Problem, SERVICE, SERVICE_VERSION, Task,
};

use super::ask::{MOST_TOKENS, MOST_VARIATIONS};
use super::failure::Failure;
use super::service::Service;
use super::shelf::{installed, remedy};
use super::tasks::wishes;

/// Whether the service is up.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)))]
pub async fn health(headers: HeaderMap) -> Response {
    if wants_text(&headers) {
        return "ok".into_response();
    }
    let health = Health { status: "ok".into(), service: SERVICE.into(), version: SERVICE_VERSION.into() };
    Json(health).into_response()
}

/// Whether a caller takes only plain text.
pub fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accept.contains("text/plain") && !accept.contains("json")
}

/// Figures, as Prometheus reads them.
#[utoipa::path(
    get, path = "/metrics",
    responses(
        (status = 200, body = String, content_type = "text/plain; version=0.0.4"),
        (status = "default", body = Problem)
    )
)]
pub async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, service.figures.text(&service)).into_response()
}

/// Which models are here and what they do.
#[utoipa::path(
    get, path = "/models", responses((status = 200, body = Models), (status = "default", body = Problem))
)]
pub async fn models(State(service): State<Arc<Service>>) -> Result<Json<Models>, Failure> {
    // It looks through folders.
    service.apart(|service| Ok(Json(listed(service)))).await
}

fn listed(service: &Service) -> Models {
    let any = service.shelf.has_own() || ModelSize::ALL.into_iter().any(installed);
    let mut models = BTreeMap::new();
    let general =
        [Task::Generate, Task::GenerateSeeded, Task::Continue, Task::Bridge, Task::Loops, Task::Embed];
    let mut add = |name: &str, tasks: &[Task], here: bool| {
        models.insert(name.to_owned(), entry(tasks, here));
    };
    add("default", &general, service.shelf.has_own());
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
    for name in ["musicgen", "llmchat"] {
        let mut one = entry(&[], false);
        (one.max_tokens, one.max_variations) = (0, 0);
        one.remedy = Some("this version of the service has no such model".into());
        models.insert(name.into(), one);
    }
    if let Some(bridge) = models.get_mut("bridge") {
        bridge.requires = vec!["section_a".into()];
        bridge.optional = vec!["section_b".into()];
    }
    Models { models, version: API_VERSION.into() }
}

/// What is not here can do nothing, and heeds nothing.
fn entry(tasks: &[Task], here: bool) -> ModelEntry {
    let tasks = if here { tasks } else { &[] };
    let heeded = |name: &&&str| tasks.iter().any(|task| wishes::is_heeded(name, *task));
    ModelEntry {
        status: if here { ModelStatus::Available } else { ModelStatus::NotInstalled },
        capabilities: tasks.iter().map(|task| task.name().into()).collect(),
        max_tokens: MOST_TOKENS.unsigned_abs(),
        max_variations: MOST_VARIATIONS.unsigned_abs(),
        supported_constraints: wishes::SUPPORTED.iter().filter(heeded).map(|name| (*name).into()).collect(),
        requires: Vec::new(),
        optional: Vec::new(),
        remedy: None,
    }
}
