//! The command line. The only place that reads the environment.

use crate::budget::pod;
use clap::{Args, Parser, Subcommand, ValueEnum};
use smartflow_ledger::PodId;
use smartflow_store::redis::RedisFlags;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Smartflow's data plane: one OpenAI-compatible endpoint, governed by resources.
#[derive(Parser, Debug)]
#[command(name = "smartflow-gateway", version, about, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    /// What to do instead of serving.
    pub command: Option<Command>,
    #[command(flatten)]
    /// How to serve.
    pub serve: Serve,
}

const EXAMPLES: &str = "Examples:
  smartflow-gateway --world config/samples/quickstart
  smartflow-gateway check config/samples/quickstart
  curl localhost:8080/v1/chat/completions -H \"authorization: Bearer $(cat .smartflow/keys/default/alice.token)\" \\
    -H 'content-type: application/json' -d '{\"model\":\"simulated-chat\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}'

Exit codes: 0 fine, 1 findings or a failed run, 2 wrong usage.";

/// What to do instead of serving.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print every finding of a folder of resources, with file, line, field and fix; exit code 1 on errors.
    Check(Check),
    /// Print the providers and models that are known without being declared.
    Catalog,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// Folder with resources (YAML).
    pub folder: PathBuf,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Namespaces whose models every namespace may name, in order, comma separated.
    #[arg(
        long,
        env = "SMARTFLOW_PLATFORM_NAMESPACES",
        value_delimiter = ',',
        default_value = "smartflow-system"
    )]
    pub platform_namespaces: Vec<String>,
}

/// How findings are printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// Workflow commands that GitHub shows beside the changed line.
    Github,
}

/// How to serve.
#[derive(Args, Debug, Clone)]
pub struct Serve {
    /// Folder with resources (YAML); changes are picked up while running.
    #[arg(long, env = "SMARTFLOW_WORLD", value_name = "FOLDER")]
    pub world: Option<PathBuf>,
    /// Where spend, generated keys and last-good resources are kept. One process per folder.
    #[arg(long, env = "SMARTFLOW_DATA_DIR", default_value = ".smartflow", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// Address of the traffic port.
    #[arg(long, env = "SMARTFLOW_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Address of the admin port: metrics, health, conditions. Not for callers.
    #[arg(long, env = "SMARTFLOW_ADMIN_LISTEN", default_value = "127.0.0.1:9090")]
    pub admin_listen: SocketAddr,
    /// Threads that serve traffic; each has its own connections. Default: one per core.
    #[arg(long, env = "SMARTFLOW_THREADS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Namespaces whose models every namespace may name, in order, comma separated.
    #[arg(
        long,
        env = "SMARTFLOW_PLATFORM_NAMESPACES",
        value_delimiter = ',',
        default_value = "smartflow-system"
    )]
    pub platform_namespaces: Vec<String>,
    /// PEM file with certificates that are trusted for upstream calls, beside the public roots.
    #[arg(long, env = "SMARTFLOW_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Proxy for https providers, e.g. http://proxy.corp:3128.
    #[arg(long, env = "HTTPS_PROXY", value_name = "URL", hide_env_values = true)]
    pub https_proxy: Option<String>,
    /// Hosts that are reached without the proxy, comma separated; `.example.com` covers its subdomains.
    #[arg(long, env = "NO_PROXY", value_name = "HOSTS", default_value = "")]
    pub no_proxy: String,
    /// Where usage lines go, one JSON object per call: `stdout`, `off`, or a file that is appended to.
    #[arg(long, env = "SMARTFLOW_USAGE_LOG", default_value = "stdout")]
    pub usage_log: String,
    /// What is logged on standard error: error, warn, info, debug, trace, or a filter such as `info,hyper=warn`.
    #[arg(long, env = "SMARTFLOW_LOG", default_value = "info")]
    pub log: String,
    /// How logs on standard error look.
    #[arg(long, env = "SMARTFLOW_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// PEM file with the certificate (and its chain) that the traffic port answers with: it takes TLS only then. A change
    /// is picked up while running.
    #[arg(long, env = "SMARTFLOW_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's private key, not encrypted.
    #[arg(long, env = "SMARTFLOW_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Longest request body, in bytes.
    #[arg(long, env = "SMARTFLOW_MAX_BODY", default_value_t = 8 * 1024 * 1024, value_name = "BYTES")]
    pub max_body: usize,
    /// Longest answer that is read whole, in bytes (streams are not bounded by it).
    #[arg(long, env = "SMARTFLOW_MAX_REPLY", default_value_t = 64 * 1024 * 1024, value_name = "BYTES")]
    pub max_reply: usize,
    /// Time for a request's headers, and for each 64 KiB of its body.
    #[arg(long, env = "SMARTFLOW_CLIENT_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub client_timeout: Duration,
    /// Open connections per thread; further ones wait in the listen queue.
    #[arg(long, env = "SMARTFLOW_MAX_CONNECTIONS", default_value_t = 10_000)]
    pub max_connections: usize,
    /// Requests at a time per HTTP/2 connection.
    #[arg(long, env = "SMARTFLOW_MAX_STREAMS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_streams: u32,
    /// After SIGTERM, how long calls in flight may take to finish.
    #[arg(long, env = "SMARTFLOW_DRAIN", default_value = "30s", value_parser = duration)]
    pub drain: Duration,
    #[command(flatten)]
    /// How to reach Redis: it lends money and rates to all gateways of the install and, without --world, holds what an
    /// operator published.
    pub redis: RedisFlags,
    /// With --redis: how long money that was lent may be spent without hearing from Redis.
    #[arg(long, env = "SMARTFLOW_LEASE_DURATION", default_value = "10m", value_parser = lease)]
    pub lease_duration: Duration,
    /// With --redis: lend also when a failover has left no replica that could confirm it.
    #[arg(long, env = "SMARTFLOW_ALLOW_UNREPLICATED")]
    pub allow_unreplicated: bool,
    /// With --redis: the pod's UID. Without one a random identity is kept in the data dir.
    #[arg(long, env = "SMARTFLOW_POD_UID", value_name = "UID", value_parser = pod_uid)]
    pub pod_uid: Option<PodId>,
    #[command(flatten)]
    /// How to follow an operator's configuration.
    pub config: Config,
}

