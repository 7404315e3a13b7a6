//! Settings of a connection.

use super::address::{Address, AddressError};
use super::error::Error;
use super::tls;
use rustls::ClientConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error as ThisError;
use zeroize::Zeroizing;

/// Where a password comes from.
#[derive(Clone, Debug, Default)]
pub enum Password {
    /// There is none.
    #[default]
    None,
    /// A file, read at each attempt to connect, so that a rotated password is taken up. White space at its end does not
    /// count.
    File(PathBuf),
}

/// How to reach Redis.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is.
    pub address: Address,
    /// Password of [`Address::user`].
    pub password: Password,
    /// Password of the Sentinels, when they ask for one.
    pub sentinel_password: Password,
    /// PEM file with certificates that are trusted besides the public roots.
    pub ca_file: Option<PathBuf>,
    /// First part of every key.
    pub prefix: String,
    /// Limit of one attempt to connect, from the name's resolution to the answer to the first command.
    pub connect_timeout: Duration,
    /// Limit of a command.
    pub command_timeout: Duration,
}

/// Why no connection can ever be made with these settings.
#[derive(Debug, ThisError)]
pub enum SetupError {
    /// The address is none.
    #[error("--redis: {0}")]
    Address(#[from] AddressError),
    /// A user without a password: the server would be asked as its default user.
    #[error(
        "--redis names the user `{0}`: its password belongs in --redis-password-file (an empty file where it has none)"
    )]
    User(String),
    /// The prefix cannot be part of a key.
    #[error("--redis-prefix `{0}`: 1 to 64 letters, digits, `-`, `_` or `.`")]
    Prefix(String),
    /// A file with certificates cannot be used.
    #[error("--redis-ca-file: {0}")]
    Tls(#[from] tls::TlsError),
}

impl Options {
    /// Usual settings for an address.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            password: Password::None,
            sentinel_password: Password::None,
            ca_file: None,
            prefix: "smartflow".to_owned(),
            connect_timeout: Duration::from_secs(1),
            command_timeout: Duration::from_millis(100),
        }
    }

    /// Checks what can be checked without a network.
    pub(super) fn prepare(self) -> Result<Prepared, SetupError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.chars().all(fits) {
            return Err(SetupError::Prefix(self.prefix));
        }
        if let (Some(user), Password::None) = (&self.address.user, &self.password) {
            return Err(SetupError::User(user.clone()));
        }
        let tls = if self.address.tls { Some(tls::client(self.ca_file.as_deref())?) } else { None };
        Ok(Prepared { options: self, tls })
    }
}

/// Settings that were checked.
pub(super) struct Prepared {
    pub(super) options: Options,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Password {
    pub(super) async fn read(&self) -> Result<Option<Zeroizing<String>>, Error> {
        let Self::File(path) = self else { return Ok(None) };
        let file = path.clone();
        // A file on a slow volume must not hold up the runtime.
        let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await;
        let text = text.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
        let text = text.map_err(|fault| Error::PasswordFile {
            path: path.display().to_string(),
            fault: Arc::new(fault),
        })?;
        let text = Zeroizing::new(text);
        Ok(Some(Zeroizing::new(text.trim_end().to_owned())))
    }
}
