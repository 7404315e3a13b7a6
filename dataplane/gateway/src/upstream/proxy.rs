//! The forward proxy for https providers (`HTTPS_PROXY`, `NO_PROXY`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest answer to CONNECT that is read.
const LONGEST_ANSWER: usize = 8 * 1024;

/// A proxy that opens tunnels by CONNECT.
#[derive(Clone)]
pub struct Proxy {
    /// Its host.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    authorization: Option<HeaderValue>,
    exempt: Box<[Box<str>]>,
}

/// Why a proxy setting is refused. It never shows the setting: it may hold a password.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// Not a URL.
    #[error("HTTPS_PROXY is not a URL: {0}")]
    Url(url::ParseError),
    /// Another scheme.
    #[error("HTTPS_PROXY has the scheme `{0}`; only http is supported")]
    Scheme(String),
    /// No host.
    #[error("HTTPS_PROXY names no host")]
    Host,
    /// User or password that cannot be sent.
    #[error("HTTPS_PROXY holds credentials that cannot be sent in a header")]
    Credentials,
}

impl Proxy {
    /// A proxy as given by the environment; `None` when there is none.
    ///
    /// # Errors
    /// When `url` is not `http://[user:password@]host[:port]`.
    pub fn parse(url: Option<&str>, no_proxy: &str) -> Result<Option<Self>, ProxyError> {
        let Some(text) = url.filter(|u| !u.is_empty()) else { return Ok(None) };
        let url = url::Url::parse(text).map_err(ProxyError::Url)?;
        if url.scheme() != "http" {
            return Err(ProxyError::Scheme(url.scheme().to_owned()));
        }
        let host = url.host_str().ok_or(ProxyError::Host)?;
        let authorization = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let pair = STANDARD.encode(format!("{user}:{}", password.unwrap_or_default()));
                let mut value =
                    HeaderValue::try_from(format!("Basic {pair}")).map_err(|_| ProxyError::Credentials)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let exempt = no_proxy.split(',').map(|h| h.trim().to_ascii_lowercase()).filter(|h| !h.is_empty());
        Ok(Some(Self {
            host: host.into(),
            port: url.port_or_known_default().unwrap_or(80),
            authorization,
            exempt: exempt.map(String::into_boxed_str).collect(),
        }))
    }

    /// True when `host` is reached through this proxy.
    #[must_use]
    pub fn serves(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        !self.exempt.iter().any(|e| {
            let name = e.strip_prefix('.').unwrap_or(e);
            **e == *"*" || host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
        })
    }

    /// Asks for a tunnel to `host:port` on an open connection; `Err` holds the proxy's first line.
    ///
    /// # Errors
    /// When the connection breaks or the proxy says anything but 2xx.
    pub async fn tunnel(&self, stream: &mut TcpStream, host: &str, port: u16) -> std::io::Result<()> {
        let mut ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            ask.extend_from_slice(b"proxy-authorization: ");
            ask.extend_from_slice(value.as_bytes());
            ask.extend_from_slice(b"\r\n");
        }
        ask.extend_from_slice(b"\r\n");
        stream.write_all(&ask).await?;
        let mut answer = Vec::with_capacity(256);
        // Byte by byte at the end: what follows the head already belongs to TLS.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= LONGEST_ANSWER {
                return Err(std::io::Error::other("its answer is too long"));
            }
            answer.push(stream.read_u8().await?);
        }
        let line =
            String::from_utf8_lossy(answer.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned();
        let status = line.split(' ').nth(1).unwrap_or_default();
        if status.len() == 3 && status.starts_with('2') { Ok(()) } else { Err(std::io::Error::other(line)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn exemptions_cover_hosts_and_their_subdomains() {
        let proxy = Proxy::parse(Some("http://u:p@proxy:3128"), "localhost, .corp.example,api.x.com")
            .unwrap()
            .unwrap();
        assert_eq!((&*proxy.host, proxy.port), ("proxy", 3128));
        for host in ["localhost", "LOCALHOST", "a.corp.example", "corp.example", "api.x.com", "eu.api.x.com"]
        {
            assert!(!proxy.serves(host), "{host} is exempt");
        }
        for host in ["api.openai.com", "notcorp.example", "x.com"] {
            assert!(proxy.serves(host), "{host} goes through the proxy");
        }
    }

    #[test]
    fn errors_do_not_show_the_password() {
        let Err(error) = Proxy::parse(Some("https://u:hunter2@proxy"), "") else {
            panic!("https is not supported")
        };
        assert!(!error.to_string().contains("hunter2"));
        assert!(Proxy::parse(Some(""), "").unwrap().is_none());
    }
}
