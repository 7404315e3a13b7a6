//! The fields of a Messages request that we read. A test holds `named` and `name` together.

use crate::openai::field::same_but_for_case;

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

            /// As Anthropic spells it.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$field => $name),* }
            }
        }
    };
}

fields! {
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
        assert_eq!(Top::resembling("temperature"), None);
    }
}
