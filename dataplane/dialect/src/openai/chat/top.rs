//! The fields of a chat request that we read. A test holds `named` and `name` together.

use crate::openai::field::top_fields;

top_fields! {
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

#[cfg(test)]
mod tests {
    use super::Top;

    #[test]
    fn names_lead_back_and_fit_the_bit_set() {
        assert!(Top::ALL.len() <= 32);
        for field in Top::ALL {
            assert_eq!(Top::named(field.name().as_bytes()), Some(*field));
            assert_eq!(Top::resembling(field.name().to_uppercase().as_bytes()), Some(*field));
        }
        assert_eq!(Top::resembling("\u{17f}tream".as_bytes()), Some(Top::Stream));
        assert_eq!(Top::resembling(b"temperature"), None);
    }
}
