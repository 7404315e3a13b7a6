//! The least HTTP/1.1 client that can show a gateway: one connection a call, bodies by length or in chunks.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for a byte.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The connection could not be made or broke.
    #[error("{address}: {source}")]
    Connection {
        /// Who was called.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// What came back is not HTTP/1.1 or not JSON.
    #[error("{address} answered something unexpected: {what}")]
    Answer {
        /// Who was called.
        address: SocketAddr,
        /// The part that was not understood.
        what: String,
    },
}

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    address: SocketAddr,
    /// HTTP status.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    input: BufReader<TcpStream>,
}

/// Calls `method path` with a JSON body, when there is one, and a bearer token, when there is one.
pub(crate) fn call(
    address: SocketAddr,
    (method, path): (&str, &str),
    token: Option<&str>,
    body: Option<&Value>,
) -> Result<Answer, HttpError> {
    let fault = |source| HttpError::Connection { address, source };
    let mut stream = TcpStream::connect(address).map_err(fault)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(fault)?;
    stream.set_nodelay(true).map_err(fault)?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    if let Some(token) = token {
        head.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).map_err(fault)?;
    Answer::read(address, BufReader::new(stream))
}

impl Answer {
    fn read(address: SocketAddr, mut input: BufReader<TcpStream>) -> Result<Self, HttpError> {
        let first = line(address, &mut input)?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| HttpError::Answer { address, what: first.clone() })?;
        let mut headers = Vec::new();
        loop {
            let text = line(address, &mut input)?;
            let Some((name, value)) = text.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Self { address, status, headers, input })
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The whole body as JSON.
    pub(crate) fn json(mut self) -> Result<Value, HttpError> {
        let mut body = Vec::new();
        self.pieces(|piece| body.extend_from_slice(piece))?;
        serde_json::from_slice(&body)
            .map_err(|fault| HttpError::Answer { address: self.address, what: fault.to_string() })
    }

    /// Hands the data of each server-sent event to `see` as it arrives, `[DONE]` left out.
    pub(crate) fn events(mut self, mut see: impl FnMut(&Value)) -> Result<(), HttpError> {
        let mut open = Vec::new();
        self.pieces(|piece| {
            open.extend_from_slice(piece);
            while let Some(end) = open.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = open.drain(..=end).collect();
                if let Some(event) =
                    line.strip_prefix(b"data: ").and_then(|data| serde_json::from_slice(data).ok())
                {
                    see(&event);
                }
            }
        })
    }

    fn pieces(&mut self, mut take: impl FnMut(&[u8])) -> Result<(), HttpError> {
        let address = self.address;
        let fault = |source| HttpError::Connection { address, source };
        if self.header("transfer-encoding") != Some("chunked") {
            let length =
                self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(u64::MAX);
            let mut body = Vec::new();
            self.input.by_ref().take(length).read_to_end(&mut body).map_err(fault)?;
            take(&body);
            return Ok(());
        }
        loop {
            let size = line(address, &mut self.input)?;
            let digits = size.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16)
                .map_err(|_| HttpError::Answer { address, what: size.clone() })?;
            if size == 0 {
                return Ok(());
            }
            let mut piece = vec![0; size];
            self.input.read_exact(&mut piece).map_err(fault)?;
            take(&piece);
            line(address, &mut self.input)?;
        }
    }
}

fn line(address: SocketAddr, input: &mut BufReader<TcpStream>) -> Result<String, HttpError> {
    let mut text = String::new();
    input.read_line(&mut text).map_err(|source| HttpError::Connection { address, source })?;
    text.truncate(text.trim_end().len());
    Ok(text)
}
