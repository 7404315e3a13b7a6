//! What is known of the server.

use std::sync::Arc;

/// The server at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// 40 hex digits that change with every start of the server process: where it differs, data may be lost.
    pub run_id: String,
    /// `7.0.15`
    pub version: String,
    /// Host and port that were connected to.
    pub host: String,
}

/// Whether commands can be run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// They can.
    Up(Arc<Server>),
    /// They fail at once.
    Down {
        /// In words, without secrets.
        why: Arc<str>,
    },
}

impl State {
    /// The server, when there is one.
    #[must_use]
    pub fn server(&self) -> Option<&Arc<Server>> {
        match self {
            Self::Up(server) => Some(server),
            Self::Down { .. } => None,
        }
    }
}
