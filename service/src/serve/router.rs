//! Addresses. Each route stands in the OpenAPI description because it is made from the same list.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{any, get};
use axum::{Json, Router, middleware};
use continuo_remote::wire::{Progress, SERVICE_VERSION};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::failure::Failure;
use super::guard::{Guard, admit, number};
use super::service::Service;
use super::{
    analyze, artifact_routes, batch, cas_routes, families, job_routes, listing, notes, page, predict, stream,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Continuo",
        description = "Music that goes on: a music transformer as a service.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(Progress))
)]
struct Description;

/// All routes, and their description.
fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(listing::health))
        .routes(routes!(listing::models))
        .routes(routes!(listing::metrics))
        .routes(routes!(cas_routes::add))
        .routes(routes!(cas_routes::file, cas_routes::put))
        .routes(routes!(artifact_routes::create, artifact_routes::list))
        .routes(routes!(artifact_routes::one))
        .routes(routes!(artifact_routes::ancestors))
        .routes(routes!(predict::predict))
        .routes(routes!(stream::stream))
        .routes(routes!(batch::batch))
        .routes(routes!(analyze::analyze))
        .routes(routes!(job_routes::create))
        .routes(routes!(job_routes::poll, job_routes::cancel))
        .routes(routes!(notes::notes))
}

/// The OpenAPI 3.1 description.
pub fn description() -> utoipa::openapi::OpenApi {
    let mut description = routes().split_for_parts().1;
    description.info.version = SERVICE_VERSION.into();
    description
}

/// The service behind its guard. Bodies hold at most `most` bytes.
pub fn router(service: Arc<Service>, guard: Arc<Guard>, most: usize) -> Router {
    let text = Arc::new(serde_json::to_value(description()).unwrap_or_default());
    let openapi = get(move || async move { Json(text.as_ref().clone()) });
    let mut all = routes().split_for_parts().0.with_state(service).route("/openapi.json", openapi);
    for (address, kind, text) in page::PARTS {
        all = all.route(address, get(move || async move { page::part(kind, text) }));
    }
    guarded(all.route("/mcp", any(families::no_mcp)), guard, most)
}

/// Routes behind the guard; every failure has its shape.
pub fn guarded(routes: Router, guard: Arc<Guard>, most: usize) -> Router {
    routes
        .fallback(|| async { Failure::of_status(StatusCode::NOT_FOUND) })
        .layer(DefaultBodyLimit::max(most))
        .layer(middleware::from_fn_with_state(Arc::clone(&guard), admit))
        .layer(middleware::from_fn_with_state(guard, number))
}
