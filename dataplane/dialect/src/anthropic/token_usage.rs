//! `usage`, as Anthropic and those compatible with it report it.

use crate::Usage;
use crate::json::{Cursor, JsonFault, Kind, Text, push_number};
use crate::openai::token_usage::{count, object};

/// Counts of one usage object.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// Neither read from nor written to the cache.
    fresh: u64,
    cache_read: u64,
    cache_write: u64,
    /// Of `cache_write`, by how long it is kept.
    minutes: u64,
    hour: u64,
    output: u64,
    thinking: u64,
    searches: u64,
}

/// What one answer used so far. Every report is cumulative, so of each count the greatest stands: they are never summed,
/// and a later report that leaves one out (or a vendor that writes 0 there) takes nothing back.
#[derive(Clone, Copy, Default)]
pub(super) struct Meter {
    counts: Counts,
    told: bool,
    /// `service_tier`, in the document of the newest report that has one.
    pub(super) tier: Option<Text>,
}

impl Meter {
    /// Reads the usage that comes next; anything but an object is passed over.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JsonFault> {
        if cursor.peek()? != Kind::Object {
            cursor.skip()?;
            return Ok(());
        }
        let mut report = Report::default();
        object(cursor, &mut |cursor, key| report.member(cursor, key))?;
        self.told = true;
        self.tier = report.tier.or(self.tier);
        self.counts.raise(&report.counts);
        // A vendor that samples several times for one answer may leave some of them out of the totals.
        self.counts.raise(&report.iterations);
        Ok(())
    }

    /// In the terms that all dialects share; `None` before the first report.
    pub(super) fn usage(&self) -> Option<Usage> {
        let counts = &self.counts;
        let cache_write = counts.cache_write.max(counts.minutes.saturating_add(counts.hour));
        self.told.then(|| Usage {
            input: counts.fresh.saturating_add(counts.cache_read).saturating_add(cache_write),
            cached_input: counts.cache_read,
            cache_write,
            cache_write_hour: counts.hour.min(cache_write),
            output: counts.output,
            reasoning: counts.thinking.min(counts.output),
            web_searches: counts.searches,
            ..Usage::default()
        })
    }
}

impl Counts {
    fn each(&mut self, other: &Self, put: fn(&mut u64, u64)) {
        put(&mut self.fresh, other.fresh);
        put(&mut self.cache_read, other.cache_read);
        put(&mut self.cache_write, other.cache_write);
        put(&mut self.minutes, other.minutes);
        put(&mut self.hour, other.hour);
        put(&mut self.output, other.output);
        put(&mut self.thinking, other.thinking);
        put(&mut self.searches, other.searches);
    }

    fn raise(&mut self, other: &Self) {
        self.each(other, |mine, theirs| *mine = (*mine).max(theirs));
    }

    fn add(&mut self, other: &Self) {
        self.each(other, |mine, theirs| *mine = mine.saturating_add(theirs));
    }
}

#[derive(Default)]
struct Report {
    counts: Counts,
    /// All iterations together.
    iterations: Counts,
    tier: Option<Text>,
}

impl Report {
    fn member(&mut self, cursor: &mut Cursor<'_>, key: &str) -> Result<(), JsonFault> {
        match key {
            "iterations" if cursor.peek()? == Kind::Array => self.iterations(cursor),
            "service_tier" if cursor.peek()? == Kind::String => {
                self.tier = Some(cursor.string()?.text);
                Ok(())
            }
            _ => self.counts.member(cursor, key),
        }
    }

    fn iterations(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JsonFault> {
        cursor.enter()?;
        let mut first = true;
        while cursor.element(&mut first)? {
            let mut one = Counts::default();
            object(cursor, &mut |cursor, key| one.member(cursor, key))?;
            self.iterations.add(&one);
        }
        Ok(())
    }
}

impl Counts {
    fn member(&mut self, cursor: &mut Cursor<'_>, key: &str) -> Result<(), JsonFault> {
        match key {
            "input_tokens" => self.fresh = count(cursor)?,
            "cache_read_input_tokens" => self.cache_read = count(cursor)?,
            "cache_creation_input_tokens" => self.cache_write = count(cursor)?,
            "output_tokens" => self.output = count(cursor)?,
            "cache_creation" => object(cursor, &mut |cursor, key| {
                match key {
                    "ephemeral_5m_input_tokens" => self.minutes = count(cursor)?,
                    "ephemeral_1h_input_tokens" => self.hour = count(cursor)?,
                    _ => {
                        cursor.skip()?;
                    }
                }
                Ok(())
            })?,
            "output_tokens_details" => object(cursor, &mut |cursor, key| {
                match key {
                    "thinking_tokens" => self.thinking = count(cursor)?,
                    _ => {
                        cursor.skip()?;
                    }
                }
                Ok(())
            })?,
            "server_tool_use" => object(cursor, &mut |cursor, key| {
                match key {
                    "web_search_requests" => self.searches = count(cursor)?,
                    _ => {
                        cursor.skip()?;
                    }
                }
                Ok(())
            })?,
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    }
}

/// Appends a `usage` object.
pub(super) fn push_usage(out: &mut Vec<u8>, usage: &Usage) {
    let cache_write = usage.cache_write.min(usage.input);
    let cached = usage.cached_input.min(usage.input - cache_write);
    let hour = usage.cache_write_hour.min(cache_write);
    let mut member = |name: &str, count: u64| {
        out.extend_from_slice(name.as_bytes());
        push_number(out, count);
    };
    member("{\"input_tokens\":", usage.input - cached - cache_write);
    member(",\"cache_creation_input_tokens\":", cache_write);
    member(",\"cache_read_input_tokens\":", cached);
    if cache_write > 0 {
        member(",\"cache_creation\":{\"ephemeral_5m_input_tokens\":", cache_write - hour);
        member(",\"ephemeral_1h_input_tokens\":", hour);
        out.push(b'}');
    }
    let mut member = |name: &str, count: u64| {
        out.extend_from_slice(name.as_bytes());
        push_number(out, count);
    };
    member(",\"output_tokens\":", usage.output);
    if usage.reasoning > 0 {
        member(",\"output_tokens_details\":{\"thinking_tokens\":", usage.reasoning);
        out.push(b'}');
    }
    if usage.web_searches > 0 {
        out.extend_from_slice(b",\"server_tool_use\":{\"web_fetch_requests\":0,\"web_search_requests\":");
        push_number(out, usage.web_searches);
        out.push(b'}');
    }
    out.push(b'}');
}
