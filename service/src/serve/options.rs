//! What `continuo serve` can be told, on its command line, by variables, or in a file.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, value_parser};
use continuo_remote::wire::PORT;

use super::log;

/// Arguments of `continuo serve`.
#[derive(Args)]
pub struct Serve {
    /// The port; 0 takes a free one, which is printed.
    #[arg(long, default_value_t = PORT, env = "CONTINUO_PORT")]
    pub port: u16,
    /// The address to listen at. Others than this machine's own want a token.
    #[arg(long, default_value = "127.0.0.1", env = "CONTINUO_HOST")]
    pub host: IpAddr,
    // Either stands in the other's place, so that these two variables are read where both are known.
    /// Requests must send `Authorization: Bearer TOKEN` [env: CONTINUO_TOKEN].
    #[arg(long)]
    pub token: Option<String>,
    /// The same, read from a file [env: CONTINUO_TOKEN_FILE].
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// The model that answers where no size is asked for, or the size is not installed: a path or a name.
    #[arg(long, value_name = "PATH", env = "CONTINUO_MODEL")]
    pub model: Option<String>,
    /// Refuse a model size that is not installed; without this the best one that is answers.
    #[arg(long, env = "CONTINUO_STRICT_MODELS", value_parser = BoolishValueParser::new())]
    pub strict_models: bool,
    /// Most bytes of weights of a model that is loaded [default: what the system has free].
    #[arg(long, value_name = "BYTES", env = "CONTINUO_MEMORY")]
    pub memory: Option<u64>,
    /// Seconds that one piece of work may take.
    #[arg(long, default_value_t = 300.0, env = "CONTINUO_TIMEOUT")]
    pub timeout: f64,
    /// Pieces of work under way at once.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..=64), env = "CONTINUO_WORKERS")]
    pub workers: u16,
    /// Pieces of work that may wait.
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(0..=4096), env = "CONTINUO_QUEUE")]
    pub queue: u16,
    /// Requests for work a minute and address; 0 is no limit [default: 600, and no limit for this machine's own].
    #[arg(long, env = "CONTINUO_RATE_LIMIT")]
    pub rate_limit: Option<f64>,
    /// Largest body in bytes.
    #[arg(long, default_value_t = 8 << 20, env = "CONTINUO_MAX_BODY")]
    pub max_body: usize,
    /// The folder of the ledger of jobs and artifacts, and of the store; `memory` keeps nothing beyond the
    /// process [default: continuo/service among this user's data].
    #[arg(long, value_name = "DIR", env = "CONTINUO_STATE")]
    pub state: Option<String>,
    /// Where files are kept by their hash, if not in --state: a folder, `memory`, or s3://bucket/prefix with the
    /// usual AWS_ variables (AWS_ENDPOINT for services of others).
    #[arg(long, value_name = "PLACE", env = "CONTINUO_STORE")]
    pub store: Option<String>,
    /// Where traces and metrics go: a collector's OTLP endpoint [default: OTEL_EXPORTER_OTLP_ENDPOINT, or
    /// nowhere]. OTEL_EXPORTER_OTLP_PROTOCOL is grpc or http/protobuf.
    #[arg(long, value_name = "ENDPOINT", env = "CONTINUO_OTLP")]
    pub otlp: Option<String>,
    /// How lines about requests look on stderr.
    #[arg(long, value_enum, default_value_t, env = "CONTINUO_LOG")]
    pub log: log::Format,
    /// A web page at this origin may ask; may be given more than once.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', env = "CONTINUO_CORS_ORIGIN")]
    pub cors_origin: Vec<String>,
    /// Opens the port of the MusicGen service too (2006), which has no model in this version and says so.
    #[arg(long, value_name = "PORT", env = "CONTINUO_MUSICGEN_PORT")]
    pub musicgen_port: Option<u16>,
    /// Opens the port of the chat service too (2020), which has no model in this version and says so.
    #[arg(long, value_name = "PORT", env = "CONTINUO_LLMCHAT_PORT")]
    pub llmchat_port: Option<u16>,
    /// A file with these options in TOML, by their long names: `port = 2011`. The command line comes before the
    /// environment, and that before the file [default: continuo/serve.toml among this user's configuration, if
    /// it is there].
    #[arg(long, value_name = "FILE", env = "CONTINUO_CONFIG")]
    pub config: Option<PathBuf>,
}
