//! Where something lies in a body, and how to read a string there.

use super::string::unescape;
use std::borrow::Cow;

/// A range of bytes of the body that was scanned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Length in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// True when nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Its bytes in `body`; empty when `body` is not the one that was scanned and is too short.
    #[must_use]
    pub fn of(self, body: &[u8]) -> &[u8] {
        body.get(self.start..self.end).unwrap_or_default()
    }
}

/// A string of the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    /// What stands between the quotes.
    pub span: Span,
    /// It has escape sequences.
    pub escaped: bool,
}

impl Text {
    /// The string; borrowed unless it has escape sequences. `body` is the one that was scanned.
    #[must_use]
    pub fn get(self, body: &[u8]) -> Cow<'_, str> {
        let raw = self.span.of(body);
        if self.escaped {
            return Cow::Owned(unescape(raw));
        }
        // The usual case first: it is cheaper than to look for what must be replaced.
        std::str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed)
    }

    /// The string's bytes; borrowed unless it has escape sequences. `body` is the one that was scanned.
    #[must_use]
    pub(crate) fn bytes(self, body: &[u8]) -> Cow<'_, [u8]> {
        let raw = self.span.of(body);
        if self.escaped { Cow::Owned(unescape(raw).into_bytes()) } else { Cow::Borrowed(raw) }
    }

    /// True when the string is `other`.
    #[must_use]
    pub fn is(self, body: &[u8], other: &str) -> bool {
        if self.escaped { self.get(body) == other } else { self.span.of(body) == other.as_bytes() }
    }
}
