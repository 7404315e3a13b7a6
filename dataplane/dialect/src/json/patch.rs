//! A document with a few spans replaced, copied once.

use super::Span;
use bytes::{Bytes, BytesMut};

/// Replacements of spans that do not overlap; an empty span is an insertion.
#[derive(Default)]
pub(crate) struct Patch {
    /// (what is replaced, where in `text` its replacement is).
    pieces: Vec<(Span, Span)>,
    text: Vec<u8>,
}

impl Patch {
    pub(crate) fn replace(&mut self, span: Span, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        self.pieces.push((span, Span { start, end: self.text.len() }));
    }

    pub(crate) fn insert(&mut self, at: usize, text: &[u8]) {
        self.replace(Span { start: at, end: at }, |out| out.extend_from_slice(text));
    }

    /// `body` patched; the same bytes when nothing changes.
    pub(crate) fn apply(mut self, body: &Bytes) -> Bytes {
        if self.pieces.is_empty() {
            return body.clone();
        }
        // Stable: insertions at one place keep their order, and precede a replacement that starts there.
        self.pieces.sort_by_key(|(span, _)| (span.start, span.end));
        let mut out = BytesMut::with_capacity(body.len() + self.text.len());
        let mut from = 0;
        for (span, text) in &self.pieces {
            out.extend_from_slice(Span { start: from, end: span.start }.of(body));
            out.extend_from_slice(text.of(&self.text));
            from = span.end;
        }
        out.extend_from_slice(Span { start: from, end: body.len() }.of(body));
        out.freeze()
    }
}
