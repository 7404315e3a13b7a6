//! The fields of a Messages request that we read. A test holds `named` and `name` together.

use crate::openai::field::top_fields;

top_fields! {
    Model = "model",
    Messages = "messages",
    System = "system",
    MaxTokens = "max_tokens",
    Stream = "stream",
    Tools = "tools",
    Thinking = "thinking",
    OutputConfig = "output_config",
    OutputFormat = "output_format",
    Metadata = "metadata",
    ServiceTier = "service_tier",
    Speed = "speed",
    InferenceGeo = "inference_geo",
    CacheControl = "cache_control",
    Container = "container",
    McpServers = "mcp_servers",
    ContextManagement = "context_management",
    Compaction = "compaction",
    Thread = "thread",
    Fallbacks = "fallbacks",
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
        assert_eq!(Top::resembling(b"temperature"), None);
    }
}
