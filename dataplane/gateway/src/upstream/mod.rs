//! Everything between a decided call and its provider: addresses, connections, credentials, deadlines.

pub mod address;
pub mod attempt;
pub mod connect;
pub mod deadline;
pub mod gate;
pub mod places;
pub mod play;
pub mod pool;
pub mod prepared;
pub mod proxy;
pub mod simulated;
pub mod tls;

pub use prepared::Upstream;

use std::time::Duration;
use thiserror::Error;

/// Why a provider gave no answer. The text is for the log; what callers are told is decided in `edge::rescue`.
#[derive(Debug, Error)]
pub enum Unreachable {
    /// The name has no address.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// Host of the provider's URL.
        host: String,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// Every address of the name is one that this provider may not be reached at (SSRF guard).
    #[error(
        "{host} resolves only to addresses that are refused ({refused}); set network.allowPrivate if that is meant"
    )]
    Refused {
        /// Host of the provider's URL.
        host: String,
        /// The first refused address.
        refused: std::net::IpAddr,
    },
    /// No socket.
    #[error("cannot connect to {host}: {source}")]
    Connect {
        /// Host of the provider's URL.
        host: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The proxy did not make a tunnel.
    #[error("the proxy did not open a tunnel to {host}: {answer}")]
    Proxy {
        /// Host of the provider's URL.
        host: String,
        /// First line of its answer.
        answer: String,
    },
    /// No TLS session.
    #[error("TLS with {host} failed: {source}")]
    Tls {
        /// Host of the provider's URL.
        host: String,
        /// What rustls said.
        source: std::io::Error,
    },
    /// The connection broke before an answer's head arrived.
    #[error("the connection broke: {source}")]
    Broken {
        /// What hyper said.
        source: hyper::Error,
    },
    /// The connection ended, and the provider surely did not look at the request: it was not sent, or refused as a whole.
    #[error("the connection ended before the request was taken: {source}")]
    Unprocessed {
        /// What hyper said.
        source: hyper::Error,
    },
    /// It has as many calls as it may have, and no room for another one came in time.
    #[error("{most} calls are in flight, as many as maxConcurrency allows, and {}", queue(*waited))]
    Busy {
        /// The bound.
        most: std::num::NonZeroU32,
        /// How long was waited; `None` = the queue is full.
        waited: Option<Duration>,
    },
    /// A deadline passed.
    #[error("{step} took longer than {after:?}")]
    Timeout {
        /// What was waited for: `connect`, `first byte`, `idle`, `total`.
        step: &'static str,
        /// The deadline.
        after: Duration,
    },
}

fn queue(waited: Option<Duration>) -> String {
    waited.map_or_else(|| "the queue is full".to_owned(), |after| format!("none ended within {after:?}"))
}

impl Unreachable {
    /// True when another place of the same provider may still be reachable, and nothing was sent to this one.
    #[must_use]
    pub fn is_of_place(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::Refused { .. }
            | Self::Connect { .. }
            | Self::Proxy { .. }
            | Self::Tls { .. } => true,
            Self::Timeout { step, .. } => *step == "connect",
            Self::Broken { .. } | Self::Unprocessed { .. } | Self::Busy { .. } => false,
        }
    }
}
