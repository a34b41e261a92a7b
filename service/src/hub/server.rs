//! What the Hub says of files, over HTTP.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::name::{Name, is_plain};
use super::{offline, variable};

/// The Hub, or what `HF_ENDPOINT` names.
pub struct Server {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

/// A file of a commit.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name.
    pub file: String,
    /// The commit that the revision stands at: 40 hexadecimal digits.
    pub commit: String,
    /// What its bytes are called.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// A request that is not sent yet.
type Asking = ureq::RequestBuilder<ureq::typestate::WithoutBody>;

/// Silence after which a connection is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// Redirects within the server that are followed to learn of a file.
const MOST_REDIRECTS: usize = 5;

impl Server {
    /// As the environment has it. Fails where it forbids the network.
    pub fn of_environment() -> Result<Self> {
        if offline() {
            bail!("HF_HUB_OFFLINE forbids the network; unset it");
        }
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        let config = Agent::config_builder()
            .user_agent(concat!("continuo/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .http_status_as_error(false)
            .timeout_connect(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build();
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.new_agent(), endpoint, token: variable("HF_TOKEN") })
    }

    /// Where a file is asked for.
    pub fn address(&self, name: &Name, revision: &str, file: &str) -> String {
        let revision = revision.replace('/', "%2F");
        format!("{}/{}/resolve/{revision}/{file}", self.endpoint, name.repository)
    }

    /// What there is to know of a file; nothing if the revision has none of this name.
    pub fn about(&self, name: &Name, revision: &str, file: &str) -> Result<Option<About>> {
        let response = self.ask(&self.address(name, revision, file), |address| self.agent.head(address))?;
        if missing(&response) { Ok(None) } else { self.read(name, file, &response).map(Some) }
    }

    /// The answer to a request. A redirect within the server is to the same file under another name, and is
    /// followed; one that leads elsewhere is given back: it says itself what is there, and who is asked there
    /// must not see the token.
    fn ask(&self, address: &str, request: impl Fn(&str) -> Asking) -> Result<Response<Body>> {
        let mut address = address.to_owned();
        for _ in 0..MOST_REDIRECTS {
            let mut request =
                request(&address).config().max_redirects(0).max_redirects_will_error(false).build();
            if let Some(token) = &self.token {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| self.unreachable(error))?;
            match elsewhere(&response).filter(|to| to.starts_with('/')) {
                Some(to) => address = format!("{}{to}", origin(&address)),
                None => return Ok(response),
            }
        }
        bail!("{address} is redirected in a circle; try again later")
    }

    fn read(&self, name: &Name, file: &str, response: &Response<Body>) -> Result<About> {
        if !response.status().is_success() && !response.status().is_redirection() {
            return Err(self.refused(name, file, response));
        }
        let foreign = |what: &str| {
            anyhow!(
                "{} gives {file} of {name} without {what}; it is no Hub, check HF_ENDPOINT",
                self.endpoint
            )
        };
        let commit = header(response, "x-repo-commit").filter(|commit| is_commit(commit));
        let etag = header(response, "x-linked-etag").or_else(|| header(response, "etag"));
        let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned());
        let size = header(response, "x-linked-size").or_else(|| header(response, "content-length"));
        Ok(About {
            file: file.to_owned(),
            commit: commit.ok_or_else(|| foreign("a commit"))?,
            etag: etag.filter(|etag| is_plain(etag)).ok_or_else(|| foreign("an ETag"))?,
            size: size.and_then(|size| size.parse().ok()).ok_or_else(|| foreign("its size"))?,
        })
    }

    /// A file's bytes from `from` on; the answer's status says whether the server goes along with that.
    pub fn open(&self, name: &Name, about: &About, from: u64) -> Result<Response<Body>> {
        let get = |address: &str| match from {
            0 => self.agent.get(address),
            _ => self.agent.get(address).header("Range", format!("bytes={from}-")),
        };
        let mut response = self.ask(&self.address(name, &about.commit, &about.file), get)?;
        if let Some(to) = elsewhere(&response) {
            response = get(&to).call().map_err(|error| self.unreachable(error))?;
        }
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            _ => Err(self.refused(name, &about.file, &response)),
        }
    }

    fn unreachable(&self, error: ureq::Error) -> anyhow::Error {
        let context = format!(
            "cannot reach {}; check the network and HF_ENDPOINT (what is in the cache is found without it)",
            self.endpoint
        );
        anyhow::Error::new(error).context(context)
    }

    fn refused(&self, name: &Name, file: &str, response: &Response<Body>) -> anyhow::Error {
        let (host, status) = (&self.endpoint, response.status().as_u16());
        let code = header(response, "x-error-code").unwrap_or_default();
        match (status, code.as_str()) {
            (404, "RevisionNotFound") => anyhow!(
                "{host} has no revision {:?} of {}; check its branches and tags",
                name.revision,
                name.repository
            ),
            (404, _) => anyhow!("{host} has no model {}; check its name", name.repository),
            (401 | 403, "GatedRepo") => anyhow!(
                "{host} gives {name} only to those who accepted its terms: do so at {host}/{}, and set HF_TOKEN",
                name.repository
            ),
            (401 | 403, _) if self.token.is_some() => {
                anyhow!("{host} does not let the token in HF_TOKEN read {name} ({status}); check both")
            }
            (401 | 403, _) => anyhow!(
                "{host} has no model {name} for everybody ({status}); check its name, or set HF_TOKEN to a token that may read it"
            ),
            _ => anyhow!("{host} answers {status} to {file} of {name}; try again later"),
        }
    }
}

/// Whether the revision is there, and the file is not.
fn missing(response: &Response<Body>) -> bool {
    let code = header(response, "x-error-code");
    response.status() == StatusCode::NOT_FOUND && code.as_deref() == Some("EntryNotFound")
}

/// Scheme and host of an address.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    &address[..end]
}

/// Where a redirect leads.
fn elsewhere(response: &Response<Body>) -> Option<String> {
    header(response, "location").filter(|_| response.status().is_redirection())
}

/// A header's text.
pub fn header(response: &Response<Body>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.trim().to_owned())
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The number that a range begins with.
pub fn range_start(response: &Response<Body>) -> Result<u64> {
    let range = header(response, "content-range").context("a part came without saying which")?;
    let start = range.strip_prefix("bytes ").and_then(|range| range.split_once('-')?.0.parse().ok());
    start.with_context(|| format!("a part came that says it is {range:?}"))
}
