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

use super::service::Service;
use super::shelf::{installed, remedy};
use super::tasks::wishes;

/// Most tokens of an answer.
const TOKENS: u64 = 8192;

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
    for name in ["musicgen", "llmchat"] {
        let mut one = entry(&[], false);
        (one.max_tokens, one.supported_constraints) = (0, Vec::new());
        one.remedy = Some("this version of the service has no such model".into());
        models.insert(name.into(), one);
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
