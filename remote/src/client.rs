//! Typed calls to the service. Each waits for its answer; not for a thread that runs asynchronous tasks.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use crate::Error;
use crate::wire::{
    Analyze, Analyzed, Artifact, Artifacts, Batch, BatchResults, Health, Job, JobAccepted, ModelSize, Models,
    NoteLine, Notes, Predict, Prediction, Problem, ProblemKind, Stored,
};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an answer may take beyond what the service itself allows.
const ANSWER: Duration = Duration::from_secs(600);

/// How long the end of the thread is waited for; a name that is being looked up may hold it.
const END: Duration = Duration::from_secs(2);

/// A service, and the thread that speaks with it.
#[derive(Clone)]
pub struct Client {
    link: Link,
    thread: Arc<Thread>,
}

/// Where requests go. What runs on the thread holds this and not the thread, so that it never ends itself.
#[derive(Clone)]
pub(crate) struct Link {
    http: reqwest::Client,
    address: String,
    token: Option<String>,
}

/// The thread, ended with its last user.
struct Thread(Option<Runtime>);

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(END);
        }
    }
}

/// Says what encrypts: all HTTP of this process that is encrypted needs it said once.
pub fn with_tls() {
    // Another user of the library may have chosen already; then that one does.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Client {
    /// For `address` ("http://host:2011"), with the token that it wants, if it wants one. Nothing is sent yet.
    pub fn new(address: &str, token: Option<&str>) -> Result<Self, Error> {
        let address = address.trim_end_matches('/').to_owned();
        let wrong = || Error::Address { address: address.clone() };
        let url = reqwest::Url::parse(&address).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong());
        }
        with_tls();
        let strange = |why: String| Error::Strange { address: address.clone(), why };
        let http = reqwest::Client::builder().connect_timeout(CONNECT).no_proxy().build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("continuo-remote")
            .enable_all()
            .build();
        let http = http.map_err(|error| strange(error.to_string()))?;
        let runtime = runtime.map_err(|error| strange(error.to_string()))?;
        let link = Link { http, address: address.clone(), token: token.map(String::from) };
        Ok(Self { link, thread: Arc::new(Thread(Some(runtime))) })
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.link.address
    }

    /// Whether it is up.
    pub fn health(&self) -> Result<Health, Error> {
        self.wait(self.link.ask(Method::GET, "/health", None::<&()>))
    }

    /// Its models.
    pub fn models(&self) -> Result<Models, Error> {
        self.wait(self.link.ask(Method::GET, "/models", None::<&()>))
    }

    /// One request, one answer.
    pub fn predict(&self, request: &Predict) -> Result<Prediction, Error> {
        self.wait(self.link.ask(Method::POST, "/predict", Some(request)))
    }

    /// Several requests at once.
    pub fn batch(&self, batch: &Batch) -> Result<BatchResults, Error> {
        self.wait(self.link.ask(Method::POST, "/batch", Some(batch)))
    }

    /// Asks for now and fetches later.
    pub fn create_job(&self, request: &Predict) -> Result<JobAccepted, Error> {
        self.wait(self.link.ask(Method::POST, "/jobs", Some(request)))
    }

    /// How a job stands; waits up to `seconds`, 60 at most, for its end.
    pub fn job(&self, id: &str, seconds: f64) -> Result<Job, Error> {
        self.wait(self.link.ask(Method::GET, &format!("/jobs/{id}?wait={seconds}"), None::<&()>))
    }

    /// Calls a job or a stream off.
    pub fn cancel(&self, id: &str) -> Result<Job, Error> {
        self.wait(self.link.ask(Method::DELETE, &format!("/jobs/{id}"), None::<&()>))
    }

    /// Stores a file; gives its hash, which requests can name in its place.
    pub fn store(&self, bytes: Vec<u8>) -> Result<Stored, Error> {
        self.wait(async {
            let request = self.link.request(Method::POST, "/cas").timeout(ANSWER).body(bytes);
            self.link.read(request).await
        })
    }

    /// Form, motifs, harmony and rhythm of a file.
    pub fn analyze(&self, request: &Analyze) -> Result<Analyzed, Error> {
        self.wait(self.link.ask(Method::POST, "/analyze", Some(request)))
    }

    /// What is known of a file that was kept.
    pub fn artifact(&self, id: &str) -> Result<Artifact, Error> {
        self.wait(self.link.ask(Method::GET, &format!("/artifacts/{id}"), None::<&()>))
    }

    /// What an artifact was made from, what that was made from, and so on.
    pub fn ancestors(&self, id: &str) -> Result<Artifacts, Error> {
        self.wait(self.link.ask(Method::GET, &format!("/artifacts/{id}/ancestors"), None::<&()>))
    }

    /// A file by its hash.
    pub fn file(&self, hash: &str) -> Result<Vec<u8>, Error> {
        self.wait(async {
            let request = self.link.request(Method::GET, &format!("/cas/{hash}"));
            let response = self.link.send(request).await?;
            response.bytes().await.map(|bytes| bytes.to_vec()).map_err(|error| self.link.away(&error))
        })
    }

    /// Name of the model that plays, and its ticks in a quarter note; 0 where a tick is 10 ms.
    pub fn frame(&self, model_size: Option<ModelSize>) -> Result<(String, u32), Error> {
        let ask = Notes { end: 1, model_size, prepare: true, ..Notes::default() };
        let text = self.wait(async {
            let request = self.link.request(Method::POST, "/v1/notes").timeout(ANSWER).json(&ask);
            let response = self.link.send(request).await?;
            response.text().await.map_err(|error| self.link.away(&error))
        })?;
        let strange = |why: String| Error::Strange { address: self.link.address.clone(), why };
        for line in text.lines() {
            match serde_json::from_str(line).map_err(|error| strange(error.to_string()))? {
                // It waits for its turn, or loads its model.
                NoteLine::Waiting => {}
                NoteLine::Start { model, ticks_per_beat } => return Ok((model, ticks_per_beat)),
                NoteLine::Failed { message } => return Err(strange(message)),
                other => return Err(strange(format!("it began with {other:?}"))),
            }
        }
        Err(strange("it ended before it began".into()))
    }

    /// Where requests go.
    pub(crate) fn link(&self) -> Link {
        self.link.clone()
    }

    /// Does something on the thread; it can be called off.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        self.thread.0.as_ref().map(|runtime| runtime.spawn(work).abort_handle())
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match &self.thread.0 {
            Some(runtime) => runtime.block_on(work),
            None => Err(Error::Away { address: self.link.address.clone(), why: "the client ended".into() }),
        }
    }
}

impl Link {
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// An answer, if it is a good one.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|error| self.away(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|value| value.parse().ok());
        let problem = response.json::<Problem>().await.unwrap_or_else(|_| Problem {
            error: ProblemKind::InvalidRequest,
            message: format!("status {status}"),
            ..Problem::default()
        });
        Err(Error::Refused { address: self.address.clone(), status, retry_after, problem: Box::new(problem) })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let mut request = self.request(method, path).timeout(ANSWER);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.read(request).await
    }

    /// The document that answers a request.
    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let response = self.send(request).await?;
        let strange =
            |error: reqwest::Error| Error::Strange { address: self.address.clone(), why: error.to_string() };
        response.json().await.map_err(strange)
    }

    pub(crate) fn away(&self, error: &reqwest::Error) -> Error {
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(deeper) = cause {
            why = deeper.to_string();
            cause = deeper.source();
        }
        Error::Away { address: self.address.clone(), why }
    }
}
