//! A streamed answer put together for a caller who did not ask for a stream (ledger rule L20).

use super::super::token_usage::push_usage;
use super::merge::{ToolCalls, merge};
use crate::sse::objects;
use crate::{FinishReason, Usage};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Why an answer cannot be put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AssembleFault {
    /// The stream is longer than the limit.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// No chunk had a choice.
    #[error("the stream ended before any answer")]
    Empty,
    /// It has more answers than were asked for.
    #[error("the stream has more than {limit} answers")]
    TooManyChoices {
        /// The limit.
        limit: usize,
    },
}

/// Most answers that one stream may hold.
const MOST_CHOICES: usize = 128;

/// Puts a `chat.completion` together from the chunks of a stream.
pub struct Assembler {
    limit: usize,
    taken: usize,
    head: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
}

#[derive(Default)]
struct Choice {
    message: Map<String, Value>,
    tool_calls: ToolCalls,
    /// Log-probabilities, finish reason, and what else the vendor says about the choice.
    rest: Map<String, Value>,
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
        Self { limit, taken: 0, head: Map::new(), choices: BTreeMap::new() }
    }

    /// Takes whole events, as [`StreamScan`](super::StreamScan) hands them out (with the usage chunk not withheld).
    ///
    /// # Errors
    /// The limit is passed, or there are too many answers.
    pub fn feed(&mut self, events: &[u8]) -> Result<(), AssembleFault> {
        self.taken = self.taken.saturating_add(events.len());
        if self.taken > self.limit {
            return Err(AssembleFault::TooLarge { limit: self.limit });
        }
        objects(events, |chunk| self.chunk(chunk))
    }

    fn chunk(&mut self, mut chunk: Map<String, Value>) -> Result<(), AssembleFault> {
        chunk.remove("object");
        chunk.remove("obfuscation");
        let choices = chunk.remove("choices");
        for (name, value) in chunk {
            if !value.is_null() || !self.head.contains_key(&name) {
                self.head.insert(name, value);
            }
        }
        let Some(Value::Array(choices)) = choices else { return Ok(()) };
        for choice in choices {
            if let Value::Object(choice) = choice {
                self.choice(choice)?;
            }
        }
        Ok(())
    }

    fn choice(&mut self, mut chunk: Map<String, Value>) -> Result<(), AssembleFault> {
        let index = chunk.remove("index").and_then(|index| index.as_u64()).unwrap_or(0);
        if !self.choices.contains_key(&index) && self.choices.len() == MOST_CHOICES {
            return Err(AssembleFault::TooManyChoices { limit: MOST_CHOICES });
        }
        let choice = self.choices.entry(index).or_default();
        if let Some(Value::Object(mut delta)) = chunk.remove("delta") {
            if let Some(Value::Array(calls)) = delta.remove("tool_calls") {
                choice.tool_calls.extend(calls);
            }
            merge(&mut choice.message, delta);
        }
        if let Some(reason @ Value::String(_)) = chunk.remove("finish_reason") {
            choice.rest.insert("finish_reason".to_owned(), reason);
        }
        merge(&mut choice.rest, chunk);
        Ok(())
    }

    /// Ends the choices that have not ended: the stream was stopped by us.
    pub fn stop(&mut self, reason: FinishReason) {
        for choice in self.choices.values_mut() {
            choice.rest.entry("finish_reason").or_insert_with(|| json!(reason.as_openai()));
        }
    }

    /// The `chat.completion`. `usage` is told when the stream did not tell it.
    ///
    /// # Errors
    /// The stream had no choice.
    pub fn finish(mut self, usage: Option<&Usage>) -> Result<Bytes, AssembleFault> {
        if self.choices.is_empty() {
            return Err(AssembleFault::Empty);
        }
        self.head.insert("object".to_owned(), json!("chat.completion"));
        let told = self.head.get("usage").is_some_and(Value::is_object);
        if let (false, Some(usage)) = (told, usage) {
            let mut text = Vec::with_capacity(256);
            push_usage(&mut text, usage);
            self.head.insert("usage".to_owned(), serde_json::from_slice(&text).unwrap_or_default());
        }
        let choices: Vec<_> =
            self.choices.into_iter().map(|(index, choice)| choice.into_value(index)).collect();
        self.head.insert("choices".to_owned(), Value::Array(choices));
        Ok(Value::Object(self.head).to_string().into())
    }
}

impl Choice {
    fn into_value(self, index: u64) -> Value {
        let Self { mut message, tool_calls, mut rest } = self;
        message.entry("role").or_insert_with(|| json!("assistant"));
        message.entry("content").or_insert(Value::Null);
        message.entry("refusal").or_insert(Value::Null);
        if let Some(calls) = tool_calls.into_value() {
            // With OpenAI a message that calls tools and says nothing has no content.
            if message.get("content").and_then(Value::as_str) == Some("") {
                message.insert("content".to_owned(), Value::Null);
            }
            message.insert("tool_calls".to_owned(), calls);
        }
        rest.insert("index".to_owned(), json!(index));
        rest.insert("message".to_owned(), Value::Object(message));
        rest.entry("logprobs").or_insert(Value::Null);
        rest.entry("finish_reason").or_insert(Value::Null);
        Value::Object(rest)
    }
}
