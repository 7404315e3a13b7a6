//! TLS towards callers: handshakes within limits, HTTP/2 or HTTP/1.1 as both sides agree, and a certificate that is
//! exchanged while connections go on.

pub mod pair;
pub mod renewal;
mod validity;

use super::connection;
use super::drain::Open;
use super::framing::Framing;
use super::linger::Lingering;
use super::patience::Owing;
use crate::telemetry::{door::HandshakeRefused, emit};
use crate::worker::Worker;
use arc_swap::ArcSwap;
use pair::Pair;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};
use smartflow_dialect::openai::error_body;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const H2: &[u8] = b"h2";
/// First byte of a TLS connection (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// How callers are answered over TLS.
#[derive(Clone)]
pub struct Terms {
    config: Arc<ServerConfig>,
    serves: Arc<Serves>,
}

/// The certificate that serves.
struct Serves(ArcSwap<Pair>);

impl fmt::Debug for Serves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.load().place)
    }
}

impl ResolvesServerCert for Serves {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
}

impl Terms {
    /// TLS 1.2 and 1.3 with `pair`, HTTP/2 before HTTP/1.1.
    ///
    /// # Errors
    /// When the crypto provider cannot be set up.
    pub fn new(pair: Pair) -> Result<Self, Error> {
        let serves = Arc::new(Serves(ArcSwap::from_pointee(pair)));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(serves.clone());
        config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
        // Sessions are resumed by tickets: nothing is kept here for callers who may never come back.
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), serves })
    }

    /// The certificate of connections to come.
    #[must_use]
    pub fn pair(&self) -> Arc<Pair> {
        self.serves.0.load_full()
    }

    /// Exchanges it.
    pub fn change(&self, pair: Pair) {
        self.serves.0.store(Arc::new(pair));
    }
}

/// Why there was no handshake.
enum Refusal {
    /// The caller left before it said anything, as health checks of load balancers do.
    Left,
    /// It does not speak TLS.
    Plaintext(TcpStream),
    /// `--client-timeout`
    Slow,
    /// Half of the runtime's connections are shaking hands already.
    Crowded,
    /// Whatever rustls says: no common version, a certificate that the caller does not trust, garbage.
    Failed(std::io::Error),
}

impl Refusal {
    fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Left => None,
            Self::Plaintext(_) => Some("plaintext"),
            Self::Slow => Some("timeout"),
            Self::Crowded => Some("crowded"),
            Self::Failed(_) => Some("failed"),
        }
    }
}

/// Serves a connection to its end.
pub async fn serve(stream: TcpStream, terms: &Terms, worker: Rc<Worker>, open: Open) {
    match shake(stream, terms, &worker).await {
        Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(H2) => {
            connection::serve_multiplexed(stream, worker, open).await;
        }
        Ok(stream) => connection::serve(Box::new(stream), worker, open).await,
        Err(refusal) => {
            if let Some(reason) = refusal.reason() {
                let why = if let Refusal::Failed(error) = &refusal { Some(error) } else { None };
                emit(&worker.shared.metrics, HandshakeRefused { reason, why });
            }
            if let Refusal::Plaintext(stream) = refusal {
                explain(stream).await;
            }
        }
    }
}

async fn shake(
    stream: TcpStream,
    terms: &Terms,
    worker: &Rc<Worker>,
) -> Result<TlsStream<TcpStream>, Refusal> {
    let settings = &worker.shared.settings;
    let most = settings.max_connections.div_ceil(2);
    let Some(_turn) = Turn::take(&worker.handshakes, most) else { return Err(Refusal::Crowded) };
    let shaken = async {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(n) if n > 0 => {}
            _ => return Err(Refusal::Left),
        }
        if first != [HANDSHAKE] {
            return Err(Refusal::Plaintext(stream));
        }
        TlsAcceptor::from(terms.config.clone()).accept(stream).await.map_err(Refusal::Failed)
    };
    tokio::time::timeout(settings.client_timeout, shaken).await.unwrap_or(Err(Refusal::Slow))
}

/// A handshake under way, until dropped.
struct Turn(Rc<Cell<usize>>);

impl Turn {
    /// None when there are `most` already: callers who connect and say nothing leave room for the others.
    fn take(under_way: &Rc<Cell<usize>>, most: usize) -> Option<Self> {
        let now = under_way.get();
        (now < most).then(|| {
            under_way.set(now + 1);
            Self(under_way.clone())
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Tells a caller who does not speak TLS what is wrong, in words. Whatever he sends is not looked at.
async fn explain(stream: TcpStream) {
    let message = "This port speaks TLS: write https:// in place of http:// in the base URL.";
    let body = error_body(message, "invalid_request_error", None, Some("https_required"));
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let framing = Framing::new(Owing::default());
    framing.leave_unread();
    let mut stream = Lingering::new(stream, framing);
    // He may be gone already.
    let _ = stream.write_all(&[head.as_bytes(), &body[..]].concat()).await;
    let _ = stream.shutdown().await;
}
