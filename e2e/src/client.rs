//! A small HTTP client: keeps connections, reads streams event by event, and leaves when dropped.

use crate::door::{Connection, Door, Protocol};
use crate::stream::Stream;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// A caller with a key.
#[derive(Clone)]
pub struct Client {
    door: Door,
    token: String,
    headers: Vec<(String, String)>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// `error.code` of the body.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The answer, when its status is as expected.
    ///
    /// # Panics
    /// When it is not, with the body.
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {:?}", self.headers, self.body);
        self
    }

    /// Asserts status, `error.type` and `error.code` of an error in OpenAI's shape.
    ///
    /// # Panics
    /// When any differs or a field of the shape is missing.
    pub fn expect_error(&self, status: u16, kind: &str, code: &str) {
        let body = self.json();
        let error = &body["error"];
        assert_eq!(
            (self.status, error["type"].as_str(), error["code"].as_str()),
            (status, Some(kind), Some(code)),
            "{} {:?}",
            body,
            self.headers
        );
        assert!(error["message"].as_str().is_some_and(|m| m.len() > 4), "a message for people: {body}");
        assert!(
            error.as_object().is_some_and(|e| e.contains_key("param")),
            "OpenAI's shape has param: {body}"
        );
    }
}

impl Client {
    /// A caller of the server at `addr` with this key.
    #[must_use]
    pub fn new(addr: SocketAddr, token: &str) -> Self {
        Self::by(Door::new(addr, Protocol::Http1), token)
    }

    /// A caller that comes this way. Over HTTP/2 its clones share a connection.
    #[must_use]
    pub fn by(door: Door, token: &str) -> Self {
        Self { door, token: token.to_owned(), headers: Vec::new(), idle: Arc::default() }
    }

    /// A caller that speaks Anthropic's format.
    #[must_use]
    pub fn anthropic(addr: SocketAddr, token: &str) -> Self {
        Self::new(addr, "").with("x-api-key", token).with("anthropic-version", "2023-06-01")
    }

    /// The same caller, sending one more header with each request.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A connection, and whether it is a new one.
    async fn connection(&self) -> Result<(Connection, bool), String> {
        loop {
            let idle = self.idle.lock().unwrap().pop();
            let Some(mut connection) = idle else { break };
            if connection.ready().await {
                self.keep(connection.share());
                return Ok((connection, false));
            }
        }
        let connection = self.door.open().await?;
        self.keep(connection.share());
        Ok((connection, true))
    }

    fn keep(&self, connection: Option<Connection>) {
        self.idle.lock().unwrap().extend(connection);
    }

    async fn start(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> Result<(Response<Incoming>, Connection), String> {
        let mut request = Request::builder().method(method).uri(self.door.uri(path));
        if self.door.protocol == Protocol::Http1 {
            request = request.header("host", self.door.addr.to_string());
        }
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if method == "POST" {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
        let (mut connection, fresh) = self.connection().await?;
        let told = |e: hyper::Error| match (fresh, e.is_canceled()) {
            (true, _) => format!("on a fresh connection: {e:?}"),
            (_, true) => format!("unsent: {e:?}"),
            _ => format!("{e:?}"),
        };
        let response = connection.send(request).await.map_err(told)?;
        Ok((response, connection))
    }

    /// One request, and the answer or why there was none.
    ///
    /// # Errors
    /// The connection failed, or the answer was not read to its end.
    pub async fn try_send(&self, method: &str, path: &str, body: Bytes) -> Result<Answer, String> {
        let (response, connection) = self.start(method, path, body).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| format!("{e:?}"))?.to_bytes();
        if connection.share().is_none() {
            self.keep(Some(connection));
        }
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// GET.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Answer {
        self.try_send("GET", path, Bytes::new()).await.unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// POST of a JSON body.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let body = Bytes::from(body.to_string());
        self.try_send("POST", path, body).await.unwrap_or_else(|e| panic!("POST {path}: {e}"))
    }

    /// A chat call that is answered whole.
    pub async fn chat(&self, body: &Value) -> Answer {
        self.post("/v1/chat/completions", body).await
    }

    /// A chat call that streams; an answer that is no stream comes back whole.
    ///
    /// # Errors
    /// Outer: there was no answer. Inner: the whole answer, when it is not a stream.
    pub async fn try_stream(&self, body: &Value) -> Result<Result<Stream, Box<Answer>>, String> {
        self.try_stream_at("/v1/chat/completions", body).await
    }

    /// The same at another path.
    ///
    /// # Errors
    /// As [`Self::try_stream`].
    pub async fn try_stream_at(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<Result<Stream, Box<Answer>>, String> {
        let mut body = body.clone();
        body["stream"] = json!(true);
        let (response, connection) = self.start("POST", path, Bytes::from(body.to_string())).await?;
        let (head, body) = response.into_parts();
        let kind = head.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            return Ok(Ok(Stream::new(head.headers, body, connection)));
        }
        let body = body.collect().await.map_err(|e| format!("{e:?}"))?.to_bytes();
        Ok(Err(Box::new(Answer { status: head.status.as_u16(), headers: head.headers, body })))
    }

    /// The same, where there must be an answer.
    ///
    /// # Errors
    /// The whole answer, when it is not a stream.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn stream(&self, body: &Value) -> Result<Stream, Box<Answer>> {
        self.try_stream(body).await.unwrap_or_else(|e| panic!("stream: {e}"))
    }
}

/// A request for a message with one user message for `model`, in Anthropic's format.
#[must_use]
pub fn message(model: &str, text: &str) -> Value {
    json!({"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": text}]})
}

/// A body with one user message for `model`.
#[must_use]
pub fn ask(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}