/// How to follow an operator's configuration.
#[derive(Args, Debug, Clone)]
pub struct Config {
    /// File with the keys that the operator's configuration is sealed with: 32 bytes in base64 or hexadecimal a line, at
    /// most two, the older one first. Read again when it changes.
    #[arg(long, env = "SMARTFLOW_SEALING_KEY_FILE", value_name = "FILE")]
    pub sealing_key_file: Option<PathBuf>,
    /// Refuse configuration that was published longer ago than this. Default: it may be of any age.
    #[arg(long, env = "SMARTFLOW_MAX_CONFIG_AGE", value_parser = duration)]
    pub max_config_age: Option<Duration>,
    /// With Redis away at the start, serve the last-good configuration of the data dir when it is at most this old.
    #[arg(long, env = "SMARTFLOW_LAST_GOOD_MAX_AGE", default_value = "24h", value_parser = duration)]
    pub last_good_max_age: Duration,
    /// Read configuration as a gateway of this level would: for tests of upgrades.
    #[arg(long, hide = true, default_value_t = smartflow_compile::LEVEL)]
    pub config_level: u32,
}

/// How logs look.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// A lease: long enough for a heartbeat in time, and at most a day.
fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    let fits = (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&lease);
    if fits { Ok(lease) } else { Err("must be between 1s and 24h".to_owned()) }
}

fn pod_uid(text: &str) -> Result<PodId, String> {
    pod::parse(text).ok_or_else(|| "not a UID: 32 hex digits, with or without dashes".to_owned())
}

/// `500ms`, `30s`, `10m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or("a unit is missing: ms, s, m or h")?;
    let number: u64 = text[..at].parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    let millis = match &text[at..] {
        "ms" => number,
        "s" => number * 1_000,
        "m" => number * 60_000,
        "h" => number * 3_600_000,
        unit => return Err(format!("unknown unit `{unit}`: use ms, s, m or h")),
    };
    Ok(Duration::from_millis(millis))
}
