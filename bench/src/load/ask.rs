//! The request that a load repeats.

use super::Args;
use crate::prompt::prose;
use crate::world;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A chat, answered whole
    Chat,
    /// A chat, answered as a stream with usage at its end
    ChatStream,
    /// An embedding
    Embeddings,
    /// A message in Anthropic's format, answered whole
    Messages,
    /// The same, answered as a stream
    MessagesStream,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Self::Chat | Self::ChatStream => "/v1/chat/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Messages | Self::MessagesStream => "/v1/messages",
        }
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::ChatStream => "chat-stream",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::MessagesStream => "messages-stream",
        }
    }

    /// Asked as clients of Anthropic's API ask.
    #[must_use]
    pub fn is_anthropic(self) -> bool {
        matches!(self, Self::Messages | Self::MessagesStream)
    }

    fn is_streamed(self) -> bool {
        matches!(self, Self::ChatStream | Self::MessagesStream)
    }

    /// Text that only a complete good answer has.
    fn proof(self) -> &'static [u8] {
        match self {
            Self::Chat => b"\"choices\"",
            Self::ChatStream => b"data: [DONE]",
            Self::Embeddings => b"\"embedding\"",
            Self::Messages => b"\"stop_reason\"",
            Self::MessagesStream => b"event: message_stop",
        }
    }

    /// The model of the benchmark's worlds that answers this kind without a translation.
    #[must_use]
    pub fn model(self) -> &'static str {
        match self {
            Self::Chat | Self::ChatStream => world::OPENAI_MODEL,
            Self::Embeddings => world::EMBEDDING_MODEL,
            Self::Messages | Self::MessagesStream => world::ANTHROPIC_MODEL,
        }
    }

    /// Fields in the order in which clients write them. The model's name and the prompt need no escape.
    fn body(self, model: &str, prompt: &str) -> String {
        let chat = format!(r#""model":"{model}","messages":[{{"role":"user","content":"{prompt}"}}]"#);
        match self {
            Self::Chat => format!("{{{chat}}}"),
            Self::ChatStream => {
                format!(r#"{{{chat},"stream":true,"stream_options":{{"include_usage":true}}}}"#)
            }
            Self::Embeddings => format!(r#"{{"model":"{model}","input":"{prompt}"}}"#),
            Self::Messages => format!(r#"{{"max_tokens":1024,{chat}}}"#),
            Self::MessagesStream => format!(r#"{{"max_tokens":1024,{chat},"stream":true}}"#),
        }
    }
}

/// A request as it goes over the wire, and how its answer is known to be good.
pub(super) struct Ask {
    pub(super) target: std::net::SocketAddr,
    pub(super) bytes: Vec<u8>,
    pub(super) proof: &'static [u8],
    pub(super) streamed: bool,
}

impl Ask {
    pub(super) fn new(args: &Args) -> Self {
        let model = args.model.as_deref().unwrap_or(args.kind.model());
        let body = args.kind.body(model, &prose(args.prompt_bytes));
        let mut lines = vec![
            format!("POST {} HTTP/1.1", args.kind.path()),
            format!("host: {}", args.target),
            "user-agent: smartflow-bench".to_owned(),
            "accept: */*".to_owned(),
            "content-type: application/json".to_owned(),
            format!("content-length: {}", body.len()),
        ];
        if args.kind.is_anthropic() {
            lines.push("anthropic-version: 2023-06-01".to_owned());
        }
        lines.extend(args.headers.iter().cloned());
        Self {
            target: args.target,
            bytes: format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes(),
            proof: args.kind.proof(),
            streamed: args.kind.is_streamed(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::ValueEnum;
    use serde_json::Value;

    #[test]
    fn every_body_is_json_that_names_the_model() {
        for kind in Kind::value_variants() {
            let body: Value = serde_json::from_str(&kind.body("m", &prose(300))).unwrap();
            assert_eq!(body.pointer("/model").unwrap(), "m");
            assert_eq!(body.pointer("/stream").is_some(), kind.is_streamed());
            assert_eq!(Kind::from_str(kind.name(), false), Ok(*kind));
        }
    }
}
