//! Services of the platform that have no model in this version: their ports, addresses and ways to fail are there, so
//! that a model can take their place.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use continuo_remote::wire::SERVICE_VERSION;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::failure::Failure;
use super::guard::{AsOpenAi, Guard};
use super::listing::wants_text;
use super::options::Serve;
use super::router::guarded;

/// Largest body that is read only to be refused.
const BODY: usize = 1 << 20;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Sound from text.
    Musicgen,
    /// Chat in the manner of OpenAI.
    Llmchat,
}

/// One that is to be opened, and its port.
pub struct Opening(Family, u16);

/// Those that the options open.
pub fn asked(options: &Serve) -> Vec<Opening> {
    let both = [(Family::Musicgen, options.musicgen_port), (Family::Llmchat, options.llmchat_port)];
    both.into_iter().filter_map(|(family, port)| port.map(|port| Opening(family, port))).collect()
}

impl Opening {
    /// Answers at its port until the process ends.
    pub async fn open(self, host: IpAddr, guard: Arc<Guard>) -> Result<()> {
        let Self(family, port) = self;
        let address = SocketAddr::new(host, port);
        let name = family.name();
        let refused = || format!("cannot listen at {address} for {name}; choose another --{name}-port");
        let listener = TcpListener::bind(address).await.with_context(refused)?;
        eprintln!("continuo: {name}, which has no model yet, at http://{}", listener.local_addr()?);
        let routes = family.routes();
        let mut routes = guarded(routes, guard, BODY);
        if family == Family::Llmchat {
            routes = routes.layer(Extension(AsOpenAi));
        }
        let app = routes.into_make_service_with_connect_info::<SocketAddr>();
        // It has no work of its own, so that its end need not be waited for.
        tokio::spawn(axum::serve(listener, app).into_future());
        Ok(())
    }
}

impl Family {
    const fn name(self) -> &'static str {
        match self {
            Self::Musicgen => "musicgen",
            Self::Llmchat => "llmchat",
        }
    }

    fn routes(self) -> Router {
        let health = get(move |headers: HeaderMap| async move { self.health(&headers) });
        let routes = Router::new().route("/health", health);
        match self {
            Self::Musicgen => routes.route("/predict", post(|| async { absent("musicgen") })),
            Self::Llmchat => routes
                .route("/v1/models", get(|| async { Json(json!({ "object": "list", "data": [] })) }))
                .route("/v1/chat/completions", post(no_chat)),
        }
    }

    fn health(self, headers: &HeaderMap) -> Response {
        if wants_text(headers) {
            return "ok".into_response();
        }
        let mut health = json!({ "status": "ok", "service": self.name(), "version": SERVICE_VERSION });
        if self == Self::Llmchat {
            health["model"] = Value::Null;
        }
        Json(health).into_response()
    }
}

fn absent(name: &str) -> Failure {
    Failure::unavailable(format!("{name} has no model in this version of the service"))
        .suggest("GET /models at the port of anticipatory lists what can be done")
}

/// As clients of OpenAI read failures.
async fn no_chat(_: Request) -> Response {
    let error = json!({ "error": {
        "message": "llmchat has no model in this version of the service",
        "type": "server_error", "param": "model", "code": "model_unavailable"
    }});
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response();
    response.extensions_mut().insert(super::guard::Shaped);
    response
}

/// Tools for agents.
pub async fn no_mcp() -> Failure {
    absent("mcp")
}
