//! What a handler takes from a request; each fails as all requests here fail.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{StatusCode, header, request::Parts};
use continuo_remote::wire::Detail;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::{Failure, fault};

/// A body in JSON.
pub struct Body<T>(pub T);

/// A body of any kind.
pub struct Raw(pub axum::body::Bytes);

/// Query parameters.
pub struct Asked<T>(pub T);

/// The name in a path.
pub struct Named(pub String);

impl<T: DeserializeOwned, S: Sync + Send> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // Only what a page of another origin cannot send unasked.
        let json = kind.and_then(|kind| kind.split(';').next()).is_some_and(|kind| {
            kind.trim().eq_ignore_ascii_case("application/json") || kind.trim().ends_with("+json")
        });
        if !json {
            let text = "the body is JSON; send it with the header Content-Type: application/json";
            return Err(Failure::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        let Raw(bytes) = Raw::from_request(request, state).await?;
        parsed(&bytes).map(Self)
    }
}

impl<S: Sync + Send> FromRequest<S> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let read = axum::body::Bytes::from_request(request, state);
        let bytes = tokio::time::timeout(super::BODY_WITHIN, read).await.map_err(|_| slow())?;
        bytes.map(Self).map_err(|rejection| unread(rejection.status()))
    }
}

fn slow() -> Failure {
    let seconds = super::BODY_WITHIN.as_secs();
    Failure::invalid(StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {seconds} s"))
}

fn unread(status: StatusCode) -> Failure {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::invalid(
            status,
            "the body is larger than is taken (--max-body); send less, or raise the limit",
        ),
        other => Failure::invalid(other, "the body did not arrive whole; send it again"),
    }
}

/// Fields that hold an object, and fields that hold a list of them. A list in place of an object would
/// otherwise be taken for its fields in order.
const OBJECTS: &[&str] = &["constraints", "compat", "limits", "params", METADATA];
const LISTS: &[&str] = &["history", "held", "controls"];
/// What stands in this one is the caller's own.
const METADATA: &str = "metadata";

fn objects(value: &Value, at: &str, faults: &mut Vec<Detail>) {
    let Value::Object(fields) = value else {
        let text = if at.is_empty() { "the body is no object".into() } else { format!("{at} is no object") };
        faults.push(fault(if at.is_empty() { &[] } else { std::slice::from_ref(&at) }, text, "type_error"));
        return;
    };
    if at == METADATA {
        return;
    }
    for (name, inner) in fields {
        if OBJECTS.contains(&name.as_str()) && !inner.is_null() {
            objects(inner, name, faults);
        }
        if let Value::Array(list) = inner
            && LISTS.contains(&name.as_str())
        {
            list.iter().for_each(|one| objects(one, name, faults));
        }
    }
}

/// A document of the wire, or the place where it is none.
pub fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut faults = Vec::new();
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        objects(&value, "", &mut faults);
    }
    if !faults.is_empty() {
        faults.truncate(8);
        return Err(Failure::faulty(faults));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = error.path().to_string();
        let place: Vec<&str> = place.split('.').filter(|part| !matches!(*part, "." | "" | "?")).collect();
        let text = error.inner().to_string();
        let kind = if error.inner().is_data() { "type_error" } else { "json_invalid" };
        let what = if place.is_empty() { text } else { format!("{}: {text}", place.join(".")) };
        Failure::faulty(vec![fault(&place, what, kind)])
    })?;
    reader.end().map_err(|error| Failure::faulty(vec![fault(&[], error.to_string(), "json_invalid")]))?;
    Ok(value)
}

impl<T: DeserializeOwned + Send, S: Sync + Send> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => {
                let mut failure = Failure::invalid(StatusCode::UNPROCESSABLE_ENTITY, rejection.body_text());
                let detail = Detail {
                    loc: vec!["query".into()],
                    msg: failure.message.clone(),
                    kind: "type_error".into(),
                };
                failure.faults = vec![detail];
                Err(failure)
            }
        }
    }
}

impl<S: Sync + Send> FromRequestParts<S> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(Failure::invalid(StatusCode::UNPROCESSABLE_ENTITY, rejection.body_text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parsed;
    use continuo_remote::wire::Predict;

    #[test]
    fn faults_name_their_place() {
        let failure = parsed::<Predict>(br#"{"constraints": {"density": "thick"}}"#).unwrap_err();
        assert_eq!(failure.faults[0].loc, ["body", "constraints", "density"]);
        assert_eq!(parsed::<Predict>(b"{").unwrap_err().faults[0].kind, "json_invalid");
        assert!(parsed::<Predict>(b"{} x").is_err());
        assert!(parsed::<Predict>(b"{}").is_ok());
        assert!(parsed::<Predict>(b"[]").is_err());
        let failure = parsed::<Predict>(br#"{"constraints": [true]}"#).unwrap_err();
        assert_eq!(failure.faults[0].loc, ["body", "constraints"]);
    }
}
