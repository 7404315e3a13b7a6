//! One request and its answer, recorded.

use super::Window;
use super::ask::Ask;
use super::record::Record;
use super::wire::Wire;
use std::cell::RefCell;
use std::io;
use std::time::Instant;

/// The most of a body that is kept to judge it by.
const KEPT: usize = 1 << 20;

/// What all workers of a run share.
pub(super) struct Client {
    pub(super) ask: Ask,
    pub(super) window: Window,
    pub(super) record: RefCell<Record>,
}

/// An answer that was read to its end.
struct Seen {
    status: u16,
    stays: bool,
    good: bool,
    first: Instant,
    text: Vec<u8>,
}

impl Client {
    /// Asks once; the connection is kept in `slot` while it may be used again.
    pub(super) async fn once(&self, slot: &mut Option<Wire>, due: Instant) {
        let seen = self.exchange(slot).await;
        let now = Instant::now();
        if !seen.as_ref().is_ok_and(|seen| seen.stays) {
            *slot = None;
        }
        let counted = self.window.holds(due);
        let mut record = self.record.borrow_mut();
        match seen {
            Ok(seen) if seen.good => {
                record.in_window += u64::from(self.window.holds(now));
                if counted {
                    record
                        .good(now.saturating_duration_since(due), seen.first.saturating_duration_since(due));
                }
            }
            Ok(seen) if seen.status / 100 == 2 => {
                record.bad("incomplete answer".to_owned(), &seen.text, counted)
            }
            Ok(seen) => record.bad(format!("status {}", seen.status), &seen.text, counted),
            Err(fault) => record.bad(format!("connection: {}", fault.kind()), b"", counted),
        }
    }

    async fn exchange(&self, slot: &mut Option<Wire>) -> io::Result<Seen> {
        let wire = match slot {
            Some(wire) => wire,
            None => slot.insert(Wire::open(self.ask.target).await?),
        };
        wire.send(&self.ask.bytes).await?;
        let head = wire.head().await?;
        let mut first = None;
        let mut text = Vec::new();
        let mut ends = EventEnds::default();
        wire.body(&head, |part| {
            if part.is_empty() {
                return;
            }
            if self.ask.streamed {
                let now = Instant::now();
                first.get_or_insert(now);
                if self.window.holds(now) {
                    self.record.borrow_mut().events += ends.count(part);
                } else {
                    ends.count(part);
                }
            }
            text.extend_from_slice(part.get(..KEPT.saturating_sub(text.len())).unwrap_or(part));
        })
        .await?;
        let good = head.status / 100 == 2 && memchr::memmem::rfind(&text, self.ask.proof).is_some();
        Ok(Seen {
            status: head.status,
            stays: head.stays,
            good,
            first: first.unwrap_or_else(Instant::now),
            text,
        })
    }
}

/// Counts the blank lines that end events, also when one falls between two reads.
#[derive(Default)]
struct EventEnds {
    after_newline: bool,
}

impl EventEnds {
    fn count(&mut self, part: &[u8]) -> u64 {
        let mut found = 0;
        for at in memchr::memchr_iter(b'\n', part) {
            let before = at.checked_sub(1).and_then(|at| part.get(at));
            let doubled = before.map_or(self.after_newline, |byte| *byte == b'\n');
            found += u64::from(doubled);
        }
        self.after_newline = part.last() == Some(&b'\n');
        found
    }
}

#[cfg(test)]
mod tests {
    use super::EventEnds;

    #[test]
    fn events_are_counted_wherever_they_are_cut() {
        let text = b"data: a\n\ndata: b\n\ndata: [DONE]\n\n";
        for cut in 1..text.len() - 1 {
            let mut ends = EventEnds::default();
            let (left, right) = text.split_at(cut);
            assert_eq!(ends.count(left) + ends.count(right), 3, "cut at {cut}");
        }
    }
}
