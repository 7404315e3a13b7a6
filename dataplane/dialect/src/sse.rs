//! Server-sent events: where one ends, and what its data is. Shared by every dialect that streams.

mod frames;
mod scan;

use memchr::{memchr, memchr2};
use serde_json::{Map, Value};
use std::borrow::Cow;

pub(crate) use frames::{Frames, Judge, Verdict};
pub(crate) use scan::{Facts, Fault, Scan, Seen};

/// The end of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Boundary {
    /// One past its blank line.
    pub(crate) end: usize,
}

/// Finds the end of the event that starts at 0, looking from `from` on; else `Err` with where to look from once there
/// are more bytes. Lines end with LF, CRLF or CR; a CR that is the last byte may be half of a CRLF, so it waits.
/// `from` is 0 or what an earlier call returned.
#[inline]
pub(crate) fn boundary(bytes: &[u8], from: usize) -> Result<Boundary, usize> {
    if from == 0
        && let Some(len) = terminator(bytes, 0)
    {
        return if cr_is_last(bytes, len) { Err(0) } else { Ok(Boundary { end: len }) };
    }
    let mut at = from;
    while let Some(offset) = memchr2(b'\n', b'\r', bytes.get(at..).unwrap_or_default()) {
        let line_end = at + offset;
        let next = line_end + terminator(bytes, line_end).unwrap_or(1);
        if next >= bytes.len() {
            return Err(line_end);
        }
        if let Some(len) = terminator(bytes, next) {
            let end = next + len;
            return if cr_is_last(bytes, end) { Err(line_end) } else { Ok(Boundary { end }) };
        }
        at = next;
    }
    Err(bytes.len())
}

fn cr_is_last(bytes: &[u8], end: usize) -> bool {
    end == bytes.len() && bytes.last() == Some(&b'\r')
}

/// What the event in `bytes` lacks to be complete, now that no more bytes will come.
pub(crate) fn missing(bytes: &[u8]) -> &'static [u8] {
    match bytes {
        [.., b'\r' | b'\n', b'\r'] | [b'\r'] => b"",
        [.., b'\r' | b'\n'] => b"\n",
        _ => b"\n\n",
    }
}

/// Length of the line terminator at `at`.
#[inline]
fn terminator(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'\n' => Some(1),
        b'\r' => Some(1 + usize::from(bytes.get(at + 1) == Some(&b'\n'))),
        _ => None,
    }
}

/// How many bytes of `bytes` belong to the line that is under way, its terminator included. A CR at the very end
/// counts as a terminator.
pub(crate) fn rest_of_line(bytes: &[u8]) -> usize {
    match memchr2(b'\n', b'\r', bytes) {
        Some(at) => at + terminator(bytes, at).unwrap_or(1),
        None => bytes.len(),
    }
}

/// What an event says.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Event<'a> {
    /// Its name; empty when it has none.
    pub(crate) name: &'a [u8],
    /// Its data lines, joined; `None` when it has none (comments, keep-alives).
    pub(crate) data: Option<Cow<'a, [u8]>>,
    /// It has a line that no vendor writes: neither a known field nor a comment. Something was garbled on the way.
    pub(crate) stray: bool,
}

/// Takes an event apart. A byte order mark before the first field is passed over.
#[inline]
pub(crate) fn event(bytes: &[u8]) -> Event<'_> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(data) = one_data_line(bytes) {
        return Event { name: b"", data: Some(Cow::Borrowed(data)), stray: false };
    }
    if let Some(rest) = bytes.strip_prefix(b"event:")
        && let Some(end) = memchr(b'\n', rest)
        && let Some(data) = one_data_line(&rest[end + 1..])
    {
        let name = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        if memchr(b'\r', name).is_none() {
            return Event { name: without_space(name), data: Some(Cow::Borrowed(data)), stray: false };
        }
    }
    lines(bytes)
}

