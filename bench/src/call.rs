//! One blocking request on a connection of its own, for the driver's questions.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const LONGEST: u64 = 4 << 20;

/// A status and the text that came with it (framing included, when the server used chunks).
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub text: String,
}

/// Asks `target`. A body makes it a POST of JSON.
///
/// # Errors
/// When there is no answer in time or it is not HTTP.
pub fn call(target: SocketAddr, path: &str, headers: &[String], body: Option<&str>) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut lines =
        vec![format!("{method} {path} HTTP/1.1"), format!("host: {target}"), "connection: close".into()];
    if let Some(body) = body {
        lines.push("content-type: application/json".into());
        lines.push(format!("content-length: {}", body.len()));
    }
    lines.extend(headers.iter().cloned());
    stream.write_all(format!("{}\r\n\r\n{}", lines.join("\r\n"), body.unwrap_or_default()).as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(LONGEST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, text) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no status"))?;
    Ok(Answer { status, text: text.to_owned() })
}

/// A loopback address that nobody listens on at this moment.
///
/// # Errors
/// When the system has no port to give.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
