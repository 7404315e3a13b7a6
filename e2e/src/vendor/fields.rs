//! Top-level fields of a chat request, as OpenAI checks them.

use super::reject::Reject;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

/// The fields of a request body, none of them twice.
pub(super) struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Each)
    }
}

impl Fields {
    /// The fields of a body; `None` when it is no JSON object.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// A field that was given twice.
    pub(super) fn twice(&self) -> Option<&str> {
        let again = |at: usize, name: &str| self.0[..at].iter().any(|(n, _)| n == name);
        self.0.iter().enumerate().find(|(at, (name, _))| again(*at, name)).map(|(_, (name, _))| &**name)
    }

    /// Names and values, `null` too.
    pub(super) fn all(&self) -> &[(String, Value)] {
        &self.0
    }

    /// Reads a body; a field given twice is refused, because a gateway that splices must not leave two.
    pub(super) fn read(body: &[u8]) -> Result<Self, Reject> {
        let fields = Self::parse(body).ok_or_else(|| {
            let message =
                "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload.";
            Reject::new(400, None, message)
        })?;
        match fields.twice() {
            Some(name) => Err(Reject::param(name, "duplicate_field", format!("'{name}' was given twice."))),
            None => Ok(fields),
        }
    }

    /// A field's value; `null` counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_null())
    }

    pub(super) fn need(&self, name: &str) -> Result<&Value, Reject> {
        self.get(name).ok_or_else(|| {
            let message = format!("Missing required parameter: '{name}'.");
            Reject::param(name, "missing_required_parameter", message)
        })
    }

    /// Checks names and types against a table; unknown names pass when `lenient`.
    pub(super) fn check(&self, table: &[(&str, Type)], lenient: bool) -> Result<(), Reject> {
        for (name, value) in &self.0 {
            let Some((_, kind)) = table.iter().find(|(known, _)| known == name) else {
                if lenient {
                    continue;
                }
                let message = format!("Unrecognized request argument supplied: {name}");
                return Err(Reject::new(400, None, message));
            };
            if !value.is_null() && !kind.fits(value) {
                return Err(Reject::wrong_type(name, kind.words(), value));
            }
        }
        Ok(())
    }

    /// An integer within bounds.
    pub(super) fn integer(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Reject> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64().ok_or_else(|| Reject::wrong_type(name, "an integer", value))?;
        let number = u64::try_from(number).ok().filter(|n| *n >= min).ok_or_else(|| {
            let message = format!(
                "Invalid '{name}': integer below minimum value. Expected a value >= {min}, but got {number} instead."
            );
            Reject::param(name, "integer_below_min_value", message)
        })?;
        if number > max {
            let message = format!("{name} is too large: {number}. This model supports at most {max}.");
            return Err(Reject::param(name, "invalid_value", message));
        }
        Ok(Some(number))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
}

/// JSON types that a field may have.
#[derive(Clone, Copy)]
pub(super) enum Type {
    Array,
    Bool,
    Integer,
    Number,
    Object,
    Text,
    TextOrArray,
    TextOrObject,
}

impl Type {
    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Self::Array => value.is_array(),
            Self::Bool => value.is_boolean(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Object => value.is_object(),
            Self::Text => value.is_string(),
            Self::TextOrArray => value.is_string() || value.is_array(),
            Self::TextOrObject => value.is_string() || value.is_object(),
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Array => "an array",
            Self::Bool => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a decimal",
            Self::Object => "an object",
            Self::Text => "a string",
            Self::TextOrArray => "one of a string or array of strings",
            Self::TextOrObject => "one of a string or object",
        }
    }
}

/// The fields of a chat request.
pub(super) const CHAT: &[(&str, Type)] = &[
    ("messages", Type::Array),
    ("model", Type::Text),
    ("audio", Type::Object),
    ("frequency_penalty", Type::Number),
    ("function_call", Type::TextOrObject),
    ("functions", Type::Array),
    ("logit_bias", Type::Object),
    ("logprobs", Type::Bool),
    ("max_completion_tokens", Type::Integer),
    ("max_tokens", Type::Integer),
    ("metadata", Type::Object),
    ("modalities", Type::Array),
    ("n", Type::Integer),
    ("parallel_tool_calls", Type::Bool),
    ("prediction", Type::Object),
    ("presence_penalty", Type::Number),
    ("prompt_cache_key", Type::Text),
    ("prompt_cache_retention", Type::Text),
    ("reasoning_effort", Type::Text),
    ("response_format", Type::Object),
    ("safety_identifier", Type::Text),
    ("seed", Type::Integer),
    ("service_tier", Type::Text),
    ("stop", Type::TextOrArray),
    ("store", Type::Bool),
    ("stream", Type::Bool),
    ("stream_options", Type::Object),
    ("temperature", Type::Number),
    ("tool_choice", Type::TextOrObject),
    ("tools", Type::Array),
    ("top_logprobs", Type::Integer),
    ("top_p", Type::Number),
    ("user", Type::Text),
    ("verbosity", Type::Text),
    ("web_search_options", Type::Object),
];

/// The fields of an embedding request.
pub(super) const EMBEDDING: &[(&str, Type)] = &[
    ("input", Type::TextOrArray),
    ("model", Type::Text),
    ("dimensions", Type::Integer),
    ("encoding_format", Type::Text),
    ("user", Type::Text),
];
