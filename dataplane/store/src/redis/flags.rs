//! The flags of operator and gateway.

use super::address::{Address, AddressError};
use super::options::{Options, Password};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach Redis.
#[derive(Args, Clone, Debug, Default)]
pub struct RedisFlags {
    /// Where Redis is: redis://[user@]host[:port][/db], rediss:// for TLS, or
    /// redis-sentinel://[user@]host[:port],host…/<name of the master> (rediss-sentinel:// for TLS).
    #[arg(long, env = "SMARTFLOW_REDIS", value_name = "URL")]
    pub redis: Option<String>,
    /// File with the password of the Redis user; read again at each reconnect.
    #[arg(long, env = "SMARTFLOW_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,
    /// File with the password of the Sentinels, when they ask for one.
    #[arg(long, env = "SMARTFLOW_REDIS_SENTINEL_PASSWORD_FILE", value_name = "FILE")]
    pub redis_sentinel_password_file: Option<PathBuf>,
    /// PEM file with certificates that are trusted for Redis, beside the public roots.
    #[arg(long, env = "SMARTFLOW_REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,
    /// First part of every key in Redis; operator and gateways of one install name the same.
    #[arg(long, env = "SMARTFLOW_REDIS_PREFIX", default_value = "smartflow")]
    pub redis_prefix: String,
    /// Limit of one attempt to connect to Redis.
    #[arg(long, env = "SMARTFLOW_REDIS_CONNECT_TIMEOUT", default_value = "1s", value_parser = duration)]
    pub redis_connect_timeout: Duration,
    /// Limit of one Redis command; the first that takes longer takes the connection out of use.
    #[arg(long, env = "SMARTFLOW_REDIS_TIMEOUT", default_value = "100ms", value_parser = duration)]
    pub redis_timeout: Duration,
}

impl RedisFlags {
    /// The connection's settings; `None` without `--redis`.
    ///
    /// # Errors
    /// `--redis` is no address.
    pub fn options(&self) -> Result<Option<Options>, AddressError> {
        let Some(url) = &self.redis else { return Ok(None) };
        let file = |path: &Option<PathBuf>| path.clone().map_or(Password::None, Password::File);
        Ok(Some(Options {
            password: file(&self.redis_password_file),
            sentinel_password: file(&self.redis_sentinel_password_file),
            ca_file: self.redis_ca_file.clone(),
            prefix: self.redis_prefix.clone(),
            connect_timeout: self.redis_connect_timeout,
            command_timeout: self.redis_timeout,
            ..Options::new(Address::parse(url)?)
        }))
    }
}

/// `100ms`, `1s`.
fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or("a unit is missing: ms or s")?;
    let number: u64 = text[..at].parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    match &text[at..] {
        "ms" if number > 0 => Ok(Duration::from_millis(number)),
        "s" if number > 0 => Ok(Duration::from_secs(number)),
        "ms" | "s" => Err("must be more than nothing".to_owned()),
        unit => Err(format!("unknown unit `{unit}`: use ms or s")),
    }
}
