//! A stream of messages on its way from the vendor to the caller.

use super::super::token_usage::Meter;
use super::event::{EventKind, Facts as Event, read};
use crate::openai::StreamHead;
use crate::sse::{Facts, Fault, Scan, Seen};

/// How to treat a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamSettings {
    /// Longest event, in bytes.
    pub max_event: usize,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { max_event: 1 << 20 }
    }
}

/// Scans a stream of message events; it is closed by `message_stop`.
pub type StreamScan = Scan<MessageFacts>;

/// What the events said.
#[derive(Default)]
pub struct MessageFacts {
    seen: Seen,
    meter: Meter,
    open: Vec<u64>,
}

/// Most blocks that are open at once before further ones are not kept in mind: Anthropic opens one at a time.
const MOST_OPEN: usize = 64;

impl StreamScan {
    /// At the start of a stream.
    #[must_use]
    pub fn new(settings: StreamSettings) -> Self {
        Self::of(MessageFacts::default(), settings.max_event)
    }

    /// Blocks that have begun and not ended, in order: for ending them ourselves.
    pub fn open_blocks(&self) -> impl Iterator<Item = u64> + '_ {
        self.facts.open.iter().copied()
    }
}

impl Facts for MessageFacts {
    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn seen_mut(&mut self) -> &mut Seen {
        &mut self.seen
    }

    fn finished(&self) -> bool {
        self.seen.finish.is_some()
    }

    #[inline]
    fn read(&mut self, data: &[u8]) -> Result<bool, Fault> {
        let event = read(data, &mut self.meter).map_err(|_| Fault::NotJson)?;
        self.take(event, data).map(|()| false)
    }
}

impl MessageFacts {
    fn take(&mut self, event: Event, data: &[u8]) -> Result<(), Fault> {
        self.seen.content_bytes += event.content_bytes;
        match event.kind {
            EventKind::Error => return Err(Fault::Upstream(event.error.unwrap_or_default())),
            EventKind::MessageStart if self.seen.head.is_none() => {
                let text = |text: Option<crate::Text>| text.map(|t| t.get(data).into()).unwrap_or_default();
                self.seen.head = Some(StreamHead {
                    id: text(event.id),
                    model: text(event.model),
                    service_tier: self.meter.tier.map(|tier| tier.get(data).into()),
                    ..StreamHead::default()
                });
            }
            EventKind::BlockStart if self.open.len() < MOST_OPEN => self.open.push(event.index),
            EventKind::BlockStop => self.open.retain(|index| *index != event.index),
            EventKind::MessageDelta => self.seen.finish = event.finish.or(self.seen.finish),
            EventKind::MessageStop => self.seen.done = true,
            _ => {}
        }
        if matches!(event.kind, EventKind::MessageStart | EventKind::MessageDelta | EventKind::MessageStop) {
            self.seen.usage = self.meter.usage();
        }
        Ok(())
    }
}
