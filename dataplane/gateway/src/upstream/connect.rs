//! From a provider's URL to a connected, checked, secured stream.

use super::address::{is_never_allowed, is_public};
use super::{Unreachable, Upstream};
use crate::pieces;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One address may take this long when there are others to try.
const PER_ADDRESS: Duration = Duration::from_secs(2);

/// Bytes that the kernel may hold unread of an answer. What lies there was produced and is not counted yet, so that it
/// bounds how far a very fast stream can outrun its budget; at 100 ms to the provider it still allows 2.5 MB a second.
const UNREAD: u32 = 128 * 1024;

/// A stream to a provider.
pub enum Stream {
    /// http
    Plain(TcpStream),
    /// https
    Secure(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// True when the two ends agreed on HTTP/2.
    #[must_use]
    pub fn is_h2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

/// Connects to `upstream` within its connect deadline.
///
/// # Errors
/// [`Unreachable`], by step.
pub async fn connect(upstream: &Upstream) -> Result<Stream, Unreachable> {
    let after = upstream.provider.timeouts.connect;
    let connected = tokio::time::timeout(after, steps(upstream)).await;
    connected.unwrap_or(Err(Unreachable::Timeout { step: "connect", after }))
}

async fn steps(upstream: &Upstream) -> Result<Stream, Unreachable> {
    let host = &*upstream.host;
    let tcp = match &upstream.proxy {
        Some(proxy) => {
            // The proxy resolves the name, so that only literal addresses can be checked here.
            check_literal(upstream)?;
            let mut tcp = dial(&proxy.host, proxy.port, |_| true).await?;
            let opened = proxy.tunnel(&mut tcp, host, upstream.port).await;
            opened.map_err(|e| Unreachable::Proxy { host: host.to_owned(), answer: e.to_string() })?;
            tcp
        }
        None => dial(host, upstream.port, |ip| allowed(upstream, ip)).await?,
    };
    let Some(tls) = &upstream.tls else { return Ok(Stream::Plain(tcp)) };
    let failed = |source| Unreachable::Tls { host: host.to_owned(), source };
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    let name = name.map_err(|e| failed(io::Error::other(e)))?;
    let secure = TlsConnector::from(tls.clone()).connect(name, tcp).await.map_err(failed)?;
    Ok(Stream::Secure(Box::new(secure)))
}

fn allowed(upstream: &Upstream, ip: IpAddr) -> bool {
    is_public(ip) || (upstream.provider.allow_private && !is_never_allowed(ip))
}

fn check_literal(upstream: &Upstream) -> Result<(), Unreachable> {
    match upstream.host.trim_matches(['[', ']']).parse() {
        Ok(ip) if !allowed(upstream, ip) => {
            Err(Unreachable::Refused { host: upstream.host.to_string(), refused: ip })
        }
        _ => Ok(()),
    }
}

/// Resolves once, keeps the addresses that pass, and tries them in turn.
async fn dial(host: &str, port: u16, pass: impl Fn(IpAddr) -> bool) -> Result<TcpStream, Unreachable> {
    let host = host.trim_matches(['[', ']']);
    let resolved = lookup_host((host, port)).await;
    let all: Vec<SocketAddr> =
        resolved.map_err(|source| Unreachable::Resolve { host: host.to_owned(), source })?.collect();
    let (good, bad): (Vec<SocketAddr>, Vec<SocketAddr>) = all.into_iter().partition(|a| pass(a.ip()));
    if good.is_empty() {
        return Err(match bad.first() {
            Some(a) => Unreachable::Refused { host: host.to_owned(), refused: a.ip() },
            None => {
                let source = io::Error::other("the name has no address");
                Unreachable::Resolve { host: host.to_owned(), source }
            }
        });
    }
    let mut last = io::Error::other("no address");
    for (i, address) in good.iter().enumerate() {
        // The last address may use all the time that is left.
        let attempt = if i + 1 < good.len() {
            let timed = tokio::time::timeout(PER_ADDRESS, open(*address)).await;
            timed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        } else {
            open(*address).await
        };
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(Unreachable::Connect { host: host.to_owned(), source: last })
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.set_recv_buffer_size(UNREAD)?;
    socket.connect(address).await
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Secure(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, data),
            Self::Secure(s) => Pin::new(s).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Secure(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Secure(s) => Pin::new(s).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => pieces::poll_write(Pin::new(s), cx, data),
            Self::Secure(s) => Pin::new(s).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(s) => s.is_write_vectored(),
            Self::Secure(s) => s.is_write_vectored(),
        }
    }
}
