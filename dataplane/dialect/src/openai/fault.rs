//! What is wrong with a request, in OpenAI's words.

use crate::JsonFault;
use std::borrow::Cow;

/// A request that is refused before anything is spent: status 400, type `invalid_request_error`.
///
/// Messages name fields and types, never what the caller wrote into them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadRequest {
    /// Not JSON, not UTF-8, or too deep.
    #[error("We could not parse the JSON body of your request: {0}.")]
    Json(#[from] JsonFault),
    /// A field that must be there is not.
    #[error("Missing required parameter: '{param}'.")]
    Missing {
        /// The field.
        param: &'static str,
    },
    /// A field has another type.
    #[error("Invalid type for '{param}': expected {expected}, but got {got} instead.")]
    WrongType {
        /// Path of the field.
        param: Cow<'static, str>,
        /// With article.
        expected: &'static str,
        /// With article.
        got: &'static str,
    },
    /// A number is too small or too great.
    #[error("Invalid '{param}': expected an integer between {least} and {most}.")]
    OutOfRange {
        /// The field.
        param: &'static str,
        /// Smallest that is accepted.
        least: u32,
        /// Greatest that is accepted.
        most: u32,
    },
    /// A list that must have something in it has not.
    #[error(
        "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    )]
    Empty {
        /// The field.
        param: &'static str,
    },
    /// A field is there twice: readers differ in which one they believe.
    #[error("Duplicate parameter: '{param}'.")]
    Duplicate {
        /// The field.
        param: &'static str,
    },
    /// A field is spelt in other letters of the same kind: some vendors would read it as the field itself.
    #[error("Unknown parameter that differs from '{param}' only in case.")]
    Misspelt {
        /// The field as it is spelt.
        param: &'static str,
    },
    /// Two fields that exclude each other.
    #[error("Setting '{param}' and '{other}' at the same time is not supported.")]
    Conflict {
        /// One.
        param: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A field has the right type and a value that makes no sense.
    #[error("Invalid '{param}': {reason}.")]
    Invalid {
        /// Path of the field.
        param: Cow<'static, str>,
        /// What is wrong and what would be right.
        reason: &'static str,
    },
    /// The provider does not know the field, and the caller wants to be told.
    #[error(
        "'{param}' is not supported by the provider that serves this model. Leave it out, or allow fields to be dropped with \
         the header 'x-smartflow-unsupported: drop'."
    )]
    Unsupported {
        /// Path of the field.
        param: Cow<'static, str>,
    },
    /// Without the field the answer would mean or cost something else, so it is never dropped.
    #[error("'{param}' cannot be translated for the provider that serves this model: {reason}.")]
    Untranslatable {
        /// Path of the field.
        param: Cow<'static, str>,
        /// Why, and what can be done.
        reason: &'static str,
    },
}

impl BadRequest {
    /// The field concerned, for the error body's `param`.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Json(_) => None,
            Self::WrongType { param, .. }
            | Self::Invalid { param, .. }
            | Self::Unsupported { param }
            | Self::Untranslatable { param, .. } => Some(param),
            Self::Missing { param }
            | Self::OutOfRange { param, .. }
            | Self::Empty { param }
            | Self::Duplicate { param }
            | Self::Misspelt { param }
            | Self::Conflict { param, .. } => Some(param),
        }
    }

    /// `invalid_json`, `too_deep`, `unsupported_parameter` or `invalid_value`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(JsonFault::TooDeep { .. }) => "too_deep",
            Self::Json(_) => "invalid_json",
            Self::Unsupported { .. } | Self::Untranslatable { .. } => "unsupported_parameter",
            _ => "invalid_value",
        }
    }

    /// The error body.
    #[must_use]
    pub fn body(&self) -> bytes::Bytes {
        super::error_body(&self.to_string(), "invalid_request_error", self.param(), Some(self.code()))
    }
}
