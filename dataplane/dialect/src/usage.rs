//! What an answer used, in the terms that all dialects share.

/// Tokens of one answer. Parts are contained in their sums: `input` includes `cached_input`, `cache_write` and
/// `audio_input`; `cache_write` includes `cache_write_hour`; `output` includes `reasoning` and `audio_output`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// All prompt tokens.
    pub input: u64,
    /// Of these, read from the vendor's cache.
    pub cached_input: u64,
    /// Of these, written to the vendor's cache.
    pub cache_write: u64,
    /// Of these, written to be kept for an hour, which is dearer (Anthropic).
    pub cache_write_hour: u64,
    /// Of these, audio.
    pub audio_input: u64,
    /// All tokens produced, for all choices.
    pub output: u64,
    /// Of these, reasoning, whether shown or hidden.
    pub reasoning: u64,
    /// Of these, audio.
    pub audio_output: u64,
    /// Searches that the vendor made, billed by the piece.
    pub web_searches: u64,
}

impl Usage {
    /// Input and output.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// What both used.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let sum = u64::saturating_add;
        Self {
            input: sum(self.input, other.input),
            cached_input: sum(self.cached_input, other.cached_input),
            cache_write: sum(self.cache_write, other.cache_write),
            cache_write_hour: sum(self.cache_write_hour, other.cache_write_hour),
            audio_input: sum(self.audio_input, other.audio_input),
            output: sum(self.output, other.output),
            reasoning: sum(self.reasoning, other.reasoning),
            audio_output: sum(self.audio_output, other.audio_output),
            web_searches: sum(self.web_searches, other.web_searches),
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FinishReason {
    /// The model was done, or met a stop sequence.
    Stop,
    /// The output cap or the context window was reached.
    Length,
    /// The model calls tools.
    ToolCalls,
    /// A filter of the vendor cut it.
    ContentFilter,
    /// The vendor failed.
    Error,
    /// Something else that the vendor wrote.
    Other,
}

impl FinishReason {
    /// OpenAI's word for it; what is none of theirs is `stop`.
    #[must_use]
    pub fn as_openai(self) -> &'static str {
        match self {
            Self::Stop | Self::Other => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Error => "error",
        }
    }

    /// Anthropic's word for it; what is none of theirs is `end_turn`.
    #[must_use]
    pub fn as_anthropic(self) -> &'static str {
        match self {
            Self::Stop | Self::Error | Self::Other => "end_turn",
            Self::Length => "max_tokens",
            Self::ToolCalls => "tool_use",
            Self::ContentFilter => "refusal",
        }
    }
}
