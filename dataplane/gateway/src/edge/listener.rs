//! One listener per runtime on the same port (`SO_REUSEPORT`): the kernel spreads connections, nothing is stolen.

use super::framing::Watched;
use super::linger::Lingering;
use super::routes;
use crate::worker::Worker;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Longest head of a request: request line and all headers.
const LONGEST_HEAD: usize = 64 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Wait after an accept that failed for want of descriptors.
const BREATHER: Duration = Duration::from_millis(50);

/// A bound listener. Several may be bound to one address.
///
/// # Errors
/// What the operating system says, e.g. that the address is in use.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The address with its port, if no other process listens there: with `SO_REUSEPORT` alone binding would succeed and the
/// two would share callers, which nobody wants from two gateways with two ledgers.
///
/// # Errors
/// What the operating system says, e.g. that the address is in use.
pub fn claim(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?;
    bound.as_socket().ok_or_else(|| io::Error::other("not an internet address"))
}

/// Accepts until the drain begins; then returns, while open connections finish their calls.
///
/// # Errors
/// When the listener cannot be handed to the runtime.
pub async fn serve(listener: TcpListener, worker: Rc<Worker>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(worker.shared.settings.max_connections));
    let drain = worker.shared.drain.clone();
    let mut begun = std::pin::pin!(drain.begun());
    loop {
        let accept = async {
            // Acquired first: at the limit further connections wait in the kernel's queue. The semaphore is never closed.
            let slot = slots.clone().acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = &mut begun => return Ok(()),
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                let worker = worker.clone();
                tokio::task::spawn_local(async move {
                    let _slot = slot;
                    connection(stream, worker).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, worker: Rc<Worker>) {
    let _open = worker.shared.drain.open();
    let framing = worker.patience.watch();
    let io = TokioIo::new(Watched::new(Lingering::new(stream, framing.clone()), framing.clone()));
    let drain = worker.shared.drain.clone();
    let told = framing.clone();
    let service = service_fn(move |request| routes::handle(request, worker.clone(), told.clone()));
    let mut served = std::pin::pin!(
        http1::Builder::new()
            .max_buf_size(LONGEST_HEAD * 2)
            .max_header_size(LONGEST_HEAD)
            .serve_connection(io, service)
    );
    let mut begun = std::pin::pin!(drain.begun());
    let (mut draining, mut listens) = (false, false);
    std::future::poll_fn(|cx| {
        // Asked once, which is enough to be woken; then only when the flag, which is set first, says that it is so.
        if !draining && (!listens || drain.is_draining()) && begun.as_mut().poll(cx).is_ready() {
            draining = true;
            served.as_mut().graceful_shutdown();
        }
        if !std::mem::replace(&mut listens, true) {
            framing.owing().wake(cx.waker());
        }
        if framing.owing().is_over() {
            return Poll::Ready(());
        }
        // Errors of a connection (resets, bad heads) are its caller's own; hyper has answered what can be answered.
        served.as_mut().poll(cx).map(|_| ())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::{bind, claim};

    /// Binding alone would succeed: the runtimes of one gateway do that.
    #[test]
    fn an_address_that_somebody_listens_at_is_not_claimed() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let second = bind(address).unwrap();
        assert_eq!(claim(address).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        drop((first, second));
        assert_eq!(claim(address).unwrap(), address);
    }
}
