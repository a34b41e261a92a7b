//! `continuo serve`: the engine over HTTP.
//!
//! ```text
//! HTTP ─▶ guard (number, token, pace) ─▶ extract ─▶ Ask ─▶ queue ─▶ worker: plan, play, sheet ─▶ Prediction
//!                                                          │                  │ Engine, shared by all
//!                                                          └ lanes take turns └ words of progress ─▶ stream
//! ```

mod analyze;
mod artifact_routes;
mod ask;
mod batch;
mod caller;
mod cas_routes;
pub mod checks;
mod clock;
mod extract;
mod failure;
mod families;
mod figures;
mod guard;
mod input;
mod job_routes;
mod jobs;
mod ledger;
mod life;
mod listing;
mod log;
mod measure;
mod notes;
mod options;
mod page;
mod perform;
mod play;
mod predict;
mod queue;
mod rest;
mod router;
mod service;
mod shelf;
mod state;
mod stop;
mod store;
mod stream;
mod tasks;
mod telemetry;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use continuo_remote::wire::SERVICE;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub use options::Serve;

use crate::hub::variable;
use guard::{Guard, digest};
use queue::Queue;
use service::Service;
use telemetry::{Collector, Telemetry};

/// How long a body may be on its way.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Requests for work a minute that an address has if nothing is said.
const A_MINUTE: f64 = 600.0;

/// How long traces and metrics may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);

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
        let guard = Arc::new(self.guard()?);
        let most = self.most()?;
        let address = SocketAddr::new(self.host, self.port);
        let listener = TcpListener::bind(address).await.with_context(|| refused(address))?;
        let address = listener.local_addr()?;
        log::as_format(self.log);
        let service = Arc::new(self.service(Arc::clone(&guard.figures), most)?);
        log::line(&format!("models compute on {}", shelf::place()));
        service.figures.watch(&service, service.telemetry.meter());
        for family in families::asked(self) {
            family.open(self.host, Arc::clone(&guard)).await?;
        }
        let router = router::router(Arc::clone(&service), guard, self.max_body);
        log::line(&format!("serving at http://{address} (stop with ctrl-c)"));
        let app = router.into_make_service_with_connect_info::<SocketAddr>();
        let closing = stop::told(Arc::clone(&service));
        let serving = axum::serve(listener, app).with_graceful_shutdown(closing).into_future();
        stop::within(serving, &service).await?;
        let house = Arc::clone(&service);
        let ending = tokio::task::spawn_blocking(move || house.telemetry.end());
        // A collector that does not answer holds nobody up.
        let _ = tokio::time::timeout(LAST_WORDS, ending).await;
        Ok(json!({
            "address": format!("http://{address}"),
            "work": service.served.load(Ordering::Relaxed),
            "peak_memory_bytes": stop::peak_memory(),
        }))
    }

    /// How long a piece of work may take.
    fn most(&self) -> Result<Duration> {
        if !(self.timeout > 0.0 && self.timeout <= 86_400.0) {
            bail!("--timeout {} is outside 0 to 86400 s", self.timeout);
        }
        Ok(Duration::from_secs_f64(self.timeout))
    }

    /// Where traces and metrics go. A collector that cannot be spoken with stops nobody, unless it was asked for here.
    fn telemetry(&self) -> Result<Telemetry> {
        let built = Telemetry::to(Collector::named(self.otlp.as_deref()), SERVICE);
        if let (Err(error), None) = (&built, &self.otlp) {
            log::line(&format!("no traces and metrics are sent: {error:#}"));
            return Ok(Telemetry::default());
        }
        built
    }

    fn service(&self, figures: Arc<figures::Figures>, most: Duration) -> Result<Service> {
        let state = state::State::open(self.state.as_deref(), self.store.as_deref())?;
        Ok(Service {
            shelf: shelf::Shelf::new(self.model.clone(), self.strict_models, self.memory),
            store: state.store,
            jobs: jobs::Jobs::new(Arc::clone(&state.ledger)),
            ledger: state.ledger,
            _lock: state.lock,
            memory: Default::default(),
            figures,
            telemetry: self.telemetry()?,
            queue: Queue::new("work", self.workers.into(), self.queue.into())?,
            live: Queue::new("live", self.workers.into(), self.queue.into())?,
            most,
            lives: Default::default(),
            served: Default::default(),
            closing: Default::default(),
        })
    }

    /// Refuses to stand open to the world.
    fn guard(&self) -> Result<Guard> {
        // The command line and the file come before the environment; what is empty there is not said.
        let named = self.token.is_some() || self.token_file.is_some();
        let own = |name| variable(name).filter(|_| !named);
        let token = self.token.clone().or_else(|| own("CONTINUO_TOKEN"));
        let file = own("CONTINUO_TOKEN_FILE").filter(|_| token.is_none()).map(PathBuf::from);
        let token = match self.token_file.as_ref().or(file.as_ref()) {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                if text.trim().is_empty() {
                    bail!("{} holds no token; write one into it, or leave --token-file out", path.display());
                }
                Some(text.trim().to_owned())
            }
            None => token,
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
            token: token.as_ref().map(|token| digest(token.as_bytes())),
            origins: self.cors_origin.clone(),
            a_minute: self.rate_limit.unwrap_or(A_MINUTE),
            spares_own: self.rate_limit.is_none(),
            figures: Arc::default(),
            left: Default::default(),
        })
    }
}

fn refused(address: SocketAddr) -> String {
    format!("cannot listen at {address}: choose another port with --port, or stop what uses it")
}
