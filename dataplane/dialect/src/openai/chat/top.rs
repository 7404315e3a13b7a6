//! The fields of a chat request that we read. A test holds `named` and `name` together.

use super::super::field::same_but_for_case;

macro_rules! fields {
    ($($field:ident = $name:literal),* $(,)?) => {
        /// A top-level field.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(super) enum Top { $(#[doc = $name] $field),* }

        const ALL: &[Top] = &[$(Top::$field),*];

        impl Top {
            /// The field called exactly so.
            pub(super) fn named(key: &str) -> Option<Self> {
                match key { $($name => Some(Self::$field),)* _ => None }
            }

            /// As OpenAI (or the vendor that has it) spells it.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$field => $name),* }
            }
        }
    };
}

fields! {
    Model = "model",
    Messages = "messages",
    Stream = "stream",
    StreamOptions = "stream_options",
    MaxTokens = "max_tokens",
    MaxCompletionTokens = "max_completion_tokens",
    NPredict = "n_predict",
    MaxNewTokens = "max_new_tokens",
    MaxOutputTokens = "max_output_tokens",
    N = "n",
    Tools = "tools",
    Functions = "functions",
    ResponseFormat = "response_format",
    ReasoningEffort = "reasoning_effort",
    Reasoning = "reasoning",
    Thinking = "thinking",
    Modalities = "modalities",
    Audio = "audio",
    ServiceTier = "service_tier",
    WebSearchOptions = "web_search_options",
    SearchParameters = "search_parameters",
    EnableSearch = "enable_search",
    Plugins = "plugins",
    Models = "models",
    Prediction = "prediction",
    User = "user",
    SafetyIdentifier = "safety_identifier",
    PromptCacheKey = "prompt_cache_key",
    Metadata = "metadata",
    Store = "store",
}

impl Top {
    /// The field that a reader which ignores case would take `key` for.
    pub(super) fn resembling(key: &str) -> Option<Self> {
        ALL.iter().copied().find(|field| same_but_for_case(key, field.name()))
    }

    /// A bit of its own.
    pub(super) fn bit(self) -> u32 {
        1 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Top};

    #[test]
    fn names_lead_back_and_fit_the_bit_set() {
        assert!(ALL.len() <= 32);
        for field in ALL {
            assert_eq!(Top::named(field.name()), Some(*field));
            assert_eq!(Top::resembling(&field.name().to_uppercase()), Some(*field));
        }
        assert_eq!(Top::resembling("\u{17f}tream"), Some(Top::Stream));
        assert_eq!(Top::resembling("temperature"), None);
    }
}
