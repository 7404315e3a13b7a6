//! One chunk of a stream.

use super::super::error::from_value;
use super::super::reply::{Choice, choice, produced};
use super::super::token_usage::usage;
use super::super::{UpstreamError, upstream_error};
use crate::Usage;
use crate::json::{Cursor, JsonFault, Kind};
use memchr::memmem::Finder;

/// What all chunks of a stream have alike; what we add to it says the same.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StreamHead {
    /// `id`.
    pub id: Box<str>,
    /// `created`, Unix seconds.
    pub created: u64,
    /// `model`, as served.
    pub model: Box<str>,
    /// `system_fingerprint`.
    pub system_fingerprint: Option<Box<str>>,
    /// `service_tier`, as served.
    pub service_tier: Option<Box<str>>,
}

/// Everything in a chunk that we read.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) head: StreamHead,
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<Usage>,
    pub(super) error: Option<UpstreamError>,
}

/// Reads a chunk whole.
pub(super) fn read(data: &[u8]) -> Result<Chunk, JsonFault> {
    let mut cursor = Cursor::object(data)?;
    let mut chunk = Chunk::default();
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.span.of(data), kind) {
            (b"id", Kind::String) => chunk.head.id = text(&mut cursor)?,
            (b"model", Kind::String) => chunk.head.model = text(&mut cursor)?,
            (b"system_fingerprint", Kind::String) => chunk.head.system_fingerprint = Some(text(&mut cursor)?),
            (b"service_tier", Kind::String) => chunk.head.service_tier = Some(text(&mut cursor)?),
            (b"created", Kind::Number) => {
                let digits = cursor.skip()?.of(data);
                chunk.head.created =
                    std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).unwrap_or(0);
            }
            (b"choices", Kind::Array) => choices(&mut chunk, &mut cursor)?,
            (b"usage", Kind::Object) => chunk.usage = usage(&mut cursor)?,
            (b"x_groq", Kind::Object) => groq(&mut chunk, &mut cursor)?,
            (b"error", Kind::Object | Kind::String) => {
                chunk.error = Some(from_value(cursor.skip()?.of(data)))
            }
            _ => {
                cursor.skip()?;
            }
        }
    }
    cursor.end()?;
    // A vendor that fails in a stream may say so in the choice only.
    if chunk.error.is_none() && chunk.choices.iter().any(|choice| choice.failed) {
        chunk.error = Some(upstream_error(data));
    }
    Ok(chunk)
}

fn text(cursor: &mut Cursor<'_>) -> Result<Box<str>, JsonFault> {
    Ok(cursor.string()?.text.get(cursor.bytes()).into())
}

fn choices(chunk: &mut Chunk, cursor: &mut Cursor<'_>) -> Result<(), JsonFault> {
    cursor.enter()?;
    let mut first = true;
    while cursor.element(&mut first)? {
        if cursor.peek()? == Kind::Object {
            chunk.choices.push(choice(cursor)?);
        } else {
            cursor.skip()?;
        }
    }
    Ok(())
}

/// Groq repeats the usage under a name of its own, and used to have it only there.
fn groq(chunk: &mut Chunk, cursor: &mut Cursor<'_>) -> Result<(), JsonFault> {
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.span.of(cursor.bytes()), kind) {
            (b"usage", Kind::Object) => chunk.usage = chunk.usage.or(usage(cursor)?),
            (b"error", Kind::Object | Kind::String) => {
                chunk.error = Some(from_value(cursor.skip()?.of(cursor.bytes())));
            }
            _ => {
                cursor.skip()?;
            }
        }
    }
    Ok(())
}

/// Finds in an ordinary chunk the bytes that it adds, without reading it whole.
///
/// A quote within a JSON string is always escaped, so `"delta"` followed by a colon is always a key.
pub(super) struct Glance {
    delta: Finder<'static>,
    finish: Finder<'static>,
    usage: Finder<'static>,
}

impl Glance {
    pub(super) fn new() -> Self {
        Self {
            delta: Finder::new(b"\"delta\""),
            finish: Finder::new(b"\"finish_reason\""),
            usage: Finder::new(b"\"usage\""),
        }
    }

    /// Content bytes of a chunk that has one choice, does not end it, and has neither usage nor error; `None` = look
    /// closer.
    #[inline]
    pub(super) fn content_bytes(&self, data: &[u8]) -> Option<u64> {
        let at = self.delta.find(data)? + b"\"delta\"".len();
        let quiet = |finder: &Finder<'_>, from: &[u8]| match finder.find(from) {
            Some(at) => is_null(&from[at + finder.needle().len()..]),
            None => true,
        };
        if !quiet(&self.finish, data) || !quiet(&self.usage, data) {
            return None;
        }
        let colon = data.get(at..)?.iter().position(|byte| !byte.is_ascii_whitespace())?;
        if data[at + colon] != b':' {
            return None;
        }
        let mut cursor = Cursor::within(data, at + colon + 1);
        if cursor.peek().ok()? != Kind::Object {
            return None;
        }
        let bytes = produced(&mut cursor).ok()?;
        // A second delta would be a second choice.
        let rest = data.get(cursor.at()..)?;
        self.delta.find(rest).is_none().then_some(bytes)
    }
}

/// True when `: null` follows.
#[inline]
fn is_null(after_key: &[u8]) -> bool {
    let mut rest = after_key.iter().filter(|byte| !byte.is_ascii_whitespace());
    rest.next() == Some(&b':') && rest.next() == Some(&b'n')
}

#[cfg(test)]
mod tests {
    use super::{Glance, read};

    #[test]
    fn a_glance_says_what_reading_says_or_nothing() {
        let glance = Glance::new();
        for (data, seen) in [
            (
                r#"{"choices":[{"index":0,"delta":{"content":"a\u00e9\n"},"finish_reason":null}],"usage":null}"#,
                true,
            ),
            (
                r#"{ "choices" : [ { "delta" : { "role" : "assistant" , "content" : "ab" } } ] , "usage" : null }"#,
                true,
            ),
            (
                r#"{"choices":[{"finish_reason":null,"delta":{"tool_calls":[{"function":{"arguments":"{}"}}]}}]}"#,
                true,
            ),
            (
                r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\", \"usage\":{}, \"delta\":{}"}}]}"#,
                true,
            ),
            (r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#, false),
            (r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}"#, false),
            (r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}"#, false),
            (r#"{"choices":[{"delta":null}]}"#, false),
            (r#"{"object":"delta","choices":[]}"#, false),
            (r#"{"choices":[],"usage":null}"#, false),
            (r#"{"choices":[{"delta":{"content":"a"#, false),
        ] {
            let glimpsed = glance.content_bytes(data.as_bytes());
            assert_eq!(glimpsed.is_some(), seen, "{data}");
            if let Some(bytes) = glimpsed {
                let chunk = read(data.as_bytes()).unwrap();
                assert_eq!(
                    bytes,
                    chunk.choices.iter().map(|choice| choice.content_bytes).sum::<u64>(),
                    "{data}"
                );
                assert!(chunk.usage.is_none() && chunk.error.is_none() && chunk.choices[0].finish.is_none());
            }
        }
    }
}
