//! Numbers: their grammar, and integers.

use super::JsonFault;

/// One past the number that starts at `at`.
pub(super) fn end(bytes: &[u8], start: usize) -> Result<usize, JsonFault> {
    let mut at = start;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        Some(b'1'..=b'9') => digits(bytes, at),
        _ => return Err(JsonFault::Syntax { at, expected: "a digit" }),
    };
    if bytes.get(at) == Some(&b'.') {
        at = some_digits(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = some_digits(bytes, at)?;
    }
    Ok(at)
}

fn digits(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn some_digits(bytes: &[u8], at: usize) -> Result<usize, JsonFault> {
    let end = digits(bytes, at);
    if end == at { Err(JsonFault::Syntax { at, expected: "a digit" }) } else { Ok(end) }
}
