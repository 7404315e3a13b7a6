//! How a reply is steered: words between `[[` and `]]` in the last user message (or the first embedding input).
//!
//! | word | meaning | default |
//! |---|---|---|
//! | `tokens=N` | output tokens it would like to produce; a cap may cut it short | 12 |
//! | `chunk=N` | tokens in one stream event | 1 |
//! | `first_ms=N` `delay_ms=N` | time before the answer's head, and for each event's worth of tokens | 0 |
//! | `bytes=N` | the stream is written to the socket in pieces of N bytes | whole events |
//! | `unicode=1` | text that is not ASCII | ASCII |
//! | `tools=N` | calls N of the tools on offer, in turn | 0 |
//! | `use=NAME:BASE64` | calls this tool, with the JSON input that the base64 says, if it is on offer | |
//! | `cached=N` `reasoning=N` | input tokens billed as cached, output tokens that are not shown | 0 |
//! | `written=N` | input tokens billed as written to the cache (Anthropic's mock; it and `cached` need a `cache_control`) | 0 |
//! | `thinking=N` `redacted=N` | tokens of thinking, blocks of hidden thinking, where the request has thinking on | 8, 0 |
//! | `finish=word` | why it stopped (Anthropic's mock) | as it was |
//! | `echo=images` | the text says how many images came, by URL and by base64 | |
//! | `fault=...` | `status:N` `hang` `stall:N` `cut:N` `reset:N` `error:N` `malformed` `slowhead:MS` `nousage` | none |
//! | `retry_after=N` | seconds, with `fault=status:N` | none |
//! | `tag=word` | a name to find the call by | none |

use super::Fault;
use std::time::Duration;

/// One reply's script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Output tokens wished for.
    pub tokens: u64,
    /// Tokens in one event.
    pub chunk: u64,
    /// Before the head.
    pub first: Duration,
    /// For each event.
    pub delay: Duration,
    /// Piece size of socket writes.
    pub bytes: Option<usize>,
    /// Text that is not ASCII.
    pub unicode: bool,
    /// Tool calls to make.
    pub tools: u64,
    /// Input tokens billed as cached.
    pub cached: u64,
    /// Input tokens billed as written to the cache.
    pub written: u64,
    /// Hidden output tokens.
    pub reasoning: u64,
    /// Tokens of thinking.
    pub thinking: u64,
    /// Blocks of hidden thinking.
    pub redacted: u64,
    /// A tool to call, and its input as JSON.
    pub use_tool: Option<(String, String)>,
    /// Why it stopped, in place of the true reason.
    pub finish: Option<String>,
    /// The text tells the images.
    pub echo_images: bool,
    /// How it fails.
    pub fault: Option<Fault>,
    /// Name to find it by.
    pub tag: Option<String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            tokens: 12,
            chunk: 1,
            first: Duration::ZERO,
            delay: Duration::ZERO,
            bytes: None,
            unicode: false,
            tools: 0,
            cached: 0,
            written: 0,
            reasoning: 0,
            thinking: 8,
            redacted: 0,
            use_tool: None,
            finish: None,
            echo_images: false,
            fault: None,
            tag: None,
        }
    }
}

impl Script {
    /// Reads the last `[[...]]` of a text; words it does not know are an error, so that a typo cannot pass a test.
    ///
    /// # Errors
    /// The word that was not understood.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        let Some((_, rest)) = text.rsplit_once("[[") else { return Ok(script) };
        let Some((words, _)) = rest.split_once("]]") else { return Ok(script) };
        let mut retry_after = None;
        for word in words.split_whitespace() {
            let bad = || format!("the mock's script has no word {word:?}");
            let (name, value) = word.split_once('=').ok_or_else(bad)?;
            let number = || value.parse::<u64>().map_err(|_| bad());
            match name {
                "tokens" => script.tokens = number()?,
                "chunk" => script.chunk = number()?.max(1),
                "first_ms" => script.first = Duration::from_millis(number()?),
                "delay_ms" => script.delay = Duration::from_millis(number()?),
                "bytes" => script.bytes = usize::try_from(number()?.max(1)).ok(),
                "unicode" => script.unicode = number()? > 0,
                "tools" => script.tools = number()?,
                "cached" => script.cached = number()?,
                "written" => script.written = number()?,
                "reasoning" => script.reasoning = number()?,
                "thinking" => script.thinking = number()?,
                "redacted" => script.redacted = number()?,
                "use" => script.use_tool = Some(use_tool(value).ok_or_else(bad)?),
                "finish" => script.finish = Some(value.to_owned()),
                "echo" if value == "images" => script.echo_images = true,
                "fault" => script.fault = Some(fault(value).ok_or_else(bad)?),
                "retry_after" => retry_after = Some(number()?),
                "tag" => script.tag = Some(value.to_owned()),
                _ => return Err(bad()),
            }
        }
        if let Some(Fault::Status { retry_after: slot, .. }) = &mut script.fault {
            *slot = retry_after;
        }
        Ok(script)
    }
}

fn use_tool(text: &str) -> Option<(String, String)> {
    use base64::Engine as _;
    let (name, input) = text.split_once(':')?;
    let input = base64::engine::general_purpose::STANDARD.decode(input).ok()?;
    Some((name.to_owned(), String::from_utf8(input).ok()?))
}

fn fault(text: &str) -> Option<Fault> {
    let (name, value) = text.split_once(':').unwrap_or((text, "0"));
    let number = value.parse::<u64>().ok()?;
    Some(match name {
        "status" => Fault::Status { status: u16::try_from(number).ok()?, retry_after: None },
        "hang" => Fault::Hang,
        "stall" => Fault::Stall(number),
        "cut" => Fault::Cut(number),
        "reset" => Fault::Reset(number),
        "error" => Fault::ErrorEvent(number),
        "malformed" => Fault::Malformed,
        "slowhead" => Fault::SlowHead(Duration::from_millis(number)),
        "nousage" => Fault::NoUsage,
        "whole" => Fault::Whole,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_brackets_count() {
        let script =
            Script::read("hello [[tokens=1]] again [[tokens=7 fault=status:429 retry_after=3]]").unwrap();
        assert_eq!(script.tokens, 7);
        assert_eq!(script.fault, Some(Fault::Status { status: 429, retry_after: Some(3) }));
    }

    #[test]
    fn a_typo_is_an_error() {
        assert!(Script::read("[[tokns=3]]").unwrap_err().contains("tokns"));
        assert!(Script::read("[[fault=explode]]").is_err());
    }
}
