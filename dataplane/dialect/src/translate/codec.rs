//! The one place that knows which dialects there are.

use super::{Garbled, Memory, StreamFault, TargetFacts};
use crate::chat::{Chat, Delta, Losses, Reply};
use crate::openai::{BadRequest, ScanLimits};
use crate::sse::Event;
use crate::{Dialect, anthropic, openai};

impl Dialect {
    pub(super) fn decode_request<'a>(
        self,
        body: &'a [u8],
        limits: &ScanLimits,
    ) -> Result<Chat<'a>, BadRequest> {
        match self {
            Self::OpenAi => openai::decode_request(body, limits),
            Self::Anthropic => anthropic::decode_request(body, limits),
        }
    }

    pub(super) fn encode_request(
        self,
        chat: &Chat<'_>,
        facts: &TargetFacts<'_>,
        losses: &mut Losses,
        memory: &mut Memory,
    ) -> Result<Vec<u8>, BadRequest> {
        match self {
            Self::OpenAi => openai::encode_request(chat, facts, losses, memory),
            Self::Anthropic => anthropic::encode_request(chat, facts, losses, memory),
        }
    }

    pub(super) fn decode_reply(self, body: &[u8]) -> Result<Reply<'_>, Garbled> {
        match self {
            Self::OpenAi => openai::decode_reply(body),
            Self::Anthropic => anthropic::decode_reply(body),
        }
    }

    pub(super) fn encode_reply(self, reply: &Reply<'_>, memory: &Memory) -> Vec<u8> {
        match self {
            Self::OpenAi => openai::encode_reply(reply, memory),
            Self::Anthropic => anthropic::encode_reply(reply, memory),
        }
    }
}

/// Reads a vendor's stream.
pub(super) enum Reader {
    OpenAi(openai::DeltaReader),
    Anthropic(anthropic::DeltaReader),
}

impl Reader {
    pub(super) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAi => Self::OpenAi(openai::DeltaReader::new()),
            Dialect::Anthropic => Self::Anthropic(anthropic::DeltaReader::new()),
        }
    }

    pub(super) fn event(
        &mut self,
        event: &Event<'_>,
        sink: &mut dyn FnMut(Delta<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        match self {
            Self::OpenAi(reader) => reader.event(event, sink),
            Self::Anthropic(reader) => reader.event(event, sink),
        }
    }
}

/// Writes a caller's stream.
pub(super) enum Writer {
    OpenAi(openai::DeltaWriter),
    Anthropic(anthropic::DeltaWriter),
}

impl Writer {
    pub(super) fn new(dialect: Dialect, memory: &Memory) -> Self {
        match dialect {
            Dialect::OpenAi => Self::OpenAi(openai::DeltaWriter::new(memory)),
            Dialect::Anthropic => Self::Anthropic(anthropic::DeltaWriter::new(memory)),
        }
    }

    pub(super) fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        match self {
            Self::OpenAi(writer) => writer.delta(delta, out),
            Self::Anthropic(writer) => writer.delta(delta, out),
        }
    }
}
