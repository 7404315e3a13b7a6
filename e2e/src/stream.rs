//! A streamed answer, read event by event.

use crate::door::Connection;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde_json::Value;

/// A stream being read; dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    /// Headers of the answer.
    pub headers: HeaderMap,
    body: Incoming,
    buf: Vec<u8>,
    _connection: Connection,
}

/// How a stream went.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Text of the first choice.
    pub text: String,
    /// Content deltas that were not empty.
    pub deltas: u64,
    /// Last `finish_reason` or `stop_reason`.
    pub finish: Option<String>,
    /// The usage chunk, or what Anthropic's `message_delta` counts.
    pub usage: Option<Value>,
    /// An error event.
    pub error: Option<Value>,
    /// `[DONE]` came, or Anthropic's `message_stop`.
    pub done: bool,
    /// An event was no JSON.
    pub garbled: bool,
    /// The connection broke before the body's end.
    pub broken: bool,
}

impl Stream {
    pub(crate) fn new(headers: HeaderMap, body: Incoming, connection: Connection) -> Self {
        Self { headers, body, buf: Vec::new(), _connection: connection }
    }

    /// The next event's data; `None` at the end.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn next(&mut self) -> Result<Option<String>, String> {
        loop {
            if let Some(end) = self.buf.windows(2).position(|w| w == b"\n\n") {
                let event: Vec<u8> = self.buf.drain(..end + 2).collect();
                let event = String::from_utf8(event).map_err(|e| e.to_string())?;
                if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) {
                    return Ok(Some(data.to_owned()));
                }
                continue;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buf.extend_from_slice(frame.data_ref().map_or(&[], |d| &d[..])),
                Some(Err(e)) => return Err(format!("{e:?}")),
                None if self.buf.is_empty() => return Ok(None),
                None => return Err(format!("the body ended inside an event: {:?}", self.buf)),
            }
        }
    }

    /// Reads until `deltas` content deltas have come, or to the end.
    pub async fn read(&mut self, deltas: u64) -> Told {
        let mut told = Told::default();
        while told.deltas < deltas {
            match self.next().await {
                Ok(Some(data)) if data == "[DONE]" => told.done = true,
                Ok(Some(data)) => told.take(&data),
                Ok(None) => break,
                Err(_) => {
                    told.broken = true;
                    break;
                }
            }
        }
        told
    }

    /// Reads to the end.
    pub async fn all(mut self) -> Told {
        self.read(u64::MAX).await
    }
}

impl Told {
    fn take(&mut self, data: &str) {
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            self.garbled = true;
            return;
        };
        if event["type"].is_string() && event["type"] != "error" {
            return self.take_anthropic(&event);
        }
        if event.get("error").is_some() {
            self.error = Some(event["error"].clone());
            return;
        }
        if event["usage"].is_object() {
            self.usage = Some(event["usage"].clone());
        }
        let choice = &event["choices"][0];
        if let Some(text) = choice["delta"]["content"].as_str().filter(|t| !t.is_empty()) {
            self.text.push_str(text);
            self.deltas += 1;
        }
        if let Some(finish) = choice["finish_reason"].as_str() {
            self.finish = Some(finish.to_owned());
        }
    }

    fn take_anthropic(&mut self, event: &Value) {
        match event["type"].as_str() {
            Some("content_block_delta") => {
                if let Some(text) = event["delta"]["text"].as_str().filter(|t| !t.is_empty()) {
                    self.text.push_str(text);
                    self.deltas += 1;
                }
            }
            Some("message_delta") => {
                self.finish = event["delta"]["stop_reason"].as_str().map(ToOwned::to_owned);
                self.usage = Some(event["usage"].clone()).filter(Value::is_object);
            }
            Some("message_stop") => self.done = true,
            _ => {}
        }
    }
}
