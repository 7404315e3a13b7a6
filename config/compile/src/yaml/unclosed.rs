//! A bracket that is not closed: the parser stumbles over what comes after it, often lines below.

use super::position;
use crate::finding::{Finding, Position, Reason};
use saphyr_parser::{Event, Parser};

/// `fault`, or, when its reason is a bracket of `text` that is not closed, that one and its place.
pub(crate) fn explain(text: &str, fault: Finding) -> Finding {
    let Some((at, bracket)) = opened(text).filter(|_| fault.reason == Reason::Syntax) else { return fault };
    let message = format!("This is not YAML: the {bracket} here is not closed.");
    let fix = format!("Close it with a {}.", closing(bracket));
    Finding { at: Some(at), message: message.into(), fix: fix.into(), ..fault }
}

/// The innermost bracket that is open where the parser stumbles, when nothing in its document closes it.
fn opened(text: &str) -> Option<(Position, char)> {
    let mut open = Vec::new();
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => open.push(span.start),
            Event::MappingEnd | Event::SequenceEnd => drop(open.pop()),
            _ => {}
        }
    }
    let start = open.last()?;
    let line = start.line().checked_sub(1)?;
    let rest = text.split_inclusive('\n').skip(line);
    let lines: Vec<&str> = rest.take_while(|line| !line.starts_with("---")).collect();
    let document: String = lines.concat();
    let begun = document.chars().skip(start.col());
    let bracket = begun.clone().next().filter(|c| matches!(c, '[' | '{'))?;
    (!is_closed(begun)).then(|| (position(start), bracket))
}

fn closing(bracket: char) -> char {
    if bracket == '[' { ']' } else { '}' }
}

/// True when the bracket that `text` begins with is closed in it.
fn is_closed(text: impl Iterator<Item = char>) -> bool {
    let (mut open, mut quote, mut before) = (Vec::new(), None, ' ');
    let mut comment = false;
    for c in text {
        match (quote, c) {
            (_, '\n') if comment => comment = false,
            _ if comment => {}
            (Some('"'), _) if before == '\\' => {
                before = ' ';
                continue;
            }
            (Some(q), _) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '#') if before.is_whitespace() => comment = true,
            // Within a word it is an apostrophe.
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '[' | '{') => open.push(closing(c)),
            (None, ']' | '}') if open.last() == Some(&c) => {
                open.pop();
                if open.is_empty() {
                    return true;
                }
            }
            _ => {}
        }
        before = c;
    }
    false
}
