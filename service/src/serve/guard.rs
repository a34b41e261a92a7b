//! What stands before every request: its number, who may ask, how often, from which page.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::caller::{RequestId, peer, request_id};
use super::failure::Failure;
use super::figures::Figures;
use super::{log, page, rest};

/// Who may ask, and how often.
#[derive(Default)]
pub struct Guard {
    /// Digest of the token that is wanted.
    pub token: Option<[u8; 32]>,
    /// Only requests that name this machine itself, so that no page can reach in under a name of its own.
    pub local_names: bool,
    /// Origins of pages that may ask.
    pub origins: Vec<String>,
    /// Requests a minute of one address; 0 is no limit.
    pub a_minute: f64,
    /// Whether this machine's own programs may ask as often as they like.
    pub spares_own: bool,
    /// Where failures are counted.
    pub figures: Arc<Figures>,
    /// What each address has left, and when that was so.
    pub left: Mutex<HashMap<IpAddr, (f64, Instant)>>,
}

/// Most addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// Digest of a token.
pub fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Guard {
    fn admit(&self, parts: &Parts) -> Result<(), Failure> {
        if self.local_names && !names_this_machine(&parts.headers) {
            let text = "the header Host names another machine; ask at 127.0.0.1 or localhost, or set a token";
            return Err(Failure::invalid(StatusCode::FORBIDDEN, text));
        }
        let reads = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if !reads && !self.is_known_page(&parts.headers) {
            let text = "a page of another origin may not change anything here; name it with --cors-origin";
            return Err(Failure::invalid(StatusCode::FORBIDDEN, text));
        }
        if parts.uri.path() == "/health" || page::is_part(parts.uri.path()) {
            return Ok(());
        }
        self.known(&parts.headers)?;
        let works = matches!(parts.method, Method::POST | Method::PUT);
        if works { self.paced(peer(parts).ip()) } else { Ok(()) }
    }

    fn known(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(wanted) = &self.token else { return Ok(()) };
        // Bytes, since a token need not be ASCII.
        let given = headers.get(header::AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
        // RFC 9110, 11.1: a scheme may be written in any case.
        let bearer = given.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
        let token = bearer.map_or(&[][..], |(_, token)| token.trim_ascii_start());
        if bool::from(digest(token).ct_eq(wanted)) {
            return Ok(());
        }
        let text = "a token is wanted: send the header Authorization: Bearer TOKEN";
        Err(Failure::invalid(StatusCode::UNAUTHORIZED, text))
    }

    fn paced(&self, address: IpAddr) -> Result<(), Failure> {
        if self.a_minute <= 0.0 || self.spares_own && address.is_loopback() {
            return Ok(());
        }
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() > ADDRESSES {
            all.retain(|_, (_, at)| at.elapsed().as_secs() < 60);
        }
        let (left, at) = all.get(&address).copied().unwrap_or((self.a_minute, Instant::now()));
        let left = (left + at.elapsed().as_secs_f64() * self.a_minute / 60.0).min(self.a_minute);
        all.insert(address, (if left >= 1.0 { left - 1.0 } else { left }, Instant::now()));
        if left >= 1.0 {
            return Ok(());
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most a minute
        let wait = ((1.0 - left) * 60.0 / self.a_minute).ceil().max(1.0) as u64;
        let text = format!("this address may ask {} times a minute (--rate-limit)", self.a_minute);
        Err(Failure::busy(text, wait))
    }

    /// Whether no page asks, or one of this service's own, or one that may.
    fn is_known_page(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let own = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        (host.is_some() && own == host) || self.origin(headers).is_some()
    }

    /// The origin of a page, if it may ask.
    fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.origins.iter().any(|one| one.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else { return true };
    let name = match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// On a failure that has the shape that its clients know, and keeps it.
#[derive(Clone)]
pub struct Shaped;

/// On a request whose failures are told as OpenAI tells them.
#[derive(Clone)]
pub struct AsOpenAi;

/// Gives the request its number, and every failure its body.
pub async fn number(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let openai = request.extensions().get::<AsOpenAi>().is_some() && request.uri().path().starts_with("/v1/");
    let id = request_id(request.headers());
    let (began, line) = (Instant::now(), (request.method().to_string(), request.uri().path().to_owned()));
    request.extensions_mut().insert(RequestId(id.clone()));
    let (request, unread) = rest::of(request);
    let mut response = next.run(request).await;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        unread.drain().await;
    }
    let shaped = response.extensions().get::<Shaped>().is_some();
    if !shaped && (status.is_client_error() || status.is_server_error()) {
        let said = std::mem::take(response.headers_mut());
        let failure =
            response.extensions_mut().remove::<Failure>().unwrap_or_else(|| Failure::of_status(status));
        if !failure.counted {
            guard.figures.failed(failure.kind.name());
        }
        response = if openai { failure.openai() } else { failure.response(&id) };
        // What was said beside the body stays: methods that are allowed, and which pages may read this.
        for (name, value) in &said {
            let is_of_the_body = name == header::CONTENT_TYPE || name == header::CONTENT_LENGTH;
            if !is_of_the_body && !response.headers().contains_key(name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    told(&id, line, status, began);
    response
}

/// A line about a request; how long it took is told to its first byte.
fn told(id: &str, (method, path): (String, String), status: StatusCode, began: Instant) {
    let level = if status.is_server_error() { "error" } else { "info" };
    let fields = [
        ("method", json!(method)),
        ("path", json!(path)),
        ("status", json!(status.as_u16())),
        ("request_id", json!(id)),
        ("seconds", json!((began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0)),
    ];
    log::say(level, "request", &fields);
}

/// Lets in who may come in.
pub async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let origin = guard.origin(&parts.headers);
    let asks_leave = parts.method == Method::OPTIONS && origin.is_some();
    let mut response = if asks_leave {
        StatusCode::NO_CONTENT.into_response()
    } else {
        match guard.admit(&parts) {
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
            Err(failure) => failure.into_response(),
        }
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        headers
            .insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE"));
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(
                "authorization, content-type, traceparent, tracestate, x-client-job-id, x-request-id",
            ),
        );
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("x-request-id, retry-after"),
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for (host, own) in [
            ("localhost:2011", true),
            ("127.0.0.1", true),
            ("[::1]:2011", true),
            ("LOCALHOST", true),
            ("evil.example:2011", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(names_this_machine(&headers), own, "{host}");
        }
    }

    #[test]
    fn an_address_has_so_many_a_minute() {
        let guard = Guard { a_minute: 3.0, ..Guard::default() };
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert!((0..3).all(|_| guard.paced(one).is_ok()));
        let failure = guard.paced(one).unwrap_err();
        assert_eq!(failure.status, StatusCode::TOO_MANY_REQUESTS);
        assert!((1..=20).contains(&failure.retry_after.unwrap()));
        assert!(guard.paced(other).is_ok());
        // This machine's own programs are spared where no limit was asked for, and only they.
        let guard = Guard { a_minute: 1.0, spares_own: true, ..Guard::default() };
        let own = IpAddr::from([127, 0, 0, 1]);
        assert!((0..3).all(|_| guard.paced(own).is_ok()));
        assert!(guard.paced(one).is_ok() && guard.paced(one).is_err());
    }
}
