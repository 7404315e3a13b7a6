//! What could not be carried over: nothing is lost silently.

use crate::Dialect;
use crate::openai::BadRequest;
use std::borrow::Cow;

/// What to do about a field that the target does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unsupported {
    /// Leave it out and say so.
    #[default]
    Drop,
    /// Refuse the request.
    Reject,
}

/// Something of a [`Chat`](super::Chat) that a target may not be able to carry. Leaving it out does not change what
/// the answer means or costs beyond recognition; what would is refused at once with [`BadRequest::Untranslatable`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aspect {
    /// A temperature outside of what the target takes: its limit is sent.
    Temperature,
    /// `temperature` or `top_p`, which the target refuses beside something else (thinking).
    Sampling,
    /// `top_k`.
    TopK,
    /// `seed`.
    Seed,
    /// `frequency_penalty`.
    FrequencyPenalty,
    /// `presence_penalty`.
    PresencePenalty,
    /// `logit_bias`.
    LogitBias,
    /// `logprobs`.
    Logprobs,
    /// Some or all of the stop sequences.
    Stop,
    /// The end user's id.
    User,
    /// The service tier.
    ServiceTier,
    /// Thinking asked for.
    Thinking,
    /// Whether thinking is shown.
    ThinkingDisplay,
    /// Effort asked for.
    Effort,
    /// Thinking in the history.
    ThinkingHistory,
    /// The mark that a tool failed.
    ResultError,
    /// Marks of prefixes to be cached.
    CacheControl,
    /// How closely to look at an image.
    ImageDetail,
    /// Title, context or citations of a document.
    DocumentDetail,
    /// Citations of an earlier answer.
    Citations,
    /// The form of the answer cannot be enforced.
    Format,
    /// `strict` of a tool or schema.
    Strict,
    /// The demand that the model call a tool, which the target refuses beside thinking: it may call one.
    ToolChoice,
    /// The beginning of the answer, put into the model's mouth.
    Prefill,
    /// Where a system text stood amid the conversation: it is said ahead of it.
    SystemPlace,
    /// The name of a message's author.
    Name,
}

impl Aspect {
    /// The field, in the words of the caller's dialect; lists are written `[]`.
    #[must_use]
    pub fn path(self, caller: Dialect) -> &'static str {
        let (openai, anthropic) = match self {
            Self::Temperature => ("temperature", "temperature"),
            Self::Sampling => ("temperature", "temperature"),
            Self::TopK => ("top_k", "top_k"),
            Self::Seed => ("seed", "seed"),
            Self::FrequencyPenalty => ("frequency_penalty", "frequency_penalty"),
            Self::PresencePenalty => ("presence_penalty", "presence_penalty"),
            Self::LogitBias => ("logit_bias", "logit_bias"),
            Self::Logprobs => ("logprobs", "logprobs"),
            Self::Stop => ("stop", "stop_sequences"),
            Self::User => ("user", "metadata.user_id"),
            Self::ServiceTier => ("service_tier", "service_tier"),
            Self::Thinking => ("thinking", "thinking"),
            Self::ThinkingDisplay => ("thinking.display", "thinking.display"),
            Self::Effort => ("reasoning_effort", "output_config.effort"),
            Self::ThinkingHistory => ("messages[].thinking_blocks", "messages[].content[].thinking"),
            Self::ResultError => ("messages[].is_error", "messages[].content[].is_error"),
            Self::CacheControl => {
                ("messages[].content[].cache_control", "messages[].content[].cache_control")
            }
            Self::ImageDetail => ("messages[].content[].image_url.detail", "messages[].content[].source"),
            Self::DocumentDetail => ("messages[].content[].file.filename", "messages[].content[].title"),
            Self::Citations => ("messages[].annotations", "messages[].content[].citations"),
            Self::Format => ("response_format", "output_config.format"),
            Self::Strict => ("tools[].function.strict", "tools[].strict"),
            Self::ToolChoice => ("tool_choice", "tool_choice"),
            Self::Prefill => ("messages[].prefill", "messages[].prefill"),
            Self::SystemPlace => ("messages[].role", "messages[].role"),
            Self::Name => ("messages[].name", "messages[].name"),
        };
        match caller {
            Dialect::OpenAi => openai,
            Dialect::Anthropic => anthropic,
        }
    }
}

/// Most paths that are listed: they go into a header, and a caller may write as many unknown fields as he likes.
const MOST_PATHS: usize = 64;

/// What was lost on the way to one target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Losses {
    caller: Dialect,
    unsupported: Unsupported,
    paths: Vec<Cow<'static, str>>,
}

impl Losses {
    /// Nothing yet; fields are named in `caller`'s words.
    #[must_use]
    pub fn new(caller: Dialect, unsupported: Unsupported) -> Self {
        Self { caller, unsupported, paths: Vec::new() }
    }

    /// `aspect` cannot be carried.
    ///
    /// # Errors
    /// The caller wants such requests refused.
    pub fn lose(&mut self, aspect: Aspect) -> Result<(), BadRequest> {
        self.lose_field(aspect.path(self.caller))
    }

    /// The field `path` cannot be carried.
    ///
    /// # Errors
    /// The caller wants such requests refused.
    pub fn lose_field(&mut self, path: impl Into<Cow<'static, str>>) -> Result<(), BadRequest> {
        let path = path.into();
        if self.unsupported == Unsupported::Reject {
            return Err(BadRequest::Unsupported { param: path });
        }
        if self.paths.len() < MOST_PATHS && !self.paths.contains(&path) {
            let last = self.paths.len() + 1 == MOST_PATHS;
            self.paths.push(if last { Cow::Borrowed("and-more") } else { path });
        }
        Ok(())
    }

    /// The dialect that the caller speaks.
    #[must_use]
    pub fn caller(&self) -> Dialect {
        self.caller
    }

    /// Paths of what was left out, each once, in the order in which it was met; at most 64, of which the last is
    /// `and-more`.
    #[must_use]
    pub fn into_paths(self) -> Vec<Cow<'static, str>> {
        self.paths
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Losses, Unsupported};

    #[test]
    fn the_list_is_bounded() {
        let mut losses = Losses::new(Dialect::OpenAi, Unsupported::Drop);
        for field in 0..1000 {
            losses.lose_field(format!("x{}", field % 500)).unwrap();
        }
        let paths = losses.into_paths();
        assert_eq!((paths.len(), paths[62].as_ref(), paths[63].as_ref()), (64, "x62", "and-more"));
    }
}
