//! One listener per runtime on the same port (`SO_REUSEPORT`): the kernel spreads connections, nothing is stolen.

use super::{connection, tls};
use crate::worker::Worker;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    let _listening = worker.shared.drain.listen();
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
            () = &mut begun => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, _)) => take(stream, slot, &worker),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
    // Whoever waits in the kernel's queue believes to be connected, and may have sent a request.
    let listener = listener.into_std()?;
    while let Ok(slot) = slots.clone().try_acquire_owned()
        && let Ok((stream, _)) = listener.accept()
    {
        stream.set_nonblocking(true)?;
        take(TcpStream::from_std(stream)?, Some(slot), &worker);
    }
    Ok(())
}

/// Serves a connection, in a task that ends with it.
fn take(stream: TcpStream, slot: Option<OwnedSemaphorePermit>, worker: &Rc<Worker>) {
    let _ = stream.set_nodelay(true);
    // Counted here: between its acceptance and its task's first turn the gateway must not believe that it is done.
    let (open, worker) = (worker.shared.drain.open(), worker.clone());
    tokio::task::spawn_local(async move {
        let _slot = slot;
        match &worker.shared.settings.tls {
            None => connection::serve(stream, worker, open).await,
            Some(terms) => {
                let terms = terms.clone();
                Box::pin(tls::serve(stream, &terms, worker, open)).await;
            }
        }
    });
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
