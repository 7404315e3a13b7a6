//! Errors in the caller's format.

use crate::openai::{BadRequest, ErrorClass, UpstreamError};
use crate::{Dialect, anthropic, openai};
use bytes::Bytes;

/// What an error tells the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorWords<'a> {
    /// The status that it has, or would have were it not within a stream. Anthropic's `type` follows from it.
    pub status: u16,
    /// OpenAI's `type`.
    pub kind: &'a str,
    /// In words, for the caller.
    pub message: &'a str,
    /// The field concerned.
    pub param: Option<&'a str>,
    /// For programs.
    pub code: Option<&'a str>,
}

/// The body of an error answer in the format of `to`.
#[must_use]
pub fn error_body(to: Dialect, error: &ErrorWords<'_>) -> Bytes {
    let ErrorWords { status, kind, message, param, code } = *error;
    match to {
        Dialect::OpenAi => openai::error_body(message, kind, param, code),
        Dialect::Anthropic => anthropic::error_body(status, message, param, code),
    }
}

/// An error event within a stream in the format of `to`. Nothing follows it.
#[must_use]
pub fn error_event(to: Dialect, error: &ErrorWords<'_>) -> Bytes {
    let ErrorWords { status, kind, message, param, code } = *error;
    match to {
        Dialect::OpenAi => openai::error_event(message, kind, param, code),
        Dialect::Anthropic => anthropic::error_event(status, message, param, code),
    }
}

/// What an error of a vendor that speaks `from` means; a status of success is that of a stream.
#[must_use]
pub fn classify(from: Dialect, status: u16, error: &UpstreamError) -> ErrorClass {
    match from {
        Dialect::OpenAi => openai::classify(status, error),
        Dialect::Anthropic => anthropic::classify(status, error),
    }
}

/// The body of the answer (status 400) to a request that was refused before anything was spent, in the format of `to`.
#[must_use]
pub fn refusal_body(to: Dialect, fault: &BadRequest) -> Bytes {
    let message = fault.to_string();
    let (kind, param, code) = ("invalid_request_error", fault.param(), Some(fault.code()));
    error_body(to, &ErrorWords { status: 400, kind, message: &message, param, code })
}
