//! The upstream body: the caller's bytes with the few edits that must be, copied once.

use super::{ChatScan, EmbeddingsScan, Field};
use crate::json::{Patch, Span, push_number, push_string};
use bytes::Bytes;

/// What must change in a chat request. The default changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Edits<'a> {
    /// The name that the provider knows the model by.
    pub model: Option<&'a str>,
    /// The output cap to be sent, whatever the caller wrote.
    pub output_cap: Option<OutputCap>,
    /// Ask for a stream.
    pub stream: bool,
    /// Ask for the usage chunk.
    pub include_usage: bool,
    /// Take out of the messages what a model thought: an answer of another vendor told it, and this one refuses it.
    pub drop_thoughts: bool,
}

/// An output cap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputCap {
    /// The name that the model wants; a cap that the caller wrote under the other name is moved.
    pub name: CapName,
    /// Tokens of one answer.
    pub tokens: u32,
}

/// What a model calls its output cap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CapName {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

impl CapName {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

pub(super) fn chat(scan: &ChatScan, body: &Bytes, edits: &Edits<'_>) -> Bytes {
    let mut patch = Patch::default();
    if let Some(model) = edits.model.filter(|model| !scan.model.is(body, model)) {
        patch.replace(scan.model_member.value, |out| push_string(out, model));
    }
    if let Some(cap) = edits.output_cap {
        output_cap(&mut patch, scan, cap);
    }
    if edits.stream && !scan.streams() {
        match scan.stream.member {
            Some(member) => patch.replace(member.value, |out| out.extend_from_slice(b"true")),
            None => patch.insert(scan.open, b"\"stream\":true,"),
        }
    }
    if edits.include_usage && !scan.wants_usage() {
        include_usage(&mut patch, scan);
    }
    if edits.drop_thoughts {
        scan.thoughts.iter().for_each(|span| patch.replace(*span, |_| {}));
    }
    patch.apply(body)
}

fn output_cap(patch: &mut Patch, scan: &ChatScan, cap: OutputCap) {
    let (right, wrong): (&Field<u32>, &Field<u32>) = match cap.name {
        CapName::MaxTokens => (&scan.max_tokens, &scan.max_completion_tokens),
        CapName::MaxCompletionTokens => (&scan.max_completion_tokens, &scan.max_tokens),
    };
    if right.value == Some(cap.tokens) {
        return;
    }
    // A scan never has values under both names, so what is found under the wrong one may be moved or emptied.
    let set = wrong.value.and(wrong.member);
    match (right.member, set) {
        (Some(member), set) => {
            patch.replace(member.value, |out| push_number(out, cap.tokens.into()));
            if let Some(wrong) = set {
                patch.replace(wrong.value, |out| out.extend_from_slice(b"null"));
            }
        }
        (None, Some(wrong)) => {
            let whole = Span { start: wrong.key.start, end: wrong.value.end };
            patch.replace(whole, |out| push_cap(out, cap));
        }
        (None, None) => patch.replace(Span { start: scan.open, end: scan.open }, |out| {
            push_cap(out, cap);
            out.push(b',');
        }),
    }
}

fn push_cap(out: &mut Vec<u8>, cap: OutputCap) {
    push_string(out, cap.name.as_str());
    out.push(b':');
    push_number(out, cap.tokens.into());
}

fn include_usage(patch: &mut Patch, scan: &ChatScan) {
    let Some(member) = scan.stream_options.member else {
        return patch.insert(scan.open, b"\"stream_options\":{\"include_usage\":true},");
    };
    let Some(options) = scan.stream_options.value else {
        return patch.replace(member.value, |out| out.extend_from_slice(b"{\"include_usage\":true}"));
    };
    match options.include_usage.member {
        Some(member) => patch.replace(member.value, |out| out.extend_from_slice(b"true")),
        None if options.empty => patch.insert(options.open, b"\"include_usage\":true"),
        None => patch.insert(options.open, b"\"include_usage\":true,"),
    }
}

pub(super) fn embeddings(scan: &EmbeddingsScan, body: &Bytes, model: &str) -> Bytes {
    let mut patch = Patch::default();
    if !scan.model.is(body, model) {
        patch.replace(scan.model_member.value, |out| push_string(out, model));
    }
    patch.apply(body)
}
