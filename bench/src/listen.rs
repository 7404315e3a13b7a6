//! A listener of one thread, shared by mock and floor.

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::TcpListener;

/// An open port.
pub struct Listening(TcpListener);

impl Listening {
    /// Opens `address` and prints `listening on <address>`, so that whoever asked for port 0 learns which it is.
    ///
    /// # Errors
    /// When the address is taken or standard output is closed.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
        Ok(Self(listener))
    }
}

/// Serves every connection with `answer`, on the current `LocalSet`, until the process ends.
///
/// # Errors
/// When the listener fails.
pub async fn run<A, F, B, E>(listening: Listening, answer: A) -> io::Result<()>
where
    A: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Result<Response<B>, E>> + 'static,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    let answer = Rc::new(answer);
    loop {
        let (stream, _) = listening.0.accept().await?;
        stream.set_nodelay(true)?;
        let answer = Rc::clone(&answer);
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| answer(request));
            let mut server = hyper::server::conn::http1::Builder::new();
            // A peer that goes away ends its connection; there is nobody to tell.
            let _ = server.pipeline_flush(true).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
