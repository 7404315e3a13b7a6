//! A stream of chunks on its way from the vendor to the caller.

use super::super::UpstreamError;
use super::chunk::{Chunk, Glance, read};
use crate::sse::{Facts, Fault, Scan, Seen};

/// How to treat a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamSettings {
    /// The caller did not ask for the usage chunk: keep it from him.
    pub withhold_usage: bool,
    /// Answers asked for (`n`).
    pub choices: u32,
    /// Longest event, in bytes.
    pub max_event: usize,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { withhold_usage: false, choices: 1, max_event: 1 << 20 }
    }
}

/// Why a stream cannot go on. What came before has been handed out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StreamFault {
    /// An event is longer than the limit.
    #[error("an event of the stream is longer than {limit} bytes")]
    EventTooLarge {
        /// The limit.
        limit: usize,
    },
    /// An event is not JSON: something was garbled on the way.
    #[error("an event of the stream is not JSON")]
    NotJson,
    /// The vendor reported an error within the stream; its event is not handed out.
    #[error("the provider reported an error in the stream: {}", .0.message)]
    Upstream(UpstreamError),
}

/// How a stream stood when its bytes ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamEnd {
    /// The vendor closed it (`[DONE]`, `message_stop`).
    Done,
    /// Every answer ended with a reason, but the close is missing.
    Finished,
    /// It broke off: not a success.
    Cut,
}

/// Scans a stream of chunks; it is closed by `[DONE]`.
pub type StreamScan = Scan<ChunkFacts>;

/// What the chunks said.
pub struct ChunkFacts {
    seen: Seen,
    settings: StreamSettings,
    glance: Glance,
    /// One bit a choice.
    opened: u128,
    finished: u128,
}

impl StreamScan {
    /// At the start of a stream.
    #[must_use]
    pub fn new(settings: StreamSettings) -> Self {
        let (seen, opened, finished) = Default::default();
        let facts = ChunkFacts { seen, settings, glance: Glance::new(), opened, finished };
        Self::of(facts, settings.max_event)
    }

    /// True when every choice asked for has ended with a reason.
    #[must_use]
    pub fn all_finished(&self) -> bool {
        self.facts.finished()
    }

    /// Choices that have not ended, of those asked for, in order: for ending them ourselves.
    pub fn unfinished(&self) -> impl Iterator<Item = u32> + use<> {
        let (finished, choices) = (self.facts.finished, self.facts.settings.choices);
        (0..choices.min(128)).filter(move |index| finished & (1 << index) == 0)
    }
}

impl Facts for ChunkFacts {
    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn seen_mut(&mut self) -> &mut Seen {
        &mut self.seen
    }

    fn finished(&self) -> bool {
        self.finished.count_ones() >= self.settings.choices && self.opened == self.finished
    }

    #[inline]
    fn read(&mut self, data: &[u8]) -> Result<bool, Fault> {
        if data.trim_ascii() == b"[DONE]" {
            self.seen.done = true;
            return Ok(false);
        }
        if self.settings.choices == 1
            && self.seen.head.is_some()
            && let Some(content) = self.glance.content_bytes(data)
        {
            self.seen.content_bytes += content;
            return Ok(false);
        }
        self.take(read(data).map_err(|_| Fault::NotJson)?)
    }
}

impl ChunkFacts {
    fn take(&mut self, chunk: Chunk) -> Result<bool, Fault> {
        self.seen.usage = chunk.usage.or(self.seen.usage);
        if let Some(error) = chunk.error {
            return Err(Fault::Upstream(error));
        }
        for choice in &chunk.choices {
            let bit = 1_u128.checked_shl(choice.index).unwrap_or(0);
            self.opened |= bit;
            self.seen.content_bytes += choice.content_bytes;
            if let Some(reason) = choice.finish {
                self.finished |= bit;
                self.seen.finish.get_or_insert(reason);
            }
        }
        let only_usage = chunk.choices.is_empty() && chunk.usage.is_some();
        if self.seen.head.is_none() && !chunk.choices.is_empty() {
            self.seen.head = Some(chunk.head);
        }
        Ok(only_usage && self.settings.withhold_usage)
    }
}
