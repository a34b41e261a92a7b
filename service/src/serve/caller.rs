//! Who asks: the number of the request, the caller's own name for the job, and the lane in the queue.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::{HeaderMap, request::Parts};
use serde::Deserialize;

use super::extract::Asked;
use super::failure::Failure;

/// Number of a request, as in the header `x-request-id`.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Who shares a turn in the queue: a machine, or on this machine a connection.
pub type Lane = (IpAddr, u16);

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Number of the request.
    pub request_id: String,
    /// Its turn in the queue.
    pub lane: Lane,
    /// Names by query and by header, in this order.
    names: Vec<String>,
    /// Its trace.
    pub trace: opentelemetry::Context,
}

/// The caller's name for the job, and what is to be said about it.
pub struct Name {
    /// If it has one.
    pub name: Option<String>,
    /// If it was passed over.
    pub warning: Option<String>,
}

#[derive(Deserialize)]
struct Parameters {
    client_job_id: Option<String>,
}

impl<S: Sync + Send> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Asked(asked) = Asked::<Parameters>::from_request_parts(parts, state).await?;
        let header =
            parts.headers.get("x-client-job-id").map(|v| String::from_utf8_lossy(v.as_bytes()).into());
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Ok(Self {
            trace: super::telemetry::parent(&parts.headers),
            request_id,
            lane: lane(peer(parts)),
            names: asked.client_job_id.into_iter().chain(header).collect(),
        })
    }
}

impl Caller {
    /// The name: that of the body before that of the query before that of the header.
    pub fn name(&self, body: Option<&str>) -> Name {
        match body.or(self.names.first().map(String::as_str)) {
            None => Name { name: None, warning: None },
            Some(name) if is_name(name) => Name { name: Some(name.into()), warning: None },
            Some(name) => Name {
                name: None,
                warning: Some(format!(
                    "client_job_id was passed over: it has {} characters, and may have 1 to 256 of a-z, A-Z, 0-9, '.', '_', ':' and '-'",
                    name.chars().count()
                )),
            },
        }
    }
}

/// Where the request came from.
pub fn peer(parts: &Parts) -> SocketAddr {
    let found = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    found.map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |info| info.0)
}

fn lane(peer: SocketAddr) -> Lane {
    (peer.ip(), if peer.ip().is_loopback() { peer.port() } else { 0 })
}

/// Whether a text may be a name: of a job, of a request.
pub fn is_name(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

/// The caller's number of a request if it gives a sound one, else a new one.
pub fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    given.filter(|id| is_name(id)).map_or_else(|| format!("req_{}", number()), String::from)
}

/// 24 hexadecimal digits that nobody guesses.
pub fn number() -> String {
    let mut bytes = [0_u8; 12];
    // Without the system's randomness numbers may come twice, and nothing else goes wrong.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
