//! The numbers a caller is told (L26), in OpenAI's spelling and units. No HTTP here: names and values only.

use std::fmt;

/// One limit as a caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The limit, per minute.
    pub limit: u32,
    /// What is left of it at this moment, as far as this pod knows.
    pub remaining: u32,
    /// Nanoseconds until all of it is there again if nothing more is used.
    pub reset: u64,
}

/// Requests and tokens of one account. `None` = not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLevels {
    /// Requests per minute.
    pub requests: Option<Level>,
    /// Tokens per minute.
    pub tokens: Option<Level>,
}

impl RateLevels {
    /// Of several accounts the one with the least left, for each of the two.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        let least = |a: Option<Level>, b: Option<Level>| match (a, b) {
            (Some(a), Some(b)) => Some(if b.remaining < a.remaining { b } else { a }),
            (a, b) => a.or(b),
        };
        Self { requests: least(self.requests, other.requests), tokens: least(self.tokens, other.tokens) }
    }

    /// Name and value of each `x-ratelimit-*` header, names in lower case.
    pub fn headers(self) -> impl Iterator<Item = (&'static str, String)> {
        let requests = self.requests.map(|level| {
            [
                ("x-ratelimit-limit-requests", level.limit.to_string()),
                ("x-ratelimit-remaining-requests", level.remaining.to_string()),
                ("x-ratelimit-reset-requests", Reset(level.reset).to_string()),
            ]
        });
        let tokens = self.tokens.map(|level| {
            [
                ("x-ratelimit-limit-tokens", level.limit.to_string()),
                ("x-ratelimit-remaining-tokens", level.remaining.to_string()),
                ("x-ratelimit-reset-tokens", Reset(level.reset).to_string()),
            ]
        });
        requests.into_iter().chain(tokens).flatten()
    }
}

/// A span of nanoseconds as OpenAI writes it: `20ms`, `1s`, `1.5s`, `6m0s`, `1h2m3s`; rounded up to a millisecond.
#[derive(Clone, Copy, Debug)]
pub struct Reset(pub u64);

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.div_ceil(1_000_000);
        if millis == 0 {
            return f.write_str("0s");
        }
        if millis < 1000 {
            return write!(f, "{millis}ms");
        }
        let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        let fraction = format!("{:03}", millis % 1000);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{seconds}s"),
            fraction => write!(f, "{seconds}.{fraction}s"),
        }
    }
}

/// The value of `retry-after`: whole seconds, rounded up, at least 1.
#[must_use]
pub fn retry_after_seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000).max(1)
}

/// The value of `retry-after-ms`, which OpenAI's SDKs prefer: milliseconds, rounded up, at least 1.
#[must_use]
pub fn retry_after_millis(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_spelt_as_openai_does() {
        let spell = |millis: u64| Reset(millis * 1_000_000).to_string();
        let cases =
            [(0, "0s"), (20, "20ms"), (1000, "1s"), (1500, "1.5s"), (7_660, "7.66s"), (360_000, "6m0s")];
        for (millis, text) in cases {
            assert_eq!(spell(millis), text);
        }
        assert_eq!(spell(61_002), "1m1.002s");
        assert_eq!(spell(3_723_000), "1h2m3s");
        assert_eq!(Reset(1).to_string(), "1ms");
    }

    #[test]
    fn only_what_is_limited_is_told() {
        let level = Level { limit: 60, remaining: 59, reset: 1_000_000_000 };
        let levels = RateLevels { requests: Some(level), tokens: None };
        let told: Vec<_> = levels.headers().collect();
        assert_eq!(told.len(), 3);
        assert_eq!(told[0], ("x-ratelimit-limit-requests", "60".to_owned()));
        assert_eq!(told[1], ("x-ratelimit-remaining-requests", "59".to_owned()));
        assert_eq!(told[2], ("x-ratelimit-reset-requests", "1s".to_owned()));
    }

    #[test]
    fn the_tighter_of_two_accounts_is_told() {
        let level = |remaining| Some(Level { limit: 60, remaining, reset: 0 });
        let one = RateLevels { requests: level(5), tokens: None };
        let other = RateLevels { requests: level(3), tokens: level(9) };
        assert_eq!(one.tighter(other), other);
        assert_eq!(other.tighter(one), other);
    }

    #[test]
    fn waits_are_never_told_too_short() {
        assert_eq!(retry_after_seconds(1), 1);
        assert_eq!(retry_after_seconds(1_000_000_001), 2);
        assert_eq!(retry_after_millis(1_000_001), 2);
    }
}
