//! Ways to connect to a server: HTTP/1.1 or HTTP/2, in the clear or over TLS.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2, by prior knowledge where it is in the clear.
    Http2,
}

/// A way to connect.
#[derive(Clone, Debug)]
pub struct Door {
    /// Where.
    pub addr: SocketAddr,
    /// How.
    pub protocol: Protocol,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection that requests are sent on.
#[derive(Debug)]
pub enum Connection {
    /// One request at a time.
    One(http1::SendRequest<Full<Bytes>>),
    /// Many.
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Door {
    /// In the clear.
    #[must_use]
    pub fn new(addr: SocketAddr, protocol: Protocol) -> Self {
        Self { addr, protocol, tls: None }
    }

    /// Over TLS, trusting the authority in this PEM file and no other.
    ///
    /// # Panics
    /// When the file cannot be read.
    #[must_use]
    pub fn secure(addr: SocketAddr, protocol: Protocol, ca: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).expect("the authority's file") {
            roots.add(certificate.expect("PEM")).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = versions.expect("versions").with_root_certificates(roots).with_no_client_auth();
        let name: &[u8] = if protocol == Protocol::Http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![name.to_vec()];
        Self { addr, protocol, tls: Some(Arc::new(config)) }
    }

    /// A TLS connection that nothing was sent on.
    ///
    /// # Errors
    /// There was no connection, or no handshake.
    ///
    /// # Panics
    /// When this is no way over TLS.
    pub async fn shake(&self) -> Result<TlsStream<TcpStream>, String> {
        let config = self.tls.clone().expect("a way over TLS");
        let name = ServerName::IpAddress(self.addr.ip().into());
        let tcp = self.tcp().await?;
        let secure = TlsConnector::from(config).connect(name, tcp).await;
        secure.map_err(|e| format!("handshake: {e}"))
    }

    async fn tcp(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(self.addr).await.map_err(|e| format!("connect: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Ok(stream)
    }

    /// A fresh connection.
    ///
    /// # Errors
    /// There was none. The text begins with `connect:` when nobody listens.
    pub async fn open(&self) -> Result<Connection, String> {
        match self.tls {
            None => self.speak(self.tcp().await?).await,
            Some(_) => self.speak(self.shake().await?).await,
        }
    }

    async fn speak<S>(&self, stream: S) -> Result<Connection, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        if self.protocol == Protocol::Http1 {
            let (sender, driver) = http1::handshake(io).await.map_err(|e| e.to_string())?;
            tokio::spawn(driver);
            return Ok(Connection::One(sender));
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_max_send_streams(100_000);
        let (sender, driver) = builder.handshake(io).await.map_err(|e| e.to_string())?;
        tokio::spawn(driver);
        Ok(Connection::Two(sender))
    }

    /// Where a path leads: HTTP/2 names scheme and host in the URI.
    pub(crate) fn uri(&self, path: &str) -> Uri {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let text = match self.protocol {
            Protocol::Http1 => path.to_owned(),
            Protocol::Http2 => format!("{scheme}://{}{path}", self.addr),
        };
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }
}

impl Connection {
    /// True when another request can be sent.
    pub async fn ready(&mut self) -> bool {
        match self {
            Self::One(sender) => sender.ready().await.is_ok(),
            Self::Two(sender) => sender.ready().await.is_ok(),
        }
    }

    /// The same connection for somebody else, when several may use it.
    #[must_use]
    pub fn share(&self) -> Option<Self> {
        match self {
            Self::One(_) => None,
            Self::Two(sender) => Some(Self::Two(sender.clone())),
        }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// There was none.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, hyper::Error> {
        match self {
            Self::One(sender) => sender.send_request(request).await,
            Self::Two(sender) => sender.send_request(request).await,
        }
    }
}
