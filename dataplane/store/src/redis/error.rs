//! Why a command did not do its work. No variant carries a password, a key's content or an argument.

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Longest text of a server that is passed on.
const MOST_DETAIL: usize = 200;

/// Why a command, or an attempt to connect, failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection now; a new one is being tried. The command was not sent.
    #[error("Redis is away: {0}")]
    Away(Arc<str>),
    /// No answer in time. Whether the command was carried out is not known.
    #[error("Redis did not answer within {0:?}")]
    Timeout(Duration),
    /// The connection broke. Whether the command was carried out is not known.
    #[error("the connection to Redis broke: {0}")]
    Broken(Arc<str>),
    /// The server refused the command.
    #[error("Redis refused: {code} {detail}")]
    Refused {
        /// `NOPERM`, `OOM`, `ERR` …
        code: String,
        /// What it said, shortened, without arguments.
        detail: String,
    },
    /// It answered something else than was asked for.
    #[error("Redis answered something unexpected: {0}")]
    Unexpected(&'static str),
    /// Name or password were not accepted.
    #[error("Redis does not accept the user or its password: {0}")]
    Credentials(String),
    /// The password file cannot be read.
    #[error("cannot read the password file {path}: {fault}")]
    PasswordFile {
        /// The file.
        path: String,
        /// What the operating system said.
        fault: Arc<io::Error>,
    },
    /// No TCP or TLS connection to a host.
    #[error("cannot connect to {host}: {fault}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the operating system or TLS said.
        fault: Arc<io::Error>,
    },
    /// Connecting took too long.
    #[error("no connection to {host} within {limit:?}")]
    ConnectTimeout {
        /// Host and port, or all of them.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// The host's name does not fit into a certificate.
    #[error("`{0}` is no name that a certificate could carry")]
    ServerName(String),
    /// The server is a replica: it takes no writes.
    #[error("{0} is a replica: name the master, or use redis-sentinel://")]
    Replica(String),
    /// No Sentinel knows the master.
    #[error("no Sentinel names a master `{master}`: {last}")]
    NoMaster {
        /// The name.
        master: String,
        /// What the last one said.
        last: String,
    },
}

impl Error {
    /// True when the command was certainly not carried out.
    #[must_use]
    pub fn never_ran(&self) -> bool {
        !matches!(self, Self::Timeout(_) | Self::Broken(_) | Self::Unexpected(_))
    }

    /// The server's code of a refusal: `NOPERM`, `OOM`, `READONLY` …
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// True when a connection that says so must not be used further.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Broken(_) => true,
            // A master that was demoted, one that starts, one that lost its own master.
            Self::Refused { code, .. } => {
                matches!(code.as_str(), "READONLY" | "LOADING" | "MASTERDOWN" | "NOAUTH" | "WRONGPASS")
            }
            _ => false,
        }
    }
}

impl From<redis::RedisError> for Error {
    fn from(fault: redis::RedisError) -> Self {
        use redis::ErrorKind;
        if let Some(code) = fault.code() {
            let detail = harmless(fault.detail().unwrap_or_default());
            return match code {
                "WRONGPASS" | "NOAUTH" => Self::Credentials(code.to_owned()),
                code => Self::Refused { code: code.to_owned(), detail },
            };
        }
        match fault.kind() {
            ErrorKind::AuthenticationFailed => Self::Credentials("refused".to_owned()),
            ErrorKind::UnexpectedReturnType => Self::Unexpected("a value of another type"),
            ErrorKind::Parse if !fault.is_unrecoverable_error() => Self::Unexpected("not the protocol"),
            _ => Self::Broken(fault.category().into()),
        }
    }
}

/// Without the arguments that some errors repeat, and short.
fn harmless(detail: &str) -> String {
    let detail = detail.split(", with args").next().unwrap_or_default();
    detail.chars().take(MOST_DETAIL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_a_server_repeats_are_not_passed_on() {
        let said = "unknown command 'XX', with args beginning with: 'canary' ";
        assert_eq!(harmless(said), "unknown command 'XX'");
        assert_eq!(harmless(&"x".repeat(1000)).len(), MOST_DETAIL);
    }
}
