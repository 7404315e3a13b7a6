//! Marks that end a prefix which the vendor is to keep in its cache.

use crate::json::{Cursor, JsonFault, Kind};

/// The prefix up to here is to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheMark {
    /// How long; `None` is the vendor's default.
    pub life: Option<CacheLife>,
}

impl CacheMark {
    /// Reads the object that comes next: `cache_control: {type, ttl}` (Anthropic's, which several resellers take) or
    /// `prompt_cache_breakpoint: {mode, ttl}` (OpenAI's).
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Option<Self>, JsonFault> {
        let mut mark = Self::default();
        cursor.members(|cursor, name, kind| {
            if name == "ttl" && kind == Kind::String {
                mark.life = CacheLife::named(&cursor.text()?);
            } else {
                cursor.skip()?;
            }
            Ok::<_, JsonFault>(())
        })?;
        Ok(Some(mark))
    }
}

/// How long a prefix is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheLife {
    /// Anthropic's `5m`.
    FiveMinutes,
    /// OpenAI's `30m`.
    HalfHour,
    /// Anthropic's `1h`.
    Hour,
    /// OpenAI's `12h`.
    HalfDay,
}

impl CacheLife {
    const ALL: [(Self, &'static str); 4] =
        [(Self::FiveMinutes, "5m"), (Self::HalfHour, "30m"), (Self::Hour, "1h"), (Self::HalfDay, "12h")];

    /// As vendors write it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, word)| *word == name).map(|(life, _)| *life)
    }

    /// As vendors write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(life, _)| *life == self).map_or("5m", |(_, word)| word)
    }
}
