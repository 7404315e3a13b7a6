//! One event of a stream, as far as a pass-through needs to know it.

use super::super::reply::{produced, stop_reason};
use super::super::token_usage::Meter;
use crate::FinishReason;
use crate::json::{Cursor, JsonFault, Kind, Text};
use crate::openai::UpstreamError;
use crate::openai::error::from_value;
use crate::openai::token_usage::count;

/// Everything in an event that we read.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) kind: EventKind,
    pub(super) index: u64,
    pub(super) content_bytes: u64,
    pub(super) id: Option<Text>,
    pub(super) model: Option<Text>,
    pub(super) finish: Option<FinishReason>,
    pub(super) error: Option<UpstreamError>,
}

/// What an event is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum EventKind {
    MessageStart,
    BlockStart,
    BlockDelta,
    BlockStop,
    MessageDelta,
    MessageStop,
    Error,
    /// Pings, and what is new.
    #[default]
    Other,
}

impl EventKind {
    pub(super) fn named(name: &[u8]) -> Self {
        match name {
            b"message_start" => Self::MessageStart,
            b"content_block_start" => Self::BlockStart,
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_stop" => Self::BlockStop,
            b"message_delta" => Self::MessageDelta,
            b"message_stop" => Self::MessageStop,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// Reads an event whole; what it reports of usage goes into `meter`.
pub(super) fn read(data: &[u8], meter: &mut Meter) -> Result<Facts, JsonFault> {
    let mut cursor = Cursor::object(data)?;
    let mut facts = Facts::default();
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.span.of(data), kind) {
            (b"type", Kind::String) => facts.kind = EventKind::named(cursor.string()?.text.span.of(data)),
            (b"index", Kind::Number) => facts.index = count(&mut cursor)?,
            (b"delta", Kind::Object) => delta(&mut facts, &mut cursor)?,
            (b"content_block", Kind::Object) => facts.content_bytes += produced(&mut cursor)?,
            (b"message", Kind::Object) => message(&mut facts, &mut cursor, meter)?,
            (b"usage", Kind::Object) => meter.read(&mut cursor)?,
            (b"error", Kind::Object | Kind::String) => {
                facts.error = Some(from_value(cursor.skip()?.of(data)));
            }
            _ => {
                cursor.skip()?;
            }
        }
    }
    cursor.end()?;
    Ok(facts)
}

fn delta(facts: &mut Facts, cursor: &mut Cursor<'_>) -> Result<(), JsonFault> {
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.span.of(cursor.bytes()), kind) {
            (b"stop_reason", Kind::String) => {
                let reason = cursor.string()?.text;
                facts.finish = Some(stop_reason(&reason.get(cursor.bytes())).finish());
            }
            (b"type" | b"stop_sequence" | b"stop_details" | b"container", _) | (_, Kind::Null) => {
                cursor.skip()?;
            }
            (_, Kind::String) => facts.content_bytes += cursor.string()?.len as u64,
            _ => facts.content_bytes += cursor.skip()?.len() as u64,
        }
    }
    Ok(())
}

fn message(facts: &mut Facts, cursor: &mut Cursor<'_>, meter: &mut Meter) -> Result<(), JsonFault> {
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match (key.text.span.of(cursor.bytes()), kind) {
            (b"id", Kind::String) => facts.id = Some(cursor.string()?.text),
            (b"model", Kind::String) => facts.model = Some(cursor.string()?.text),
            (b"usage", _) => meter.read(cursor)?,
            _ => {
                cursor.skip()?;
            }
        }
    }
    Ok(())
}
