//! `continuo doctor`: whether the service would run as it is told to, and what is in its way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use continuo_remote::wire::ModelSize;
use serde_json::{Value, json};

use super::life::Life;
use super::options::Serve;
use super::shelf::{Shelf, installed, remedy};
use super::state::{State, usual};
use super::telemetry::Collector;

/// How long a collector may take to be there.
const SOON: Duration = Duration::from_secs(2);

/// Arguments of `continuo doctor`: those of `continuo serve`, as they would be used.
#[derive(Args)]
pub struct Doctor {
    #[command(flatten)]
    serve: Serve,
}

impl Doctor {
    /// Looks at everything; gives what it found.
    pub fn run(&self) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let _inside = runtime.enter();
        let serve = &self.serve;
        let checks = [
            ("configuration", configuration(serve)),
            ("who may ask", who(serve)),
            ("model", model(serve)),
            ("sizes", Ok(sizes())),
            ("port", ports(serve)),
            ("state", state(serve, &runtime)),
            ("collector", collector(serve)),
        ];
        let wrong = checks.iter().filter(|(_, check)| check.is_err()).count();
        let shown = checks.map(|(name, check)| match check {
            Ok(said) => json!({ "check": name, "ok": true, "said": said }),
            Err(error) => json!({ "check": name, "ok": false, "said": format!("{error:#}") }),
        });
        let mut report = json!({ "checks": shown });
        if wrong > 0 {
            report["error"] = json!(format!("{wrong} of 7 checks failed"));
        }
        Ok(report)
    }
}

fn configuration(serve: &Serve) -> Result<String> {
    Ok(match crate::config::file(serve.config.as_deref()) {
        Some(path) => format!("{} was read", path.display()),
        None => "no file; the command line and the environment alone".into(),
    })
}

fn who(serve: &Serve) -> Result<String> {
    let guard = serve.guard()?;
    serve.most()?;
    Ok(match (guard.token.is_some(), serve.host.is_loopback()) {
        (true, _) => format!("whoever reaches {} and has the token", serve.host),
        (false, _) => "programs of this machine".into(),
    })
}

fn model(serve: &Serve) -> Result<String> {
    let shelf = Shelf::new(serve.model.clone(), serve.strict_models, serve.memory);
    let chosen =
        shelf.choose(None, &Life::new(Duration::MAX)).map_err(|failure| anyhow::anyhow!(failure.message))?;
    let model = chosen.engine.model();
    let config = model.config();
    Ok(format!("{} ({}): {} layers, {} wide", chosen.size, model.name(), config.n_layer, config.n_embd))
}

fn sizes() -> String {
    let one = |size: ModelSize| match installed(size) {
        true => format!("{} is installed", size.name()),
        false => format!("{} is not ({})", size.name(), remedy(size)),
    };
    ModelSize::ALL.map(one).join("; ")
}

fn ports(serve: &Serve) -> Result<String> {
    let all = [Some(serve.port), serve.musicgen_port, serve.llmchat_port];
    let said: Result<Vec<_>> = all.into_iter().flatten().map(|port| free(serve, port)).collect();
    Ok(said?.join("; "))
}

fn free(serve: &Serve, port: u16) -> Result<String> {
    let address = SocketAddr::new(serve.host, port);
    if TcpListener::bind(address).is_ok() {
        return Ok(format!("{address} is free"));
    }
    anyhow::ensure!(
        healthy(address).unwrap_or(false),
        "{address} is taken by another program; choose another port"
    );
    Ok(format!("a service answers at {address} already"))
}

/// Whether what listens there says that it is well, and soon.
fn healthy(address: SocketAddr) -> std::io::Result<bool> {
    let mut socket = TcpStream::connect_timeout(&address, SOON)?;
    socket.set_read_timeout(Some(SOON))?;
    socket.write_all(b"GET /health HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    let mut text = String::new();
    socket.take(4096).read_to_string(&mut text)?;
    Ok(text.contains("\"status\":\"ok\""))
}

fn state(serve: &Serve, runtime: &tokio::runtime::Runtime) -> Result<String> {
    const PROBE: &[u8] = b"continuo doctor was here";
    let opened = State::look(serve.state.as_deref(), serve.store.as_deref())?;
    let Some(state) = opened else { return Ok("in use by a service that runs".into()) };
    anyhow::ensure!(
        state.ledger.is_sound(),
        "the ledger is damaged; move the folder of --state away, or restore it"
    );
    let written = runtime.block_on(async {
        let (hash, is_new) = state.store.write(PROBE.to_vec()).await?;
        let read = state.store.read(&hash, None).await;
        if is_new {
            state.store.forget(&hash).await?;
        }
        read
    });
    let read = written.map_err(|failure| anyhow::anyhow!(failure.message))?;
    anyhow::ensure!(
        read.is_some_and(|piece| &piece.bytes[..] == PROBE),
        "the store does not give what was put in"
    );
    let place = serve.state.clone().unwrap_or_else(|| usual().to_string_lossy().into_owned());
    Ok(format!("{place}: the ledger is sound, the store takes and gives"))
}

fn collector(serve: &Serve) -> Result<String> {
    let Some(collector) = Collector::named(serve.otlp.as_deref()) else {
        return Ok("none is named: no traces and metrics are sent; /metrics has the figures".into());
    };
    let sent = serve.telemetry()?;
    anyhow::ensure!(sent.meter().is_some(), "nothing can be sent to it; see above");
    let name = collector.address();
    let there = name.to_socket_addrs().ok().and_then(|mut all| all.next());
    let answers = there.is_some_and(|address| TcpStream::connect_timeout(&address, SOON).is_ok());
    anyhow::ensure!(
        answers,
        "nobody listens at {name}; the service runs all the same, and what it sends is lost"
    );
    Ok(format!("somebody listens at {name}"))
}
