//! `continuo serve`: the engine over HTTP.
//!
//! ```text
//! HTTP ─▶ guard (number, token, pace) ─▶ extract ─▶ Ask ─▶ queue ─▶ worker: plan, play, sheet ─▶ Prediction
//!                                                          │                  │ Engine, shared by all
//!                                                          └ lanes take turns └ words of progress ─▶ stream
//! ```

mod ask;
mod batch;
mod caller;
mod clock;
mod extract;
mod failure;
mod guard;
mod job_routes;
mod jobs;
mod life;
mod listing;
mod measure;
mod notes;
mod perform;
mod play;
mod predict;
mod queue;
mod router;
mod service;
mod shelf;
mod stop;
mod store;
mod stream;
mod tasks;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, value_parser};
use continuo_remote::wire::PORT;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use guard::{Guard, digest};
use queue::Queue;
use service::Service;

/// How long a body may be on its way.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Arguments of `continuo serve`.
#[derive(Args)]
pub struct Serve {
    /// The port; 0 takes a free one, which is printed.
    #[arg(long, default_value_t = PORT, env = "CONTINUO_PORT")]
    port: u16,
    /// The address to listen at. Others than this machine's own want a token.
    #[arg(long, default_value = "127.0.0.1", env = "CONTINUO_HOST")]
    host: IpAddr,
    /// Requests must send `Authorization: Bearer TOKEN`.
    #[arg(long, env = "CONTINUO_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The same, read from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The model that answers where no size is asked for, or the size is not installed: a path or a name.
    #[arg(long, value_name = "PATH")]
    model: Option<String>,
    /// Refuse a model size that is not installed; without this the best one that is answers.
    #[arg(long)]
    strict_models: bool,
    /// Seconds that one piece of work may take.
    #[arg(long, default_value_t = 300.0)]
    timeout: f64,
    /// Pieces of work under way at once.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Pieces of work that may wait.
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(0..=4096))]
    queue: u16,
    /// Requests for work a minute and address; 0 is no limit.
    #[arg(long, default_value_t = 600.0)]
    rate_limit: f64,
    /// Largest body in bytes.
    #[arg(long, default_value_t = 8 << 20)]
    max_body: usize,
    /// Bytes of files that are kept for fetching by hash.
    #[arg(long, default_value_t = 256 << 20)]
    store_bytes: usize,
    /// A web page at this origin may ask; may be given more than once.
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,
}

impl Serve {
    /// Serves until it is told to stop; gives what is printed then.
    pub fn run(&self) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let served = runtime.block_on(self.serve());
        // Blocking work that is still under way is not waited for.
        runtime.shutdown_background();
        served
    }

    async fn serve(&self) -> Result<Value> {
        let guard = self.guard()?;
        if !(self.timeout > 0.0 && self.timeout <= 86_400.0) {
            bail!("--timeout {} is outside 0 to 86400 s", self.timeout);
        }
        let service = Arc::new(self.service()?);
        let address = SocketAddr::new(self.host, self.port);
        let listener = TcpListener::bind(address).await.with_context(|| refused(address))?;
        let address = listener.local_addr()?;
        let router = router::router(Arc::clone(&service), Arc::new(guard), self.max_body);
        eprintln!("continuo: serving at http://{address} (stop with ctrl-c)");
        let app = router.into_make_service_with_connect_info::<SocketAddr>();
        let closing = stop::told(Arc::clone(&service));
        let serving = axum::serve(listener, app).with_graceful_shutdown(closing).into_future();
        stop::within(serving, &service).await?;
        Ok(json!({
            "address": format!("http://{address}"),
            "work": service.served.load(Ordering::Relaxed),
            "peak_memory_bytes": stop::peak_memory(),
        }))
    }

    fn service(&self) -> Result<Service> {
        Ok(Service {
            shelf: shelf::Shelf::new(self.model.clone(), self.strict_models),
            store: store::Store::new(self.store_bytes),
            jobs: jobs::Jobs::default(),
            queue: Queue::new("work", self.workers.into(), self.queue.into())?,
            live: Queue::new("live", self.workers.into(), self.queue.into())?,
            most: Duration::from_secs_f64(self.timeout),
            lives: Default::default(),
            served: Default::default(),
            closing: Default::default(),
        })
    }

    /// Refuses to stand open to the world.
    fn guard(&self) -> Result<Guard> {
        let token = match &self.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                Some(text.trim().to_owned())
            }
            None => self.token.clone(),
        };
        let token = token.filter(|token| !token.is_empty());
        if token.is_none() && !self.host.is_loopback() {
            bail!(
                "--host {} can be reached from other machines, so it wants a token: set CONTINUO_TOKEN, or --token-file FILE",
                self.host
            );
        }
        Ok(Guard {
            local_names: token.is_none(),
            token: token.as_deref().map(digest),
            origins: self.cors_origin.clone(),
            a_minute: self.rate_limit,
            left: Default::default(),
        })
    }
}

fn refused(address: SocketAddr) -> String {
    format!("cannot listen at {address}: choose another port with --port, or stop what uses it")
}
