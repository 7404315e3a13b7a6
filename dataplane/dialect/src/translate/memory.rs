//! What the answer's translation must know of the request.

use std::collections::HashMap;

/// What [`reply`](super::reply) and [`Stream`](super::Stream) must know of the request that they answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Names of tools that had to be changed: as sent, as the caller wrote it.
    pub(crate) names: HashMap<Box<str>, Box<str>>,
    /// The tool that stands for the answer's form (case 89): its arguments are the answer's text.
    pub(crate) json_tool: Option<Box<str>>,
    /// The caller asked for the usage at the end of the stream.
    pub(crate) include_usage: bool,
    /// About how many tokens the prompt is: told at the start of a stream, when the vendor tells it at the end only
    /// (case 55).
    pub(crate) input_estimate: u64,
    /// When the request was translated, in Unix seconds.
    pub(crate) created: u64,
}

impl Memory {
    /// Of a request that was not translated: `created` is the time in Unix seconds, `include_usage` whether the caller
    /// wants the usage at the end of a stream.
    #[must_use]
    pub fn untranslated(created: u64, include_usage: bool) -> Self {
        Self { created, include_usage, ..Self::default() }
    }

    /// The caller's name for the tool that the vendor calls `sent`, where it is another.
    pub(crate) fn changed(&self, sent: &str) -> Option<&str> {
        self.names.get(sent).map(|callers| &**callers)
    }

    /// The caller's name for the tool that the vendor calls `sent`.
    pub(crate) fn callers_name<'n>(&'n self, sent: &'n str) -> &'n str {
        self.changed(sent).unwrap_or(sent)
    }
}
