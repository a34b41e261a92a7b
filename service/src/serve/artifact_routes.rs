//! `/artifacts`: what is known about stored files.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use continuo_remote::wire::{Artifact, Artifacts, NewArtifact, Problem};
use serde::Deserialize;

use super::extract::{Asked, Body, Named};
use super::failure::{Failure, fault};
use super::ledger::{Filter, New};
use super::service::Service;
use super::store::is_hash;

/// Who makes artifacts if nobody says.
pub const CREATOR: &str = "agent_anticipatory";
/// Most tags, and most characters of each and of other names.
const TAGS: usize = 32;
const CHARACTERS: usize = 128;
/// Most bytes of metadata.
const METADATA: usize = 64 << 10;
/// Artifacts of a page.
const PAGE: usize = 50;
const LARGEST: usize = 500;

/// Query of `GET /artifacts`.
#[derive(Deserialize)]
pub struct Search {
    tags: Option<String>,
    variation_set_id: Option<String>,
    creator: Option<String>,
    parent_id: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// Names a stored file.
#[utoipa::path(
    post, path = "/artifacts", request_body = NewArtifact,
    responses(
        (status = 200, body = Artifact, description = "the file had one; its tags grew"),
        (status = 201, body = Artifact, description = "it is new"),
        (status = "default", body = Problem)
    )
)]
pub async fn create(
    State(service): State<Arc<Service>>,
    Body(asked): Body<NewArtifact>,
) -> Result<(StatusCode, Json<Artifact>), Failure> {
    let new = sound(asked)?;
    if service.store.size(&new.content_hash).await?.is_none() {
        let text = format!("nothing is stored under {}; PUT the file to /cas first", new.content_hash);
        return Err(Failure::field("content_hash", text));
    }
    let mut made = service.apart(move |service| service.ledger.make(&[new])).await?;
    let (artifact, is_new) = made.pop().ok_or_else(super::service::defect)?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(artifact)))
}

fn sound(asked: NewArtifact) -> Result<New, Failure> {
    if !is_hash(&asked.content_hash) {
        let text = "content_hash has 64 hexadecimal digits, in lower case";
        return Err(Failure::field("content_hash", text));
    }
    let metadata = asked.metadata.unwrap_or_default();
    let size = serde_json::to_string(&metadata).map_or(0, |text| text.len());
    if size > METADATA {
        return Err(Failure::field(
            "metadata",
            format!("metadata has {size} bytes, and may have {METADATA}"),
        ));
    }
    let mut new = New {
        content_hash: asked.content_hash,
        metadata,
        variation_set_id: asked.variation_set_id,
        parent_id: asked.parent_id,
        ..New::default()
    };
    names(&mut new, asked.creator, asked.tags)?;
    Ok(new)
}

/// Puts in who made it and its tags, if they are sound.
pub fn names(new: &mut New, creator: Option<String>, tags: Option<Vec<String>>) -> Result<(), Failure> {
    let mut faults = Vec::new();
    let long = |text: &str| text.is_empty() || text.chars().count() > CHARACTERS;
    new.creator = creator.unwrap_or_else(|| CREATOR.into());
    let named = [("creator", Some(&new.creator)), ("variation_set_id", new.variation_set_id.as_ref())];
    for (name, text) in named {
        if text.is_some_and(|text| long(text)) {
            faults.push(fault(&[name], format!("{name} has 1 to {CHARACTERS} characters"), "value_error"));
        }
    }
    // Without outer spaces, as they are looked for.
    let tags: Vec<String> = tags.unwrap_or_default().iter().map(|tag| tag.trim().to_owned()).collect();
    if tags.len() > TAGS || tags.iter().any(|tag| long(tag) || tag.contains(',')) {
        let text = format!("tags are at most {TAGS}, each of 1 to {CHARACTERS} characters, without commas");
        faults.push(fault(&["tags"], text, "value_error"));
    }
    new.tags.extend(tags);
    if faults.is_empty() { Ok(()) } else { Err(Failure::faulty(faults)) }
}

/// Artifacts, the newest first.
#[utoipa::path(
    get, path = "/artifacts",
    params(
        ("tags" = Option<String>, Query, description = "they have all of these, separated by commas"),
        ("variation_set_id" = Option<String>, Query),
        ("creator" = Option<String>, Query),
        ("parent_id" = Option<String>, Query),
        ("before" = Option<u64>, Query, description = "next of the page before"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 500)
    ),
    responses((status = 200, body = Artifacts), (status = "default", body = Problem))
)]
pub async fn list(
    State(service): State<Arc<Service>>,
    Asked(search): Asked<Search>,
) -> Result<Json<Artifacts>, Failure> {
    let limit = search.limit.unwrap_or(PAGE);
    if !(1..=LARGEST).contains(&limit) {
        let text = format!("limit {limit} is outside 1 to {LARGEST}");
        return Err(Failure::invalid(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let tags = search.tags.unwrap_or_default();
    let filter = Filter {
        tags: tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(String::from).collect(),
        variation_set_id: search.variation_set_id,
        creator: search.creator,
        parent_id: search.parent_id,
        // Beyond what can be counted there is nothing, and so everything is before it.
        before: search.before.map(|place| i64::try_from(place).unwrap_or(i64::MAX)),
        limit,
    };
    let (artifacts, next) = service.apart(move |service| service.ledger.artifacts(&filter)).await?;
    Ok(Json(Artifacts { artifacts, next }))
}

/// An artifact.
#[utoipa::path(
    get, path = "/artifacts/{artifact_id}", params(("artifact_id" = String, Path)),
    responses((status = 200, body = Artifact), (status = "default", body = Problem))
)]
pub async fn one(State(service): State<Arc<Service>>, Named(id): Named) -> Result<Json<Artifact>, Failure> {
    let asked = id.clone();
    let found = service.apart(move |service| service.ledger.artifact(&asked)).await?;
    found.map(Json).ok_or_else(|| unknown(&id))
}

/// What an artifact was made from, what that was made from, and so on.
#[utoipa::path(
    get, path = "/artifacts/{artifact_id}/ancestors", params(("artifact_id" = String, Path)),
    responses((status = 200, body = Artifacts), (status = "default", body = Problem))
)]
pub async fn ancestors(
    State(service): State<Arc<Service>>,
    Named(id): Named,
) -> Result<Json<Artifacts>, Failure> {
    let asked = id.clone();
    let found = service.apart(move |service| {
        Ok(match service.ledger.artifact(&asked)? {
            Some(_) => Some(service.ledger.ancestors(&asked)?),
            None => None,
        })
    });
    let artifacts = found.await?.ok_or_else(|| unknown(&id))?;
    Ok(Json(Artifacts { artifacts, next: None }))
}

fn unknown(id: &str) -> Failure {
    Failure::invalid(StatusCode::NOT_FOUND, format!("there is no artifact {id:.80}"))
}
