//! `/cas`: files by the SHA-256 of their content.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body as Bytes, Bytes as Whole};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use continuo_remote::wire::{Problem, Stored};
use object_store::GetRange;

use super::extract::{Named, Raw};
use super::failure::Failure;
use super::service::Service;
use super::store::{Piece, hash, is_hash};

/// Bytes that tell the kind of a file.
const SNIFFED: u64 = 12;
/// Longest name of a kind.
const KIND: usize = 128;

/// Stores a file.
#[utoipa::path(
    post, path = "/cas", request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = Stored, description = "it was there"),
        (status = 201, body = Stored, description = "it is new"),
        (status = "default", body = Problem)
    )
)]
pub async fn add(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Result<(StatusCode, Json<Stored>), Failure> {
    store(&service, &headers, bytes).await
}

/// What clients say where nobody told them what they send; the second is curl's word.
const UNSAID: [&str; 2] = ["application/octet-stream", "application/x-www-form-urlencoded"];

/// Stores a file whose hash is known.
#[utoipa::path(
    put, path = "/cas/{hash}", params(("hash" = String, Path, pattern = "^[0-9a-f]{64}$")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = Stored, description = "it was there"),
        (status = 201, body = Stored, description = "it is new"),
        (status = "default", body = Problem)
    )
)]
pub async fn put(
    State(service): State<Arc<Service>>,
    Named(name): Named,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Result<(StatusCode, Json<Stored>), Failure> {
    sound(&name)?;
    let own = hash(&bytes);
    if own != name {
        let text = format!("the body's SHA-256 is {own}, and the address says {name}");
        return Err(Failure::invalid(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    store(&service, &headers, bytes).await
}

async fn store(
    service: &Arc<Service>,
    headers: &HeaderMap,
    bytes: Whole,
) -> Result<(StatusCode, Json<Stored>), Failure> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let sent = sent.filter(|kind| kind.len() <= KIND && !UNSAID.contains(kind)).map(String::from);
    let size = bytes.len() as u64;
    let sniffed = kind(&bytes);
    let (hash, is_new) = service.store.write(bytes.to_vec()).await?;
    let name = hash.clone();
    let mime_type = service
        .apart(move |service| {
            if let Some(sent) = sent.filter(|sent| sent != sniffed) {
                service.ledger.note_kind(&name, &sent)?;
            }
            Ok(service.ledger.kind(&name)?.unwrap_or_else(|| sniffed.into()))
        })
        .await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Stored { hash, size, mime_type })))
}

