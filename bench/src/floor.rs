//! The floor: the least that a gateway must do, with nothing else on top. It reads the request, finds `model` and
//! `stream`, looks up the caller's key, puts the provider's in its place, forwards over a pooled connection, and
//! reads the usage out of a whole answer. No limits, no budgets, no deadlines: a measure, not a gateway.

use crate::listen::{self, Listening};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::uri::InvalidUri;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::TcpStream;

/// Arguments of `floor`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address to listen on; port 0 picks a free one. The address is printed once it is open
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Address of the vendor
    #[arg(long)]
    pub upstream: SocketAddr,
    /// The one token that callers may use (of the benchmark, not a secret)
    #[arg(long, default_value = crate::TOKEN)]
    pub key: String,
}

/// What can go wrong with one request; the caller's connection is closed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("connecting: {0}")]
    Connect(#[from] io::Error),
    #[error("talking HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("path: {0}")]
    Path(#[from] InvalidUri),
}

type Outgoing = Either<Full<Bytes>, Incoming>;

/// The two fields of a request that a gateway cannot do without.
#[derive(Deserialize)]
struct Wanted<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(default)]
    stream: bool,
}

/// The part of an answer that is counted.
#[derive(Deserialize)]
struct Answered {
    usage: Tokens,
}

#[derive(Deserialize)]
struct Tokens {
    total_tokens: u64,
}

struct Floor {
    upstream: SocketAddr,
    host: HeaderValue,
    provider: HeaderValue,
    /// Credential header -> tokens used.
    keys: HashMap<Vec<u8>, Cell<u64>>,
    pool: RefCell<Vec<SendRequest<Outgoing>>>,
}

/// Serves until the process ends.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(args: Args) -> io::Result<()> {
    let host = HeaderValue::from_str(&args.upstream.to_string()).map_err(io::Error::other)?;
    let floor = Rc::new(Floor {
        upstream: args.upstream,
        host,
        provider: HeaderValue::from_static("Bearer provider-credential"),
        keys: HashMap::from([(format!("Bearer {}", args.key).into_bytes(), Cell::new(0))]),
        pool: RefCell::default(),
    });
    let listening = Listening::open(args.listen).await?;
    listen::run(listening, move |request| Rc::clone(&floor).forward(request)).await
}

impl Floor {
    async fn forward(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Outgoing>, Fault> {
        let (mut head, body) = request.into_parts();
        let credential = head.headers.get(AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
        let Some(spent) = self.keys.get(credential) else { return Ok(refused(StatusCode::UNAUTHORIZED)) };
        let body = body.collect().await?.to_bytes();
        let streamed = match serde_json::from_slice::<Wanted<'_>>(&body) {
            Ok(wanted) if !wanted.model.is_empty() => wanted.stream,
            _ => return Ok(refused(StatusCode::BAD_REQUEST)),
        };
        head.headers.remove(CONNECTION);
        head.headers.insert(HOST, self.host.clone());
        head.headers.insert(AUTHORIZATION, self.provider.clone());
        head.uri = Uri::try_from(head.uri.path())?;
        let mut vendor = self.connection().await?;
        let answer = vendor.send_request(Request::from_parts(head, Either::Left(Full::new(body)))).await?;
        let (mut head, body) = answer.into_parts();
        head.headers.remove(CONNECTION);
        head.headers.remove(TRANSFER_ENCODING);
        if streamed {
            let floor = Rc::clone(&self);
            tokio::task::spawn_local(async move {
                if vendor.ready().await.is_ok() {
                    floor.pool.borrow_mut().push(vendor);
                }
            });
            return Ok(Response::from_parts(head, Either::Right(body)));
        }
        let body = body.collect().await?.to_bytes();
        self.pool.borrow_mut().push(vendor);
        if let Ok(answered) = serde_json::from_slice::<Answered>(&body) {
            spent.set(spent.get() + answered.usage.total_tokens);
        }
        Ok(Response::from_parts(head, Either::Left(Full::new(body))))
    }

    async fn connection(&self) -> Result<SendRequest<Outgoing>, Fault> {
        loop {
            let pooled = self.pool.borrow_mut().pop();
            match pooled {
                Some(vendor) if vendor.is_ready() => return Ok(vendor),
                Some(_) => {}
                None => break,
            }
        }
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (vendor, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        Ok(vendor)
    }
}

fn refused(status: StatusCode) -> Response<Outgoing> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}
