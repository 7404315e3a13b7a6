//! A streamed answer put together for a caller who did not ask for a stream (ledger rule L20).

use super::super::token_usage::push_usage;
use crate::openai::AssembleFault;
use crate::sse::objects;
use crate::{FinishReason, Usage};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// Puts a message together from the events of a stream.
pub struct Assembler {
    limit: usize,
    taken: usize,
    message: Option<Map<String, Value>>,
    blocks: Vec<Block>,
    /// The vendor said why the answer ends, and with it what it used.
    ended: bool,
}

/// Most blocks that one answer may hold.
const MOST_BLOCKS: usize = 4096;

struct Block {
    index: u64,
    content: Map<String, Value>,
    /// Arguments so far; `None` for a block that has had no piece of them.
    arguments: Option<String>,
}

impl std::fmt::Debug for Assembler {
    /// Without what the model said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembler").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Assembler {
    /// Nothing yet; `limit` is the most bytes of stream that it takes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, taken: 0, message: None, blocks: Vec::new(), ended: false }
    }

    /// Takes whole events, as [`StreamScan`](super::StreamScan) hands them out.
    ///
    /// # Errors
    /// The limit is passed, or there are too many blocks.
    pub fn feed(&mut self, events: &[u8]) -> Result<(), AssembleFault> {
        self.taken = self.taken.saturating_add(events.len());
        if self.taken > self.limit {
            return Err(AssembleFault::TooLarge { limit: self.limit });
        }
        objects(events, |event| self.event(event))
    }

    fn event(&mut self, mut event: Map<String, Value>) -> Result<(), AssembleFault> {
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut part = |name: &str| match event.remove(name) {
            Some(Value::Object(part)) => part,
            _ => Map::new(),
        };
        match kind.as_str() {
            "message_start" => self.message = self.message.take().or(Some(part("message"))),
            "content_block_start" => {
                if self.blocks.len() == MOST_BLOCKS {
                    return Err(AssembleFault::TooManyChoices { limit: MOST_BLOCKS });
                }
                self.blocks.push(Block { index, content: part("content_block"), arguments: None });
            }
            "content_block_delta" => {
                let delta = part("delta");
                if let Some(block) = self.blocks.iter_mut().rev().find(|block| block.index == index) {
                    block.add(delta);
                }
            }
            "message_delta" => {
                let (delta, usage) = (part("delta"), part("usage"));
                self.ended |= delta.get("stop_reason").is_some_and(Value::is_string);
                let message = self.message.get_or_insert_default();
                message.extend(delta);
                let known = message.entry("usage").or_insert_with(|| json!({}));
                if let Value::Object(known) = known {
                    known.extend(usage.into_iter().filter(|(_, value)| !value.is_null()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends an answer that was stopped by us.
    pub fn stop(&mut self, reason: FinishReason) {
        if let Some(message) = &mut self.message
            && message.get("stop_reason").is_none_or(Value::is_null)
        {
            message.insert("stop_reason".to_owned(), json!(reason.as_anthropic()));
        }
    }

    /// The message. `usage` is told when the stream did not come to its end, where the vendor tells it.
    ///
    /// # Errors
    /// The stream had no message.
    pub fn finish(self, usage: Option<&Usage>) -> Result<Bytes, AssembleFault> {
        let mut message = self.message.ok_or(AssembleFault::Empty)?;
        if let Some(usage) = usage.filter(|_| !self.ended) {
            let mut text = Vec::with_capacity(256);
            push_usage(&mut text, usage);
            message.insert("usage".to_owned(), serde_json::from_slice(&text).unwrap_or_default());
        }
        let blocks = self.blocks.into_iter().map(Block::into_value).collect();
        message.insert("content".to_owned(), Value::Array(blocks));
        for (name, value) in [
            ("type", json!("message")),
            ("role", json!("assistant")),
            ("stop_reason", Value::Null),
            ("stop_sequence", Value::Null),
        ] {
            message.entry(name).or_insert(value);
        }
        Ok(Value::Object(message).to_string().into())
    }
}

impl Block {
    /// Adds a delta: arguments are kept apart, a citation is one more, and any other string goes on with its namesake.
    fn add(&mut self, delta: Map<String, Value>) {
        for (name, value) in delta {
            match (name.as_str(), value) {
                ("type", _) => {}
                ("partial_json", Value::String(piece)) => {
                    self.arguments.get_or_insert_default().push_str(&piece);
                }
                ("citation", citation) => match self.content.get_mut("citations") {
                    Some(Value::Array(list)) => list.push(citation),
                    _ => drop(self.content.insert("citations".to_owned(), json!([citation]))),
                },
                (_, Value::String(piece)) => match self.content.get_mut(&name) {
                    Some(Value::String(text)) => text.push_str(&piece),
                    _ => drop(self.content.insert(name, Value::String(piece))),
                },
                (_, value) => drop(self.content.insert(name, value)),
            }
        }
    }

    fn into_value(mut self) -> Value {
        if let Some(arguments) = self.arguments.filter(|arguments| !arguments.trim().is_empty()) {
            // Arguments that were cut are no object; the block then keeps what it began with.
            if let Ok(input @ Value::Object(_)) = serde_json::from_str(&arguments) {
                self.content.insert("input".to_owned(), input);
            }
        }
        Value::Object(self.content)
    }
}
