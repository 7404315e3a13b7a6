//! What must be known of the target to write for it.

use crate::chat::Unsupported;
use crate::openai::ScanLimits;

/// The target of a request, and how to write for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TargetFacts<'a> {
    /// The name that the provider knows the model by.
    pub model: &'a str,
    /// Most output tokens of the model. Asked for where the target demands a cap and the caller set none.
    pub max_output: Option<u32>,
    /// The gateway's cap, in tokens of one answer; wins where it is lower than the caller's.
    pub output_cap: Option<u32>,
    /// The model calls its cap `max_tokens` (OpenAI's newer ones: `max_completion_tokens`).
    pub legacy_max_tokens: bool,
    /// Ask for a stream, whatever the caller asked for.
    pub stream: bool,
    /// What to do about fields that the target does not know.
    pub unsupported: Unsupported,
    /// How the model is told to think.
    pub thinking: ThinkingSupport,
    /// The model draws its tokens as it likes and refuses `temperature` and `top_p`; Anthropic's also `top_k`, OpenAI's
    /// also `stop`.
    pub fixed_sampling: bool,
    /// The model refuses to be made to call a tool: it may only be offered some.
    pub free_tools: bool,
    /// The model always thinks, and refuses to be told not to.
    pub always_thinks: bool,
    /// The model refuses to go on with an answer whose beginning it is given.
    pub no_prefill: bool,
    /// The model keeps to a JSON schema by itself (Anthropic's `output_config.format`); else it is made to by a
    /// forced tool.
    pub structured_output: bool,
    /// The provider takes fields that are not its dialect's own and that several gateways and resellers share:
    /// `reasoning_content`, `thinking_blocks` and `cache_control` in OpenAI's messages. OpenAI itself refuses them.
    pub extensions: bool,
    /// Unix seconds, for answers of vendors that do not say when they were made.
    pub now: u64,
    /// Limits of reading.
    pub limits: ScanLimits,
}

impl<'a> TargetFacts<'a> {
    /// A model of which nothing else is known.
    #[must_use]
    pub fn new(model: &'a str) -> Self {
        Self {
            model,
            max_output: None,
            output_cap: None,
            legacy_max_tokens: false,
            stream: false,
            unsupported: Unsupported::default(),
            thinking: ThinkingSupport::default(),
            fixed_sampling: false,
            free_tools: false,
            always_thinks: false,
            no_prefill: false,
            structured_output: false,
            extensions: false,
            now: 0,
            limits: ScanLimits::default(),
        }
    }

    /// The cap to be sent for a caller's cap: the lowest of both and the model's own.
    #[must_use]
    pub fn cap(&self, callers: Option<u32>) -> Option<u32> {
        let wanted = [callers, self.output_cap].into_iter().flatten().min();
        match (wanted, self.max_output) {
            (Some(wanted), Some(most)) => Some(wanted.min(most)),
            (wanted, _) => wanted,
        }
    }
}

/// How a model is told to think.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ThinkingSupport {
    /// It does not think, or nothing is known of it: wishes for thinking are left out.
    #[default]
    None,
    /// By a number of tokens (Anthropic's `thinking.budget_tokens`). OpenAI's have an effort instead.
    Budget,
    /// By an effort (`reasoning_effort`; Anthropic's `output_config.effort` with adaptive thinking).
    Effort,
}
