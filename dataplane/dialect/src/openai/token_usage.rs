//! `usage`, as OpenAI and those compatible with it report it.

use crate::Usage;
use crate::json::{Cursor, JsonFault, Kind, push_number};

#[derive(Default)]
struct Reported {
    usage: Usage,
    total: u64,
}

/// Reads the value that comes next; `None` unless it is an object.
pub(super) fn usage(cursor: &mut Cursor<'_>) -> Result<Option<Usage>, JsonFault> {
    if cursor.peek()? != Kind::Object {
        cursor.skip()?;
        return Ok(None);
    }
    let mut reported = Reported::default();
    object(cursor, &mut |cursor, key| reported.member(cursor, key))?;
    Ok(Some(reported.settle()))
}

/// Takes a member's value.
pub(crate) type Read<'r> = dyn FnMut(&mut Cursor<'_>, &str) -> Result<(), JsonFault> + 'r;

/// Reads the members of the object that comes next with `read`; anything else is passed over.
pub(crate) fn object(cursor: &mut Cursor<'_>, read: &mut Read<'_>) -> Result<(), JsonFault> {
    if cursor.peek()? != Kind::Object {
        cursor.skip()?;
        return Ok(());
    }
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        read(cursor, &key.text.get(cursor.bytes()))?;
    }
    Ok(())
}

/// A count; what is no number, or negative, counts as nothing.
pub(crate) fn count(cursor: &mut Cursor<'_>) -> Result<u64, JsonFault> {
    let kind = cursor.peek()?;
    let span = cursor.skip()?;
    if kind != Kind::Number {
        return Ok(0);
    }
    let digits = span.of(cursor.bytes());
    // What counts look like: a few digits, which cannot overflow.
    if digits.len() < 19 && digits.iter().all(u8::is_ascii_digit) {
        return Ok(digits.iter().fold(0, |count, digit| count * 10 + u64::from(digit - b'0')));
    }
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and negative is nothing"
    )]
    Ok(digits.parse().unwrap_or_else(|_| digits.parse::<f64>().map_or(0, |count| count.ceil() as u64)))
}

impl Reported {
    fn member(&mut self, cursor: &mut Cursor<'_>, key: &str) -> Result<(), JsonFault> {
        let usage = &mut self.usage;
        match key {
            "prompt_tokens" | "input_tokens" => usage.input = count(cursor)?,
            "completion_tokens" | "output_tokens" => usage.output = count(cursor)?,
            "total_tokens" => self.total = count(cursor)?,
            "prompt_tokens_details" | "input_tokens_details" => {
                object(cursor, &mut |cursor, key| input_detail(usage, cursor, key))?;
            }
            "completion_tokens_details" | "output_tokens_details" => {
                object(cursor, &mut |cursor, key| output_detail(usage, cursor, key))?;
            }
            // DeepSeek's and Moonshot's words for cached tokens.
            "prompt_cache_hit_tokens" | "cached_tokens" => {
                usage.cached_input = usage.cached_input.max(count(cursor)?);
            }
            "cache_creation_input_tokens" => usage.cache_write = usage.cache_write.max(count(cursor)?),
            "reasoning_tokens" => usage.reasoning = usage.reasoning.max(count(cursor)?),
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    }

    /// xAI and Google leave hidden reasoning out of `completion_tokens` and have it in the total only; it is billed as
    /// output, so the total decides.
    fn settle(self) -> Usage {
        let mut usage = self.usage;
        usage.output = usage.output.max(self.total.saturating_sub(usage.input));
        usage.cached_input = usage.cached_input.min(usage.input);
        usage.cache_write = usage.cache_write.min(usage.input - usage.cached_input);
        usage.audio_input = usage.audio_input.min(usage.input);
        usage.reasoning = usage.reasoning.min(usage.output);
        usage.audio_output = usage.audio_output.min(usage.output);
        usage
    }
}

fn input_detail(usage: &mut Usage, cursor: &mut Cursor<'_>, key: &str) -> Result<(), JsonFault> {
    match key {
        "cached_tokens" => usage.cached_input = usage.cached_input.max(count(cursor)?),
        "cache_write_tokens" | "cache_creation_tokens" => {
            usage.cache_write = usage.cache_write.max(count(cursor)?);
        }
        "audio_tokens" => usage.audio_input = count(cursor)?,
        _ => {
            cursor.skip()?;
        }
    }
    Ok(())
}

fn output_detail(usage: &mut Usage, cursor: &mut Cursor<'_>, key: &str) -> Result<(), JsonFault> {
    match key {
        "reasoning_tokens" => usage.reasoning = usage.reasoning.max(count(cursor)?),
        "audio_tokens" => usage.audio_output = count(cursor)?,
        _ => {
            cursor.skip()?;
        }
    }
    Ok(())
}

/// Appends a `usage` object.
pub(super) fn push_usage(out: &mut Vec<u8>, usage: &Usage) {
    let mut member = |name: &str, count: u64| {
        out.extend_from_slice(name.as_bytes());
        push_number(out, count);
    };
    member("{\"prompt_tokens\":", usage.input);
    member(",\"completion_tokens\":", usage.output);
    member(",\"total_tokens\":", usage.total());
    member(",\"prompt_tokens_details\":{\"cached_tokens\":", usage.cached_input);
    member(",\"audio_tokens\":", usage.audio_input);
    if usage.cache_write > 0 {
        member(",\"cache_write_tokens\":", usage.cache_write);
    }
    member("},\"completion_tokens_details\":{\"reasoning_tokens\":", usage.reasoning);
    member(",\"audio_tokens\":", usage.audio_output);
    out.extend_from_slice(b"}}");
}
