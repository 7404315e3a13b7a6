//! YAML text as trees with positions. YAML 1.2, core schema; limits on size, depth and what aliases expand to; the
//! same field twice is a fault.

mod limit;
mod scalar;
mod tree;
mod unclosed;

pub(crate) use limit::check;
pub(crate) use tree::{Documents, Tree};
pub(crate) use unclosed::explain;

use crate::finding::{Finding, Position, Reason};
use saphyr_parser::{Marker, ScanError};

/// Largest text.
pub const MAX_TEXT: usize = 64 << 20;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 64;
/// Most nodes of one document, aliases expanded.
pub const MAX_NODES: usize = 200_000;

fn position(marker: &Marker) -> Position {
    let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: clip(marker.line()), column: clip(marker.col().saturating_add(1)) }
}

fn syntax(error: &ScanError) -> Finding {
    let message = format!("This is not YAML: {}.", error.info());
    let fix = "Correct the text here or just before; indentation and quotes are the usual reasons.";
    Finding { at: Some(position(error.marker())), ..Finding::error(Reason::Syntax, "", message, fix) }
}