/// Nearly every event ends with its only data line.
#[inline]
fn one_data_line(bytes: &[u8]) -> Option<&[u8]> {
    let value = bytes.strip_prefix(b"data:")?;
    let end = memchr2(b'\n', b'\r', value)?;
    let last = value[end..].iter().all(|byte| matches!(byte, b'\n' | b'\r'));
    last.then(|| without_space(&value[..end]))
}

fn lines(bytes: &[u8]) -> Event<'_> {
    let mut event = Event { name: b"", data: None, stray: false };
    for line in bytes.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let (field, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], without_space(&line[colon + 1..])),
            None => (line, &b""[..]),
        };
        match field {
            b"event" => event.name = value,
            b"data" => match &mut event.data {
                None => event.data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"" | b"id" | b"retry" => {}
            _ => event.stray = true,
        }
    }
    event
}

fn without_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

/// Takes the data of each of these whole events that is a JSON object; what is none is passed over.
pub(crate) fn objects<E>(
    mut events: &[u8],
    mut take: impl FnMut(Map<String, Value>) -> Result<(), E>,
) -> Result<(), E> {
    while !events.is_empty() {
        let end = boundary(events, 0).map_or(events.len(), |found| found.end);
        let (one, rest) = events.split_at(end);
        events = rest;
        if let Some(data) = event(one).data
            && let Ok(Value::Object(object)) = serde_json::from_slice(&data)
        {
            take(object)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Boundary, Event, boundary, event, missing, rest_of_line};

    #[test]
    fn ends() {
        for (text, end) in [
            ("data: a\n\ndata: b\n\n", 9),
            ("data: a\r\n\r\ndata", 11),
            ("data: a\r\rdata", 9),
            ("data: a\r\r\ndata", 10),
            ("data: a\n\r\nx", 10),
            ("data: a\ndata: b\n\n", 17),
            ("\ndata", 1),
            ("\r\ndata", 2),
        ] {
            assert_eq!(boundary(text.as_bytes(), 0), Ok(Boundary { end }), "{text:?}");
        }
        for text in [
            "",
            "data: a",
            "data: a\n",
            "data: a\r",
            "data: a\r\n",
            "data: a\ndata: b\n",
            "data: a\r\n\r",
            "\r",
        ] {
            let from = boundary(text.as_bytes(), 0).unwrap_err();
            assert!(from <= text.len());
            let more = format!("{text}\n\n\n");
            assert!(boundary(more.as_bytes(), from).is_ok(), "{text:?} from {from}");
        }
    }

    #[test]
    fn parts() {
        let of = |text: &'static str| event(text.as_bytes());
        assert_eq!(of("data: {}\n\n").data.as_deref(), Some(&b"{}"[..]));
        assert_eq!(of("\u{feff}data:{}\r\n\r\n").data.as_deref(), Some(&b"{}"[..]));
        assert_eq!(of("data: {\ndata: }\n\n").data.as_deref(), Some(&b"{\n}"[..]));
        assert_eq!(of(": ping\n\n").data, None);
        for text in [
            "event: error\ndata: x\n\n",
            "event:error\r\ndata:x\r\n\r\n",
            "event: error\rdata: x\r\r",
            "data: x\nevent: error\n\n",
        ] {
            assert_eq!(of(text), Event { name: b"error", data: Some(b"x".into()), stray: false }, "{text:?}");
        }
        assert_eq!(of("data\n\n").data.as_deref(), Some(&b""[..]));
        for text in ["eata: {}\n\n", "data; {}\n\n", "event: a\nd: {}\n\n", "data: {}\n\u{b}data: {}\n\n"] {
            assert!(of(text).stray, "{text:?}");
        }
        assert!(!of("\u{feff}: a\r\nid: 1\r\nretry: 2\r\nevent: e\r\ndata: {}\r\n\r\n").stray);
        assert_eq!(rest_of_line(b"ab\r\ncd"), 4);
        assert_eq!(rest_of_line(b"ab"), 2);
        assert_eq!(
            (missing(b"a"), missing(b"a\n"), missing(b"a\r\n\r")),
            (&b"\n\n"[..], &b"\n"[..], &b""[..])
        );
    }
}
