//! A first pass over a whole text: is it YAML, and does it stay within limits? After it, reading cannot fail.

use super::{MAX_DEPTH, MAX_NODES, MAX_TEXT, position, syntax};
use crate::finding::{Finding, Position, Reason};
use saphyr_parser::{Event, Parser};
use std::collections::HashMap;

/// Refuses a text that is not YAML, or is too large, too deep, or grows too large through aliases.
///
/// # Errors
/// The first fault.
pub(crate) fn check(text: &str) -> Result<(), Finding> {
    if text.len() > MAX_TEXT {
        return Err(too_complex(None, format!("The text has {} bytes, more than {MAX_TEXT}.", text.len())));
    }
    let mut count = Count::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| syntax(&e))?;
        count.take(&event, || position(&span.start))?;
    }
    Ok(())
}

fn too_complex(at: Option<Position>, message: String) -> Finding {
    let fix = "Split it into several documents or files, and write out what aliases repeat.";
    Finding { at, ..Finding::error(Reason::TooComplex, "", message, fix) }
}

/// Sizes of the containers that are open, and of what has an anchor.
#[derive(Default)]
pub(super) struct Count {
    open: Vec<(usize, usize)>,
    anchors: HashMap<usize, usize>,
    kept: usize,
}

impl Count {
    /// Counts an event before anything is made of it.
    pub(super) fn take(&mut self, event: &Event<'_>, at: impl Fn() -> Position) -> Result<(), Finding> {
        self.event(event).map_err(|message| too_complex(Some(at()), message))
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::DocumentStart(_) => *self = Self::default(),
            Event::MappingStart(anchor, _) | Event::SequenceStart(anchor, _) => {
                if self.open.len() >= MAX_DEPTH {
                    return Err(format!("More than {MAX_DEPTH} levels of nesting."));
                }
                self.open.push((*anchor, 1));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some((anchor, size)) = self.open.pop() {
                    return self.add(anchor, size);
                }
            }
            Event::Scalar(_, _, anchor, _) => return self.add(*anchor, 1),
            Event::Alias(anchor) => {
                let size =
                    self.anchors.get(anchor).copied().ok_or("An alias inside of what it refers to.")?;
                return self.add(0, size);
            }
            _ => {}
        }
        Ok(())
    }

    /// Something of `size` nodes is complete. What has an anchor is kept, so it counts twice.
    fn add(&mut self, anchor: usize, size: usize) -> Result<(), String> {
        if anchor != 0 {
            self.anchors.insert(anchor, size);
            self.kept = self.kept.saturating_add(size);
        }
        let parent = self.open.last_mut().map_or(0, |(_, parent)| {
            *parent = parent.saturating_add(size);
            *parent
        });
        if [self.kept, size, parent].into_iter().any(|n| n > MAX_NODES) {
            return Err(format!("A document with more than {MAX_NODES} values, aliases written out."));
        }
        Ok(())
    }
}