/// A file, or one range of it. A `HEAD` tells its size.
#[utoipa::path(
    get, path = "/cas/{hash}", params(("hash" = String, Path, pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 200, description = "the file", content_type = "application/octet-stream"),
        (status = 206, description = "the range that was asked for", content_type = "application/octet-stream"),
        (status = 304, description = "it is what If-None-Match names"),
        (status = "default", body = Problem)
    )
)]
pub async fn file(
    State(service): State<Arc<Service>>,
    method: Method,
    Named(name): Named,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    sound(&name)?;
    let size = service.store.size(&name).await?.ok_or_else(|| missing(&name))?;
    let tag = format!("\"{name}\"");
    let given = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    if given(header::IF_NONE_MATCH).is_some_and(|tags| tags.trim() == "*" || tags.contains(&tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    // What is stored never changes, so a range of another state of it cannot be meant.
    let if_range = given(header::IF_RANGE).is_none_or(|one| one == tag);
    let range = given(header::RANGE).filter(|_| if_range && method == Method::GET);
    let asked = match range.map_or(Wanted::Whole, |text| wanted(text, size)) {
        Wanted::Whole => None,
        Wanted::Part(range) => Some(range),
        Wanted::Nothing => {
            let text = format!("the range lies outside the file, which has {size} bytes");
            let failure = Failure::invalid(StatusCode::RANGE_NOT_SATISFIABLE, text);
            return Err(Failure { size: Some(size), ..failure });
        }
    };
    let piece = match method {
        Method::HEAD => Piece { bytes: Whole::new(), range: 0..size, size },
        _ => service.store.read(&name, asked.clone()).await?.ok_or_else(|| missing(&name))?,
    };
    let own = name.clone();
    let noted = service.apart(move |service| service.ledger.kind(&own)).await?;
    let mime = match noted {
        Some(mime) => mime,
        None if method == Method::GET && asked.is_none() => kind(&piece.bytes).into(),
        None => start(&service, &name, size).await?.into(),
    };
    Ok(shown(piece, asked.is_some(), &tag, &mime))
}

/// The kind of a file of which not all is told, by its start.
async fn start(service: &Service, name: &str, size: u64) -> Result<&'static str, Failure> {
    if size == 0 {
        return Ok(kind(&[]));
    }
    let range = GetRange::Bounded(0..SNIFFED.min(size));
    let piece = service.store.read(name, Some(range)).await?.ok_or_else(|| missing(name))?;
    Ok(kind(&piece.bytes))
}

/// Files come from anyone, so a browser is told to run nothing in them.
fn shown(piece: Piece, part: bool, tag: &str, mime: &str) -> Response {
    let (range, size) = (piece.range, piece.size);
    let builder = Response::builder()
        .status(if part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK })
        .header(header::CONTENT_TYPE, mime)
        .header(header::CONTENT_LENGTH, range.end - range.start)
        .header(header::ETAG, tag)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CACHE_CONTROL, "private, max-age=31536000, immutable")
        .header(header::CONTENT_DISPOSITION, "attachment")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    let builder = match part {
        true => builder
            .header(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end.max(1) - 1)),
        false => builder,
    };
    builder.body(Bytes::from(piece.bytes)).unwrap_or_else(|_| Failure::failed("a header").into_response())
}

/// What a `Range` asks for (RFC 9110, 14): one range of bytes, or all where it is something else.
#[derive(Debug, PartialEq)]
enum Wanted {
    Whole,
    Part(GetRange),
    Nothing,
}

fn wanted(text: &str, size: u64) -> Wanted {
    let Some((from, to)) = text.strip_prefix("bytes=").and_then(|one| one.split_once('-')) else {
        return Wanted::Whole;
    };
    let (from, to) = (from.trim(), to.trim());
    match (from.parse::<u64>(), to.parse::<u64>()) {
        (Err(_), Ok(0)) if from.is_empty() => Wanted::Nothing,
        (Err(_), Ok(last)) if from.is_empty() && size > 0 => {
            Wanted::Part(GetRange::Bounded(size.saturating_sub(last)..size))
        }
        (Ok(from), _) if from >= size => Wanted::Nothing,
        (Ok(from), Err(_)) if to.is_empty() => Wanted::Part(GetRange::Bounded(from..size)),
        (Ok(from), Ok(to)) if to >= from => {
            Wanted::Part(GetRange::Bounded(from..to.saturating_add(1).min(size)))
        }
        _ => Wanted::Whole,
    }
}

/// The kind of a file by its first bytes.
fn kind(bytes: &[u8]) -> &'static str {
    match bytes {
        [b'M', b'T', b'h', b'd', ..] => "audio/midi",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "audio/wav",
        _ => "application/octet-stream",
    }
}

fn sound(hash: &str) -> Result<(), Failure> {
    if is_hash(hash) {
        return Ok(());
    }
    let text = "a content hash has 64 hexadecimal digits, in lower case";
    Err(Failure::invalid(StatusCode::UNPROCESSABLE_ENTITY, text))
}

fn missing(hash: &str) -> Failure {
    Failure::invalid(StatusCode::NOT_FOUND, format!("nothing is stored under {hash}; PUT it there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        let part = |from, to| Wanted::Part(GetRange::Bounded(from..to));
        for (text, is) in [
            ("bytes=0-3", part(0, 4)),
            ("bytes=4-", part(4, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-30", part(0, 10)),
            ("bytes=8-99", part(8, 10)),
            ("bytes=9-18446744073709551615", part(9, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=3-1", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes=x-", Wanted::Whole),
        ] {
            assert_eq!(wanted(text, 10), is, "{text}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }
}
