//! Trying again.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How a target that answered 429 or 5xx, took too long or could not be connected to is tried again. The wait before the
/// n-th time is random between 0 and `backoff * 2^(n-1)`, at most `maxBackoff`, but never shorter than the provider asks
/// for (`retry-after`). A wait that is longer than `maxBackoff`, or than what the call has left, is not made.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.backoff) <= duration(self.maxBackoff)")
    .message("backoff is longer than maxBackoff: lower it, or raise maxBackoff").reason(Reason::FieldValueInvalid).field_path(".backoff"))]
pub struct Retry {
    /// Further tries of one target, before the next one is tried; 0 = none.
    #[serde(default = "attempts")]
    #[schemars(range(min = 0, max = 10))]
    pub attempts: i32,
    /// Longest first wait, such as `250ms`.
    #[serde(default = "backoff")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub backoff: String,
    /// Longest wait, such as `5s`.
    #[serde(default = "max_backoff")]
    #[schemars(length(max = 8), regex(pattern = r"^\d{1,6}(ms|s|m|h)$"))]
    pub max_backoff: String,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: attempts(), backoff: backoff(), max_backoff: max_backoff() }
    }
}

fn attempts() -> i32 {
    1
}

fn backoff() -> String {
    "250ms".to_owned()
}

fn max_backoff() -> String {
    "5s".to_owned()
}
