//! TCP and TLS below a connection.

use super::address::Host;
use super::error::Error;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An idle connection is looked after once in this time, so that firewalls and dead hosts are noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Bytes that the other side does not acknowledge for this long end the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// Bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to `host`. Has no limit in time of its own.
pub(super) async fn open(host: &Host, tls: Option<&Arc<ClientConfig>>) -> Result<Box<dyn Stream>, Error> {
    let fault = |fault| Error::Connect { host: host.to_string(), fault: Arc::new(fault) };
    let tcp = TcpStream::connect((host.name.as_str(), host.port)).await.map_err(fault)?;
    tune(&tcp).map_err(fault)?;
    let Some(config) = tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(host.name.clone());
    let name = name.map_err(|_| Error::ServerName(host.name.clone()))?;
    let stream = TlsConnector::from(config.clone()).connect(name, tcp).await.map_err(fault)?;
    Ok(Box::new(stream))
}

fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(UNACKNOWLEDGED).with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}
