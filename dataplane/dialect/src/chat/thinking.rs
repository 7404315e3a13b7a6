//! Whether to think before answering, and how hard to try.

use super::Chat;
use crate::json::{Cursor, Kind, Object};
use crate::openai::BadRequest;
use crate::openai::field::{integer, wrong};
use std::borrow::Cow;

/// Whether to think before answering.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thinking<'a> {
    /// Whether, and how long.
    pub mode: ThinkingMode,
    /// Anthropic's `display`, as it was written.
    pub display: Option<Cow<'a, str>>,
}

/// Whether to think, and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThinkingMode {
    /// Not at all.
    Off,
    /// As long as the model finds right.
    Adaptive,
    /// Only between calls of tools.
    BetweenTools,
    /// At most so many tokens.
    Budget(u32),
}

/// How hard to try, in steps that vendors share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Effort {
    /// Do not think.
    None,
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// Somewhat.
    Medium,
    /// A lot.
    High,
    /// More than that.
    Xhigh,
    /// All there is.
    Max,
}

impl Effort {
    const ALL: [(Self, &'static str); 7] = [
        (Self::None, "none"),
        (Self::Minimal, "minimal"),
        (Self::Low, "low"),
        (Self::Medium, "medium"),
        (Self::High, "high"),
        (Self::Xhigh, "xhigh"),
        (Self::Max, "max"),
    ];

    /// By the word that OpenAI and Anthropic use.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, word)| *word == name).map(|(effort, _)| *effort)
    }

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(effort, _)| *effort == self).map_or("medium", |(_, word)| word)
    }

    /// A thinking budget of about that effort, in tokens; 0 is none.
    #[must_use]
    pub fn budget(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Minimal | Self::Low => 1024,
            Self::Medium => 4096,
            Self::High => 16_384,
            Self::Xhigh | Self::Max => 32_768,
        }
    }

    /// The effort of which `tokens` are about the budget.
    #[must_use]
    pub fn of_budget(tokens: u32) -> Self {
        match tokens {
            0 => Self::None,
            1..=2048 => Self::Low,
            2049..=8192 => Self::Medium,
            8193..=24_576 => Self::High,
            _ => Self::Xhigh,
        }
    }
}

impl<'a> Chat<'a> {
    /// Reads `thinking: {type, budget_tokens, display}`: Anthropic's words, which resellers take in OpenAI's format too.
    pub(crate) fn read_thinking(&mut self, cursor: &mut Cursor<'a>, kind: Kind) -> Result<(), BadRequest> {
        if kind != Kind::Object {
            return Err(wrong("thinking", "an object", kind));
        }
        let (mut word, mut tokens, mut display) = (None, None, None);
        cursor.members(|cursor, name, kind| {
            match (name, kind) {
                (_, Kind::Null) => {
                    cursor.skip()?;
                }
                ("type" | "display", Kind::String) => {
                    let slot = if name == "type" { &mut word } else { &mut display };
                    *slot = Some(cursor.text()?);
                }
                ("type" | "display", _) => return Err(wrong(format!("thinking.{name}"), "a string", kind)),
                ("budget_tokens", _) => {
                    tokens = Some(integer(cursor, kind, "thinking.budget_tokens", (1, u32::MAX))?);
                }
                _ => {
                    cursor.skip()?;
                    self.omit("thinking");
                }
            }
            Ok(())
        })?;
        let mode = match (word.as_deref(), tokens) {
            (Some("enabled"), Some(tokens)) => ThinkingMode::Budget(tokens),
            (Some("enabled"), None) => {
                return Err(BadRequest::Missing { param: "thinking.budget_tokens" });
            }
            (Some("adaptive"), _) => ThinkingMode::Adaptive,
            (Some("between_tools"), _) => ThinkingMode::BetweenTools,
            (Some("disabled"), _) => ThinkingMode::Off,
            _ => {
                return Err(BadRequest::Invalid {
                    param: "thinking.type".into(),
                    reason: "expected one of 'enabled', 'adaptive', 'between_tools' and 'disabled'",
                });
            }
        };
        self.thinking = Some(Thinking { mode, display });
        Ok(())
    }
}

impl Thinking<'_> {
    /// Writes the same.
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        let mut inner = Object::open(out);
        match self.mode {
            ThinkingMode::Off => inner.string("type", "disabled"),
            ThinkingMode::Adaptive => inner.string("type", "adaptive"),
            ThinkingMode::BetweenTools => inner.string("type", "between_tools"),
            ThinkingMode::Budget(tokens) => {
                inner.string("type", "enabled");
                inner.number("budget_tokens", tokens.into());
            }
        }
        if let Some(display) = &self.display {
            inner.string("display", display);
        }
        inner.close();
    }
}
