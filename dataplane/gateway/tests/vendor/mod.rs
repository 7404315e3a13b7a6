//! A provider and a forward proxy on loopback, for the tests of `upstream`.

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// What a vendor does with a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// `{"ok":true}`
    Answer,
    /// The same, and the connection ends.
    CloseAfterEach,
    /// 302
    Redirect,
    /// Nothing, ever.
    Mute,
    /// A head, `data`, then nothing.
    Stall,
    /// Data without end.
    Endless,
}

/// A provider.
pub(crate) struct Vendor {
    pub(crate) port: u16,
    pub(crate) ca: String,
    seen: Rc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: Cell<u32>,
    requests: Cell<u32>,
    last: RefCell<Option<Parts>>,
    stopped: Notify,
}

impl Vendor {
    pub(crate) async fn plain(behaviour: Behaviour) -> Self {
        Self::start(behaviour, None, String::new()).await
    }

    pub(crate) async fn tls(behaviour: Behaviour, alpn: &[&[u8]]) -> Self {
        let (tls, ca) = acceptor(alpn);
        Self::start(behaviour, Some(tls), ca).await
    }

    /// HTTP/2; each connection answers its first request and refuses the second.
    pub(crate) async fn refusing(refusal: Refusal) -> Self {
        let (tls, ca) = acceptor(&[b"h2"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Rc::new(Seen::default());
        let shared = seen.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.set(shared.connections.get() + 1);
                let tls = tls.clone();
                tokio::task::spawn_local(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let _ = frames(stream, refusal).await;
                });
            }
        });
        Self { port, ca, seen }
    }

    async fn start(behaviour: Behaviour, tls: Option<TlsAcceptor>, ca: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Rc::new(Seen::default());
        let shared = seen.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.set(shared.connections.get() + 1);
                let (tls, shared) = (tls.clone(), shared.clone());
                tokio::task::spawn_local(async move {
                    match tls {
                        None => connection(stream, behaviour, shared, false).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                            connection(stream, behaviour, shared, h2).await;
                        }
                    }
                });
            }
        });
        Self { port, ca, seen }
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        let host = if scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{scheme}://{host}:{}/v1", self.port)
    }

    pub(crate) fn connections(&self) -> u32 {
        self.seen.connections.get()
    }

    pub(crate) fn requests(&self) -> u32 {
        self.seen.requests.get()
    }

    pub(crate) fn last(&self) -> Parts {
        self.seen.last.borrow().clone().unwrap()
    }

    /// Ready once an endless answer was given up.
    pub(crate) async fn stopped(&self) {
        self.seen.stopped.notified().await;
    }
}

/// A TLS server for localhost, and the certificate to trust.
fn acceptor(alpn: &[&[u8]]) -> (TlsAcceptor, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    config.alpn_protocols = alpn.iter().map(|a| a.to_vec()).collect();
    (TlsAcceptor::from(Arc::new(config)), cert.pem())
}

/// How an HTTP/2 connection refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// GOAWAY that leaves the request's stream out.
    GoAway,
    /// The stream is reset as refused.
    Reset,
    /// GOAWAY that has the request's stream in, and the end.
    GoAwayAfter,
}

/// HTTP/2 by hand: frames are a length, a type, flags, a stream and so many bytes (RFC 9113, 4.1).
async fn frames<S>(mut stream: S, refusal: Refusal) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    const SETTINGS: u8 = 4;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    let mut asked = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if kind == SETTINGS && flags & 1 == 0 {
            stream.write_all(&frame(SETTINGS, 1, 0, &[])).await?;
        }
        // The end of a request: its stream's last frame.
        if !matches!(kind, 0 | 1) || flags & 1 == 0 {
            continue;
        }
        asked += 1;
        let answer = match (asked, refusal) {
            // `:status: 200` is entry 8 of the static table.
            (1, _) => [frame(1, 4, id, &[0x88]), frame(0, 1, id, b"{}")].concat(),
            (_, Refusal::Reset) => frame(3, 0, id, &7_u32.to_be_bytes()),
            (_, Refusal::GoAway) => frame(7, 0, 0, &[1_u32.to_be_bytes(), [0; 4]].concat()),
            (_, Refusal::GoAwayAfter) => frame(7, 0, 0, &[id.to_be_bytes(), [0; 4]].concat()),
        };
        stream.write_all(&answer).await?;
        stream.flush().await?;
        if asked > 1 && refusal == Refusal::GoAwayAfter {
            return stream.shutdown().await;
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

async fn connection<S>(stream: S, behaviour: Behaviour, seen: Rc<Seen>, h2: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, behaviour, seen.clone()));
    let io = TokioIo::new(stream);
    if h2 {
        let _ = hyper::server::conn::http2::Builder::new(Local).serve_connection(io, service).await;
    } else {
        let keep = behaviour != Behaviour::CloseAfterEach;
        let _ =
            hyper::server::conn::http1::Builder::new().keep_alive(keep).serve_connection(io, service).await;
    }
}

async fn answer(
    request: Request<Incoming>,
    behaviour: Behaviour,
    seen: Rc<Seen>,
) -> Result<Response<Reply>, Infallible> {
    seen.requests.set(seen.requests.get() + 1);
    *seen.last.borrow_mut() = Some(request.into_parts().0);
    let mut response = Response::new(Reply { behaviour, sent: 0, seen });
    match behaviour {
        Behaviour::Redirect => {
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert("location", "http://127.0.0.1:1/".parse().unwrap());
        }
        Behaviour::Mute => std::future::pending().await,
        _ => {}
    }
    Ok(response)
}

struct Reply {
    behaviour: Behaviour,
    sent: u32,
    seen: Rc<Seen>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sent += 1;
        let data =
            |text: &'static str| Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))));
        match (self.behaviour, self.sent) {
            (Behaviour::Stall, 1) => data("data"),
            (Behaviour::Stall, _) => Poll::Pending,
            (Behaviour::Endless, _) => {
                // Yields between pieces, so that the one thread serves both ends.
                if self.sent.is_multiple_of(2) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                data("data: {}\n\n")
            }
            (_, 1) => data("{\"ok\":true}"),
            _ => Poll::Ready(None),
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.behaviour == Behaviour::Endless {
            self.seen.stopped.notify_one();
        }
    }
}

#[derive(Clone)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// A forward proxy.
pub(crate) struct ForwardProxy {
    pub(crate) port: u16,
    asked: Rc<RefCell<Vec<String>>>,
}

impl ForwardProxy {
    /// `CONNECT host:port credential` of each tunnel asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }
}

pub(crate) async fn proxy() -> ForwardProxy {
    forward(true).await
}

pub(crate) async fn refusing_proxy() -> ForwardProxy {
    forward(false).await
}

async fn forward(opens: bool) -> ForwardProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = asked.clone();
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = log.clone();
            tokio::task::spawn_local(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.split(' ').nth(1).unwrap().to_owned();
                let credential = head.lines().find_map(|l| l.strip_prefix("proxy-authorization: "));
                log.borrow_mut().push(format!("CONNECT {target} {}", credential.unwrap_or("-")));
                if !opens {
                    let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
                    return;
                }
                let port = target.rsplit(':').next().unwrap().to_owned();
                let mut to = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut to).await;
            });
        }
    });
    ForwardProxy { port, asked }
}
