//! Strings: found end, length without escapes, text.

use super::{JsonFault, Span, Text};

/// A string that the cursor passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Str {
    /// Between the quotes, and whether it has escapes.
    pub(crate) text: Text,
    /// Bytes of UTF-8 once escapes are resolved.
    pub(crate) len: usize,
}

/// Reads the string whose first byte after the opening quote is at `start`; the closing quote is at `span.end`.
#[inline]
pub(super) fn read(bytes: &[u8], start: usize) -> Result<Str, JsonFault> {
    let mut at = start;
    // How many bytes the escapes are longer than what they stand for.
    let mut excess = 0;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            Some(b'"') => {
                let span = Span { start, end: at };
                return Ok(Str { text: Text { span, escaped: excess > 0 }, len: at - start - excess });
            }
            Some(b'\\') => {
                let (wide, stands_for) = escape(bytes, at)?;
                at += wide;
                excess += wide - stands_for;
            }
            Some(_) => return Err(JsonFault::Syntax { at, expected: "no control character in a string" }),
            None => return Err(JsonFault::Syntax { at, expected: "the end of a string" }),
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// High bit of each byte that ends a plain run; only the lowest is exact (a borrow may mark bytes above it).
#[inline]
fn stops(word: u64) -> u64 {
    let quote = word ^ (ONES * 0x22);
    let slash = word ^ (ONES * 0x5c);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    ((quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash) | control) & HIGHS
}

/// First byte from `at` on that is a quote, a backslash or a control character.
#[inline]
pub(super) fn plain_end(bytes: &[u8], at: usize) -> usize {
    // Two words where they are needed: so long are most keys.
    if let Some([low, high]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()).map(words) {
        let hits = stops(low);
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        let hits = stops(high);
        if hits != 0 {
            return at + 8 + (hits.trailing_zeros() / 8) as usize;
        }
    }
    long_end(bytes, at)
}

fn words(chunk: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*chunk);
    #[expect(clippy::cast_possible_truncation, reason = "its two halves")]
    [both as u64, (both >> 64) as u64]
}

fn long_end(bytes: &[u8], mut at: usize) -> usize {
    // Words first: most strings are short; a text that is longer earns the vector loop.
    for _ in 0..4 {
        let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else {
            return tail_end(bytes, at);
        };
        let hits = stops(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at = vector_end(bytes, at);
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let hits = stops(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    tail_end(bytes, at)
}

/// Steps over blocks without a stop; the compiler makes vector instructions of the fold.
fn vector_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<32>()) {
        let stop = block.iter().fold(0_u8, |stop, &byte| {
            stop | u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20)
        });
        if stop != 0 {
            return at;
        }
        at += 32;
    }
    at
}

fn tail_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20).unwrap_or(rest.len())
}

/// (bytes of the escape sequence at `at`, bytes of UTF-8 that it stands for). A surrogate alone is accepted, as every
/// lenient vendor does, and counted as the replacement character.
fn escape(bytes: &[u8], at: usize) -> Result<(usize, usize), JsonFault> {
    let bad = |at| JsonFault::Syntax { at, expected: "an escape sequence" };
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok((2, 1)),
        Some(b'u') => {
            let unit = hex4(bytes, at + 2).ok_or(bad(at))?;
            match unit {
                0..0x80 => Ok((6, 1)),
                0x80..0x800 => Ok((6, 2)),
                0xD800..0xDC00 if low_surrogate(bytes, at + 6).is_some() => Ok((12, 4)),
                _ => Ok((6, 3)),
            }
        }
        _ => Err(bad(at)),
    }
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + (digit as char).to_digit(16)?))
}

fn low_surrogate(bytes: &[u8], at: usize) -> Option<u32> {
    let unit = bytes.get(at..)?.starts_with(b"\\u").then(|| hex4(bytes, at + 2))??;
    (0xDC00..0xE000).contains(&unit).then_some(unit)
}

/// The text of a string that [`read`] passed, given what stands between its quotes.
pub(super) fn unescape(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut at = 0;
    while let Some(slash) = memchr::memchr(b'\\', raw.get(at..).unwrap_or_default()) {
        text.push_str(&String::from_utf8_lossy(&raw[at..at + slash]));
        at += slash;
        at += push_escape(&mut text, raw, at);
    }
    text.push_str(&String::from_utf8_lossy(raw.get(at..).unwrap_or_default()));
    text
}

fn push_escape(text: &mut String, raw: &[u8], at: usize) -> usize {
    let plain = match raw.get(at + 1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return push_unit(text, raw, at),
        Some(&other) => other as char,
        None => char::REPLACEMENT_CHARACTER,
    };
    text.push(plain);
    2
}

fn push_unit(text: &mut String, raw: &[u8], at: usize) -> usize {
    let unit = hex4(raw, at + 2).unwrap_or(0xFFFD);
    if (0xD800..0xDC00).contains(&unit)
        && let Some(low) = low_surrogate(raw, at + 6)
    {
        let scalar = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        text.push(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
        return 12;
    }
    text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
    6
}
