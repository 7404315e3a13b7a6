//! Bytes over TCP, for what no HTTP client would send.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct RawAnswer {
    /// Status of the first answer; 0 when the connection closed without one.
    pub status: u16,
    /// Everything that was received.
    pub text: String,
}

impl RawAnswer {
    /// Body of the first answer as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let body = self.text.split_once("\r\n\r\n").map_or("", |(_, b)| b);
        serde_json::Deserializer::from_str(body).into_iter().next().and_then(Result::ok).unwrap_or_default()
    }

    /// How many answers were received.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.text.matches("HTTP/1.1 ").count()
    }
}

/// Sends these bytes and reads until the other side closes, or, once an answer has begun, is quiet for 300 ms.
///
/// # Panics
/// When nothing happens within `limit`, or the connection cannot be made.
pub async fn exchange(addr: SocketAddr, bytes: &[u8], limit: Duration) -> RawAnswer {
    let mut stream = TcpStream::connect(addr).await.expect("a connection");
    let (mut reader, mut writer) = stream.split();
    let sending = async {
        // The other side may refuse and close before it has read everything; what it said still counts.
        let _ = writer.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sending => unreachable!("sending never ends by itself"),
        answer = tokio::time::timeout(limit, receive(&mut reader)) => {
            answer.unwrap_or_else(|_| panic!("no answer within {limit:?}"))
        }
    }
}

/// Reads an answer as [`exchange`] does.
pub async fn receive<R: AsyncReadExt + Unpin>(reader: &mut R) -> RawAnswer {
    let mut got = Vec::new();
    let mut buf = vec![0; 64 * 1024];
    loop {
        let quiet = if got.is_empty() { Duration::from_secs(3600) } else { Duration::from_millis(300) };
        match tokio::time::timeout(quiet, reader.read(&mut buf)).await {
            Ok(Ok(n)) if n > 0 => got.extend_from_slice(&buf[..n]),
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&got).into_owned();
    let status =
        text.strip_prefix("HTTP/1.1 ").and_then(|t| t.get(..3)).and_then(|s| s.parse().ok()).unwrap_or(0);
    RawAnswer { status, text }
}
