//! Why a request gets no answer, as it is said to the client.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use continuo_remote::wire::{Detail, Problem, ProblemKind};
use serde_json::{Value, json};

use super::clock;

/// A request that fails. The outermost layer writes its body, where the number of the request is known.
#[derive(Clone, Debug)]
pub struct Failure {
    /// HTTP status.
    pub status: StatusCode,
    /// What kind.
    pub kind: ProblemKind,
    /// What is wrong, the limit, the remedy.
    pub message: String,
    /// Numbers and names.
    pub details: Value,
    /// What may help.
    pub suggestions: Vec<String>,
    /// Each fault of the request.
    pub faults: Vec<Detail>,
    /// Seconds after which another try may do.
    pub retry_after: Option<u64>,
    /// Whether the client itself called it off.
    pub cancelled: bool,
    /// Bytes of a file of which a range was asked that it does not have.
    pub size: Option<u64>,
    /// Whether it was counted already.
    pub counted: bool,
}

impl Failure {
    /// Of some status.
    pub fn new(status: StatusCode, kind: ProblemKind, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            details: json!({}),
            suggestions: Vec::new(),
            faults: Vec::new(),
            retry_after: None,
            cancelled: false,
            size: None,
            counted: false,
        }
    }

    /// A field that cannot stand as it is.
    pub fn field(name: &str, message: impl Into<String>) -> Self {
        let fault = fault(&[name], message, "value_error");
        Self::faulty(vec![fault])
    }

    /// Several of them.
    pub fn faulty(faults: Vec<Detail>) -> Self {
        let lines: Vec<&str> = faults.iter().map(|fault| fault.msg.as_str()).collect();
        let mut failure = Self::invalid(StatusCode::UNPROCESSABLE_ENTITY, lines.join("; "));
        failure.details = json!({ "fields": faults.iter().map(|f| f.loc.join(".")).collect::<Vec<_>>() });
        failure.faults = faults;
        failure
    }

    /// A request that cannot be answered.
    pub fn invalid(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, ProblemKind::InvalidRequest, message)
    }

    /// A part that is not here.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ProblemKind::ModelUnavailable, message)
    }

    /// Music that is no answer, or a defect.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ProblemKind::GenerationFailed, message)
    }

    /// Longer than allowed.
    pub fn timeout(seconds: f64) -> Self {
        let text = format!("it took longer than the {seconds} s that are allowed (--timeout)");
        Self::new(StatusCode::GATEWAY_TIMEOUT, ProblemKind::Timeout, text)
            .suggest("ask for less: a lower length_seconds, max_tokens or num_variations")
    }

    /// Too many at once.
    pub fn busy(message: impl Into<String>, retry_after: u64) -> Self {
        let mut failure = Self::new(StatusCode::TOO_MANY_REQUESTS, ProblemKind::RateLimited, message);
        failure.retry_after = Some(retry_after);
        failure
    }

    /// Called off by the client.
    pub fn cancelled() -> Self {
        let mut failure =
            Self::new(StatusCode::CONFLICT, ProblemKind::GenerationFailed, "the job was cancelled");
        failure.cancelled = true;
        failure.details = json!({ "reason": "cancelled" });
        failure
    }

    /// Called off because the service ends.
    pub fn interrupted() -> Self {
        Self::failed("interrupted: the service ended before the job did; ask again")
            .with(json!({ "reason": "interrupted" }))
    }

    /// For a status that the router gave without a word.
    pub fn of_status(status: StatusCode) -> Self {
        let text = match status {
            StatusCode::NOT_FOUND => {
                "there is nothing at this address; GET /openapi.json lists what there is".to_owned()
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                "this address takes another method; the header Allow names it".to_owned()
            }
            other => other.canonical_reason().unwrap_or("the request failed").to_owned(),
        };
        if status.is_server_error() {
            Self { status, ..Self::failed(text) }
        } else {
            Self::invalid(status, text)
        }
    }

    /// With another status.
    pub fn of(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With numbers and names.
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// With something that may help.
    pub fn suggest(mut self, text: impl Into<String>) -> Self {
        self.suggestions.push(text.into());
        self
    }

    /// As it stands on the wire.
    pub fn problem(&self, request_id: &str) -> Problem {
        Problem {
            error: self.kind,
            message: self.message.clone(),
            details: self.details.clone(),
            suggestions: self.suggestions.clone(),
            request_id: request_id.into(),
            timestamp: clock::now(),
            detail: self.faults.clone(),
        }
    }

    /// The answer.
    pub fn response(&self, request_id: &str) -> Response {
        self.with_headers(axum::Json(self.problem(request_id)).into_response())
    }

    /// The answer as clients of OpenAI read it.
    pub fn openai(&self) -> Response {
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        let error = json!({ "error": {
            "message": self.message, "type": kind, "param": Value::Null, "code": self.kind.name()
        }});
        self.with_headers(axum::Json(error).into_response())
    }

    fn with_headers(&self, mut response: Response) -> Response {
        *response.status_mut() = self.status;
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(size) = self.size
            && let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}"))
        {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A fault of the body.
pub fn fault(place: &[&str], message: impl Into<String>, kind: &str) -> Detail {
    let loc = std::iter::once("body").chain(place.iter().copied()).map(String::from).collect();
    Detail { loc, msg: message.into(), kind: kind.into() }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
